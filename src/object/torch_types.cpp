#include "object/torch_types.hpp"

#include <algorithm>
#include <array>

namespace tare::object {
namespace {

constexpr std::array kStorageClasses = {
    StorageClass{"DoubleStorage", DType::kF64, 64},
    StorageClass{"FloatStorage", DType::kF32, 32},
    StorageClass{"HalfStorage", DType::kF16, 16},
    StorageClass{"BFloat16Storage", DType::kBF16, 16},
    StorageClass{"LongStorage", DType::kI64, 64},
    StorageClass{"IntStorage", DType::kI32, 32},
    StorageClass{"ShortStorage", DType::kI16, 16},
    StorageClass{"CharStorage", DType::kI8, 8},
    StorageClass{"ByteStorage", DType::kU8, 8},
    StorageClass{"BoolStorage", DType::kBool, 8},
    StorageClass{"ComplexFloatStorage", DType::kC64, 64},
    StorageClass{"ComplexDoubleStorage", DType::kC128, 128},
    // Without a type of their own, as bytes; `_UntypedStorage` is its name in torch 1.11 and 1.12.
    StorageClass{"UntypedStorage", DType::kU8, 8},
    StorageClass{"_UntypedStorage", DType::kU8, 8},
    StorageClass{"QInt8Storage", std::nullopt, 8},
    StorageClass{"QUInt8Storage", std::nullopt, 8},
    StorageClass{"QInt32Storage", std::nullopt, 32},
    // Packed elements; the storage counts bytes.
    StorageClass{"QUInt4x2Storage", std::nullopt, 8},
    StorageClass{"QUInt2x4Storage", std::nullopt, 8},
    StorageClass{"TypedStorage", std::nullopt, 8},
    StorageClass{"_TypedStorage", std::nullopt, 8},
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
    TorchName{"complex32", DType::kC32},
    TorchName{"complex64", DType::kC64},
    TorchName{"complex128", DType::kC128},
    TorchName{"float8_e4m3fn", DType::kF8E4M3},
    TorchName{"float8_e5m2", DType::kF8E5M2},
    TorchName{"float8_e4m3fnuz", DType::kF8E4M3FNUZ},
    TorchName{"float8_e5m2fnuz", DType::kF8E5M2FNUZ},
    TorchName{"float8_e8m0fnu", DType::kF8E8M0},
};

// Types that have no tensors here, with why.
struct OtherName {
  std::string_view name;
  const char* why;
};

#define TARE_OTHER(name) \
  OtherName{#name, "is of the type " #name ", which this version does not read"}
constexpr std::array kOtherNames = {
    TARE_OTHER(qint8),
    TARE_OTHER(quint8),
    TARE_OTHER(qint32),
    TARE_OTHER(quint4x2),
    TARE_OTHER(quint2x4),
    TARE_OTHER(bits8),
    TARE_OTHER(bits16),
    TARE_OTHER(bits1x8),
    TARE_OTHER(bits2x4),
    TARE_OTHER(bits4x2),
    TARE_OTHER(uint1),
    TARE_OTHER(uint2),
    TARE_OTHER(uint3),
    TARE_OTHER(uint4),
    TARE_OTHER(uint5),
    TARE_OTHER(uint6),
    TARE_OTHER(uint7),
    TARE_OTHER(int1),
    TARE_OTHER(int2),
    TARE_OTHER(int3),
    TARE_OTHER(int4),
    TARE_OTHER(int5),
    TARE_OTHER(int6),
    TARE_OTHER(int7),
    OtherName{"float4_e2m1fn_x2", ""},
};
#undef TARE_OTHER

}  // namespace

const StorageClass* find_storage_class(std::string_view name) {
  const auto found = std::ranges::find(kStorageClasses, name, &StorageClass::name);
  return found == kStorageClasses.end() ? nullptr : &*found;
}

std::string_view storage_class_of(DType dtype) {
  const auto found = std::ranges::find(kStorageClasses, dtype, &StorageClass::dtype);
  return found == kStorageClasses.end() ? std::string_view() : found->name;
}

std::optional<DType> dtype_of_torch_name(std::string_view name) {
  const auto found = std::ranges::find(kTorchNames, name, &TorchName::name);
  return found == kTorchNames.end() ? std::nullopt : std::optional(found->dtype);
}

std::string_view torch_name_of(DType dtype) {
  const auto found = std::ranges::find(kTorchNames, dtype, &TorchName::dtype);
  return found == kTorchNames.end() ? std::string_view() : found->name;
}

bool is_torch_dtype_name(std::string_view name) {
  return dtype_of_torch_name(name).has_value() ||
         std::ranges::find(kOtherNames, name, &OtherName::name) != kOtherNames.end();
}

const char* unread_type_text(std::string_view name) {
  const auto found = std::ranges::find(kOtherNames, name, &OtherName::name);
  return found == kOtherNames.end() ? "is of a type that this version does not read" : found->why;
}

}  // namespace tare::object
