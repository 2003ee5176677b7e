// Bytes as hexadecimal digits.
#pragma once

#include <string>

#include "tare/bytes.hpp"

namespace tare {

// Two lower-case digits for each byte.
inline std::string hex_text(ByteSpan bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    out += kDigits[std::to_integer<unsigned>(byte >> 4)];
    out += kDigits[std::to_integer<unsigned>(byte & std::byte{15})];
  }
  return out;
}

}  // namespace tare
