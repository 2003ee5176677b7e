// Which build of this program runs.
#pragma once

#include "tare/bytes.hpp"

namespace tare::cache {

// The id that the linker gave the program: a digest of what it consists of, so that any change of
// the engine is another id. Empty if it has none.
ByteSpan build_id();

}  // namespace tare::cache
