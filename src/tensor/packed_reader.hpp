// The elements of a tensor in row-major order, packed, as they are asked for: what stream() pushes,
// to pull. Two tensors of any strides are compared by two of these.
#pragma once

#include <memory>
#include <vector>

#include "tare/tensor.hpp"

namespace tare {

class BlockReader;

// The elements of a strided view as they are stored, row by row.
class RowReader {
 public:
  // `view` outlives the reader and is not empty.
  explicit RowReader(const TensorView& view);

  // The next bytes, at most about `most`, empty at the end: part of a row in place, or several rows
  // from a buffer. Valid until the next call.
  ByteSpan next(std::uint64_t most);

 private:
  ByteSpan row() const;
  void advance();

  const TensorView* view_;
  std::uint64_t element_;             // bytes
  std::uint64_t row_ = 1;             // elements that stand together
  std::vector<std::uint64_t> index_;  // of the axes around the rows
  std::uint64_t position_ = 0;        // of the row, in elements from view_->offset
  std::uint64_t taken_ = 0;           // bytes of the row
  bool done_ = false;                 // every row has been taken
  std::vector<std::byte> buffer_;
};

class PackedReader {
 public:
  // `view` passed check_view() and outlives the reader. Errors: kUnsupported for non-contiguous
  // tensors of packed types (less than 8 bits).
  static Result<PackedReader> make(const TensorView& view);

  PackedReader(PackedReader&&) noexcept;
  PackedReader& operator=(PackedReader&&) noexcept;
  ~PackedReader();

  // The next bytes, empty at the end: all of them and in place if the tensor is contiguous, else a
  // few MiB at most. Valid until the next call.
  ByteSpan peek() {
    if (piece_.empty() && !done_) refill();
    return piece_;
  }
  // Takes `count` of the bytes that peek() returned.
  void skip(std::uint64_t count) { piece_ = piece_.subspan(count); }

 private:
  explicit PackedReader(const TensorView& view);

  void refill();

  const TensorView* view_;
  bool done_ = true;  // there is nothing to refill from
  std::unique_ptr<RowReader> rows_;
  std::unique_ptr<BlockReader> blocks_;
  std::vector<std::byte> buffer_;  // of elements that are stored as something else
  ByteSpan piece_;
};

}  // namespace tare
