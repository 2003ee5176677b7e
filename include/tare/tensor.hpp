// Tensors: element types, shapes, strided views of bytes, and what is common to all formats.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tare/byte_sink.hpp"
#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

// Element types. The order is that of the safetensors reference: its writer lays tensors out by
// descending order of this enumeration (docs/formats/safetensors.md).
enum class DType : std::uint8_t {
  kBool,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3FNUZ,
  kF8E5M2FNUZ,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};
inline constexpr int kDTypeCount = 22;

// The name in a safetensors header: "F32", "F8_E4M3".
std::string_view dtype_name(DType dtype);
// The inverse; nothing for an unknown name. Names are case-sensitive.
std::optional<DType> dtype_from_name(std::string_view name);
// Bits of one element; below 8 for the packed types.
unsigned dtype_bits(DType dtype);

// Elements per axis; empty for a scalar.
using Shape = std::vector<std::uint64_t>;

// The product of a shape, 1 for a scalar. Multiplies from the left, so that a zero first hides an
// overflow behind it, as the safetensors reference does. Errors: kOverflow.
Result<std::uint64_t> element_count(std::span<const std::uint64_t> shape);
// Bytes of `count` packed elements. Errors: kOverflow, kMalformed if the bits do not fill bytes.
Result<std::uint64_t> packed_bytes(DType dtype, std::uint64_t count);

// A tensor as a strided view of a storage. Sizes, strides and offset were checked against the
// storage when the view was made, so that every element lies inside `storage`.
struct TensorView {
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<std::uint64_t> strides;  // elements; same length as shape
  std::uint64_t offset = 0;            // elements from the start of storage
  ByteSpan storage;

  // True if the elements stand in row-major order without gaps; the strides of axes of length 1
  // and of empty tensors do not count.
  bool is_contiguous() const;
  // Bytes of the elements, packed.
  std::uint64_t byte_count() const;
  // The bytes of a contiguous tensor, in place.
  ByteSpan contiguous_bytes() const;
};

// Checks a view: equal ranks, no overflow, every element inside the storage and, for packed types,
// at the start of a byte. A tensor without elements is legal with any strides, but its shape must
// not overflow before the zero. Errors: kOverflow, kMalformed.
Result<void> check_view(const TensorView& view);

// A view may repeat few elements many times: what walks all of them could work for ever on a small
// file. Errors: kLimit above 1 GiB, unless the storage has as many bytes itself.
Result<void> check_expansion(const TensorView& view);

// Row-major strides of a shape.
std::vector<std::uint64_t> row_major_strides(const Shape& shape);

// Hands the elements to `sink` in row-major order, packed: in one piece and in place if the tensor
// is contiguous, else in pieces of at most 1 MiB from a buffer. Errors: those of the sink;
// kUnsupported for non-contiguous tensors of packed types (less than 8 bits).
Result<void> stream(const TensorView& view, const ByteSink& sink);

// Copies the elements in row-major order to `out`, which must hold byte_count() bytes.
// Errors: kInvalidArgument (another size), and those of stream().
Result<void> gather(const TensorView& view, std::span<std::byte> out);

}  // namespace tare
