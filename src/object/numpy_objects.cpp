#include "object/numpy_objects.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "io/checked.hpp"
#include "io/utf8.hpp"
#include "pickle/python_repr.hpp"

namespace tare::object {
namespace {

using PickleKind = pickle::Kind;
using Values = std::span<const Value>;

// A flag of numpy's types.
constexpr std::uint64_t kHasObject = 1;
// States that an object is given; numpy gives one.
constexpr int kMaxStates = 64;
// numpy has no more dimensions.
constexpr std::size_t kMaxAxes = 64;

std::unexpected<Error> unexpected_state() {
  return fail(ErrorCode::kMalformed, "an array of numpy in an unexpected state");
}

// numpy 2 renamed numpy.core to numpy._core.
bool is_core(std::string_view module, std::string_view name) {
  if (!module.starts_with("numpy.")) return false;
  module.remove_prefix(6);
  if (module.starts_with('_')) module.remove_prefix(1);
  return module.starts_with("core.") && module.substr(5) == name;
}

bool is_core_call(const Graph& graph, Value value, std::string_view module, std::string_view name) {
  return graph.kind(value) == PickleKind::kCall && called_name(graph, value) == name &&
         is_core(called_module(graph, value), module);
}

std::optional<std::uint64_t> size_value(const Graph& graph, Value value) {
  if (graph.kind(value) != PickleKind::kInt) return std::nullopt;
  return checked_narrow<std::uint64_t>(graph.integer(value));
}

// A tuple of sizes, or one size alone.
std::optional<Shape> shape_value(const Graph& graph, Value value) {
  if (const auto size = size_value(graph, value)) return Shape{*size};
  if (graph.kind(value) != PickleKind::kTuple) return std::nullopt;
  if (graph.tuple_items(value).size() > kMaxAxes) return std::nullopt;
  Shape shape;
  for (const Value item : graph.tuple_items(value)) {
    const auto size = size_value(graph, item);
    if (!size) return std::nullopt;
    shape.push_back(*size);
  }
  return shape;
}

bool is_true(const Graph& graph, Value value) {
  if (graph.kind(value) == PickleKind::kBool) return graph.boolean(value);
  return graph.kind(value) == PickleKind::kInt && graph.integer(value) != 0;
}

// The tuple that an object was last given as its state; nothing also if it was given more states
// than numpy gives.
std::optional<Values> state_of(const Graph& graph, Value value) {
  std::optional<Values> state;
  int states = 0;
  for (const pickle::Update update : graph.updates(value)) {
    if (++states > kMaxStates) return std::nullopt;
    if (update.kind != pickle::UpdateKind::kBuild || update.items.empty()) continue;
    const Value last = update.items.back();
    if (graph.kind(last) == PickleKind::kTuple) state = graph.tuple_items(last);
  }
  return state;
}

// Types of the package ml_dtypes, by the names of their classes.
std::optional<DType> ml_dtype(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, DType>, 6> kNames = {{
      {"bfloat16", DType::kBF16},
      {"float8_e4m3fn", DType::kF8E4M3},
      {"float8_e5m2", DType::kF8E5M2},
      {"float8_e4m3fnuz", DType::kF8E4M3FNUZ},
      {"float8_e5m2fnuz", DType::kF8E5M2FNUZ},
      {"float8_e8m0fnu", DType::kF8E8M0},
  }};
  const auto found = std::ranges::find(kNames, name, &std::pair<std::string_view, DType>::first);
  return found == kNames.end() ? std::nullopt : std::optional(found->second);
}

std::string text_of(const NumpyDType& type) {
  if (!type.is_scalar()) return "structure";
  std::string out;
  if (type.order != NumpyDType::Order::kNone) {
    out += type.order == NumpyDType::Order::kBig ? '>' : '<';
  }
  out += type.kind;
  if (type.kind == 'O') return "object";
  out += std::to_string(type.kind == 'U' ? type.item_size / 4 : type.item_size);
  return type.unit.empty() ? out : out + "[" + type.unit + "]";
}

template <typename Number>
NumpyReader::Scalar number_scalar(ByteSpan bytes) {
  Number number{};
  std::memcpy(&number, bytes.data(), sizeof number);
  char text[64];
  if constexpr (std::is_integral_v<Number>) {
    return {Kind::kInt, {text, std::to_chars(text, text + sizeof text, number).ptr}};
  } else {
    // The shortest digits of a float are those of the double that they read as.
    double value = number;
    if (std::isfinite(number)) {
      const char* const end = std::to_chars(text, text + sizeof text, number).ptr;
      std::from_chars(text, end, value);
    }
    return {Kind::kFloat, {text, pickle::write_float_repr(text, value)}};
  }
}

// Nothing for types whose numbers are no Python numbers.
std::optional<NumpyReader::Scalar> scalar_of(DType dtype, ByteSpan bytes) {
  switch (dtype) {
    case DType::kBool:
      return NumpyReader::Scalar{Kind::kBool, bytes[0] == std::byte{0} ? "False" : "True"};
    case DType::kF64:
      return number_scalar<double>(bytes);
    case DType::kF32:
      return number_scalar<float>(bytes);
    case DType::kI64:
      return number_scalar<std::int64_t>(bytes);
    case DType::kI32:
      return number_scalar<std::int32_t>(bytes);
    case DType::kI16:
      return number_scalar<std::int16_t>(bytes);
    case DType::kI8:
      return number_scalar<std::int8_t>(bytes);
    case DType::kU64:
      return number_scalar<std::uint64_t>(bytes);
    case DType::kU32:
      return number_scalar<std::uint32_t>(bytes);
    case DType::kU16:
      return number_scalar<std::uint16_t>(bytes);
    case DType::kU8:
      return number_scalar<std::uint8_t>(bytes);
    default:
      return std::nullopt;
  }
}

}  // namespace

bool ArrayType::is_numeric() const {
  return tensor.has_value() || (numpy.is_scalar() && std::string_view("biufc").find(numpy.kind) !=
                                                         std::string_view::npos);
}

const char* unread_array_text(const ArrayType& type) {
  if (type.numpy.has_objects) return "is an array of objects";
  if (!type.numpy.is_scalar()) return "is a structured array";
  switch (type.numpy.kind) {
    case 'S':
      return "is an array of byte strings (S)";
    case 'U':
      return "is an array of text (U)";
    case 'M':
    case 'm':
      return "is an array of dates or times (M8, m8)";
    case 'c':
      return "is an array of complex numbers (longdouble) that no tensor has";
    case 'f':
      return "is an array of longdouble (f16, float128), which no tensor has";
    default:
      return "is an array of elements that no tensor has";
  }
}

ArrayType array_type_of(NumpyDType type) {
  ArrayType out;
  out.tensor = to_tensor_dtype(type);
  // Beside the types of safetensors.
  if (!out.tensor && type.is_scalar() && type.kind == 'c' && type.item_size == 16) {
    out.tensor = DType::kC128;
  }
  out.big_endian = type.order == NumpyDType::Order::kBig;
  out.numpy = std::move(type);
  return out;
}

Result<TensorView> array_view(const ArrayType& type, Shape shape, bool fortran, ByteSpan bytes) {
  if (!type.tensor) return fail(ErrorCode::kUnsupported, unread_array_text(type));
  TensorView view{*type.tensor, shape, {}, 0, bytes};
  if (fortran) {
    std::ranges::reverse(shape);
    view.strides = row_major_strides(shape);
    std::ranges::reverse(view.strides);
  } else {
    view.strides = row_major_strides(shape);
  }
  if (type.big_endian && dtype_bits(view.dtype) > 8) {
    view.stored = Stored{.dtype = view.dtype, .big_endian = true};
  }
  if (auto checked = check_view(view); !checked) return std::unexpected(checked.error());
  return view;
}

// ---- what an array is made of

bool NumpyReader::is_array(const Graph& graph, Value value) {
  return is_core_call(graph, value, "multiarray", "_reconstruct") ||
         is_core_call(graph, value, "numeric", "_frombuffer") || is_masked(graph, value);
}

bool NumpyReader::is_masked(const Graph& graph, Value value) {
  return graph.kind(value) == PickleKind::kCall && called_name(graph, value) == "_mareconstruct" &&
         called_module(graph, value) == "numpy.ma.core";
}

// version, shape, dtype, is_fortran, data
Result<NumpyReader::Parts> NumpyReader::parts_of_state(Value value) const {
  const auto state = state_of(graph_, value);
  if (!state || state->size() < 4 || state->size() > 7) return unexpected_state();
  // Version 0 has no version.
  const std::size_t first =
      graph_.kind((*state)[0]) == PickleKind::kInt && state->size() > 4 ? 1 : 0;
  if (state->size() < first + 4) return unexpected_state();
  auto shape = shape_value(graph_, (*state)[first]);
  if (!shape) return unexpected_state();
  return Parts{(*state)[first + 1], (*state)[first + 3], std::move(*shape),
               is_true(graph_, (*state)[first + 2])};
}

Result<NumpyReader::Parts> NumpyReader::parts_of(Value value) const {
  if (!is_core_call(graph_, value, "numeric", "_frombuffer")) return parts_of_state(value);
  // buffer, dtype, shape, order
  const Values arguments = call_arguments(graph_, value);
  if (arguments.size() != 4) return unexpected_state();
  auto shape = shape_value(graph_, arguments[2]);
  if (!shape) return unexpected_state();
  return Parts{arguments[1], arguments[0], std::move(*shape),
               graph_.text_or_empty(arguments[3]) == "F"};
}

// numpy.dtype(name, align, copy), and a state: version, order, subdtype, names, fields, itemsize,
// alignment, flags. The state overrides the name.
Result<ArrayType> NumpyReader::read_type(Value value) {
  const auto node = graph_.node_index(value);
  if (!node || !is_call_to(graph_, value, "numpy", "dtype")) return unexpected_state();
  const auto known = types_.find(*node);
  if (known != types_.end()) return known->second;
  const auto read = [&]() -> Result<ArrayType> {
    const Values arguments = call_arguments(graph_, value);
    if (arguments.empty()) return unexpected_state();
    if (graph_.kind(arguments[0]) == PickleKind::kGlobal) {
      ArrayType type;
      type.tensor = graph_.module_text(arguments[0]) == "ml_dtypes"
                        ? ml_dtype(graph_.name_text(arguments[0]))
                        : std::nullopt;
      if (type.tensor) type.numpy.item_size = dtype_bits(*type.tensor) / 8;
      return type;
    }
    std::optional<char> order;
    std::optional<std::uint64_t> item_size;
    std::optional<std::uint64_t> flags;
    bool structured = false;
    if (const auto state = state_of(graph_, value); state && state->size() >= 8) {
      const std::string_view text = graph_.text_or_empty((*state)[1]);
      if (text.size() == 1) order = text.front();
      structured = graph_.kind((*state)[2]) != PickleKind::kNone ||
                   graph_.kind((*state)[3]) != PickleKind::kNone;
      item_size = size_value(graph_, (*state)[5]);
      flags = size_value(graph_, (*state)[7]);
    }
    if (structured) {
      if (!item_size || !flags) return unexpected_state();
      ArrayType type;
      type.numpy.item_size = *item_size;
      type.numpy.fields.resize(1);  // whatever they are
      type.numpy.has_objects = (*flags & kHasObject) != 0;
      return type;
    }
    const bool is_name =
        graph_.is_text(arguments[0]) || graph_.kind(arguments[0]) == PickleKind::kBytes;
    if (!is_name) return unexpected_state();
    auto scalar = numpy_scalar(graph_.text(arguments[0]), order, item_size);
    if (!scalar) return std::unexpected(scalar.error());
    return array_type_of(std::move(*scalar));
  };
  return types_.emplace(*node, read()).first->second;
}

// ---- bytes

namespace {

// The text, and true if it stands for the bytes of its Latin-1 encoding.
std::optional<std::pair<Value, bool>> bytes_source(const Graph& graph, Value value) {
  const auto is_bytes = [&](Value candidate) {
    const PickleKind kind = graph.kind(candidate);
    return kind == PickleKind::kBytes || kind == PickleKind::kByteArray ||
           kind == PickleKind::kPy2String;
  };
  if (is_bytes(value)) return std::pair{value, false};
  if (graph.kind(value) == PickleKind::kBuffer &&
      graph.made_by(value) == pickle::Op::kReadonlyBuffer) {
    const Value inner = graph.writable_form(value);
    if (is_bytes(inner)) return std::pair{inner, false};
  }
  if (graph.kind(value) != PickleKind::kCall) return std::nullopt;
  const Values arguments = call_arguments(graph, value);
  if (is_call_to(graph, value, "_codecs", "encode") && arguments.size() == 2 &&
      graph.kind(arguments[0]) == PickleKind::kString) {
    const std::string_view encoding = graph.text_or_empty(arguments[1]);
    if (encoding == "latin1" || encoding == "latin-1" || encoding == "iso8859-1") {
      return std::pair{arguments[0], true};
    }
  }
  const bool is_class = is_call_to(graph, value, "builtins", "bytearray") ||
                        is_call_to(graph, value, "builtins", "bytes");
  if (is_class && arguments.size() == 1 && is_bytes(arguments[0])) {
    return std::pair{arguments[0], false};
  }
  return std::nullopt;
}

std::optional<std::vector<std::byte>> latin1_bytes(std::string_view text) {
  std::vector<std::byte> bytes;
  bytes.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::uint32_t point = next_code_point(text, at);
    if (point > 0xFF) return std::nullopt;
    bytes.push_back(static_cast<std::byte>(point));
  }
  return bytes;
}

}  // namespace

