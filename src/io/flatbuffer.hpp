// FlatBuffers: tables, vectors and texts by slot, as FlatBuffers' own verifier checks them before a
// reader follows an offset. Follows the internals that flatbuffers.dev documents.
//
// What is absent reads as nothing or as the default; what is broken too, and the buffer then is
// failed(), with the first error. Tables may be shared, so that a small file can stand for a huge
// tree: as the verifier, a buffer hands out a million tables and no more, and each byte of vectors
// a few times. Views point into the bytes; tables must not outlive their FlatBuffer.
#pragma once

#include <cstring>
#include <optional>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

class FlatTable;

// Elements of one size, or offsets of texts and tables.
struct FlatVector {
  std::uint64_t offset = 0;  // of the first element
  std::uint64_t count = 0;
};

class FlatBuffer {
 public:
  explicit FlatBuffer(ByteSpan bytes);

  FlatTable root();
  bool failed() const { return failed_; }
  // kMalformed or kLimit, with the offset.
  Error error() const { return error_; }
  ByteSpan bytes() const { return bytes_; }

 private:
  friend class FlatTable;

  template <typename T>
  std::optional<T> read(std::uint64_t offset) {
    if (offset > bytes_.size() || sizeof(T) > bytes_.size() - offset) {
      fail(offset, "an offset points behind the file");
      return std::nullopt;
    }
    T value{};
    std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    return value;
  }
  // The place that an offset of 32 bits points to.
  std::optional<std::uint64_t> follow(std::uint64_t offset);
  std::optional<FlatVector> vector_at(std::uint64_t offset, unsigned element_bytes);
  FlatTable table_at(std::uint64_t offset);
  void fail(std::uint64_t offset, const char* what, ErrorCode code = ErrorCode::kMalformed);

  ByteSpan bytes_;
  std::uint64_t tables_left_;
  std::uint64_t bytes_left_;
  bool failed_ = false;
  Error error_{};
};

// A table; an absent one has no slots.
class FlatTable {
 public:
  FlatTable() = default;

  explicit operator bool() const { return buffer_ != nullptr; }
  std::uint64_t offset() const { return offset_; }

  template <typename T>
  T scalar(unsigned slot, T otherwise) const {
    const std::uint64_t place = place_of(slot, sizeof(T));
    return place == 0 ? otherwise : buffer_->read<T>(place).value_or(otherwise);
  }
  FlatTable table(unsigned slot) const;
  // Elements of numbers of this many bytes.
  FlatVector numbers(unsigned slot, unsigned element_bytes) const;
  std::string_view text(unsigned slot) const;
  ByteSpan bytes(unsigned slot) const;
  // Tables and texts of a vector of them; `index` below its count.
  FlatVector offsets(unsigned slot) const { return numbers(slot, 4); }
  FlatTable table_of(const FlatVector& vector, std::uint64_t index) const;
  template <typename T>
  T number_of(const FlatVector& vector, std::uint64_t index) const {
    return buffer_->read<T>(vector.offset + index * sizeof(T)).value_or(T{});
  }

 private:
  friend class FlatBuffer;
  FlatTable(FlatBuffer* buffer, std::uint64_t offset, std::uint64_t vtable, std::uint16_t slots_end,
            std::uint16_t size)
      : buffer_(buffer), offset_(offset), vtable_(vtable), slots_end_(slots_end), size_(size) {}

  // Where a field is; 0 if it is absent.
  std::uint64_t place_of(unsigned slot, unsigned bytes) const;

  FlatBuffer* buffer_ = nullptr;
  std::uint64_t offset_ = 0;
  std::uint64_t vtable_ = 0;
  std::uint16_t slots_end_ = 0;  // bytes of the vtable
  std::uint16_t size_ = 0;       // bytes of the table
};

}  // namespace tare
