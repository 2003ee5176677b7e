#include <algorithm>

#include "io/checked.hpp"
#include "tare/tensor.hpp"

namespace tare {
namespace {

// A strided tensor is gathered in pieces of this size.
constexpr std::uint64_t kChunkBytes = std::uint64_t{1} << 20;

bool has_no_elements(const Shape& shape) {
  return std::ranges::any_of(shape, [](std::uint64_t size) { return size == 0; });
}

// One element, or one row of adjacent elements, at a time. The index is counted up like an
// odometer, so the rank costs no recursion.
class Odometer {
 public:
  Odometer(const Shape& shape, const std::vector<std::uint64_t>& strides, std::size_t axes)
      : shape_(shape), strides_(strides), index_(axes, 0) {}

  std::uint64_t position() const { return position_; }

  // False when every index has been visited.
  bool advance() {
    for (std::size_t axis = index_.size(); axis-- > 0;) {
      if (++index_[axis] < shape_[axis]) {
        position_ += strides_[axis];
        return true;
      }
      position_ -= strides_[axis] * (shape_[axis] - 1);
      index_[axis] = 0;
    }
    return false;
  }

 private:
  const Shape& shape_;
  const std::vector<std::uint64_t>& strides_;
  std::vector<std::uint64_t> index_;
  std::uint64_t position_ = 0;
};

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

Result<void> stream(const TensorView& view, const ByteSink& sink) {
  if (view.byte_count() == 0) return {};
  if (view.is_contiguous()) return sink(view.contiguous_bytes());
  if (dtype_bits(view.dtype) % 8 != 0) {
    return fail(ErrorCode::kUnsupported, "strided views of packed element types");
  }
  const std::uint64_t element = dtype_bits(view.dtype) / 8;
  // Inner axes that are contiguous are copied as one row.
  std::size_t outer = view.shape.size();
  std::uint64_t row = 1;
  while (outer > 0 && (view.shape[outer - 1] == 1 || view.strides[outer - 1] == row)) {
    row *= view.shape[--outer];
  }
  Odometer odometer(view.shape, view.strides, outer);
  std::vector<std::byte> buffer;
  buffer.reserve(std::min(kChunkBytes, view.byte_count()));
  do {
    const ByteSpan bytes =
        view.storage.subspan((view.offset + odometer.position()) * element, row * element);
    if (buffer.size() + bytes.size() > kChunkBytes) {
      if (auto taken = sink(buffer); !taken) return taken;
      buffer.clear();
    }
    if (bytes.size() > kChunkBytes) {
      if (auto taken = sink(bytes); !taken) return taken;
    } else {
      buffer.insert(buffer.end(), bytes.begin(), bytes.end());
    }
  } while (odometer.advance());
  return sink(buffer);
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
