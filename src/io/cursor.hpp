// A cursor over bytes: the one place with pointer arithmetic on input. Every read checks what is
// left first and leaves the cursor where it was if there is too little.
#pragma once

#include <bit>
#include <cstring>
#include <optional>

#include "tare/bytes.hpp"

namespace tare {

class Cursor {
 public:
  explicit Cursor(ByteSpan bytes, std::uint64_t offset = 0)
      : bytes_(bytes), offset_(offset < bytes.size() ? offset : bytes.size()) {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t remaining() const { return bytes_.size() - offset_; }
  bool at_end() const { return remaining() == 0; }

  // Little-endian unsigned integer.
  template <typename T>
  std::optional<T> read() {
    static_assert(std::endian::native == std::endian::little, "big-endian hosts need a swap here");
    if (sizeof(T) > remaining()) return std::nullopt;
    T value{};
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  std::optional<ByteSpan> take(std::uint64_t count) {
    if (count > remaining()) return std::nullopt;
    const ByteSpan span = bytes_.subspan(offset_, count);
    offset_ += count;
    return span;
  }

  // Up to and without the next `end`, which is consumed.
  std::optional<ByteSpan> take_until(std::byte end) {
    if (at_end()) return std::nullopt;
    const void* found =
        std::memchr(bytes_.data() + offset_, std::to_integer<int>(end), remaining());
    if (found == nullptr) return std::nullopt;
    const auto length = static_cast<std::uint64_t>(static_cast<const std::byte*>(found) -
                                                   (bytes_.data() + offset_));
    const ByteSpan bytes = bytes_.subspan(offset_, length);
    offset_ += length + 1;
    return bytes;
  }
  std::optional<ByteSpan> take_line() { return take_until(std::byte{'\n'}); }

 private:
  ByteSpan bytes_;
  std::uint64_t offset_;
};

}  // namespace tare