Result<ByteSpan> NumpyReader::read_bytes(Value value) {
  const bool empty_bytes =
      is_call_to(graph_, value, "builtins", "bytes") && call_arguments(graph_, value).empty();
  if (empty_bytes) return ByteSpan();
  const auto source = bytes_source(graph_, value);
  if (!source) return fail(ErrorCode::kUnsupported, "the data of an array is no bytes");
  const std::string_view text = graph_.text(source->first);
  if (!source->second || is_ascii(text)) return as_bytes(text);
  const auto node = *graph_.node_index(source->first);  // a text that is not ASCII is a node
  const auto known = decoded_by_node_.find(node);
  if (known != decoded_by_node_.end()) return known->second;
  auto bytes = latin1_bytes(text);
  if (!bytes) return fail(ErrorCode::kMalformed, "the data of an array is no text of Latin-1");
  return decoded_by_node_.emplace(node, decoded_.emplace_back(std::move(*bytes))).first->second;
}

// ---- arrays

bool NumpyReader::is_tensor(Value value) {
  if (!is_array(graph_, value)) return false;
  const auto parts = parts_of(value);
  if (!parts) return true;  // read() says what is wrong
  const auto type = read_type(parts->dtype);
  return !type || type->is_numeric();
}

Result<TensorView> NumpyReader::read(Value value) {
  const auto parts = parts_of(value);
  if (!parts) return std::unexpected(parts.error());
  const auto type = read_type(parts->dtype);
  if (!type) return std::unexpected(type.error());
  const auto bytes = read_bytes(parts->data);
  if (!bytes) return std::unexpected(bytes.error());
  return array_view(*type, parts->shape, parts->fortran, *bytes);
}

