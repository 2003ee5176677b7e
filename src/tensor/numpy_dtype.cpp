#include "tensor/numpy_dtype.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_set>

#include "io/checked.hpp"

namespace tare {
namespace {

using Order = NumpyDType::Order;

constexpr std::uint64_t kMaxItemSize = INT32_MAX;
constexpr std::size_t kMaxDimensions = 64;

constexpr const char* kNoSuchType = "numpy has no type of this name";

struct NamedType {
  std::string_view name;
  char kind;
  std::uint64_t item_size;
};

// What numpy 1 and 2 agree on. `long` and its like mean what they mean on 64-bit Linux.
constexpr std::array kNamedTypes = {
    NamedType{"?", 'b', 1},         NamedType{"b", 'i', 1},           NamedType{"h", 'i', 2},
    NamedType{"i", 'i', 4},         NamedType{"l", 'i', 8},           NamedType{"q", 'i', 8},
    NamedType{"p", 'i', 8},         NamedType{"B", 'u', 1},           NamedType{"H", 'u', 2},
    NamedType{"I", 'u', 4},         NamedType{"L", 'u', 8},           NamedType{"Q", 'u', 8},
    NamedType{"P", 'u', 8},         NamedType{"e", 'f', 2},           NamedType{"f", 'f', 4},
    NamedType{"d", 'f', 8},         NamedType{"g", 'f', 16},          NamedType{"F", 'c', 8},
    NamedType{"D", 'c', 16},        NamedType{"G", 'c', 32},          NamedType{"O", 'O', 8},
    NamedType{"S", 'S', 0},         NamedType{"U", 'U', 0},           NamedType{"V", 'V', 0},
    NamedType{"M", 'M', 8},         NamedType{"m", 'm', 8},           NamedType{"c", 'S', 1},
    NamedType{"bool", 'b', 1},      NamedType{"int8", 'i', 1},        NamedType{"int16", 'i', 2},
    NamedType{"int32", 'i', 4},     NamedType{"int64", 'i', 8},       NamedType{"uint8", 'u', 1},
    NamedType{"uint16", 'u', 2},    NamedType{"uint32", 'u', 4},      NamedType{"uint64", 'u', 8},
    NamedType{"float16", 'f', 2},   NamedType{"float32", 'f', 4},     NamedType{"float64", 'f', 8},
    NamedType{"complex64", 'c', 8}, NamedType{"complex128", 'c', 16}, NamedType{"object", 'O', 8},
};

// The sizes that a kind may state, in the unit of its number.
bool has_size(char kind, std::uint64_t size) {
  const auto is_one_of = [size](std::initializer_list<std::uint64_t> sizes) {
    return std::ranges::find(sizes, size) != sizes.end();
  };
  switch (kind) {
    case 'b':
      return size == 1;
    case 'i':
    case 'u':
      return is_one_of({1, 2, 4, 8});
    case 'f':
      return is_one_of({2, 4, 8, 16});
    case 'c':
      return is_one_of({8, 16, 32});
    case 'O':
      return is_one_of({4, 8});
    case 'M':
    case 'm':
      return size == 8;
    case 'U':
      return size <= kMaxItemSize / 4;
    case 'S':
    case 'V':
      return size <= kMaxItemSize;
    default:
      return false;
  }
}

// "[25s]", or nothing.
std::optional<std::string> parse_unit(std::string_view text) {
  constexpr std::array<std::string_view, 14> kUnits = {
      "Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"};
  if (text.empty()) return std::string();
  if (text.size() < 3 || text.front() != '[' || text.back() != ']') return std::nullopt;
  const std::string_view inner = text.substr(1, text.size() - 2);
  const std::string_view unit =
      inner.substr(std::min(inner.find_first_not_of("0123456789"), inner.size()));
  std::int32_t count = 0;
  const char* const begin = inner.data();
  const std::size_t digits = inner.size() - unit.size();
  if (digits > 0 && std::from_chars(begin, begin + digits, count).ec != std::errc{}) {
    return std::nullopt;
  }
  if (std::ranges::find(kUnits, unit) == kUnits.end()) return std::nullopt;
  return unit == "generic" ? std::string() : std::string(inner);
}

// A kind and a size, and a unit where there may be one.
Result<NumpyDType> parse_sized(std::string_view text) {
  NumpyDType type;
  type.kind = text[0] == 'a' ? 'S' : text[0];
  const char* const begin = text.data() + 1;
  const char* const end = text.data() + text.size();
  std::uint64_t size = 0;
  const auto [behind, problem] = std::from_chars(begin, end, size);
  const bool is_time = type.kind == 'M' || type.kind == 'm';
  const bool has_rest = behind != end;
  if (problem != std::errc{} || !has_size(type.kind, size) || (has_rest && !is_time)) {
    return fail(ErrorCode::kMalformed, kNoSuchType);
  }
  const auto unit = parse_unit({behind, static_cast<std::size_t>(end - behind)});
  if (!unit) return fail(ErrorCode::kMalformed, "numpy has no such unit of time");
  type.unit = *unit;
  type.item_size = type.kind == 'U' ? size * 4 : type.kind == 'O' ? 8 : size;
  return type;
}

bool has_order(const NumpyDType& type) {
  return type.kind == 'U' ||
         (type.item_size > 1 && type.kind != 'S' && type.kind != 'V' && type.kind != 'O');
}

bool is_order(char c) {
  return c == '<' || c == '>' || c == '=' || c == '|';
}

}  // namespace

Result<NumpyDType> numpy_scalar(std::string_view text, std::optional<char> order,
                                std::optional<std::uint64_t> item_size) {
  char stated = '=';
  if (!text.empty() && is_order(text[0])) {
    stated = text[0];
    text.remove_prefix(1);
  }
  if (order) stated = *order;
  if (text.empty() || !is_order(stated)) return fail(ErrorCode::kMalformed, kNoSuchType);
  if (text.find(',') != std::string_view::npos || text[0] == '(' ||
      (text[0] >= '0' && text[0] <= '9')) {
    return fail(ErrorCode::kUnsupported, "a type string with commas or repeats");
  }
  NumpyDType type;
  const auto named = std::ranges::find(kNamedTypes, text, &NamedType::name);
  if (named != kNamedTypes.end()) {
    type.kind = named->kind;
    type.item_size = named->item_size;
  } else {
    auto sized = parse_sized(text);
    if (!sized) return sized;
    type = std::move(*sized);
  }
  if (item_size && *item_size != type.item_size) {
    const bool is_free = type.kind == 'S' || type.kind == 'U' || type.kind == 'V';
    if (!is_free || *item_size > kMaxItemSize) {
      return fail(ErrorCode::kMalformed, "a numpy type with a size that it cannot have");
    }
    type.item_size = *item_size;
  }
  type.has_objects = type.kind == 'O';
  if (has_order(type)) type.order = stated == '>' ? Order::kBig : Order::kLittle;
  return type;
}

Result<NumpyDType> numpy_subarray(NumpyDType base, Shape shape) {
  if (shape.empty()) return base;
  const bool is_free = base.kind == 'S' || base.kind == 'U' || base.kind == 'V';
  if (base.is_scalar() && is_free && base.item_size == 0) {
    return fail(ErrorCode::kMalformed, "a numpy subarray of elements without a size");
  }
  if (shape.size() > kMaxDimensions) {
    return fail(ErrorCode::kMalformed, "a numpy subarray of more than 64 dimensions");
  }
  NumpyDType type;
  type.item_size = base.item_size;
  for (const std::uint64_t length : shape) {
    const auto size = checked_mul(type.item_size, length);
    if (length > kMaxItemSize || !size || *size > kMaxItemSize) {
      return fail(ErrorCode::kOverflow, "a numpy subarray of 2 GiB or more");
    }
    type.item_size = *size;
  }
  type.has_objects = base.has_objects;
  type.base.push_back(std::move(base));
  type.shape = std::move(shape);
  return type;
}

Result<NumpyDType> numpy_struct(std::vector<NumpyField> fields, std::uint64_t item_size) {
  if (item_size > kMaxItemSize) {
    return fail(ErrorCode::kOverflow, "a numpy structure of 2 GiB or more");
  }
  NumpyDType type;
  type.item_size = item_size;
  std::unordered_set<std::string_view> names;
  for (const NumpyField& field : fields) {
    if (!names.insert(field.name).second || (field.title && !names.insert(*field.title).second)) {
      return fail(ErrorCode::kMalformed, "a numpy structure with two fields of one name");
    }
    if (field.offset > item_size || field.type.item_size > item_size - field.offset) {
      return fail(ErrorCode::kMalformed, "a numpy field that is not inside of its structure");
    }
    type.has_objects |= field.type.has_objects;
  }
  type.fields = std::move(fields);
  return type;
}

std::optional<DType> to_tensor_dtype(const NumpyDType& type) {
  struct Match {
    char kind;
    std::uint64_t item_size;
    DType dtype;
  };
  constexpr std::array kMatches = {
      Match{'b', 1, DType::kBool}, Match{'i', 1, DType::kI8},  Match{'i', 2, DType::kI16},
      Match{'i', 4, DType::kI32},  Match{'i', 8, DType::kI64}, Match{'u', 1, DType::kU8},
      Match{'u', 2, DType::kU16},  Match{'u', 4, DType::kU32}, Match{'u', 8, DType::kU64},
      Match{'f', 2, DType::kF16},  Match{'f', 4, DType::kF32}, Match{'f', 8, DType::kF64},
      Match{'c', 8, DType::kC64},
  };
  const auto found = std::ranges::find_if(kMatches, [&](const Match& match) {
    return match.kind == type.kind && match.item_size == type.item_size;
  });
  return found == kMatches.end() ? std::nullopt : std::optional(found->dtype);
}

}  // namespace tare
