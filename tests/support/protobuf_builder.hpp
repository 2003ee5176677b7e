// Messages of protocol buffers, field by field.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "support/binary.hpp"

namespace tare::test {

inline std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += u8(value | 0x80);
  return out + u8(value);
}

inline std::string pb_tag(std::uint32_t number, unsigned type) {
  return varint(std::uint64_t{number} << 3 | type);
}
inline std::string pb_number(std::uint32_t number, std::uint64_t value) {
  return pb_tag(number, 0) + varint(value);
}
inline std::string pb_bytes(std::uint32_t number, std::string_view bytes) {
  return pb_tag(number, 2) + varint(bytes.size()) + std::string(bytes);
}
inline std::string pb_packed(std::uint32_t number, std::initializer_list<std::uint64_t> values) {
  std::string bytes;
  for (const std::uint64_t value : values) bytes += varint(value);
  return pb_bytes(number, bytes);
}

}  // namespace tare::test
