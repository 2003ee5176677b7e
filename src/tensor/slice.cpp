#include "tare/slice.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <tuple>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace tare {
namespace {

constexpr const char* kBadIndex = "an index is a list of integers, start:stop:step, and \"...\"";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<Index> parse_axis(std::string_view text) {
  text = trimmed(text);
  if (text == "...") return Ellipsis{};
  if (text.find(':') == std::string_view::npos) {
    const auto number = parse_number(text);
    if (!number) return fail(ErrorCode::kInvalidArgument, kBadIndex);
    return *number;
  }
  std::optional<std::int64_t> parts[3];
  for (auto& part : parts) {
    const std::size_t colon = text.find(':');
    const std::string_view number = trimmed(text.substr(0, colon));
    if (!number.empty()) {
      part = parse_number(number);
      if (!part) return fail(ErrorCode::kInvalidArgument, kBadIndex);
    }
    if (colon == std::string_view::npos) return Slice{parts[0], parts[1], parts[2].value_or(1)};
    text.remove_prefix(colon + 1);
  }
  return fail(ErrorCode::kInvalidArgument, kBadIndex);
}

// An axis after the slice: its first element, how many, and the distance between them.
struct Taken {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::int64_t step = 1;
  bool dropped = false;
};

Result<Taken> take_element(std::int64_t position, std::uint64_t size) {
  // Sizes above 2^63 are those of tensors without elements.
  const auto length = static_cast<std::int64_t>(std::min<std::uint64_t>(size, INT64_MAX));
  if (position < -length || position >= length) {
    return fail(ErrorCode::kInvalidArgument, "an index is out of range");
  }
  return Taken{static_cast<std::uint64_t>(position < 0 ? position + length : position), 1, 1, true};
}

// The rules of Python's slice.indices().
Result<Taken> take_slice(const Slice& slice, std::uint64_t size) {
  if (slice.step == 0 || slice.step == INT64_MIN) {
    return fail(ErrorCode::kInvalidArgument, "the step of a slice cannot be zero");
  }
  const auto length = static_cast<std::int64_t>(std::min<std::uint64_t>(size, INT64_MAX));
  const std::int64_t lowest = slice.step > 0 ? 0 : -1;
  const std::int64_t highest = slice.step > 0 ? length : length - 1;
  const auto bound = [&](std::optional<std::int64_t> given, std::int64_t missing) {
    if (!given) return missing;
    if (*given < 0) return *given < -length ? lowest : std::max(*given + length, lowest);
    return std::min(*given, highest);
  };
  const std::int64_t start = bound(slice.start, slice.step > 0 ? lowest : highest);
  const std::int64_t stop = bound(slice.stop, slice.step > 0 ? highest : lowest);
  Taken taken;
  taken.step = slice.step;
  const std::int64_t distance = slice.step > 0 ? stop - start : start - stop;
  const std::int64_t step = slice.step > 0 ? slice.step : -slice.step;
  if (distance > 0) {
    taken.first = static_cast<std::uint64_t>(start);
    taken.count = static_cast<std::uint64_t>((distance - 1) / step) + 1;
  }
  return taken;
}

Result<std::vector<Taken>> take_axes(std::span<const std::uint64_t> shape,
                                     std::span<const Index> index) {
  std::size_t named = 0;
  std::size_t ellipses = 0;
  for (const Index& axis : index) {
    (std::holds_alternative<Ellipsis>(axis) ? ellipses : named) += 1;
  }
  if (ellipses > 1) return fail(ErrorCode::kInvalidArgument, "an index has \"...\" twice");
  if (named > shape.size()) {
    return fail(ErrorCode::kInvalidArgument, "an index has more axes than the tensor");
  }
  std::vector<Taken> taken;
  const auto take_whole = [&](std::size_t count) {
    for (; count > 0; --count) taken.push_back({0, shape[taken.size()], 1, false});
  };
  for (const Index& axis : index) {
    if (std::holds_alternative<Ellipsis>(axis)) {
      take_whole(shape.size() - named);
      continue;
    }
    const std::uint64_t size = shape[taken.size()];
    const auto* const slice = std::get_if<Slice>(&axis);
    const auto one = slice != nullptr ? take_slice(*slice, size)
                                      : take_element(std::get<std::int64_t>(axis), size);
    if (!one) return std::unexpected(one.error());
    taken.push_back(*one);
  }
  take_whole(shape.size() - taken.size());
  return taken;
}

// Runs of a row, where they are.
class Runs {
 public:
  Runs(const SlicePlan::Row& row, const std::byte* first)
      : first_(first), stride_(row.stride), last_(row.count - 1) {}

