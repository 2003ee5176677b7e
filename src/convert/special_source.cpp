#include "convert/special_source.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "io/checked.hpp"
#include "tensor/elements.hpp"
#include "tensor/packed_reader.hpp"

namespace tare {
namespace {

constexpr std::uint64_t kMaxDenseBytes = std::uint64_t{4} << 30;

std::unexpected<Error> misfit() {
  return fail(ErrorCode::kMalformed, "the parts of the tensor do not fit each other");
}

std::uint64_t product(std::span<const std::uint64_t> shape) {
  std::uint64_t count = 1;
  for (const std::uint64_t size : shape) count *= size;  // part of a shape that was checked
  return count;
}

Result<std::vector<std::byte>> bytes_of(const TensorView& view) {
  if (auto checked = check_expansion(view); !checked) return std::unexpected(checked.error());
  std::vector<std::byte> bytes(view.byte_count());
  if (auto copied = gather(view, bytes); !copied) return std::unexpected(copied.error());
  return bytes;
}

template <typename Number>
Number number_at(const std::vector<std::byte>& bytes, std::size_t index) {
  Number number{};
  std::memcpy(&number, bytes.data() + index * sizeof number, sizeof number);
  return number;
}

template <typename Number, typename To>
std::vector<To> numbers_as(const std::vector<std::byte>& bytes) {
  std::vector<To> numbers(bytes.size() / sizeof(Number));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<To>(number_at<Number>(bytes, i));
  }
  return numbers;
}

// Indices: I64 or I32.
Result<std::vector<std::int64_t>> indices_of(const TensorView& view) {
  const auto bytes = bytes_of(view);
  if (!bytes) return std::unexpected(bytes.error());
  if (view.dtype == DType::kI64) return numbers_as<std::int64_t, std::int64_t>(*bytes);
  if (view.dtype == DType::kI32) return numbers_as<std::int32_t, std::int64_t>(*bytes);
  return misfit();
}

// Scales and zero points.
Result<std::vector<double>> reals_of(const TensorView& view) {
  const auto bytes = bytes_of(view);
  if (!bytes) return std::unexpected(bytes.error());
  switch (view.dtype) {
    case DType::kF64:
      return numbers_as<double, double>(*bytes);
    case DType::kF32:
      return numbers_as<float, double>(*bytes);
    case DType::kI64:
      return numbers_as<std::int64_t, double>(*bytes);
    case DType::kI32:
      return numbers_as<std::int32_t, double>(*bytes);
    default:
      return misfit();
  }
}

// ---- sums

template <typename Number>
void add_numbers(std::byte* to, const std::byte* from, std::size_t count) {
  for (std::size_t i = 0; i < count * sizeof(Number); i += sizeof(Number)) {
    Number a{};
    Number b{};
    std::memcpy(&a, to + i, sizeof a);
    std::memcpy(&b, from + i, sizeof b);
    a = static_cast<Number>(a + b);
    std::memcpy(to + i, &a, sizeof a);
  }
}

// Numbers of 16 bits are added as F32.
void add_small_floats(DType dtype, std::byte* to, const std::byte* from, std::size_t count) {
  std::vector<float> a(count);
  std::vector<float> b(count);
  const Stored stored{.dtype = dtype};
  read_elements(stored, {to, count * 2}, DType::kF32, reinterpret_cast<std::byte*>(a.data()));
  read_elements(stored, {from, count * 2}, DType::kF32, reinterpret_cast<std::byte*>(b.data()));
  for (std::size_t i = 0; i < count; ++i) a[i] += b[i];
  read_elements({.dtype = DType::kF32}, std::as_bytes(std::span(a)), dtype, to);
}

// Adds elements to others. False for a type whose elements cannot be added.
bool add_elements(DType dtype, std::byte* to, const std::byte* from, std::size_t count) {
  switch (dtype) {
    case DType::kF64:
      return add_numbers<double>(to, from, count), true;
    case DType::kF32:
      return add_numbers<float>(to, from, count), true;
    case DType::kC64:
      return add_numbers<float>(to, from, 2 * count), true;
    case DType::kC128:
      return add_numbers<double>(to, from, 2 * count), true;
    case DType::kF16:
    case DType::kBF16:
      return add_small_floats(dtype, to, from, count), true;
    case DType::kI64:
    case DType::kU64:
      return add_numbers<std::uint64_t>(to, from, count), true;
    case DType::kI32:
    case DType::kU32:
      return add_numbers<std::uint32_t>(to, from, count), true;
    case DType::kI16:
    case DType::kU16:
      return add_numbers<std::uint16_t>(to, from, count), true;
    case DType::kI8:
    case DType::kU8:
      return add_numbers<std::uint8_t>(to, from, count), true;
    case DType::kBool:
      for (std::size_t i = 0; i < count; ++i) to[i] |= from[i];
      return true;
    default:
      return false;
  }
}

// ---- sparse

class Densifier {
 public:
  explicit Densifier(const SpecialTensor& tensor)
      : tensor_(tensor), element_(dtype_bits(tensor.dtype) / 8) {}

