// Which entry of a safetensors header an error lies in.
#pragma once

#include <cstdint>
#include <string>

#include "tare/bytes.hpp"

namespace tare::format {

// The key of the outermost object whose text or value has the byte at `offset` of `file`; empty if
// there is none, or the text in front of it is broken.
std::string header_entry_at(ByteSpan file, std::uint64_t offset);

}  // namespace tare::format
