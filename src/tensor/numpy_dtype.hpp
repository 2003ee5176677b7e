// The element types of numpy: scalars, subarrays, structured types (docs/formats/npy.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tare/tensor.hpp"

namespace tare {

struct NumpyField;

struct NumpyDType {
  enum class Order : std::uint8_t { kNone, kLittle, kBig };

  // numpy's letters: b bool, i, u, f, c numbers, M, m times, S, U, V bytes, text, raw, O objects.
  // Subarrays and structured types are V.
  char kind = 'V';
  Order order = Order::kNone;      // kNone where the order of bytes makes no difference
  std::uint64_t item_size = 0;     // bytes of one element, at most 2^31 - 1
  std::string unit;                // of M and m: "ns", "25s"; empty if there is none
  std::vector<NumpyField> fields;  // of a structured type, in order; padding is no field
  std::vector<NumpyDType> base;    // of a subarray: the type of its elements
  Shape shape;                     // of a subarray
  bool has_objects = false;        // it is O, or something in it is: the data is a pickle

  bool is_scalar() const { return fields.empty() && base.empty(); }
};

struct NumpyField {
  std::string name;  // UTF-8
  NumpyDType type;
  std::uint64_t offset = 0;  // bytes from the start of the element
  std::optional<std::string> title = {};
};

// A scalar type from numpy's string for it ("<f4", "O8", "M8[ns]", "float32"). A dtype that was
// pickled adds its byte order (one of "<>=|") and, for S, U and V, its size in bytes; what it adds
// counts. Errors: kMalformed if numpy has no such type, kUnsupported for what it has and nobody
// writes (commas, repeats).
Result<NumpyDType> numpy_scalar(std::string_view text, std::optional<char> order = std::nullopt,
                                std::optional<std::uint64_t> item_size = std::nullopt);

// Elements of `base` in the given shape, as one element; `base` itself for no dimensions.
// Errors: kMalformed (more than 64 dimensions; elements without a size), kOverflow.
Result<NumpyDType> numpy_subarray(NumpyDType base, Shape shape);

// A structured type. Errors: kMalformed if two names or titles are equal, or a field is not inside
// of the element; kOverflow.
Result<NumpyDType> numpy_struct(std::vector<NumpyField> fields, std::uint64_t item_size);

// The tensor type whose elements have these bytes, but for their order: of big-endian ones the
// bytes are to be swapped. Nothing if there is none.
std::optional<DType> to_tensor_dtype(const NumpyDType& type);

}  // namespace tare
