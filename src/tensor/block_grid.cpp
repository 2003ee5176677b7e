#include "tensor/block_grid.hpp"

#include <algorithm>

#include "io/checked.hpp"

namespace tare {
namespace {

// Of a grid, and for each of its blocks: blocks that divide a tensor along its axes are one cell
// each.
constexpr std::uint64_t kMaxCells = 1'000'000;
constexpr std::uint64_t kMaxCellsPerBlock = 1000;

Result<void> check_place(const TensorBlock& block, const Shape& shape) {
  const auto outside = fail(ErrorCode::kMalformed, "a block reaches out of the tensor");
  if (block.start.size() != shape.size() || block.view.shape.size() != shape.size()) {
    return fail(ErrorCode::kMalformed, "a block has another rank than the tensor");
  }
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (block.start[axis] > shape[axis]) return outside;
    if (block.view.shape[axis] > shape[axis] - block.start[axis]) return outside;
  }
  return {};
}

bool is_empty(const TensorBlock& block) {
  return std::ranges::find(block.view.shape, 0U) != block.view.shape.end();
}

}  // namespace

bool count_up(std::vector<std::uint64_t>& index, std::span<const std::uint64_t> sizes) {
  for (std::size_t axis = index.size(); axis-- > 0;) {
    if (++index[axis] < sizes[axis]) return true;
    index[axis] = 0;
  }
  return false;
}

Result<BlockGrid> BlockGrid::make(const TensorView& view) {
  BlockGrid grid;
  if (auto done = grid.cut(view); !done) return std::unexpected(done.error());
  if (auto done = grid.own(view); !done) return std::unexpected(done.error());
  return grid;
}

Result<void> BlockGrid::cut(const TensorView& view) {
  for (const TensorBlock& block : view.blocks) {
    if (auto checked = check_place(block, view.shape); !checked) return checked;
  }
  const std::size_t rank = view.shape.size();
  cuts_.resize(rank);
  for (std::size_t axis = 0; axis < rank; ++axis) {
    auto& cuts = cuts_[axis];
    cuts = {0, view.shape[axis]};
    for (const TensorBlock& block : view.blocks) {
      if (is_empty(block)) continue;
      cuts.push_back(block.start[axis]);
      cuts.push_back(block.start[axis] + block.view.shape[axis]);
    }
    std::ranges::sort(cuts);
    const auto repeated = std::ranges::unique(cuts);
    cuts.erase(repeated.begin(), repeated.end());
    if (cuts.size() > 2) axes_ = axis + 1;
  }
  const std::uint64_t most =
      std::min<std::uint64_t>(kMaxCells, kMaxCellsPerBlock * view.blocks.size());
  std::uint64_t cells = 1;
  for (std::size_t axis = 0; axis < axes_; ++axis) {
    const auto product = checked_mul(cells, cuts_[axis].size() - 1);
    if (!product || *product > most) {
      return fail(ErrorCode::kLimit, "blocks cut the tensor into more cells than tare counts");
    }
    cells = *product;
  }
  for (std::size_t axis = axes_; axis < rank; ++axis) {
    const auto product = checked_mul(inner_, view.shape[axis]);
    if (!product) return fail(ErrorCode::kOverflow, "the product of the shape overflows");
    inner_ = *product;
  }
  owner_.assign(cells, kNone);
  return {};
}

Result<void> BlockGrid::own(const TensorView& view) {
  for (std::size_t number = 0; number < view.blocks.size(); ++number) {
    const TensorBlock& block = view.blocks[number];
    if (is_empty(block)) continue;
    std::vector<std::uint64_t> first(axes_);
    std::vector<std::uint64_t> sizes(axes_);
    for (std::size_t axis = 0; axis < axes_; ++axis) {
      const auto place = [&](std::uint64_t edge) {
        return static_cast<std::uint64_t>(std::ranges::lower_bound(cuts_[axis], edge) -
                                          cuts_[axis].begin());
      };
      first[axis] = place(block.start[axis]);
      sizes[axis] = place(block.start[axis] + block.view.shape[axis]) - first[axis];
    }
    // No cell is taken twice, so that all blocks together cost no more than there are cells.
    std::vector<std::uint64_t> index(axes_, 0);
    do {
      std::uint64_t cell = 0;
      for (std::size_t axis = 0; axis < axes_; ++axis) {
        cell = cell * (cuts_[axis].size() - 1) + first[axis] + index[axis];
      }
      if (owner_[cell] != kNone) return fail(ErrorCode::kMalformed, "two blocks overlap");
      owner_[cell] = static_cast<std::uint32_t>(number);
    } while (count_up(index, sizes));
  }
  if (std::ranges::find(owner_, kNone) == owner_.end()) return {};
  return fail(ErrorCode::kMalformed, "no block covers a part of the tensor");
}

std::uint32_t BlockGrid::block_of(const std::vector<std::uint64_t>& cell) const {
  std::uint64_t place = 0;
  for (std::size_t axis = 0; axis < axes_; ++axis) {
    place = place * (cuts_[axis].size() - 1) + cell[axis];
  }
  return owner_[place];
}

}  // namespace tare