  const std::byte* at(std::uint64_t i) const {
    return first_ + static_cast<std::int64_t>(i) * stride_;
  }
  // The one that is needed `ahead` runs later, or the last.
  const std::byte* after(std::uint64_t i, std::uint64_t ahead) const {
    return at(std::min(i + ahead, last_));
  }

 private:
  const std::byte* first_;
  std::int64_t stride_;
  std::uint64_t last_;
};

// Asks for a cache line that is needed soon: into the second level, which has room for many more
// requests than the first.
void ask_for(const std::byte* line) {
  __builtin_prefetch(line, 0, 2);
}

// Runs of a size that the compiler knows. Those that stand far from each other are asked for in
// advance: the processor foresees only what is near.
template <std::size_t kBytes>
void copy_short(const SlicePlan::Row& row, const std::byte* first, std::byte* out) {
  constexpr std::int64_t kFar = 512;
  constexpr std::uint64_t kAhead = 16;
  const Runs runs(row, first);
  const bool far = row.stride >= kFar || row.stride <= -kFar;
  for (std::uint64_t i = 0; i < row.count; ++i) {
    if (far) ask_for(runs.after(i, kAhead));
    std::memcpy(out + i * kBytes, runs.at(i), kBytes);
  }
}

constexpr std::uint64_t kLine = 64;

// A cache line; kPastCache: without reading what stands at `out`, which must be aligned to 16.
template <bool kPastCache>
void copy_line(const std::byte* from, std::byte* out) {
#ifdef __SSE2__
  if constexpr (kPastCache) {
    const auto* const words = reinterpret_cast<const __m128i*>(from);
    auto* const places = reinterpret_cast<__m128i*>(out);
    for (std::size_t i = 0; i < kLine / sizeof(__m128i); ++i) {
      _mm_stream_si128(places + i, _mm_loadu_si128(words + i));
    }
    return;
  }
#endif
  std::memcpy(out, from, kLine);
}

// Line by line, and with each the same line of a later run: a call of memcpy() for each run starts
// to read when it is called.
template <bool kPastCache>
void copy_long(const SlicePlan::Row& row, const std::byte* first, std::byte* out) {
  constexpr std::uint64_t kBytesAhead = std::uint64_t{64} << 10;
  const std::uint64_t ahead = std::clamp<std::uint64_t>(kBytesAhead / row.bytes, 1, 16);
  const Runs runs(row, first);
  for (std::uint64_t i = 0; i < row.count; ++i, out += row.bytes) {
    const std::byte* const run = runs.at(i);
    const std::byte* const later = runs.after(i, ahead);
    std::uint64_t done = 0;
    for (; row.bytes - done >= kLine; done += kLine) {
      ask_for(later + done);
      copy_line<kPastCache>(run + done, out + done);
    }
    std::memcpy(out + done, run + done, row.bytes - done);
  }
#ifdef __SSE2__
  if constexpr (kPastCache) _mm_sfence();
#endif
}

void copy_runs(const SlicePlan::Row& row, const std::byte* first, std::byte* out) {
  // So long that memcpy() is at its best.
  constexpr std::uint64_t kLong = std::uint64_t{64} << 10;
  // More than stays in the caches until it is used.
  constexpr std::uint64_t kLarge = std::uint64_t{8} << 20;
  if (row.bytes >= kLong || row.count == 1) {
    const Runs runs(row, first);
    for (std::uint64_t i = 0; i < row.count; ++i) {
      std::memcpy(out + i * row.bytes, runs.at(i), row.bytes);
    }
    return;
  }
  const bool is_aligned = (reinterpret_cast<std::uintptr_t>(out) | row.bytes) % 16 == 0;
  const bool past_cache = is_aligned && row.count * row.bytes >= kLarge;
  past_cache ? copy_long<true>(row, first, out) : copy_long<false>(row, first, out);
}

}  // namespace

Result<std::vector<Index>> parse_index(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('[') != text.ends_with(']')) {
    return fail(ErrorCode::kInvalidArgument, kBadIndex);
  }
  if (text.starts_with('[')) text = trimmed(text.substr(1, text.size() - 2));
  std::vector<Index> index;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const auto axis = parse_axis(text.substr(0, comma));
    if (!axis) return std::unexpected(axis.error());
    index.push_back(*axis);
    if (comma == std::string_view::npos) break;
    text = trimmed(text.substr(comma + 1));
  }
  return index;
}

