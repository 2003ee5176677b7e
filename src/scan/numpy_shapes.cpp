// Shapes of numpy's calls and states. numpy takes the state of a type as it is: flags that do not
// belong to the type make it follow bytes of the file as pointers. So a type is only known with
// exactly the state that numpy writes for it, and given to it once.
#include <array>
#include <charconv>

#include "io/checked.hpp"
#include "object/numpy_objects.hpp"
#include "scan/shape_checks.hpp"

namespace tare::scan_policy::checks {
namespace {

// Types and lists may be shared by any number of arrays: looking at one takes no more than this.
constexpr std::size_t kMaxFields = 64;
constexpr int kMaxUpdates = 1000;
constexpr std::size_t kMaxAxes = 64;

std::string_view text_of(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kBytes ? graph.text(value) : graph.text_or_empty(value);
}

bool is_integer(const Graph& graph, Value value, std::int64_t wanted) {
  return graph.kind(value) == Kind::kInt && graph.integer(value) == wanted;
}

// Protocols 0 and 1 have 0 and 1 for them.
bool is_truth(const Graph& graph, Value value, bool wanted) {
  if (graph.kind(value) == Kind::kBool) return graph.boolean(value) == wanted;
  return is_integer(graph, value, wanted ? 1 : 0);
}

// "f8", "U5", "M8": a letter and bytes, or characters.
struct TypeName {
  char letter = 0;
  std::int64_t number = 0;
};
std::optional<TypeName> type_name(std::string_view text) {
  if (!text.empty() && std::string_view("<>=|").contains(text.front())) text.remove_prefix(1);
  if (text.size() < 2 || text.size() > 11) return std::nullopt;
  if (!std::string_view("biufcmMSUVO").contains(text.front())) return std::nullopt;
  TypeName out{text.front()};
  const auto end = std::from_chars(text.data() + 1, text.data() + text.size(), out.number);
  if (end.ec != std::errc{} || end.ptr != text.data() + text.size() || out.number < 0) {
    return std::nullopt;
  }
  return out;
}

struct TypeFacts {
  std::int64_t size = 0;  // bytes of an element
  bool objects = false;
};

// What a type may be made of: no recursion.
enum class Parts : std::uint8_t { kScalar, kSubarray, kFields };

std::optional<TypeFacts> facts_of(const Graph& graph, Value type, Parts parts);

// The value of a field's type and its place: (type, offset[, title]).
bool is_field_inside(const Graph& graph, Value field, std::int64_t item_size) {
  if (graph.kind(field) != Kind::kTuple) return false;
  const auto items = graph.tuple_items(field);
  if (items.size() < 2 || items.size() > 3 || !is_size(graph, items[1])) return false;
  if (items.size() == 3 && !graph.is_text(items[2])) return false;
  const auto facts = facts_of(graph, items[0], Parts::kSubarray);
  return facts && !facts->objects && facts->size <= item_size &&
         graph.integer(items[1]) <= item_size - facts->size;
}

// {name: (type, offset)} of types without objects and fields.
bool are_fields_inside(const Graph& graph, Value fields, std::int64_t item_size) {
  if (graph.kind(fields) != Kind::kDict) return false;
  std::size_t count = 0;
  int updates = 0;
  for (const Update& update : graph.updates(fields)) {
    if (update.kind != UpdateKind::kSetItems || ++updates > kMaxUpdates) return false;
    count += update.items.size() / 2;
    if (count > kMaxFields) return false;
    for (std::size_t i = 0; i + 1 < update.items.size(); i += 2) {
      if (!graph.is_text(update.items[i])) return false;
      if (!is_field_inside(graph, update.items[i + 1], item_size)) return false;
    }
  }
  return count > 0;
}

// (type, sizes) of a type without objects.
bool is_subarray(const Graph& graph, Value value, std::int64_t item_size) {
  if (graph.kind(value) != Kind::kTuple || graph.tuple_items(value).size() != 2) return false;
  const auto facts = facts_of(graph, graph.tuple_items(value)[0], Parts::kScalar);
  const Value shape = graph.tuple_items(value)[1];
  if (!facts || facts->objects || graph.kind(shape) != Kind::kTuple) return false;
  if (graph.tuple_items(shape).size() > kMaxAxes) return false;
  std::uint64_t size = static_cast<std::uint64_t>(facts->size);
  for (const Value axis : graph.tuple_items(shape)) {
    if (!is_size(graph, axis)) return false;
    const auto product = checked_mul(size, static_cast<std::uint64_t>(graph.integer(axis)));
    if (!product) return false;
    size = *product;
  }
  return size == static_cast<std::uint64_t>(item_size);
}

bool is_none(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kNone;
}

bool is_time_metadata(const Graph& graph, Value value) {
  if (is_none(graph, value)) return true;
  if (graph.kind(value) == Kind::kDict) return graph.length(value) == 0;
  if (graph.kind(value) != Kind::kTuple || graph.tuple_items(value).size() != 2) return false;
  const auto items = graph.tuple_items(value);
  const bool empty = is_none(graph, items[0]) ||
                     (graph.kind(items[0]) == Kind::kDict && graph.length(items[0]) == 0);
  return empty && graph.kind(items[1]) == Kind::kTuple && graph.tuple_items(items[1]).size() <= 8 &&
         std::ranges::all_of(graph.tuple_items(items[1]), [&](Value item) {
           return is_plain(graph, item) || is_call_to(graph, item, "_codecs", "encode");
         });
}

// Of the scalar types: sizes that the state repeats, and the only flags that they have.
bool has_scalar_state(const Graph& graph, TypeName name, Arguments s) {
  if (!is_none(graph, s[2]) || !is_none(graph, s[3]) || !is_none(graph, s[4])) return false;
  switch (name.letter) {
    case 'O':
      return is_integer(graph, s[5], -1) && is_integer(graph, s[6], -1) &&
             is_integer(graph, s[7], 63);
    case 'U':
      return is_integer(graph, s[5], 4 * name.number) && is_integer(graph, s[6], 4) &&
             (is_integer(graph, s[7], 8) || is_integer(graph, s[7], 0));
    case 'S':
    case 'V':
      return is_integer(graph, s[5], name.number) && is_integer(graph, s[6], 1) &&
             is_integer(graph, s[7], 0);
    default:
      return is_integer(graph, s[5], -1) && is_integer(graph, s[6], -1) &&
             is_integer(graph, s[7], 0);
  }
}

// Of raw elements with fields, or of arrays.
bool has_structure_state(const Graph& graph, TypeName name, Arguments s, Parts parts) {
  if (name.letter != 'V' || !is_integer(graph, s[5], name.number)) return false;
  if (!is_size(graph, s[6]) || graph.integer(s[6]) > 64 || !is_size(graph, s[7])) return false;
  if ((graph.integer(s[7]) & ~std::int64_t{8 | 16 | 128}) != 0) return false;
  if (!is_none(graph, s[2])) {
    return is_none(graph, s[3]) && is_none(graph, s[4]) && is_subarray(graph, s[2], name.number);
  }
  if (parts != Parts::kFields || graph.kind(s[3]) != Kind::kTuple) return false;
  if (graph.tuple_items(s[3]).size() > kMaxFields) return false;
  return std::ranges::all_of(graph.tuple_items(s[3]),
                             [&](Value field) { return graph.is_text(field); }) &&
         are_fields_inside(graph, s[4], name.number);
}

// What numpy writes for this type.
bool is_state_of(const Graph& graph, TypeName name, Value state, Parts parts) {
  if (graph.kind(state) != Kind::kTuple) return false;
  const auto s = graph.tuple_items(state);
  if (s.size() != 8 && s.size() != 9) return false;
  if (!is_integer(graph, s[0], s.size() == 8 ? 3 : 4)) return false;
  const std::string_view order = text_of(graph, s[1]);
  if (order.size() != 1 || !std::string_view("<>=|").contains(order)) return false;
  if (s.size() == 9 && !is_time_metadata(graph, s[8])) return false;
  if (has_scalar_state(graph, name, s)) return true;
  return parts != Parts::kScalar && has_structure_state(graph, name, s, parts);
}

std::optional<TypeName> name_of(const Graph& graph, Arguments a) {
  if (a.size() != 3 || !is_truth(graph, a[1], false) || !is_truth(graph, a[2], true)) {
    return std::nullopt;
  }
  return type_name(text_of(graph, a[0]));
}

// What an element of a type is: a call of dtype() with its state, if it is one to be trusted with
// the bytes of an array.
std::optional<TypeFacts> facts_of(const Graph& graph, Value type, Parts parts) {
  if (!is_call_to(graph, type, "numpy", "dtype")) return std::nullopt;
  const auto name = name_of(graph, object::call_arguments(graph, type));
  if (!name || !is_only_update(graph, type)) return std::nullopt;
  const Update update = *graph.updates(type).begin();
  if (update.kind != UpdateKind::kBuild || update.items.empty()) return std::nullopt;
  if (!is_state_of(graph, *name, update.items.back(), parts)) return std::nullopt;
  return TypeFacts{name->letter == 'U' ? 4 * name->number : name->number, name->letter == 'O'};
}

// The number of elements; nothing if it is out of all bounds.
std::optional<std::uint64_t> element_count(const Graph& graph, Value shape) {
  if (graph.kind(shape) != Kind::kTuple) return std::nullopt;
  if (graph.tuple_items(shape).size() > kMaxAxes) return std::nullopt;
  std::uint64_t count = 1;
  for (const Value axis : graph.tuple_items(shape)) {
    if (!is_size(graph, axis)) return std::nullopt;
    const auto product = checked_mul(count, static_cast<std::uint64_t>(graph.integer(axis)));
    if (!product) return std::nullopt;
    count = *product;
  }
  return count;
}

// numpy takes as many objects from the list as the array has elements, without a look at how many
// there are: they must be there when it does, not only at the end.
bool has_objects_before(const Graph& graph, Value list, std::uint64_t count,
                        std::uint32_t position) {
  if (graph.kind(list) != Kind::kList) return false;
  std::uint64_t length = 0;
  int updates = 0;
  for (const Update& update : graph.updates(list)) {
    if (update.kind != UpdateKind::kAppend || ++updates > kMaxUpdates) return false;
    if (update.position >= position) return false;
    length += update.items.size();
  }
  return length == count;
}

bool is_bytes(const Graph& graph, Value value) {
  switch (graph.kind(value)) {
    case Kind::kBytes:
    case Kind::kByteArray:
    case Kind::kPy2String:
    case Kind::kString:  // loaders with another encoding than Latin-1
      return true;
    case Kind::kBuffer:
      return graph.made_by(value) == pickle::Op::kReadonlyBuffer &&
             is_bytes(graph, graph.writable_form(value));
    default:
      return is_call_to(graph, value, "_codecs", "encode") ||
             is_call_to(graph, value, "builtins", "bytes") ||
             is_call_to(graph, value, "builtins", "bytearray");
  }
}

// version, sizes, type, order, data
struct ArrayState {
  Value shape;
  TypeFacts type;
  Value data;
};
std::optional<ArrayState> array_state(const Graph& graph, Arguments s) {
  if (s.size() < 5 || !is_integer(graph, s[0], 1)) return std::nullopt;
  const auto facts = facts_of(graph, s[2], Parts::kFields);
  if (!facts) return std::nullopt;
  if (!is_truth(graph, s[3], false) && !is_truth(graph, s[3], true)) return std::nullopt;
  return ArrayState{s[1], *facts, s[4]};
}

bool is_plain_array_class(const Graph& graph, Value value) {
  return is_global(graph, value, "numpy", "ndarray") || is_global(graph, value, "numpy", "matrix");
}

bool is_empty_shape(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kTuple && graph.tuple_items(value).size() == 1 &&
         is_integer(graph, graph.tuple_items(value)[0], 0);
}

// b'b', also as protocols 0 to 2 write it.
bool is_type_letter(const Graph& graph, Value value) {
  if (text_of(graph, value) == "b") return true;
  if (!is_call_to(graph, value, "_codecs", "encode")) return false;
  const auto a = object::call_arguments(graph, value);
  return !a.empty() && text_of(graph, a[0]) == "b";
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kBitGenerators = {{
    {"numpy.random._mt19937", "MT19937"},
    {"numpy.random._pcg64", "PCG64"},
    {"numpy.random._pcg64", "PCG64DXSM"},
    {"numpy.random._philox", "Philox"},
    {"numpy.random._sfc64", "SFC64"},
}};

bool is_bit_generator(const Graph& graph, Value value) {
  return std::ranges::any_of(kBitGenerators, [&](const auto& known) {
    return is_global(graph, value, known.first, known.second) ||
           text_of(graph, value) == known.second;
  });
}

bool is_bit_generator_constructor(const Graph& graph, Value value) {
  return is_global(graph, value, "numpy.random._pickle", "__bit_generator_ctor");
}

}  // namespace

bool is_array(const Graph& graph, Value value) {
  return object::NumpyReader::is_array(graph, value) ||
         is_call_to(graph, value, "joblib.numpy_pickle", "NumpyArrayWrapper");
}

// numpy.dtype('f8', False, True)
bool is_numpy_type_call(const Graph& graph, Arguments a) {
  return name_of(graph, a).has_value();
}

bool is_numpy_type_state(const Graph& graph, Value object, Value state) {
  const auto name = name_of(graph, object::call_arguments(graph, object));
  return name && is_only_update(graph, object) && is_state_of(graph, *name, state, Parts::kFields);
}

// _reconstruct(numpy.ndarray, (0,), b'b')
bool is_numpy_array_call(const Graph& graph, Arguments a) {
  return a.size() == 3 && is_plain_array_class(graph, a[0]) && is_empty_shape(graph, a[1]) &&
         is_type_letter(graph, a[2]);
}

bool is_numpy_array_state(const Graph& graph, const pickle::Event& build) {
  if (graph.kind(build.argument) != Kind::kTuple || !is_only_update(graph, build.subject)) {
    return false;
  }
  const auto s = graph.tuple_items(build.argument);
  const auto array = s.size() == 5 ? array_state(graph, s) : std::nullopt;
  if (!array) return false;
  const auto count = element_count(graph, array->shape);
  if (!count) return false;
  if (!array->type.objects) return is_bytes(graph, array->data);
  return has_objects_before(graph, array->data, *count, build.position);
}

// _frombuffer(bytes, type, sizes, 'C')
bool is_numpy_buffer(const Graph& graph, Arguments a) {
  if (a.size() != 4 || !is_bytes(graph, a[0]) || !element_count(graph, a[2])) return false;
  const auto facts = facts_of(graph, a[1], Parts::kFields);
  const std::string_view order = text_of(graph, a[3]);
  return facts && !facts->objects && (order == "C" || order == "F");
}

// scalar(type, bytes)
bool is_numpy_scalar(const Graph& graph, Arguments a) {
  if (a.size() != 2 || !is_bytes(graph, a[1])) return false;
  const auto facts = facts_of(graph, a[0], Parts::kFields);
  return facts && !facts->objects;
}

bool is_numpy_masked_call(const Graph& graph, Arguments a) {
  const bool is_masked = a.size() == 4 && (is_global(graph, a[0], "numpy.ma.core", "MaskedArray") ||
                                           is_global(graph, a[0], "numpy.ma", "MaskedArray"));
  return is_masked && is_global(graph, a[1], "numpy", "ndarray") && is_empty_shape(graph, a[2]) &&
         is_type_letter(graph, a[3]);
}

// version, sizes, type, order, data, mask, fill value
bool is_numpy_masked_state(const Graph& graph, Value object, Value state) {
  if (graph.kind(state) != Kind::kTuple || !is_only_update(graph, object)) return false;
  const auto s = graph.tuple_items(state);
  const auto array = s.size() == 7 ? array_state(graph, s) : std::nullopt;
  return array && !array->type.objects && element_count(graph, array->shape) &&
         is_bytes(graph, array->data) && is_bytes(graph, s[5]) &&
         (is_plain(graph, s[6]) || is_array(graph, s[6]));
}

bool is_bit_generator_call(const Graph& graph, Arguments a) {
  return a.size() == 1 && is_bit_generator(graph, a[0]);
}

// ('MT19937'[, constructor]), or a bit generator and None.
bool is_generator_call(const Graph& graph, Arguments a) {
  if (a.empty() || a.size() > 2) return false;
  if (a.size() == 2 && !is_none(graph, a[1]) && !is_bit_generator_constructor(graph, a[1])) {
    return false;
  }
  return graph.is_text(a[0])
             ? is_bit_generator(graph, a[0])
             : is_call_to(graph, a[0], "numpy.random._pickle", "__bit_generator_ctor");
}

bool is_seed_sequence(const Graph& graph, Arguments a) {
  return a.size() == 3 && is_global(graph, a[0], "numpy.random.bit_generator", "SeedSequence") &&
         graph.kind(a[1]) == Kind::kInt && is_none(graph, a[2]);
}

// joblib calls the method `read` of the object: no key that joblib does not write.
bool is_joblib_state(const Graph& graph, Value object, Value state) {
  if (graph.kind(state) != Kind::kDict || !is_only_update(graph, object)) return false;
  int updates = 0;
  for (const Update& update : graph.updates(state)) {
    if (update.kind != UpdateKind::kSetItems || ++updates > 16) return false;
    for (std::size_t i = 0; i + 1 < update.items.size(); i += 2) {
      const std::string_view key = graph.text_or_empty(update.items[i]);
      const Value value = update.items[i + 1];
      const bool known =
          key == "subclass"     ? is_plain_array_class(graph, value)
          : key == "shape"      ? element_count(graph, value).has_value()
          : key == "order"      ? text_of(graph, value) == "C" || text_of(graph, value) == "F"
          : key == "dtype"      ? facts_of(graph, value, Parts::kFields).has_value()
          : key == "allow_mmap" ? graph.kind(value) == Kind::kBool
                                : key == "numpy_array_alignment_bytes" &&
                                      (is_size(graph, value) || is_none(graph, value));
      if (!known) return false;
    }
  }
  return true;
}

}  // namespace tare::scan_policy::checks
