// Which block of a tensor in blocks an element lies in. The edges of all blocks cut the tensor into
// cells, each of which belongs to one block.
#pragma once

#include <vector>

#include "tare/tensor.hpp"

namespace tare {

class BlockGrid {
 public:
  // Errors: kMalformed (a block reaches out of the tensor, two overlap, or a part has none),
  // kLimit (more than a million cells), kOverflow.
  static Result<BlockGrid> make(const TensorView& view);

  // The axes around the runs of cells; what lies behind the last axis that has cuts stands
  // together.
  std::size_t axes() const { return axes_; }
  // Where the cells of an axis begin, and the end of the last.
  const std::vector<std::uint64_t>& cuts(std::size_t axis) const { return cuts_[axis]; }
  // Elements that stand together behind those axes.
  std::uint64_t inner() const { return inner_; }
  // The block of the cell with these indices, one for each of axes().
  std::uint32_t block_of(const std::vector<std::uint64_t>& cell) const;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  Result<void> cut(const TensorView& view);
  Result<void> own(const TensorView& view);

  std::size_t axes_ = 0;
  std::uint64_t inner_ = 1;
  std::vector<std::vector<std::uint64_t>> cuts_;
  std::vector<std::uint32_t> owner_;  // by cell, row-major
};

// Counts up indices like an odometer, the last fastest, each below the number of cells of its
// axis. False if all were counted.
bool count_up(std::vector<std::uint64_t>& index, std::span<const std::uint64_t> sizes);

}  // namespace tare
