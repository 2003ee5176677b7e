#include "format/onnx_types.hpp"

#include <array>

namespace tare::format {
namespace {

struct OnnxType {
  unsigned bits;
  OnnxTypedField field;
  std::optional<DType> dtype;
};

constexpr std::array<OnnxType, 27> kTypes = {{
    {0, kNoTyped, {}},
    {32, kFloatData, DType::kF32},
    {8, kInt32Data, DType::kU8},
    {8, kInt32Data, DType::kI8},
    {16, kInt32Data, DType::kU16},
    {16, kInt32Data, DType::kI16},
    {32, kInt32Data, DType::kI32},
    {64, kInt64Data, DType::kI64},
    {0, kNoTyped, {}},  // texts
    {8, kInt32Data, DType::kBool},
    {16, kInt32Data, DType::kF16},
    {64, kDoubleData, DType::kF64},
    {32, kUint64Data, DType::kU32},
    {64, kUint64Data, DType::kU64},
    {64, kFloatData, DType::kC64},
    {128, kDoubleData, DType::kC128},
    {16, kInt32Data, DType::kBF16},
    {8, kInt32Data, DType::kF8E4M3},
    {8, kInt32Data, DType::kF8E4M3FNUZ},
    {8, kInt32Data, DType::kF8E5M2},
    {8, kInt32Data, DType::kF8E5M2FNUZ},
    {4, kNoTyped, {}},  // U4
    {4, kNoTyped, {}},  // I4
    {4, kNoTyped, {}},  // float4e2m1
    {8, kInt32Data, DType::kF8E8M0},
    {2, kNoTyped, {}},  // U2
    {2, kNoTyped, {}},  // I2
}};

const OnnxType& entry(std::uint64_t type) {
  return kTypes[type < kTypes.size() ? type : 0];
}

}  // namespace

std::optional<DType> onnx_dtype(std::uint64_t type) {
  return entry(type).dtype;
}

OnnxTypedField onnx_typed_field(std::uint64_t type) {
  return entry(type).field;
}

unsigned onnx_type_bits(std::uint64_t type) {
  return entry(type).bits;
}

}  // namespace tare::format
