// What the parts of the HDF5 reader share: fields of a block, read one by one. A field that is not
// there is 0 and spoils the reader, so that a block is read as a whole and checked once.
#pragma once

#include <algorithm>

#include "format/hdf5_file.hpp"
#include "io/cursor.hpp"

namespace tare::hdf5 {

class File::Reader {
 public:
  Reader(ByteSpan bytes, std::uint8_t offset_size, std::uint8_t length_size)
      : cursor_(bytes), offset_size_(offset_size), length_size_(length_size) {}

  bool good() const { return good_; }
  std::uint64_t remaining() const { return cursor_.remaining(); }
  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint16_t u16() { return number<std::uint16_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }
  // An integer of up to 8 bytes.
  std::uint64_t sized(unsigned width) {
    const ByteSpan bytes = take(width);
    std::uint64_t value = 0;
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), std::min<std::size_t>(bytes.size(), 8));
    return value;
  }
  // An address; kNowhere if all its bits are set.
  std::uint64_t address() {
    const std::uint64_t value = sized(offset_size_);
    const bool undefined =
        offset_size_ < 8 && value == (std::uint64_t{1} << (8 * offset_size_)) - 1;
    return undefined ? kNowhere : value;
  }
  std::uint64_t length() { return sized(length_size_); }
  ByteSpan take(std::uint64_t count) {
    const auto bytes = cursor_.take(count);
    good_ = good_ && bytes.has_value();
    return bytes.value_or(ByteSpan());
  }
  void skip(std::uint64_t count) { take(count); }
  // Text up to a NUL, which is taken as well.
  std::string_view text() {
    const auto bytes = cursor_.take_until(std::byte{0});
    good_ = good_ && bytes.has_value();
    return bytes ? as_text(*bytes) : std::string_view();
  }
  ByteSpan rest() { return take(remaining()); }

 private:
  template <typename T>
  T number() {
    const auto value = cursor_.read<T>();
    good_ = good_ && value.has_value();
    return value.value_or(0);
  }

  Cursor cursor_;
  std::uint8_t offset_size_;
  std::uint8_t length_size_;
  bool good_ = true;
};

inline std::unexpected<Error> broken(const char* what) {
  return fail(ErrorCode::kMalformed, what);
}

// The parts of a type or dataspace message.
std::optional<Datatype> read_type(ByteSpan data);
struct Space {
  Shape shape;
  Shape most;  // to which the axes may grow
  bool is_null = false;
};
// `length_size`: bytes of a dimension.
std::optional<Space> read_space(ByteSpan data, std::uint8_t length_size);

}  // namespace tare::hdf5
