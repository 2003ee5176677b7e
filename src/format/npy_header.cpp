#include "format/npy_header.hpp"

#include <algorithm>
#include <utility>

#include "format/python_literal.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

using namespace std::string_view_literals;
using Kind = PyLiteral::Kind;

constexpr std::string_view kMagic = "\x93NUMPY"sv;
constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{1} << 20;
constexpr std::size_t kMaxDimensions = 64;

std::unexpected<Error> malformed(const char* what, const PyLiteral& where) {
  return fail(ErrorCode::kMalformed, what, where.offset);
}

// An error of something that stands at `where`.
std::unexpected<Error> at(const PyLiteral& where, Error error) {
  error.offset = where.offset;
  return std::unexpected(error);
}

// True and False are integers for Python, but not where numpy takes the shape of a subarray.
Result<Shape> shape_of(const PyLiteral& literal, bool takes_bool) {
  if (literal.items.size() > kMaxDimensions) {
    return malformed("a shape of more than 64 dimensions", literal);
  }
  Shape shape;
  for (const PyLiteral& item : literal.items) {
    const bool is_number = item.kind == Kind::kInteger || (item.kind == Kind::kBool && takes_bool);
    if (!is_number || (item.negative && item.number != 0)) {
      return malformed("a dimension that is no integer from 0 on", item);
    }
    shape.push_back(item.number);
  }
  return shape;
}

// Of a subarray: a number stands for one dimension.
Result<Shape> subarray_shape(const PyLiteral& literal) {
  if (literal.is_sequence()) return shape_of(literal, false);
  if (literal.kind == Kind::kInteger && !literal.negative) return Shape{literal.number};
  return malformed("the shape of a numpy subarray is expected", literal);
}

Result<NumpyDType> type_of(const PyLiteral& literal);

Result<NumpyDType> subarray_of(const PyLiteral& base, const PyLiteral& shape) {
  auto type = type_of(base);
  if (!type) return type;
  auto lengths = subarray_shape(shape);
  if (!lengths) return std::unexpected(lengths.error());
  auto subarray = numpy_subarray(std::move(*type), std::move(*lengths));
  return subarray ? std::move(subarray) : at(shape, subarray.error());
}

// (name, type) or (name, type, shape); a name may be (title, name).
Result<NumpyField> field_of(const PyLiteral& literal) {
  const auto& items = literal.items;
  if (!literal.is_sequence() || (items.size() != 2 && items.size() != 3)) {
    return malformed("a field of a numpy type is (name, type) or (name, type, shape)", literal);
  }
  NumpyField field;
  const PyLiteral* name = items.data();
  if (name->kind == Kind::kTuple && name->items.size() == 2) {
    const PyLiteral& title = name->items[0];
    if (title.kind == Kind::kString) field.title = title.text;
    if (title.kind != Kind::kString && title.kind != Kind::kNone) {
      return malformed("the title of a numpy field is no string", title);
    }
    name = &name->items[1];
  }
  if (name->kind != Kind::kString)
    return malformed("the name of a numpy field is no string", *name);
  field.name = name->text;
  auto type = items.size() == 2 ? type_of(items[1]) : subarray_of(items[1], items[2]);
  if (!type) return std::unexpected(type.error());
  field.type = std::move(*type);
  return field;
}

bool is_padding(const NumpyField& field) {
  return field.name.empty() && !field.title && field.type.kind == 'V' && field.type.fields.empty();
}

Result<NumpyDType> struct_of(const PyLiteral& literal) {
  std::vector<NumpyField> fields;
  std::uint64_t offset = 0;
  for (const PyLiteral& item : literal.items) {
    auto field = field_of(item);
    if (!field) return std::unexpected(field.error());
    field->offset = offset;
    offset += field->type.item_size;  // at most 2^31 each, and fewer than 2^20 of them
    if (!is_padding(*field)) fields.push_back(std::move(*field));
  }
  auto type = numpy_struct(std::move(fields), offset);
  return type ? std::move(type) : at(literal, type.error());
}

// Recursion is bounded: a literal is no deeper than PyLiteral::kMaxDepth.
Result<NumpyDType> type_of(const PyLiteral& literal) {
  if (literal.kind == Kind::kString) {
    auto type = numpy_scalar(literal.text);
    return type ? std::move(type) : at(literal, type.error());
  }
  if (literal.kind == Kind::kTuple && literal.items.size() >= 2) {
    return subarray_of(literal.items[0], literal.items[1]);
  }
  if (literal.kind == Kind::kList) return struct_of(literal);
  return malformed("`descr` is no numpy type", literal);
}

