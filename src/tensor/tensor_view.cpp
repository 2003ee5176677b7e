#include <algorithm>

#include "io/checked.hpp"
#include "tare/tensor.hpp"
#include "tensor/block_grid.hpp"
#include "tensor/packed_reader.hpp"

namespace tare {
namespace {

bool has_no_elements(const Shape& shape) {
  return std::ranges::any_of(shape, [](std::uint64_t size) { return size == 0; });
}

Result<void> check_shape(const TensorView& view) {
  if (view.stored && !can_cast(view.stored->dtype, view.dtype)) {
    return fail(ErrorCode::kUnsupported, "elements that cannot be read as that type");
  }
  if (view.shape.size() != view.strides.size()) {
    return fail(ErrorCode::kMalformed, "the shape and the strides differ in rank");
  }
  const auto count = element_count(view.shape);
  if (!count) return std::unexpected(count.error());
  if (auto bytes = packed_bytes(view.dtype, *count); !bytes) return std::unexpected(bytes.error());
  return {};
}

// Every element inside the storage.
Result<void> check_reach(const TensorView& view) {
  std::uint64_t last = view.offset;
  for (std::size_t axis = 0; axis < view.shape.size(); ++axis) {
    const auto reach = checked_mul(view.shape[axis] - 1, view.strides[axis]);
    const auto sum = reach ? checked_add(last, *reach) : std::nullopt;
    if (!sum) return fail(ErrorCode::kOverflow, "the strides overflow");
    last = *sum;
  }
  const auto bits = checked_mul(last + 1, view.stored_bits());
  if (last == UINT64_MAX || !bits) return fail(ErrorCode::kOverflow, "the strides overflow");
  const auto first_bit = checked_mul(view.offset, view.stored_bits());
  if (!first_bit || *first_bit % 8 != 0) {
    return fail(ErrorCode::kMalformed, "the tensor starts inside a byte");
  }
  if ((*bits + 7) / 8 > view.storage.size()) {
    return fail(ErrorCode::kMalformed, "the tensor reaches past the end of its storage");
  }
  return {};
}

// Without a look at blocks.
Result<void> check_strided(const TensorView& view) {
  if (auto checked = check_shape(view); !checked) return checked;
  return has_no_elements(view.shape) ? Result<void>() : check_reach(view);
}

Result<void> check_blocks(const TensorView& view) {
  for (const TensorBlock& block : view.blocks) {
    if (block.view.dtype != view.dtype || !block.view.blocks.empty()) {
      return fail(ErrorCode::kMalformed, "a block is no view of the tensor's own element type");
    }
    if (dtype_bits(view.dtype) % 8 != 0) {
      return fail(ErrorCode::kUnsupported, "blocks of packed element types");
    }
    if (auto checked = check_strided(block.view); !checked) return checked;
  }
  if (auto grid = BlockGrid::make(view); !grid) return std::unexpected(grid.error());
  return {};
}

// What the elements would take if none were repeated or cast.
std::uint64_t stored_bytes(const TensorView& view) {
  const unsigned bits = view.stored_bits();
  std::uint64_t bytes = view.storage.size() / bits * dtype_bits(view.dtype);
  for (const TensorBlock& block : view.blocks) bytes += block.view.storage.size();
  return bytes;
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
  if (stored || !blocks.empty()) return false;
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
  if (view.blocks.empty() || has_no_elements(view.shape)) return check_strided(view);
  if (auto checked = check_shape(view); !checked) return checked;
  return check_blocks(view);
}

Result<void> check_expansion(const TensorView& view) {
  constexpr std::uint64_t kMaxExpandedBytes = std::uint64_t{1} << 30;
  const std::uint64_t bytes = view.byte_count();
  if (bytes <= kMaxExpandedBytes || bytes <= stored_bytes(view)) return {};
  return fail(ErrorCode::kLimit, "repeats its storage to more than 1 GiB");
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
