#include "tensor/block_reader.hpp"

#include <algorithm>
#include <utility>

namespace tare {
namespace {

// Shorter runs are put together.
constexpr std::uint64_t kShortRun = std::uint64_t{64} << 10;

}  // namespace

Result<BlockReader> BlockReader::make(const TensorView& view) {
  auto grid = BlockGrid::make(view);
  if (!grid) return std::unexpected(grid.error());
  return BlockReader(view, std::move(*grid));
}

BlockReader::BlockReader(const TensorView& view, BlockGrid grid)
    : view_(&view),
      grid_(std::move(grid)),
      readers_(view.blocks.size()),
      cell_(grid_.axes(), 0),
      index_(grid_.axes(), 0),
      left_(run_bytes()) {}

std::uint64_t BlockReader::run_bytes() const {
  std::uint64_t elements = grid_.inner();
  if (!cell_.empty()) {
    const auto& cuts = grid_.cuts(cell_.size() - 1);
    elements *= cuts[cell_.back() + 1] - cuts[cell_.back()];
  }
  return elements * (dtype_bits(view_->dtype) / 8);
}

// To the next cell of the last axis that has cuts; behind its last one, to the next index of the
// axes before, which may lie in other cells.
void BlockReader::advance() {
  for (std::size_t axis = cell_.size(); axis-- > 0;) {
    const auto& cuts = grid_.cuts(axis);
    const bool last_axis = axis + 1 == cell_.size();
    index_[axis] = last_axis ? cuts[cell_[axis] + 1] : index_[axis] + 1;
    if (index_[axis] < view_->shape[axis]) {
      if (index_[axis] == cuts[cell_[axis] + 1]) ++cell_[axis];
      left_ = run_bytes();
      return;
    }
    index_[axis] = 0;
    cell_[axis] = 0;
  }
  done_ = true;
}

ByteSpan BlockReader::peek() {
  const std::uint32_t number = grid_.block_of(cell_);
  auto& reader = readers_[number];
  if (!reader) {
    // check_view() has tried this.
    auto made = PackedReader::make(view_->blocks[number].view);
    if (!made) return {};
    reader = std::make_unique<PackedReader>(std::move(*made));
  }
  const ByteSpan bytes = reader->peek();
  return bytes.first(std::min<std::uint64_t>(bytes.size(), left_));
}

void BlockReader::skip(std::uint64_t count) {
  auto& reader = readers_[grid_.block_of(cell_)];
  reader->skip(count);
  left_ -= count;
  if (left_ > 0) return;
  if (reader->peek().empty()) reader.reset();
  advance();
}

ByteSpan BlockReader::next(std::uint64_t most) {
  if (handed_ > 0) skip(std::exchange(handed_, 0));
  buffer_.clear();
  while (!done_ && buffer_.size() < most) {
    const ByteSpan bytes = peek();
    if (bytes.size() >= kShortRun) {
      if (!buffer_.empty()) break;
      handed_ = bytes.size();
      return bytes;
    }
    if (bytes.empty()) break;
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    skip(bytes.size());
  }
  return buffer_;
}

}  // namespace tare
