#include <algorithm>
#include <cstring>

#include "io/checked.hpp"
#include "tare/tensor.hpp"

namespace tare {
namespace {

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
  if (has_no_elements(view.shape)) return {};
  const auto count = element_count(view.shape);
  if (!count) return std::unexpected(count.error());
  if (auto bytes = packed_bytes(view.dtype, *count); !bytes) return std::unexpected(bytes.error());

  std::uint64_t last = view.offset;
  for (std::size_t axis = 0; axis < view.shape.size(); ++axis) {
    const auto reach = checked_mul(view.shape[axis] - 1, view.strides[axis]);
    const auto sum = reach ? checked_add(last, *reach) : std::nullopt;
    if (!sum) return fail(ErrorCode::kOverflow, "the strides overflow");
    last = *sum;
  }
  const auto bits = checked_mul(last + 1, dtype_bits(view.dtype));
  if (last == UINT64_MAX || !bits) return fail(ErrorCode::kOverflow, "the strides overflow");
  if ((*bits + 7) / 8 > view.storage.size()) {
    return fail(ErrorCode::kMalformed, "the tensor reaches past the end of its storage");
  }
  return {};
}

Result<void> gather(const TensorView& view, std::span<std::byte> out) {
  if (out.size() != view.byte_count()) {
    return fail(ErrorCode::kInvalidArgument, "the buffer has not the size of the tensor");
  }
  if (out.empty()) return {};
  if (view.is_contiguous()) {
    std::ranges::copy(view.contiguous_bytes(), out.begin());
    return {};
  }
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
  std::uint64_t written = 0;
  do {
    const std::uint64_t from = (view.offset + odometer.position()) * element;
    std::memcpy(out.data() + written, view.storage.data() + from, row * element);
    written += row * element;
  } while (odometer.advance());
  return {};
}

}  // namespace tare
