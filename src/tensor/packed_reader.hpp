// The elements of a tensor in row-major order, packed, as they are asked for: what stream() pushes,
// to pull. Two tensors of any strides are compared by two of these.
#pragma once

#include <vector>

#include "tare/tensor.hpp"

namespace tare {

class PackedReader {
 public:
  // `view` passed check_view() and outlives the reader. Errors: kUnsupported for non-contiguous
  // tensors of packed types (less than 8 bits).
  static Result<PackedReader> make(const TensorView& view);

  // The next bytes, empty at the end: all of them and in place if the tensor is contiguous, else
  // at most 1 MiB from a buffer, or a longer row in place. Valid until the next call.
  ByteSpan peek() {
    if (piece_.empty() && !done_) refill();
    return piece_;
  }
  // Takes `count` of the bytes that peek() returned.
  void skip(std::uint64_t count) { piece_ = piece_.subspan(count); }

 private:
  explicit PackedReader(const TensorView& view) : view_(&view) {}

  void refill();
  void advance();

  const TensorView* view_;
  bool done_ = true;                  // every row has been taken
  std::vector<std::uint64_t> index_;  // of the axes around the rows
  std::uint64_t row_ = 1;             // elements that stand together
  std::uint64_t position_ = 0;        // of the next row, in elements from view_->offset
  std::vector<std::byte> buffer_;
  ByteSpan piece_;
};

}  // namespace tare
