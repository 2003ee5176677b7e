// Slices of tensors, as numpy means them: start:stop:step by axis, negative bounds and steps.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "tare/error.hpp"
#include "tare/tensor.hpp"

namespace tare {

// Takes every `step`-th element from `start` on and before `stop`. Bounds count from the end if
// negative, and are cut to the axis; without them, the whole axis in the direction of the step.
struct Slice {
  std::optional<std::int64_t> start;
  std::optional<std::int64_t> stop;
  std::int64_t step = 1;
};
// As many whole axes as are left; once at most.
struct Ellipsis {};
// One axis: an integer takes one element of it and drops the axis.
using Index = std::variant<Slice, std::int64_t, Ellipsis>;

// "[1:5, ::-2, 3, ...]", the brackets may be left out. Errors: kInvalidArgument.
Result<std::vector<Index>> parse_index(std::string_view text);

// Which bytes of a tensor, stored packed and in row-major order, a slice takes.
class SlicePlan {
 public:
  // Axes that `index` does not name are taken whole. Errors: kInvalidArgument (too many axes, a
  // step of 0, an integer out of range), kUnsupported (edges inside a byte, for packed types),
  // kOverflow.
  static Result<SlicePlan> make(DType dtype, std::span<const std::uint64_t> shape,
                                std::span<const Index> index);

  // Of the result.
  const Shape& shape() const { return shape_; }
  std::uint64_t byte_count() const { return byte_count_; }

  // A row of runs: `count` times `bytes` bytes, the first at `offset` of the tensor, each `stride`
  // bytes behind the one before (it may be negative).
  struct Row {
    std::uint64_t offset;
    std::uint64_t bytes;
    std::uint64_t count;
    std::int64_t stride;
  };
  // Calls `take` for every row, in the order of the result, until it fails.
  Result<void> for_each_row(const std::function<Result<void>(const Row&)>& take) const;

  // Copies the slice out of the bytes of the whole tensor. `out` has byte_count() bytes.
  void copy(ByteSpan tensor, std::span<std::byte> out) const;

 private:
  struct Axis {
    std::uint64_t count;
    std::int64_t stride;  // bytes
  };

  Shape shape_;
  std::uint64_t byte_count_ = 0;
  std::uint64_t offset_ = 0;  // of the first run
  std::uint64_t run_ = 0;     // bytes that stand together
  std::vector<Axis> axes_;    // around the runs, the innermost last
};

// Copies the runs of a row, whose first one stands at `first`. Returns the bytes copied.
std::uint64_t copy_row(const SlicePlan::Row& row, const std::byte* first, std::byte* out);

}  // namespace tare
