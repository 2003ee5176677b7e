// Gives meaning to numpy's calls in a pickle: arrays, their element types, scalars.
//
// Source: numpy/core/src/multiarray/methods.c (__reduce__, __reduce_ex__ and __setstate__ of
// ndarray), descriptor.c (of dtype), numpy/ma/core.py; numpy 1 and 2 (docs/formats/npy.md).
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "object/python_objects.hpp"
#include "tare/named_tensor.hpp"
#include "tensor/numpy_dtype.hpp"

namespace tare::object {

// The element type of an array: one of numpy's, or one that another package adds (ml_dtypes).
struct ArrayType {
  NumpyDType numpy;
  std::optional<DType> tensor;  // nothing if no tensor has such elements
  bool big_endian = false;

  // Numbers: what could be a tensor if there were a type for it.
  bool is_numeric() const;
};

// Why elements that are no tensor's are not read: a literal for an Error.
const char* unread_array_text(const ArrayType& type);

// An array of objects.
struct ObjectArray {
  Shape shape;
  std::vector<Value> items;  // row-major
};

// Reads the arrays of one pickle. Owns what has to be decoded.
class NumpyReader {
 public:
  explicit NumpyReader(const Graph& graph) : graph_(graph) {}

  // True for an array of numbers, masked or not: what read() is for.
  bool is_tensor(Value value);
  // True for any call that makes an array.
  static bool is_array(const Graph& graph, Value value);
  static bool is_masked(const Graph& graph, Value value);

  // A view of the array. Errors: kUnsupported (elements that no tensor has), kMalformed, kOverflow.
  Result<TensorView> read(Value value);
  // The data and the mask of a masked array, as a SpecialTensor of a class.
  Result<SpecialTensor> read_masked(Value value);
  // Errors: kUnsupported if it has no objects, kMalformed.
  Result<ObjectArray> read_objects(Value value);

  // The type that a value of numpy.dtype is.
  Result<ArrayType> read_type(Value value);
  // "array of |S5 [3]", "float64 0.5": what an array or scalar is, in a few words; empty for
  // anything else.
  std::string describe(Value value);
  // The truth or number that a scalar is, as Python writes it; nothing for anything else.
  struct Scalar {
    Kind kind;
    std::string text;
  };
  std::optional<Scalar> scalar(Value value);

  // The bytes that a value stands for: bytes, a bytearray, or text encoded as Latin-1, which
  // protocols 0 to 2 have in place of bytes. Errors: kUnsupported, kMalformed.
  Result<ByteSpan> read_bytes(Value value);

 private:
  // What an array is made of, before its elements are looked at.
  struct Parts {
    Value dtype;
    Value data;
    Shape shape;
    bool fortran = false;
  };

  Result<Parts> parts_of(Value value) const;
  Result<Parts> parts_of_state(Value value) const;
  Result<TensorView> make_view(const ArrayType& type, const Parts& parts, ByteSpan bytes) const;

  const Graph& graph_;
  std::deque<std::vector<std::byte>> decoded_;
  std::unordered_map<std::uint32_t, ByteSpan> decoded_by_node_;
  std::unordered_map<std::uint32_t, Result<ArrayType>> types_;  // by node
};

// A view of `shape` elements in row-major or column-major order. Errors: kUnsupported, kMalformed
// (the bytes are too few), kOverflow.
Result<TensorView> array_view(const ArrayType& type, Shape shape, bool fortran, ByteSpan bytes);

// The ArrayType of a numpy type.
ArrayType array_type_of(NumpyDType type);

}  // namespace tare::object