struct Fields {
  const PyLiteral* descr = nullptr;
  const PyLiteral* fortran_order = nullptr;
  const PyLiteral* shape = nullptr;
  bool repeated_key = false;
};

Result<Fields> fields_of(const PyLiteral& header) {
  if (header.kind != Kind::kDict) return malformed("the header is no dict", header);
  Fields fields;
  for (std::size_t i = 0; i < header.items.size(); i += 2) {
    const PyLiteral& key = header.items[i];
    const std::string_view name = key.kind == Kind::kString ? std::string_view(key.text) : "";
    const PyLiteral** const place = name == "descr"           ? &fields.descr
                                    : name == "fortran_order" ? &fields.fortran_order
                                    : name == "shape"         ? &fields.shape
                                                              : nullptr;
    if (place == nullptr) return malformed("the header has a key that numpy does not know", key);
    fields.repeated_key |= *place != nullptr;
    *place = &header.items[i + 1];
  }
  if (fields.descr == nullptr || fields.fortran_order == nullptr || fields.shape == nullptr) {
    return malformed("the header lacks `descr`, `fortran_order` or `shape`", header);
  }
  return fields;
}

Result<NpyHeader> header_of(const PyLiteral& literal) {
  const auto fields = fields_of(literal);
  if (!fields) return std::unexpected(fields.error());
  if (fields->fortran_order->kind != Kind::kBool) {
    return malformed("`fortran_order` is neither True nor False", *fields->fortran_order);
  }
  if (fields->shape->kind != Kind::kTuple) return malformed("`shape` is no tuple", *fields->shape);
  auto shape = shape_of(*fields->shape, true);
  if (!shape) return std::unexpected(shape.error());
  auto type = type_of(*fields->descr);
  if (!type) return std::unexpected(type.error());
  NpyHeader header;
  header.fortran_order = fields->fortran_order->number != 0;
  header.repeated_key = fields->repeated_key;
  // A zero anywhere makes it empty, whatever the others are.
  std::optional<std::uint64_t> bytes = type->item_size;
  if (std::ranges::find(*shape, 0U) != shape->end() || type->has_objects) bytes = 0;
  for (const std::uint64_t length : *shape) bytes = bytes ? checked_mul(*bytes, length) : bytes;
  if (!bytes) return fail(ErrorCode::kOverflow, "the array is too large", fields->shape->offset);
  header.data_bytes = *bytes;
  header.shape = std::move(*shape);
  header.dtype = std::move(*type);
  return header;
}

// The text of the header, without what stands before it.
Result<ByteSpan> header_text(Cursor& cursor, bool is_wide) {
  const std::uint64_t start = cursor.offset();
  std::optional<std::uint64_t> length;
  if (is_wide) {
    length = cursor.read<std::uint32_t>();
  } else {
    length = cursor.read<std::uint16_t>();
  }
  if (length && *length > kMaxHeaderBytes) {
    return fail(ErrorCode::kLimit, "the header is larger than 1 MiB", start);
  }
  const auto text = length ? cursor.take(*length) : std::nullopt;
  if (!text) return fail(ErrorCode::kTruncated, "the header is cut off", start);
  return *text;
}

}  // namespace

bool is_npy(ByteSpan front) {
  return as_text(front).starts_with(kMagic);
}

Result<NpyHeader> parse_npy_header(ByteSpan bytes) {
  if (!is_npy(bytes)) return fail(ErrorCode::kWrongFormat, "not a .npy file");
  Cursor cursor(bytes, kMagic.size());
  const auto major = cursor.read<std::uint8_t>();
  const auto minor = cursor.read<std::uint8_t>();
  if (!minor) return fail(ErrorCode::kTruncated, "the header is cut off", bytes.size());
  if (*major < 1 || *major > 3 || *minor != 0) {
    return fail(ErrorCode::kUnsupported, "a version of .npy that numpy does not know",
                kMagic.size());
  }
  const auto text = header_text(cursor, *major > 1);
  if (!text) return std::unexpected(text.error());
  const std::uint64_t start = cursor.offset() - text->size();
  const auto literal =
      parse_python_literal(as_text(*text), {.latin1 = *major < 3, .python2_longs = *major < 3});
  auto header = literal ? header_of(*literal) : std::unexpected(literal.error());
  if (!header) {
    Error error = header.error();
    error.offset += start;
    return std::unexpected(error);
  }
  header->data_offset = cursor.offset();
  return header;
}

}  // namespace tare::format
