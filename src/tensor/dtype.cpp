#include <array>

#include "io/checked.hpp"
#include "tare/tensor.hpp"

namespace tare {
namespace {

struct DTypeInfo {
  std::string_view name;
  unsigned bits;
};

// Indexed by DType.
constexpr std::array<DTypeInfo, kAllDTypeCount> kDTypes{{
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64},    {"C32", 32},    {"C128", 128},
}};

const DTypeInfo& info(DType dtype) {
  return kDTypes[static_cast<std::size_t>(dtype)];
}

}  // namespace

std::string_view dtype_name(DType dtype) {
  return info(dtype).name;
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    if (kDTypes[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

unsigned dtype_bits(DType dtype) {
  return info(dtype).bits;
}

Result<std::uint64_t> element_count(std::span<const std::uint64_t> shape) {
  std::uint64_t count = 1;
  for (const std::uint64_t size : shape) {
    const auto product = checked_mul(count, size);
    if (!product) return fail(ErrorCode::kOverflow, "the product of the shape overflows");
    count = *product;
  }
  return count;
}

Result<std::uint64_t> packed_bytes(DType dtype, std::uint64_t count) {
  const auto bits = checked_mul(count, dtype_bits(dtype));
  if (!bits) return fail(ErrorCode::kOverflow, "the size of the tensor in bytes overflows");
  if (*bits % 8 != 0) return fail(ErrorCode::kMalformed, "the elements do not fill whole bytes");
  return *bits / 8;
}

}  // namespace tare