Result<SlicePlan> SlicePlan::make(DType dtype, std::span<const std::uint64_t> shape,
                                  std::span<const Index> index) {
  const auto count = element_count(shape);
  if (!count) return std::unexpected(count.error());
  const auto bytes = packed_bytes(dtype, *count);
  if (!bytes) return std::unexpected(bytes.error());
  // Distances are signed, and counted in bits.
  if (*bytes > INT64_MAX / 8) return fail(ErrorCode::kOverflow, "the tensor is too large to slice");
  const auto taken = take_axes(shape, index);
  if (!taken) return std::unexpected(taken.error());

  SlicePlan plan;
  for (const Taken& axis : *taken) {
    if (!axis.dropped) plan.shape_.push_back(axis.count);
  }
  const auto result = element_count(plan.shape_);
  if (!result) return std::unexpected(result.error());
  if (*result == 0) return plan;

  // From the innermost axis on, in bits: every product is one of the tensor's size. As long as what
  // is inside is one run without gaps, an axis that is taken without steps makes it longer.
  std::uint64_t stride = dtype_bits(dtype);
  std::uint64_t run = stride;
  std::uint64_t first = 0;
  bool one_run = true;
  std::vector<Axis> axes;
  for (std::size_t i = shape.size(); i-- > 0;) {
    const Taken& axis = (*taken)[i];
    first += axis.first * stride;
    if (axis.count > 1) {
      if (one_run && axis.step == 1 && run == stride) {
        run *= axis.count;
      } else {
        one_run = false;
        const auto bits = static_cast<std::int64_t>(stride) * axis.step;
        if (bits % 8 != 0) {
          return fail(ErrorCode::kUnsupported, "a slice of packed elements begins inside a byte");
        }
        axes.push_back({axis.count, bits / 8});
      }
    }
    stride *= shape[i];
  }
  if (first % 8 != 0 || run % 8 != 0) {
    return fail(ErrorCode::kUnsupported, "a slice of packed elements begins inside a byte");
  }
  plan.offset_ = first / 8;
  plan.run_ = run / 8;
  plan.byte_count_ = *result * dtype_bits(dtype) / 8;
  plan.axes_.assign(axes.rbegin(), axes.rend());
  return plan;
}

Result<void> SlicePlan::for_each_row(const std::function<Result<void>(const Row&)>& take) const {
  if (byte_count_ == 0) return {};
  const Axis inner = axes_.empty() ? Axis{1, 0} : axes_.back();
  const std::size_t outer = axes_.empty() ? 0 : axes_.size() - 1;
  std::vector<std::uint64_t> position(outer, 0);
  Row row{offset_, run_, inner.count, inner.stride};
  for (;;) {
    if (auto taken = take(row); !taken) return taken;
    // The next position of the axes around, like the digits of a number.
    std::size_t axis = outer;
    for (; axis > 0; --axis) {
      const Axis& digit = axes_[axis - 1];
      row.offset += static_cast<std::uint64_t>(digit.stride);
      if (++position[axis - 1] < digit.count) break;
      row.offset -= static_cast<std::uint64_t>(digit.stride) * digit.count;
      position[axis - 1] = 0;
    }
    if (axis == 0) return {};
  }
}

std::uint64_t copy_row(const SlicePlan::Row& row, const std::byte* first, std::byte* out) {
  switch (row.bytes) {
    case 1:
      copy_short<1>(row, first, out);
      break;
    case 2:
      copy_short<2>(row, first, out);
      break;
    case 4:
      copy_short<4>(row, first, out);
      break;
    case 8:
      copy_short<8>(row, first, out);
      break;
    case 16:
      copy_short<16>(row, first, out);
      break;
    case 32:
      copy_short<32>(row, first, out);
      break;
    default:
      copy_runs(row, first, out);
  }
  return row.count * row.bytes;
}

void SlicePlan::copy(ByteSpan tensor, std::span<std::byte> out) const {
  std::byte* next = out.data();
  // Copying cannot fail.
  std::ignore = for_each_row([&](const Row& row) -> Result<void> {
    next += copy_row(row, tensor.data() + row.offset, next);
    return {};
  });
}

}  // namespace tare
