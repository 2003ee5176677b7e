// A ByteSink takes bytes that come piece by piece: of a tensor, or out of a decompressor.
#pragma once

#include <functional>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

// Takes the next bytes; what it returns as an error ends what calls it. The bytes are gone when it
// returns.
using ByteSink = std::function<Result<void>(ByteSpan)>;

}  // namespace tare
