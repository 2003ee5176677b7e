// Blocks of Snappy: the raw format, without frames.
#pragma once

#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

// Follows format_description.txt of the snappy repository. Errors: kMalformed, kTruncated, kLimit
// (more than `most` bytes).
Result<std::vector<std::byte>> decode_snappy(ByteSpan block, std::uint64_t most);

}  // namespace tare
