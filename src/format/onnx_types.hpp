// The element types of ONNX, by their number (TensorProto.DataType).
#pragma once

#include <cstdint>
#include <optional>

#include "tare/tensor.hpp"

namespace tare::format {

std::optional<DType> onnx_dtype(std::uint64_t type);
// The field of TensorProto that holds elements which are not in raw data: int32_data, int64_data or
// uint64_data, numbers whose low bits are the element; float_data or double_data; 0 for none.
enum OnnxTypedField : std::uint32_t {
  kNoTyped = 0,
  kFloatData = 4,
  kInt32Data = 5,
  kInt64Data = 7,
  kDoubleData = 10,
  kUint64Data = 11,
};
OnnxTypedField onnx_typed_field(std::uint64_t type);
// Bits of an element in raw data; 0 for texts and what no version of ONNX has.
unsigned onnx_type_bits(std::uint64_t type);

}  // namespace tare::format
