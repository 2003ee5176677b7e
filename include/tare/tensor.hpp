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
  // Elements that other formats have and safetensors has not.
  kC32,  // two F16
  kC128,
};
// Of safetensors: those before kC32.
inline constexpr int kDTypeCount = 22;
inline constexpr int kAllDTypeCount = 24;
inline constexpr bool has_safetensors_type(DType dtype) {
  return dtype < DType::kC32;
}

// The name in a safetensors header: "F32", "F8_E4M3"; "C32" and "C128" beside them.
std::string_view dtype_name(DType dtype);
// The inverse; nothing for a name that safetensors does not have. Names are case-sensitive.
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

// How elements stand in a storage that does not hold them as they are. What reads the tensor gets
// them converted on the way.
struct Stored {
  DType dtype = DType::kF32;
  bool big_endian = false;
  bool conjugated = false;  // holds the complex conjugates
  bool negated = false;     // holds the negatives
  friend bool operator==(const Stored&, const Stored&) = default;
};

// True if elements of one type can be read as another: a type itself, and floating-point numbers of
// up to 64 bits as F16, BF16 or F32. They are rounded to the nearest, ties to even; F64 to F32
// first, as PyTorch does.
bool can_cast(DType from, DType to);

// A rectangular part of a tensor: `view` holds the elements from index `start` on. A template
// because a vector wants to know its element before TensorView is complete.
template <typename View>
struct BlockOf {
  Shape start;  // same length as the shape of the tensor
  View view;
};

// A tensor as a strided view of a storage. Sizes, strides and offset were checked against the
// storage when the view was made, so that every element lies inside `storage`.
struct TensorView {
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<std::uint64_t> strides;  // elements; same length as shape
  std::uint64_t offset = 0;            // elements from the start of storage
  ByteSpan storage;
  std::optional<Stored> stored{};  // nothing: as `dtype`, little-endian
  // If there are any, the tensor is put together from these; strides, offset, storage and `stored`
  // are not used.
  std::vector<BlockOf<TensorView>> blocks{};

  // Bits of an element in the storage.
  unsigned stored_bits() const { return dtype_bits(stored ? stored->dtype : dtype); }
  // True if the storage holds the elements as they are, in row-major order without gaps; the
  // strides of axes of length 1 and of empty tensors do not count.
  bool is_contiguous() const;
  // Bytes of the elements, packed.
  std::uint64_t byte_count() const;
  // The bytes of a contiguous tensor, in place.
  ByteSpan contiguous_bytes() const;
};

using TensorBlock = BlockOf<TensorView>;

// Checks a view: equal ranks, no overflow, every element inside the storage and, for packed types,
// at the start of a byte. A tensor without elements is legal with any strides, but its shape must
// not overflow before the zero. Blocks must be views of the same dtype without blocks of their own
// that cover the tensor exactly. Errors: kOverflow, kMalformed, kUnsupported (a cast that
// can_cast() refuses), kLimit (blocks cut a tensor into more than a million cells, or a thousand
// for each block).
Result<void> check_view(const TensorView& view);

// A view may repeat few elements many times: what walks all of them could work for ever on a small
// file. Errors: kLimit above 1 GiB, unless the storage has as many bytes itself.
Result<void> check_expansion(const TensorView& view);

// Row-major strides of a shape.
std::vector<std::uint64_t> row_major_strides(const Shape& shape);

// Hands the elements to `sink` in row-major order, packed and little-endian: in one piece and in
// place if the tensor is contiguous, else in pieces of a few MiB at most, from a buffer or in
// place. Errors: those of the sink; kUnsupported for non-contiguous tensors of packed types (less
// than 8 bits).
Result<void> stream(const TensorView& view, const ByteSink& sink);

// Copies the elements in row-major order to `out`, which must hold byte_count() bytes.
// Errors: kInvalidArgument (another size), and those of stream().
Result<void> gather(const TensorView& view, std::span<std::byte> out);

}  // namespace tare
