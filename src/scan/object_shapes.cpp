// Shapes of the calls and states of Python's own objects, and the table of all shapes.
#include "object/torch_objects.hpp"
#include "scan/shape_checks.hpp"

namespace tare::scan_policy {
namespace {

using namespace checks;

bool is_value(const Graph& graph, Arguments a) {
  return a.size() == 1 && (is_plain(graph, a[0]) || is_plain_tuple(graph, a[0]));
}

bool are_numbers(const Graph& graph, Arguments a) {
  return a.size() <= 16 && std::ranges::all_of(a, [&](Value item) {
           return is_number(graph, item) || graph.kind(item) == Kind::kNone;
         });
}

bool is_text(const Graph& graph, Arguments a) {
  return a.size() == 1 && graph.is_text(a[0]);
}

bool are_texts(const Graph& graph, Arguments a) {
  return std::ranges::all_of(a, [&](Value text) { return graph.is_text(text); });
}

bool is_list(const Graph& graph, Arguments a) {
  return a.size() == 1 && graph.kind(a[0]) == Kind::kList;
}

bool is_sequence(const Graph& graph, Value value) {
  const Kind kind = graph.kind(value);
  return kind == Kind::kList || kind == Kind::kTuple || kind == Kind::kSet ||
         kind == Kind::kFrozenSet;
}

bool are_elements(const Graph& graph, Arguments a) {
  return a.empty() || (a.size() == 1 && is_sequence(graph, a[0]));
}

// (key, value) or [key, value]
bool is_pair(const Graph& graph, Value value) {
  if (graph.kind(value) == Kind::kTuple) {
    const auto items = graph.tuple_items(value);
    return items.size() == 2 && is_plain(graph, items[0]);
  }
  if (graph.kind(value) != Kind::kList) return false;
  std::size_t count = 0;
  for (const Update& update : graph.updates(value)) {
    if (count == 0 && !update.items.empty() && !is_plain(graph, update.items[0])) return false;
    count += update.items.size();
    if (count > 2 || update.items.empty()) return false;
  }
  return count == 2;
}

bool are_pairs(const Graph& graph, Arguments a) {
  if (a.empty()) return true;
  if (a.size() != 1 || graph.kind(a[0]) != Kind::kList) return false;
  constexpr std::size_t kMaxPairs = 1024;  // a list may be shared by any number of calls
  std::size_t count = 0;
  return std::ranges::all_of(graph.updates(a[0]), [&](const Update& update) {
    count += 1 + update.items.size();
    return count <= kMaxPairs &&
           std::ranges::all_of(update.items, [&](Value pair) { return is_pair(graph, pair); });
  });
}

bool are_counts(const Graph& graph, Arguments a) {
  return a.empty() || (a.size() == 1 && graph.kind(a[0]) == Kind::kDict);
}

bool is_deque(const Graph& graph, Arguments a) {
  if (a.size() > 2 || !are_elements(graph, a.first(std::min<std::size_t>(a.size(), 1)))) {
    return false;
  }
  return a.size() < 2 || graph.kind(a[1]) == Kind::kNone || is_size(graph, a[1]);
}

// defaultdict(list): what a missing key calls.
bool is_factory(const Graph& graph, Arguments a) {
  if (a.size() != 1) return a.empty();
  if (graph.kind(a[0]) == Kind::kNone) return true;
  constexpr std::string_view kMade[] = {"list", "dict", "set",   "int",      "float",
                                        "bool", "str",  "tuple", "frozenset"};
  return std::ranges::any_of(
             kMade,
             [&](std::string_view name) { return is_global(graph, a[0], "builtins", name); }) ||
         is_global(graph, a[0], "collections", "OrderedDict") ||
         is_global(graph, a[0], "collections", "Counter");
}

bool is_latin1_name(std::string_view text) {
  return text == "latin1" || text == "latin-1";
}

// encode('text', 'latin1')
bool is_latin1(const Graph& graph, Arguments a) {
  return a.size() == 2 && graph.kind(a[0]) == Kind::kString &&
         is_latin1_name(graph.text_or_empty(a[1]));
}

bool are_bytes(const Graph& graph, Arguments a) {
  if (a.size() == 2) return is_latin1(graph, a);
  return a.empty() || (a.size() == 1 && (graph.kind(a[0]) == Kind::kBytes ||
                                         is_call_to(graph, a[0], "_codecs", "encode")));
}

bool is_none_type(const Graph& graph, Arguments a) {
  return a.size() == 1 && graph.kind(a[0]) == Kind::kNone;
}

bool is_time(const Graph& graph, Arguments a) {
  if (a.empty() || a.size() > 2) return false;
  const bool packed = graph.kind(a[0]) == Kind::kBytes
                          ? graph.text(a[0]).size() <= 10
                          : is_call_to(graph, a[0], "_codecs", "encode");
  return packed && (a.size() == 1 || is_call_to(graph, a[1], "datetime", "timezone"));
}

bool is_timezone(const Graph& graph, Arguments a) {
  return (a.size() == 1 || (a.size() == 2 && graph.is_text(a[1]))) &&
         is_call_to(graph, a[0], "datetime", "timedelta");
}

// _reconstructor(cls, object, None)
bool is_reconstructor(const Names& names, const Graph& graph, Arguments a) {
  if (a.size() != 3 || graph.kind(a[0]) != Kind::kGlobal || graph.kind(a[2]) != Kind::kNone) {
    return false;
  }
  const auto use = names.find(graph.module_text(a[0]), graph.name_text(a[0]));
  return use && use->arguments == ArgumentShape::kNew &&
         is_global(graph, a[1], "builtins", "object");
}

// partial(function): what it calls later, with whatever arguments, must be harmless with all.
bool is_partial(const Names& names, const Graph& graph, Arguments a) {
  if (a.size() != 1 || graph.kind(a[0]) != Kind::kGlobal) return false;
  const std::string_view module = graph.module_text(a[0]);
  const auto use = names.find(module, graph.name_text(a[0]));
  const bool is_library = module.starts_with("torch.nn.") || module.starts_with("timm.layers.") ||
                          module.starts_with("torchvision.ops.") || module == "torch._C._nn";
  return use && use->named && is_library;
}

bool is_identifier(std::string_view text) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !text.empty() && is_letter(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

// getattr(Class, 'MEMBER'): how Python 3.11.0 to 3.11.3 pickles the members of an Enum. A class
// that is known must be an Enum; one that is not known is suspicious by its import.
bool is_member(const Names& names, const Graph& graph, Arguments a) {
  if (a.size() != 2 || graph.kind(a[0]) != Kind::kGlobal || !graph.is_text(a[1])) return false;
  const std::string_view module = graph.module_text(a[0]);
  const std::string_view name = graph.name_text(a[0]);
  const std::string_view member = graph.text(a[1]);
  if (module.empty() || !is_identifier(member) || member.starts_with('_')) return false;
  if (const auto use = names.find(module, name)) return use->arguments == ArgumentShape::kValue;
  return !names.is_gadget(module, name);
}

// or_(A, B): members of a Flag, by the same releases. Each side is judged as a call of its own.
bool are_flags(const Graph& graph, Arguments a) {
  return a.size() == 2 && std::ranges::all_of(a, [&](Value side) {
           return is_call_to(graph, side, "builtins", "getattr") ||
                  is_call_to(graph, side, "_operator", "or_");
         });
}

// eval('data', {'data': array}): a name that stands for the array, and nothing else.
bool is_paddle(const Graph& graph, Arguments a) {
  const auto value = object::paddle_argument(graph, a);
  return value && is_array(graph, *value);
}

// tuple((name, array))
bool is_named_array(const Graph& graph, Arguments a) {
  if (are_elements(graph, a)) return true;
  return a.size() == 1 && graph.kind(a[0]) == Kind::kTuple;
}

bool are_sizes(const Graph& graph, Arguments a) {
  return a.size() == 1 && graph.kind(a[0]) == Kind::kTuple && is_size_tuple(graph, a[0]);
}

bool is_device(const Graph& graph, Arguments a) {
  return (a.size() == 1 || a.size() == 2) && graph.is_text(a[0]) &&
         (a.size() == 1 || is_size(graph, a[1]));
}

// restore_type_tag(value, 'List[int]')
bool is_type_tag(const Graph& graph, Arguments a) {
  return a.size() == 2 && graph.is_text(a[1]);
}

bool is_tree(const Graph& graph, Arguments a) {
  return a.size() == 3 && is_size(graph, a[0]) && is_array(graph, a[1]) && is_size(graph, a[2]);
}

// ---- states

// True for attributes by plain names.
bool are_attributes(const Graph& graph, Value state) {
  if (graph.kind(state) != Kind::kDict) return false;
  return std::ranges::all_of(graph.updates(state), [&](const Update& update) {
    if (update.kind != UpdateKind::kSetItems) return false;
    for (std::size_t i = 0; i < update.items.size(); i += 2) {
      if (!graph.is_text(update.items[i])) return false;
      const std::string_view name = graph.text(update.items[i]);
      // transformers looks up "attribute_map" to find other attributes, its own methods included.
      if (name.starts_with("__") || name == "attribute_map") return false;
    }
    return true;
  });
}

// state_dict() sets the attribute _metadata of its OrderedDict, and nothing else.
bool is_metadata(const Graph& graph, Value state) {
  return graph.kind(state) == Kind::kDict &&
         std::ranges::all_of(graph.updates(state), [&](const Update& update) {
           return update.kind == UpdateKind::kSetItems && update.items.size() == 2 &&
                  graph.text_or_empty(update.items[0]) == "_metadata";
         });
}

constexpr std::size_t kMaxPlain = 256;

// What a generator of random numbers keeps. A place in its key must be inside of it.
bool is_random_value(const Graph& graph, std::string_view key, Value value) {
  if (key == "pos") return is_size(graph, value) && graph.integer(value) <= 624;
  return is_plain(graph, value) || is_plain_tuple(graph, value) || is_array(graph, value) ||
         graph.kind(value) == Kind::kDict ||
         is_call_to(graph, value, "numpy.random.bit_generator", "__pyx_unpickle_SeedSequence");
}

bool is_random_dict(const Graph& graph, Value dict, unsigned depth) {
  std::size_t count = 0;
  for (const Update& update : graph.updates(dict)) {
    count += 1 + update.items.size();
    if (update.kind != UpdateKind::kSetItems || count > kMaxPlain) return false;
    for (std::size_t i = 0; i + 1 < update.items.size(); i += 2) {
      const Value value = update.items[i + 1];
      if (!graph.is_text(update.items[i])) return false;
      if (!is_random_value(graph, graph.text(update.items[i]), value)) return false;
      // {'bit_generator': .., 'state': {'key': .., 'pos': ..}}
      if (graph.kind(value) == Kind::kDict &&
          (depth == 0 || !is_random_dict(graph, value, depth - 1)))
        return false;
    }
  }
  return true;
}

bool is_random_state(const Graph& graph, Value state) {
  if (graph.kind(state) == Kind::kDict) return is_random_dict(graph, state, 1);
  if (graph.kind(state) != Kind::kTuple || graph.tuple_items(state).size() > 16) return false;
  return std::ranges::all_of(graph.tuple_items(state), [&](Value item) {
    return is_random_value(graph, "", item) &&
           (graph.kind(item) != Kind::kDict || is_random_dict(graph, item, 1));
  });
}

// (function, arguments, keywords, attributes)
bool is_partial_state(const Graph& graph, Value object, Value state) {
  if (graph.kind(state) != Kind::kTuple || !is_only_update(graph, object)) return false;
  const auto s = graph.tuple_items(state);
  const auto made_of = object::call_arguments(graph, object);
  return s.size() == 4 && made_of.size() == 1 && s[0] == made_of[0] &&
         graph.kind(s[1]) == Kind::kTuple && graph.kind(s[2]) == Kind::kDict &&
         (graph.kind(s[3]) == Kind::kNone || graph.kind(s[3]) == Kind::kDict);
}

// ---- items

// The hash of a tensor is its address.
bool is_key(const Graph& graph, Value key) {
  return is_plain(graph, key) || is_plain_tuple(graph, key) || object::is_tensor(graph, key);
}

bool are_keys(const Graph& graph, const pickle::Event& event) {
  if (event.kind != pickle::EventKind::kSetItems) return false;
  const auto items = graph.tuple_items(event.argument);
  for (std::size_t i = 0; i < items.size(); i += 2) {
    if (!is_key(graph, items[i])) return false;
  }
  return true;
}

// Only of what was made as a new object, or called with no arguments to its name.
bool is_made_new(const Graph& graph, Value call) {
  if (graph.made_by(call) != pickle::Op::kNewObj) return false;
  const Value arguments = graph.arguments(call);
  return graph.kind(arguments) == Kind::kTuple && graph.tuple_items(arguments).empty();
}

}  // namespace

std::optional<Value> legacy_module(const Graph& graph, Value persistent) {
  if (graph.kind(persistent) != Kind::kPersistent) return std::nullopt;
  const Value id = graph.persistent_id(persistent);
  if (graph.kind(id) != Kind::kTuple || graph.tuple_items(id).size() != 4) return std::nullopt;
  const auto items = graph.tuple_items(id);
  const auto is_text_or_none = [&](Value value) {
    return graph.is_text(value) || graph.kind(value) == Kind::kNone;
  };
  if (graph.text_or_empty(items[0]) != "module" || graph.kind(items[1]) != Kind::kGlobal ||
      !is_text_or_none(items[2]) || !is_text_or_none(items[3])) {
    return std::nullopt;
  }
  return items[1];
}

std::optional<Value> class_of(const Graph& graph, Value object) {
  if (graph.kind(object) != Kind::kCall) return std::nullopt;
  Value made_by = graph.callable(object);
  if (const auto module = legacy_module(graph, made_by)) made_by = *module;
  if (is_call_to(graph, object, "copyreg", "_reconstructor")) {
    const auto a = object::call_arguments(graph, object);
    if (a.size() == 3) made_by = a[0];
  }
  if (graph.kind(made_by) != Kind::kGlobal) return std::nullopt;
  return made_by;
}

bool has_arguments(ArgumentShape shape, const Names& names, const Graph& graph, Value call) {
  if (shape == ArgumentShape::kNever) return false;
  const bool made_new = is_made_new(graph, call);
  if (shape == ArgumentShape::kNew) return made_new;
  if (made_new && shape == ArgumentShape::kNothing) return true;
  if (graph.made_by(call) != pickle::Op::kReduce) return false;
  const Value arguments = graph.arguments(call);
  if (graph.kind(arguments) != Kind::kTuple) return false;
  const Arguments a = graph.tuple_items(arguments);
  switch (shape) {
    case ArgumentShape::kNever:
    case ArgumentShape::kNew:
      return false;
    case ArgumentShape::kNothing:
      return a.empty();
    case ArgumentShape::kValue:
      return is_value(graph, a);
    case ArgumentShape::kNumbers:
      return are_numbers(graph, a);
    case ArgumentShape::kText:
      return is_text(graph, a);
    case ArgumentShape::kTexts:
      return are_texts(graph, a);
    case ArgumentShape::kList:
      return is_list(graph, a);
    case ArgumentShape::kElements:
      return are_elements(graph, a);
    case ArgumentShape::kPairs:
      return are_pairs(graph, a);
    case ArgumentShape::kCounts:
      return are_counts(graph, a);
    case ArgumentShape::kDeque:
      return is_deque(graph, a);
    case ArgumentShape::kFactory:
      return is_factory(graph, a);
    case ArgumentShape::kLatin1:
      return is_latin1(graph, a);
    case ArgumentShape::kBytes:
      return are_bytes(graph, a);
    case ArgumentShape::kNoneType:
      return is_none_type(graph, a);
    case ArgumentShape::kTime:
      return is_time(graph, a);
    case ArgumentShape::kTimezone:
      return is_timezone(graph, a);
    case ArgumentShape::kReconstructor:
      return is_reconstructor(names, graph, a);
    case ArgumentShape::kPartial:
      return is_partial(names, graph, a);
    case ArgumentShape::kMember:
      return is_member(names, graph, a);
    case ArgumentShape::kFlags:
      return are_flags(graph, a);
    case ArgumentShape::kPaddle:
      return is_paddle(graph, a);
    case ArgumentShape::kNamedArray:
      return is_named_array(graph, a);
    case ArgumentShape::kSizes:
      return are_sizes(graph, a);
    case ArgumentShape::kDevice:
      return is_device(graph, a);
    case ArgumentShape::kFile:
      return is_torch_file(graph, a);
    case ArgumentShape::kTypeTag:
      return is_type_tag(graph, a);
    case ArgumentShape::kTensorV1:
      return is_tensor_v1(graph, a);
    case ArgumentShape::kTensorV2:
      return is_tensor_v2(graph, a);
    case ArgumentShape::kTensorV3:
      return is_tensor_v3(graph, a);
    case ArgumentShape::kParameter:
      return is_parameter(graph, a);
    case ArgumentShape::kParameterState:
      return is_parameter_with_state(graph, a);
    case ArgumentShape::kQuantized:
      return is_quantized(graph, a);
    case ArgumentShape::kSparse:
      return is_sparse(graph, a);
    case ArgumentShape::kNested:
      return is_nested(graph, a);
    case ArgumentShape::kMeta:
      return is_meta(graph, a);
    case ArgumentShape::kFromArray:
      return is_from_array(graph, a);
    case ArgumentShape::kTyped:
      return is_typed(names, graph, a);
    case ArgumentShape::kNumpyType:
      return is_numpy_type_call(graph, a);
    case ArgumentShape::kNumpyArray:
      return is_numpy_array_call(graph, a);
    case ArgumentShape::kNumpyBuffer:
      return is_numpy_buffer(graph, a);
    case ArgumentShape::kNumpyScalar:
      return is_numpy_scalar(graph, a);
    case ArgumentShape::kNumpyMasked:
      return is_numpy_masked_call(graph, a);
    case ArgumentShape::kBitGenerator:
      return is_bit_generator_call(graph, a);
    case ArgumentShape::kGenerator:
      return is_generator_call(graph, a);
    case ArgumentShape::kSeedSequence:
      return is_seed_sequence(graph, a);
    case ArgumentShape::kTree:
      return is_tree(graph, a);
  }
  return false;
}

bool has_state(StateShape shape, const Graph& graph, const pickle::Event& build) {
  const Value state = build.argument;
  switch (shape) {
    case StateShape::kNone:
      return false;
    case StateShape::kAttributes:
      return are_attributes(graph, state);
    case StateShape::kRecord:
      return graph.kind(state) == Kind::kTuple;
    case StateShape::kMetadata:
      return is_metadata(graph, state);
    case StateShape::kPlain:
      return is_random_state(graph, state);
    case StateShape::kPartial:
      return is_partial_state(graph, build.subject, state);
    case StateShape::kNumpyType:
      return is_numpy_type_state(graph, build.subject, state);
    case StateShape::kNumpyArray:
      return is_numpy_array_state(graph, build);
    case StateShape::kNumpyMasked:
      return is_numpy_masked_state(graph, build.subject, state);
    case StateShape::kJoblib:
      return is_joblib_state(graph, build.subject, state);
  }
  return false;
}

bool has_items(ItemShape shape, const Graph& graph, const pickle::Event& event) {
  switch (shape) {
    case ItemShape::kNone:
      return false;
    case ItemShape::kKeys:
      return are_keys(graph, event);
    case ItemShape::kElements:
      return event.kind == pickle::EventKind::kAppend;
  }
  return false;
}

}  // namespace tare::scan_policy
