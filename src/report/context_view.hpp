// The bytes around a finding, for people: as a hex dump, and as opcodes of a pickle.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tare/scan.hpp"

namespace tare::report {

// Up to 16 bytes of a finding's context.
struct HexRow {
  std::uint64_t offset;  // of the first, from the start of the entry
  std::string hex;       // "80 02 63 ..."
  std::string text;      // printable ASCII, dots for everything else
};
// Rows begin where the context does.
std::vector<HexRow> hex_rows(const Finding& finding);

// The opcodes from the finding on, as disassemble() prints them, with offsets in the entry. The
// last may be cut off by the end of the context and is left out then. Empty for what is no pickle.
std::string opcode_view(const Finding& finding);

// Bytes of the opcode and its argument, as far as the context has them: at least 1, or 0 if
// there is no byte at the finding's offset.
std::uint64_t finding_length(const Finding& finding);

}  // namespace tare::report