// version, shape, dtype, is_fortran, data, mask, fill value. The mask is one byte an element.
Result<SpecialTensor> NumpyReader::read_masked(Value value) {
  const auto state = state_of(graph_, value);
  const auto parts = parts_of_state(value);
  if (!parts || !state || state->size() != 7) return unexpected_state();
  const auto type = read_type(parts->dtype);
  if (!type) return std::unexpected(type.error());
  const auto data = read_bytes(parts->data);
  const auto mask = read_bytes((*state)[5]);
  if (!data || !mask) return std::unexpected(data ? mask.error() : data.error());
  auto view = array_view(*type, parts->shape, parts->fortran, *data);
  if (!view) return std::unexpected(view.error());
  ArrayType flag;
  flag.tensor = DType::kBool;
  auto mask_view = array_view(flag, parts->shape, parts->fortran, *mask);
  if (!mask_view) return std::unexpected(mask_view.error());
  SpecialTensor tensor;
  tensor.kind = SpecialKind::kSubclass;
  tensor.class_name = "numpy.ma.MaskedArray";
  tensor.dtype = view->dtype;
  tensor.shape = parts->shape;
  tensor.parts.push_back({"data", std::move(*view), ""});
  tensor.parts.push_back({"mask", std::move(*mask_view), ""});
  return tensor;
}

