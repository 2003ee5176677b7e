#include "tensor/elements.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace tare {
namespace {

// ---- sixteen bits and eight, as F32

std::uint16_t half_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000);
  const std::uint32_t size = bits & 0x7FFFFFFF;
  if (size > 0x7F800000) return static_cast<std::uint16_t>(sign | 0x7E00 | (size >> 13 & 0x3FF));
  if (size >= 0x477FF000) return sign | 0x7C00;  // rounds to infinity
  std::uint32_t rounded = 0;
  if (size < 0x38800000) {
    // Subnormal: the sum with 0.5 has its last bit where the result has it.
    rounded = std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5F) -
              std::bit_cast<std::uint32_t>(0.5F);
  } else {
    rounded = ((size + 0xFFF + (size >> 13 & 1)) >> 13) - (112U << 10);
  }
  return static_cast<std::uint16_t>(sign | rounded);
}

std::uint16_t bfloat16_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// A number of an IEEE kind: sign, `exponent` bits, `mantissa` bits.
float small_float(std::uint32_t bits, unsigned exponent, unsigned mantissa, int bias) {
  const std::uint32_t fraction = bits & ((1U << mantissa) - 1);
  const auto power = static_cast<int>(bits >> mantissa & ((1U << exponent) - 1));
  const bool negative = (bits >> (mantissa + exponent) & 1) != 0;
  const float ulp = std::bit_cast<float>(
      static_cast<std::uint32_t>(std::max(power, 1) - bias - static_cast<int>(mantissa) + 127)
      << 23);
  const float size = static_cast<float>(fraction | (power == 0 ? 0 : 1U << mantissa)) * ulp;
  return negative ? -size : size;
}

float not_a_number(bool negative, std::uint32_t fraction = 0x400000) {
  return std::bit_cast<float>((negative ? 0xFF800000 : 0x7F800000) | fraction);
}

float from_half(std::uint16_t bits) {
  const bool negative = (bits & 0x8000) != 0;
  if ((bits & 0x7C00) == 0x7C00) return not_a_number(negative, std::uint32_t{bits & 0x3FFU} << 13);
  return small_float(bits, 5, 10, 15);
}

// The eight-bit types. Of those with FN in their names infinity is missing; UZ means that the bits
// of the negative zero are the only NaN.
float from_e5m2(std::uint8_t bits) {
  return from_half(static_cast<std::uint16_t>(bits << 8));
}
float from_e4m3(std::uint8_t bits) {
  return (bits & 0x7F) == 0x7F ? not_a_number(bits >> 7 != 0) : small_float(bits, 4, 3, 7);
}
float from_e4m3_fnuz(std::uint8_t bits) {
  return bits == 0x80 ? not_a_number(false) : small_float(bits, 4, 3, 8);
}
float from_e5m2_fnuz(std::uint8_t bits) {
  return bits == 0x80 ? not_a_number(false) : small_float(bits, 5, 2, 16);
}
// A power of two.
float from_e8m0(std::uint8_t bits) {
  if (bits == 0xFF) return not_a_number(false);
  return std::bit_cast<float>(bits == 0 ? 0x00400000U : std::uint32_t{bits} << 23);
}

template <typename Bits>
using ToFloat = float (*)(Bits);