  Result<std::vector<std::byte>> run();

 private:
  Result<void> add_coo();
  Result<void> add_compressed();
  Result<void> add_batch(std::uint64_t batch);
  // Adds `count` elements of the values, from `source` on, to those of the result from `place` on.
  Result<void> add(std::uint64_t place, std::uint64_t source, std::uint64_t count);

  const TensorView& view(const char* name) const { return *tensor_.part(name); }

  const SpecialTensor& tensor_;
  std::uint64_t element_;  // bytes
  std::vector<std::byte> values_;
  std::vector<std::byte> dense_;

  // Of compressed layouts.
  std::vector<std::int64_t> compressed_;
  std::vector<std::int64_t> plain_;
  bool by_rows_ = true;
  std::uint64_t rows_ = 0;
  std::uint64_t columns_ = 0;
  std::uint64_t block_rows_ = 1;
  std::uint64_t block_columns_ = 1;
  std::uint64_t inner_ = 1;    // elements behind rows and columns
  std::uint64_t entries_ = 0;  // of one batch
};

Result<std::vector<std::byte>> Densifier::run() {
  const auto count = element_count(tensor_.shape);
  if (!count) return std::unexpected(count.error());
  const auto bytes = packed_bytes(tensor_.dtype, *count);
  if (!bytes) return std::unexpected(bytes.error());
  if (dtype_bits(tensor_.dtype) % 8 != 0) return misfit();
  if (*bytes > kMaxDenseBytes) return fail(ErrorCode::kLimit, "is more than 4 GiB if it is dense");
  for (const NamedTensor& part : tensor_.parts) {
    if (part.name == "values" && part.view.dtype != tensor_.dtype) return misfit();
  }
  auto values = bytes_of(view("values"));
  if (!values) return values;
  values_ = std::move(*values);
  dense_.resize(*bytes);
  const auto added = tensor_.kind == SpecialKind::kSparseCoo ? add_coo() : add_compressed();
  if (!added) return std::unexpected(added.error());
  return std::move(dense_);
}

// To zero as well, as torch does: a negative zero becomes a positive one.
Result<void> Densifier::add(std::uint64_t place, std::uint64_t source, std::uint64_t count) {
  const bool added = add_elements(tensor_.dtype, dense_.data() + place * element_,
                                  values_.data() + source * element_, count);
  if (added) return {};
  return fail(ErrorCode::kUnsupported, "is sparse and of a type whose elements cannot be added");
}

// Indices: a column for each entry, a row for each axis.
Result<void> Densifier::add_coo() {
  const Shape& index_shape = view("indices").shape;
  const Shape& value_shape = view("values").shape;
  if (index_shape.size() != 2 || value_shape.empty() || value_shape[0] != index_shape[1] ||
      index_shape[0] > tensor_.shape.size()) {
    return misfit();
  }
  const std::uint64_t axes = index_shape[0];
  const std::uint64_t entries = index_shape[1];
  const auto inner_shape = std::span(tensor_.shape).subspan(axes);
  if (!std::ranges::equal(inner_shape, std::span(value_shape).subspan(1))) return misfit();
  const std::uint64_t inner = product(inner_shape);
  const auto indices = indices_of(view("indices"));
  if (!indices) return std::unexpected(indices.error());
  for (std::uint64_t entry = 0; entry < entries; ++entry) {
    std::uint64_t place = 0;
    for (std::uint64_t axis = 0; axis < axes; ++axis) {
      const auto index = checked_narrow<std::uint64_t>((*indices)[axis * entries + entry]);
      if (!index || *index >= tensor_.shape[axis]) {
        return fail(ErrorCode::kMalformed, "has an index outside of its shape");
      }
      place = place * tensor_.shape[axis] + *index;
    }
    if (auto added = add(place * inner, entry * inner, inner); !added) return added;
  }
  return {};
}

// shape: batches, rows, columns, inner axes. Values: batches, entries, (block,) inner axes.
Result<void> Densifier::add_compressed() {
  const bool blocked =
      tensor_.kind == SpecialKind::kSparseBsr || tensor_.kind == SpecialKind::kSparseBsc;
  by_rows_ = tensor_.kind == SpecialKind::kSparseCsr || tensor_.kind == SpecialKind::kSparseBsr;
  const Shape& shape = tensor_.shape;
  const Shape& pointer_shape = view("compressed_indices").shape;
  const Shape& plain_shape = view("plain_indices").shape;
  const Shape& value_shape = view("values").shape;
  if (pointer_shape.empty() || plain_shape.size() != pointer_shape.size()) return misfit();
  const std::size_t batch_axes = pointer_shape.size() - 1;
  const std::size_t block_axes = blocked ? 2 : 0;
  if (shape.size() < batch_axes + 2 || value_shape.size() < batch_axes + 1 + block_axes) {
    return misfit();
  }
  entries_ = plain_shape.back();
  if (blocked) {
    block_rows_ = value_shape[batch_axes + 1];
    block_columns_ = value_shape[batch_axes + 2];
  }
  rows_ = shape[batch_axes];
  columns_ = shape[batch_axes + 1];
  const auto inner_shape = std::span(shape).subspan(batch_axes + 2);
  const auto batches = std::span(shape).first(batch_axes);
  const auto starts_with_batches = [&](const Shape& other) {
    return std::ranges::equal(batches, std::span(other).first(batch_axes));
  };
  if (block_rows_ == 0 || block_columns_ == 0 || rows_ % block_rows_ != 0 ||
      columns_ % block_columns_ != 0 || !starts_with_batches(pointer_shape) ||
      !starts_with_batches(plain_shape) || !starts_with_batches(value_shape) ||
      value_shape[batch_axes] != entries_ ||
      !std::ranges::equal(inner_shape,
                          std::span(value_shape).subspan(batch_axes + 1 + block_axes))) {
    return misfit();
  }
  const std::uint64_t lines = by_rows_ ? rows_ / block_rows_ : columns_ / block_columns_;
  if (pointer_shape.back() != lines + 1) return misfit();
  inner_ = product(inner_shape);
  auto pointers = indices_of(view("compressed_indices"));
  if (!pointers) return std::unexpected(pointers.error());
  compressed_ = std::move(*pointers);
  auto plain = indices_of(view("plain_indices"));
  if (!plain) return std::unexpected(plain.error());
  plain_ = std::move(*plain);
  const std::uint64_t batch_count = product(batches);
  for (std::uint64_t batch = 0; batch < batch_count; ++batch) {
    if (auto added = add_batch(batch); !added) return added;
  }
  return {};
}

Result<void> Densifier::add_batch(std::uint64_t batch) {
  const auto outside = fail(ErrorCode::kMalformed, "has an index outside of its shape");
  const std::uint64_t lines = by_rows_ ? rows_ / block_rows_ : columns_ / block_columns_;
  const std::uint64_t cross = by_rows_ ? columns_ / block_columns_ : rows_ / block_rows_;
  for (std::uint64_t line = 0; line < lines; ++line) {
    const auto begin = checked_narrow<std::uint64_t>(compressed_[batch * (lines + 1) + line]);
    const auto end = checked_narrow<std::uint64_t>(compressed_[batch * (lines + 1) + line + 1]);
    if (!begin || !end || *begin > *end || *end > entries_) return outside;
    for (std::uint64_t entry = *begin; entry < *end; ++entry) {
      const auto other = checked_narrow<std::uint64_t>(plain_[batch * entries_ + entry]);
      if (!other || *other >= cross) return outside;
      const std::uint64_t row = (by_rows_ ? line : *other) * block_rows_;
      const std::uint64_t column = (by_rows_ ? *other : line) * block_columns_;
      for (std::uint64_t i = 0; i < block_rows_; ++i) {
        const std::uint64_t place = (batch * rows_ + row + i) * columns_ + column;
        const std::uint64_t source =
            ((batch * entries_ + entry) * block_rows_ + i) * block_columns_;
        if (auto added = add(place * inner_, source * inner_, block_columns_ * inner_); !added) {
          return added;
        }
      }
    }
  }
  return {};
}

// ---- quantized

// Which scale and zero point an element has.
struct Scales {
  std::vector<double> scales;
  std::vector<double> zero_points;
  std::uint64_t inner = 1;  // elements that stand together with the same ones
};

Result<Scales> scales_of(const SpecialTensor& tensor) {
  if (tensor.kind == SpecialKind::kQuantizedPerTensor) {
    return Scales{{tensor.scale},
                  {static_cast<double>(tensor.zero_point)},
                  std::max<std::uint64_t>(product(tensor.shape), 1)};
  }
  auto scales = reals_of(*tensor.part("scales"));
  if (!scales) return std::unexpected(scales.error());
  auto zero_points = reals_of(*tensor.part("zero_points"));
  if (!zero_points) return std::unexpected(zero_points.error());
  if (tensor.axis >= tensor.shape.size() || scales->size() != tensor.shape[tensor.axis] ||
      zero_points->size() != scales->size()) {
    return misfit();
  }
  return Scales{std::move(*scales), std::move(*zero_points),
                product(std::span(tensor.shape).subspan(tensor.axis + 1))};
}

template <typename Number>
void dequantize(ByteSpan in, std::uint64_t first, const Scales& scales, std::vector<float>& out) {
  out.resize(in.size() / sizeof(Number));
  for (std::size_t i = 0; i < out.size(); ++i) {
    Number element{};
    std::memcpy(&element, in.data() + i * sizeof element, sizeof element);
    const std::size_t channel = (first + i) / scales.inner % scales.scales.size();
    out[i] = static_cast<float>(static_cast<double>(element) - scales.zero_points[channel]) *
             static_cast<float>(scales.scales[channel]);
  }
}

}  // namespace

