// Pickles in bytes that no format understands: behind junk, between the parts of an archive, in the
// text of another file. A loader that is told where to start finds them there.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tare/bytes.hpp"

namespace tare {

// A file that is written as text somewhere.
struct DecodedText {
  std::uint64_t offset;  // of the text
  std::vector<std::byte> bytes;
};

// Where pickles begin that import something, at most 16, in order, none inside of another. Looks at
// as much as a bounded effort allows: what is not found is still not understood.
std::vector<std::uint64_t> find_pickles(ByteSpan bytes);

// Base64 (both alphabets) or hexadecimal digits, with spaces and line ends between them; nothing
// for anything else, and for less than 8 bytes.
std::optional<std::vector<std::byte>> decode_text(std::string_view text);

// The texts in these bytes that decode to a pickle which imports something, at most 16.
std::vector<DecodedText> find_encoded_pickles(ByteSpan bytes);

}  // namespace tare
