#include "capi/dtype.hpp"

#include <algorithm>
#include <array>

namespace tare::capi {
namespace {

// By number, from 1 on.
constexpr std::array kTypes = {
    DType::kBool,       DType::kF4,     DType::kF6E2M3, DType::kF6E3M2, DType::kU8,
    DType::kI8,         DType::kF8E5M2, DType::kF8E4M3, DType::kF8E8M0, DType::kF8E4M3FNUZ,
    DType::kF8E5M2FNUZ, DType::kI16,    DType::kU16,    DType::kF16,    DType::kBF16,
    DType::kI32,        DType::kU32,    DType::kF32,    DType::kC64,    DType::kF64,
    DType::kI64,        DType::kU64,
};
static_assert(kTypes.size() == kDTypeCount && kTypes[TARE_U64 - 1] == DType::kU64);

}  // namespace

std::optional<DType> dtype_of(tare_dtype number) {
  if (number < 1 || number > static_cast<tare_dtype>(kTypes.size())) return std::nullopt;
  return kTypes[static_cast<std::size_t>(number - 1)];
}

tare_dtype number_of(DType dtype) {
  return static_cast<tare_dtype>(std::ranges::find(kTypes, dtype) - kTypes.begin()) + 1;
}

}  // namespace tare::capi

const char* tare_dtype_name(tare_dtype dtype) {
  const auto type = tare::capi::dtype_of(dtype);
  return type ? tare::dtype_name(*type).data() : nullptr;  // of a literal
}

unsigned tare_dtype_bits(tare_dtype dtype) {
  const auto type = tare::capi::dtype_of(dtype);
  return type ? tare::dtype_bits(*type) : 0;
}
