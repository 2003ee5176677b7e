// Puts little-endian integers, texts and bytes one behind the other.
#pragma once

#include <cstring>
#include <string_view>
#include <vector>

#include "tare/bytes.hpp"

namespace tare {

class ByteBuffer {
 public:
  ByteBuffer& u8(std::uint8_t value) { return integer(value, 1); }
  ByteBuffer& u16(std::uint16_t value) { return integer(value, 2); }
  ByteBuffer& u32(std::uint32_t value) { return integer(value, 4); }
  ByteBuffer& u64(std::uint64_t value) { return integer(value, 8); }
  ByteBuffer& text(std::string_view value) { return bytes(as_bytes(value)); }
  ByteBuffer& bytes(ByteSpan value) {
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    return *this;
  }
  ByteBuffer& fill(std::size_t count, std::byte value) {
    bytes_.resize(bytes_.size() + count, value);
    return *this;
  }

  std::size_t size() const { return bytes_.size(); }
  ByteSpan view() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  ByteBuffer& integer(std::uint64_t value, unsigned width) {
    for (unsigned i = 0; i < width; ++i) {
      bytes_.push_back(static_cast<std::byte>(value >> (8 * i) & 0xFF));
    }
    return *this;
  }

  std::vector<std::byte> bytes_;
};

}  // namespace tare
