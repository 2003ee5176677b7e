#include "format/torch_types.hpp"

#include <algorithm>
#include <array>

namespace tare::format {
namespace {

struct StorageClass {
  std::string_view name;
  DType dtype;
};

constexpr std::array kStorageClasses = {
    StorageClass{"DoubleStorage", DType::kF64},       StorageClass{"FloatStorage", DType::kF32},
    StorageClass{"HalfStorage", DType::kF16},         StorageClass{"BFloat16Storage", DType::kBF16},
    StorageClass{"LongStorage", DType::kI64},         StorageClass{"IntStorage", DType::kI32},
    StorageClass{"ShortStorage", DType::kI16},        StorageClass{"CharStorage", DType::kI8},
    StorageClass{"ByteStorage", DType::kU8},          StorageClass{"BoolStorage", DType::kBool},
    StorageClass{"ComplexFloatStorage", DType::kC64},
};

constexpr std::array<std::string_view, 8> kOtherStorageClasses = {
    "ComplexDoubleStorage", "QInt8Storage",    "QUInt8Storage",  "QInt32Storage",
    "QUInt4x2Storage",      "QUInt2x4Storage", "UntypedStorage", "TypedStorage",
};

struct TorchName {
  std::string_view name;
  DType dtype;
};

constexpr std::array kTorchNames = {
    TorchName{"float64", DType::kF64},
    TorchName{"float32", DType::kF32},
    TorchName{"float16", DType::kF16},
    TorchName{"bfloat16", DType::kBF16},
    TorchName{"int64", DType::kI64},
    TorchName{"int32", DType::kI32},
    TorchName{"int16", DType::kI16},
    TorchName{"int8", DType::kI8},
    TorchName{"uint8", DType::kU8},
    TorchName{"uint16", DType::kU16},
    TorchName{"uint32", DType::kU32},
    TorchName{"uint64", DType::kU64},
    TorchName{"bool", DType::kBool},
    TorchName{"complex64", DType::kC64},
    TorchName{"float8_e4m3fn", DType::kF8E4M3},
    TorchName{"float8_e5m2", DType::kF8E5M2},
    TorchName{"float8_e4m3fnuz", DType::kF8E4M3FNUZ},
    TorchName{"float8_e5m2fnuz", DType::kF8E5M2FNUZ},
    TorchName{"float8_e8m0fnu", DType::kF8E8M0},
};

}  // namespace

std::optional<DType> dtype_of_storage_class(std::string_view name) {
  const auto found = std::ranges::find(kStorageClasses, name, &StorageClass::name);
  return found == kStorageClasses.end() ? std::nullopt : std::optional(found->dtype);
}

std::string_view storage_class_of(DType dtype) {
  const auto found = std::ranges::find(kStorageClasses, dtype, &StorageClass::dtype);
  return found == kStorageClasses.end() ? std::string_view() : found->name;
}

std::optional<DType> dtype_of_torch_name(std::string_view name) {
  const auto found = std::ranges::find(kTorchNames, name, &TorchName::name);
  return found == kTorchNames.end() ? std::nullopt : std::optional(found->dtype);
}

bool is_storage_class(std::string_view name) {
  return dtype_of_storage_class(name).has_value() ||
         std::ranges::find(kOtherStorageClasses, name) != kOtherStorageClasses.end();
}

}  // namespace tare::format
