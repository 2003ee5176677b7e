// Programs and libraries of native code, and what stands behind them in their file.
#pragma once

#include "format/format.hpp"

namespace tare::format {

// "an ELF program": what begins here; empty if nothing of the kind does.
const char* program_text(ByteSpan bytes);

// Where the program ends by its own headers, at most the end of the bytes; 0 if that is not known.
// Behind it stands what a self-extracting archive unpacks.
std::uint64_t program_end(ByteSpan bytes);

}  // namespace tare::format
