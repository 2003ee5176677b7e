// Binary content as std::string, which concatenates, cuts and compares well.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "io/byte_buffer.hpp"
#include "tare/bytes.hpp"

namespace tare::test {

// Little-endian integers.
inline std::string u8(std::uint64_t value) {
  return {static_cast<char>(value & 0xFF)};
}
inline std::string little(std::uint64_t value, unsigned width) {
  std::string out;
  for (unsigned i = 0; i < width; ++i) out += u8(value >> (8 * i));
  return out;
}
inline std::string u16(std::uint64_t value) {
  return little(value, 2);
}
inline std::string u32(std::uint64_t value) {
  return little(value, 4);
}
inline std::string u64(std::uint64_t value) {
  return little(value, 8);
}

inline std::string repeat(std::string_view text, std::size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

// The bytes of an array of numbers as they lie in memory.
template <typename T>
std::string memory_of(const std::vector<T>& values) {
  return std::string(as_text(std::as_bytes(std::span<const T>(values))));
}

}  // namespace tare::test
