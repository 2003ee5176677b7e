// The elements of a tensor in blocks, in row-major order of the tensor. In that order the elements
// of each block come in row-major order of the block, so that each needs to be read only once and
// from front to back.
#pragma once

#include <memory>
#include <vector>

#include "tensor/block_grid.hpp"
#include "tensor/packed_reader.hpp"

namespace tare {

class BlockReader {
 public:
  // `view` passed check_view() and outlives the reader. Errors: those of BlockGrid.
  static Result<BlockReader> make(const TensorView& view);

  // The next bytes, empty at the end: in place, or short runs together from a buffer of about
  // `most` bytes. Valid until the next call.
  ByteSpan next(std::uint64_t most);

 private:
  BlockReader(const TensorView& view, BlockGrid grid);

  // Bytes of the run of one block that comes next.
  std::uint64_t run_bytes() const;
  void advance();
  // What its block has of the run, in place.
  ByteSpan peek();
  void skip(std::uint64_t count);

  const TensorView* view_;
  BlockGrid grid_;
  std::vector<std::unique_ptr<PackedReader>> readers_;  // of the blocks that have been begun
  std::vector<std::uint64_t> cell_;                     // of the run
  std::vector<std::uint64_t> index_;  // of the run, on the axes before the last that has cuts
  std::uint64_t left_ = 0;            // bytes of the run
  std::uint64_t handed_ = 0;          // of them, by the last call
  bool done_ = false;
  std::vector<std::byte> buffer_;
};

}  // namespace tare