template <typename Bits, ToFloat<Bits> convert>
struct Reader {
  using Word = Bits;
  static float read(Word bits) { return convert(bits); }
};
struct ReadF32 {
  using Word = std::uint32_t;
  static float read(Word bits) { return std::bit_cast<float>(bits); }
};
struct ReadF64 {
  using Word = std::uint64_t;
  static float read(Word bits) { return static_cast<float>(std::bit_cast<double>(bits)); }
};
struct ReadBF16 {
  using Word = std::uint16_t;
  static float read(Word bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

template <typename From, typename To, To (*write)(float)>
void convert_all(const std::byte* in, std::size_t count, std::byte* out) {
  for (std::size_t i = 0; i < count; ++i) {
    typename From::Word bits{};
    std::memcpy(&bits, in + i * sizeof bits, sizeof bits);
    const To result = write(From::read(bits));
    std::memcpy(out + i * sizeof result, &result, sizeof result);
  }
}

std::uint32_t float_of(float value) {
  return std::bit_cast<std::uint32_t>(value);
}

template <typename From>
void cast_from(const std::byte* in, std::size_t count, DType to, std::byte* out) {
  if (to == DType::kF32) return convert_all<From, std::uint32_t, float_of>(in, count, out);
  if (to == DType::kF16) return convert_all<From, std::uint16_t, half_of>(in, count, out);
  convert_all<From, std::uint16_t, bfloat16_of>(in, count, out);
}

void cast(DType from, const std::byte* in, std::size_t count, DType to, std::byte* out) {
  switch (from) {
    case DType::kF64:
      return cast_from<ReadF64>(in, count, to, out);
    case DType::kF32:
      return cast_from<ReadF32>(in, count, to, out);
    case DType::kF16:
      return cast_from<Reader<std::uint16_t, from_half>>(in, count, to, out);
    case DType::kBF16:
      return cast_from<ReadBF16>(in, count, to, out);
    case DType::kF8E5M2:
      return cast_from<Reader<std::uint8_t, from_e5m2>>(in, count, to, out);
    case DType::kF8E4M3:
      return cast_from<Reader<std::uint8_t, from_e4m3>>(in, count, to, out);
    case DType::kF8E4M3FNUZ:
      return cast_from<Reader<std::uint8_t, from_e4m3_fnuz>>(in, count, to, out);
    case DType::kF8E5M2FNUZ:
      return cast_from<Reader<std::uint8_t, from_e5m2_fnuz>>(in, count, to, out);
    case DType::kF8E8M0:
      return cast_from<Reader<std::uint8_t, from_e8m0>>(in, count, to, out);
    default:
      return;  // can_cast() says no
  }
}

// ---- in place

bool is_complex(DType dtype) {
  return dtype == DType::kC32 || dtype == DType::kC64 || dtype == DType::kC128;
}

bool is_floating(DType dtype) {
  switch (dtype) {
    case DType::kF16:
    case DType::kBF16:
    case DType::kF32:
    case DType::kF64:
    case DType::kF8E5M2:
    case DType::kF8E4M3:
      return true;
    default:
      return is_complex(dtype);
  }
}

// Bytes of a number; a complex element is two.
std::size_t number_bytes(DType dtype) {
  return dtype_bits(dtype) / (is_complex(dtype) ? 16 : 8);
}

void swap_bytes(std::byte* bytes, std::size_t size, std::size_t width) {
  for (std::size_t i = 0; i < size; i += width) std::reverse(bytes + i, bytes + i + width);
}

// The sign is the highest bit of the last byte. Of every `step`-th number from the first one on.
void flip_signs(std::byte* bytes, std::size_t size, std::size_t width, std::size_t first,
                std::size_t step) {
  for (std::size_t i = first * width; i < size; i += step * width) {
    bytes[i + width - 1] ^= std::byte{0x80};
  }
}

template <typename Number>
void negate_integers(std::byte* bytes, std::size_t size) {
  for (std::size_t i = 0; i < size; i += sizeof(Number)) {
    Number number{};
    std::memcpy(&number, bytes + i, sizeof number);
    number = static_cast<Number>(Number{0} - number);
    std::memcpy(bytes + i, &number, sizeof number);
  }
}

void negate(std::byte* bytes, std::size_t size, DType dtype) {
  const std::size_t width = number_bytes(dtype);
  if (is_floating(dtype)) return flip_signs(bytes, size, width, 0, 1);
  if (width == 1) return negate_integers<std::uint8_t>(bytes, size);
  if (width == 2) return negate_integers<std::uint16_t>(bytes, size);
  if (width == 4) return negate_integers<std::uint32_t>(bytes, size);
  negate_integers<std::uint64_t>(bytes, size);
}

void settle(const Stored& stored, std::byte* bytes, std::size_t size) {
  const std::size_t width = number_bytes(stored.dtype);
  if (stored.big_endian && width > 1) swap_bytes(bytes, size, width);
  if (stored.conjugated && is_complex(stored.dtype)) flip_signs(bytes, size, width, 1, 2);
  if (stored.negated) negate(bytes, size, stored.dtype);
}

bool stands_as_is(const Stored& stored) {
  return stored == Stored{.dtype = stored.dtype};
}

}  // namespace

bool can_cast(DType from, DType to) {
  if (from == to) return true;
  if (to != DType::kF32 && to != DType::kF16 && to != DType::kBF16) return false;
  switch (from) {
    case DType::kF64:
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
    case DType::kF8E5M2:
    case DType::kF8E4M3:
    case DType::kF8E8M0:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2FNUZ:
      return true;
    default:
      return false;
  }
}

void read_elements(const Stored& stored, ByteSpan in, DType dtype, std::byte* out) {
  const std::size_t count = in.size() * 8 / dtype_bits(stored.dtype);
  if (stored.dtype == dtype) {
    std::ranges::copy(in, out);
    settle(stored, out, in.size());
  } else if (stands_as_is(stored)) {
    cast(stored.dtype, in.data(), count, dtype, out);
  } else {
    std::vector<std::byte> settled(in.begin(), in.end());
    settle(stored, settled.data(), settled.size());
    cast(stored.dtype, settled.data(), count, dtype, out);
  }
}

}  // namespace tare