bool is_sparse(SpecialKind kind) {
  return kind <= SpecialKind::kSparseBsc;
}

bool is_quantized(SpecialKind kind) {
  return kind == SpecialKind::kQuantizedPerTensor || kind == SpecialKind::kQuantizedPerChannel;
}

Result<void> stream_dense(const SpecialTensor& tensor, const ByteSink& sink) {
  if (!is_sparse(tensor.kind)) return fail(ErrorCode::kUnsupported, "is no sparse tensor");
  const auto dense = Densifier(tensor).run();
  if (!dense) return std::unexpected(dense.error());
  return sink(*dense);
}

Result<void> stream_dequantized(const SpecialTensor& tensor, const ByteSink& sink) {
  if (!is_quantized(tensor.kind)) return fail(ErrorCode::kUnsupported, "is no quantized tensor");
  const auto scales = scales_of(tensor);
  if (!scales) return std::unexpected(scales.error());
  const TensorView& elements = *tensor.part("elements");
  std::vector<float> floats;
  std::uint64_t done = 0;
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  auto reader = PackedReader::make(elements);
  if (!reader) return std::unexpected(reader.error());
  for (ByteSpan bytes = reader->peek(); !bytes.empty(); bytes = reader->peek()) {
    bytes = bytes.first(std::min(bytes.size(), kPiece));
    if (elements.dtype == DType::kI8) {
      dequantize<std::int8_t>(bytes, done, *scales, floats);
    } else if (elements.dtype == DType::kU8) {
      dequantize<std::uint8_t>(bytes, done, *scales, floats);
    } else {
      dequantize<std::int32_t>(bytes, done, *scales, floats);
    }
    done += floats.size();
    if (auto taken = sink(std::as_bytes(std::span(floats))); !taken) return taken;
    reader->skip(bytes.size());
  }
  return {};
}

}  // namespace tare
