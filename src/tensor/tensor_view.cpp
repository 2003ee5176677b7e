#include <algorithm>

#include "io/checked.hpp"
#include "tare/tensor.hpp"
#include "tensor/packed_reader.hpp"

namespace tare {
namespace {

// A strided tensor is gathered in pieces of this size.
constexpr std::uint64_t kChunkBytes = std::uint64_t{1} << 20;

bool has_no_elements(const Shape& shape) {
  return std::ranges::any_of(shape, [](std::uint64_t size) { return size == 0; });
}

}  // namespace

std::vector<std::uint64_t> row_major_strides(const Shape& shape) {
  std::vector<std::uint64_t> strides(shape.size(), 1);
  std::uint64_t stride = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= std::max<std::uint64_t>(shape[axis], 1);
  }
  return strides;
}

bool TensorView::is_contiguous() const {
  if (has_no_elements(shape)) return true;
  std::uint64_t expected = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] == 1) continue;
    if (strides[axis] != expected) return false;
    expected *= shape[axis];
  }
  return true;
}

std::uint64_t TensorView::byte_count() const {
  // check_view() has shown that this does not overflow.
  std::uint64_t count = 1;
  for (const std::uint64_t size : shape) count *= size;
  return count * dtype_bits(dtype) / 8;
}

ByteSpan TensorView::contiguous_bytes() const {
  if (has_no_elements(shape)) return {};
  return storage.subspan(offset * dtype_bits(dtype) / 8, byte_count());
}

Result<void> check_view(const TensorView& view) {
  if (view.shape.size() != view.strides.size()) {
    return fail(ErrorCode::kMalformed, "the shape and the strides differ in rank");
  }
  const auto count = element_count(view.shape);
  if (!count) return std::unexpected(count.error());
  if (auto bytes = packed_bytes(view.dtype, *count); !bytes) return std::unexpected(bytes.error());
  if (*count == 0) return {};

  std::uint64_t last = view.offset;
  for (std::size_t axis = 0; axis < view.shape.size(); ++axis) {
    const auto reach = checked_mul(view.shape[axis] - 1, view.strides[axis]);
    const auto sum = reach ? checked_add(last, *reach) : std::nullopt;
    if (!sum) return fail(ErrorCode::kOverflow, "the strides overflow");
    last = *sum;
  }
  const auto bits = checked_mul(last + 1, dtype_bits(view.dtype));
  if (last == UINT64_MAX || !bits) return fail(ErrorCode::kOverflow, "the strides overflow");
  const auto first_bit = checked_mul(view.offset, dtype_bits(view.dtype));
  if (!first_bit || *first_bit % 8 != 0) {
    return fail(ErrorCode::kMalformed, "the tensor starts inside a byte");
  }
  if ((*bits + 7) / 8 > view.storage.size()) {
    return fail(ErrorCode::kMalformed, "the tensor reaches past the end of its storage");
  }
  return {};
}

Result<void> check_expansion(const TensorView& view) {
  constexpr std::uint64_t kMaxExpandedBytes = std::uint64_t{1} << 30;
  const std::uint64_t bytes = view.byte_count();
  if (bytes <= kMaxExpandedBytes || bytes <= view.storage.size()) return {};
  return fail(ErrorCode::kLimit, "repeats its storage to more than 1 GiB");
}

Result<PackedReader> PackedReader::make(const TensorView& view) {
  PackedReader reader(view);
  if (view.byte_count() == 0) return reader;
  if (view.is_contiguous()) {
    reader.piece_ = view.contiguous_bytes();
    return reader;
  }
  if (dtype_bits(view.dtype) % 8 != 0) {
    return fail(ErrorCode::kUnsupported, "strided views of packed element types");
  }
  // Inner axes that are contiguous are copied as one row.
  std::size_t outer = view.shape.size();
  while (outer > 0 && (view.shape[outer - 1] == 1 || view.strides[outer - 1] == reader.row_)) {
    reader.row_ *= view.shape[--outer];
  }
  reader.index_.assign(outer, 0);
  reader.buffer_.reserve(std::min(kChunkBytes, view.byte_count()));
  reader.done_ = false;
  return reader;
}

// The index is counted up like an odometer, so the rank costs no recursion.
void PackedReader::advance() {
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

void PackedReader::refill() {
  const std::uint64_t element = dtype_bits(view_->dtype) / 8;
  const std::uint64_t row_bytes = row_ * element;
  const auto row = [&] {
    return view_->storage.subspan((view_->offset + position_) * element, row_bytes);
  };
  if (row_bytes > kChunkBytes) {
    piece_ = row();
    advance();
    return;
  }
  buffer_.clear();
  while (!done_ && row_bytes <= kChunkBytes - buffer_.size()) {
    const ByteSpan bytes = row();
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    advance();
  }
  piece_ = buffer_;
}

Result<void> stream(const TensorView& view, const ByteSink& sink) {
  auto reader = PackedReader::make(view);
  if (!reader) return std::unexpected(reader.error());
  for (ByteSpan bytes = reader->peek(); !bytes.empty(); bytes = reader->peek()) {
    if (auto taken = sink(bytes); !taken) return taken;
    reader->skip(bytes.size());
  }
  return {};
}

Result<void> gather(const TensorView& view, std::span<std::byte> out) {
  if (out.size() != view.byte_count()) {
    return fail(ErrorCode::kInvalidArgument, "the buffer has not the size of the tensor");
  }
  return stream(view, [&out](ByteSpan bytes) -> Result<void> {
    std::ranges::copy(bytes, out.begin());
    out = out.subspan(bytes.size());
    return {};
  });
}

}  // namespace tare
