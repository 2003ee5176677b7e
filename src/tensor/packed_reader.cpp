#include "tensor/packed_reader.hpp"

#include <algorithm>

#include "tensor/block_reader.hpp"
#include "tensor/elements.hpp"

namespace tare {
namespace {

// Read at a time from what is not in place.
constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20;

}  // namespace

RowReader::RowReader(const TensorView& view) : view_(&view), element_(view.stored_bits() / 8) {
  // Inner axes that stand together are one row.
  std::size_t outer = view.shape.size();
  while (outer > 0 && (view.shape[outer - 1] == 1 || view.strides[outer - 1] == row_)) {
    row_ *= view.shape[--outer];
  }
  index_.assign(outer, 0);
}

// The index is counted up like an odometer, so the rank costs no recursion.
void RowReader::advance() {
  for (std::size_t axis = index_.size(); axis-- > 0;) {
    if (++index_[axis] < view_->shape[axis]) {
      position_ += view_->strides[axis];
      return;
    }
    position_ -= view_->strides[axis] * (view_->shape[axis] - 1);
    index_[axis] = 0;
  }
  done_ = true;
}

ByteSpan RowReader::row() const {
  return view_->storage.subspan((view_->offset + position_) * element_, row_ * element_);
}

ByteSpan RowReader::next(std::uint64_t most) {
  if (done_) return {};
  const std::uint64_t row_bytes = row_ * element_;
  if (row_bytes > most / 2) {
    const ByteSpan piece =
        row().subspan(taken_, std::min(row_bytes - taken_, most / element_ * element_));
    taken_ += piece.size();
    if (taken_ == row_bytes) {
      taken_ = 0;
      advance();
    }
    return piece;
  }
  buffer_.clear();
  while (!done_ && row_bytes <= most - buffer_.size()) {
    const ByteSpan bytes = row();
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    advance();
  }
  return buffer_;
}

PackedReader::PackedReader(const TensorView& view) : view_(&view) {}
PackedReader::PackedReader(PackedReader&&) noexcept = default;
PackedReader& PackedReader::operator=(PackedReader&&) noexcept = default;
PackedReader::~PackedReader() = default;

Result<PackedReader> PackedReader::make(const TensorView& view) {
  PackedReader reader(view);
  if (view.byte_count() == 0) return reader;
  if (view.is_contiguous()) {
    reader.piece_ = view.contiguous_bytes();
    return reader;
  }
  if (!view.blocks.empty()) {
    auto blocks = BlockReader::make(view);
    if (!blocks) return std::unexpected(blocks.error());
    reader.blocks_ = std::make_unique<BlockReader>(std::move(*blocks));
  } else if (view.stored_bits() % 8 != 0) {
    return fail(ErrorCode::kUnsupported, "strided views of packed element types");
  } else {
    reader.rows_ = std::make_unique<RowReader>(view);
  }
  reader.done_ = false;
  return reader;
}

void PackedReader::refill() {
  piece_ = blocks_ ? blocks_->next(kPieceBytes) : rows_->next(kPieceBytes);
  done_ = piece_.empty();
  if (done_ || blocks_ || !view_->stored) return;
  buffer_.resize(piece_.size() / (view_->stored_bits() / 8) * (dtype_bits(view_->dtype) / 8));
  read_elements(*view_->stored, piece_, view_->dtype, buffer_.data());
  piece_ = buffer_;
}

}  // namespace tare