Result<ObjectArray> NumpyReader::read_objects(Value value) {
  const auto parts = parts_of(value);
  if (!parts) return std::unexpected(parts.error());
  const auto type = read_type(parts->dtype);
  if (!type) return std::unexpected(type.error());
  if (!type->numpy.is_scalar() || type->numpy.kind != 'O' ||
      graph_.kind(parts->data) != PickleKind::kList) {
    return fail(ErrorCode::kUnsupported, "is no array of objects");
  }
  ObjectArray array{parts->shape, {}};  // in row-major order, whatever is_fortran says
  for (const Child& child : look(graph_, parts->data).children) array.items.push_back(child.value);
  const auto count = element_count(array.shape);
  if (!count || *count != array.items.size()) return unexpected_state();
  return array;
}

// ---- texts

std::string NumpyReader::describe(Value value) {
  if (const auto number = scalar(value)) return "numpy " + number->text;
  if (is_core_call(graph_, value, "multiarray", "scalar")) return "a scalar of numpy";
  if (!is_array(graph_, value)) return "";
  const auto parts = parts_of(value);
  if (!parts) return "an array of numpy";
  std::string out = "array";
  if (const auto type = read_type(parts->dtype)) out += " of " + text_of(type->numpy);
  out += " [";
  for (std::size_t axis = 0; axis < parts->shape.size(); ++axis) {
    out += (axis > 0 ? ", " : "") + std::to_string(parts->shape[axis]);
  }
  return out + "]";
}

// scalar(dtype, bytes)
std::optional<NumpyReader::Scalar> NumpyReader::scalar(Value value) {
  if (!is_core_call(graph_, value, "multiarray", "scalar")) return std::nullopt;
  const Values arguments = call_arguments(graph_, value);
  if (arguments.size() != 2) return std::nullopt;
  const auto type = read_type(arguments[0]);
  const auto bytes = read_bytes(arguments[1]);
  if (!type || !bytes || !type->tensor || bytes->size() * 8 != dtype_bits(*type->tensor)) {
    return std::nullopt;
  }
  std::array<std::byte, 16> element{};
  std::ranges::copy(*bytes, element.begin());
  if (type->big_endian) std::reverse(element.begin(), element.begin() + bytes->size());
  return scalar_of(*type->tensor, element);
}

}  // namespace tare::object
