// CRC-32C (Castagnoli), as LevelDB and TensorFlow use it.
#pragma once

#include <array>

#include "tare/bytes.hpp"

namespace tare {

inline constexpr std::array<std::uint32_t, 256> kCrc32cTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ ((value & 1) != 0 ? 0x82F63B78U : 0U);
    table[byte] = value;
  }
  return table;
}();

inline std::uint32_t crc32c(ByteSpan bytes) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (const std::byte byte : bytes) {
    crc = crc >> 8 ^ kCrc32cTable[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xFF];
  }
  return ~crc;
}

// The form in which it stands in files, so that a checksum of checksums is no weak one.
inline std::uint32_t masked_crc32c(ByteSpan bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xA282EAD8U;
}

}  // namespace tare
