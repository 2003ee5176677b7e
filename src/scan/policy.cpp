#include "scan/policy.hpp"

#include <algorithm>
#include <array>

#include "format/torch_legacy.hpp"
#include "object/numpy_objects.hpp"
#include "object/python_objects.hpp"
#include "object/torch_objects.hpp"
#include "object/torch_types.hpp"

namespace tare::scan_policy {
namespace {

using pickle::Graph;
using pickle::Kind;
using pickle::Update;
using pickle::UpdateKind;
using pickle::Value;

struct Gadget {
  std::string_view module;
  std::string_view name;
  Category category;
};

constexpr std::array kGadgets = {
#define TARE_GADGET(module, name, category) Gadget{module, name, Category::category},
#include "scan/gadgets.def"
#undef TARE_GADGET
};

// ---- shapes of arguments

bool is_size(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kInt && graph.integer(value) >= 0;
}

bool is_bool(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kBool;
}

bool is_call_to(const Graph& graph, Value value, std::string_view module, std::string_view name) {
  return object::is_call_to(graph, value, module, name);
}

bool is_size_tuple(const Graph& graph, Value value) {
  if (is_call_to(graph, value, "torch", "Size")) return true;  // judged as a call of its own
  return graph.kind(value) == Kind::kTuple &&
         std::ranges::all_of(graph.tuple_items(value),
                             [&](Value item) { return is_size(graph, item); });
}

bool is_storage(const Graph& graph, Value value) {
  return object::read_storage_id(graph, value).has_value();
}

bool is_ordered_dict(const Graph& graph, Value value) {
  return is_call_to(graph, value, "collections", "OrderedDict");
}

bool is_empty_metadata(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kNone ||
         (graph.kind(value) == Kind::kDict && graph.length(value) == 0);
}

bool is_torch_dtype(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kGlobal && graph.module_text(value) == "torch" &&
         object::dtype_of_torch_name(graph.name_text(value)).has_value();
}

using Arguments = std::span<const Value>;

bool shape_nothing(const Graph&, Arguments arguments) {
  return arguments.empty();
}

bool shape_tensor_v1(const Graph& graph, Arguments a) {
  return a.size() == 4 && is_storage(graph, a[0]) && is_size(graph, a[1]) &&
         is_size_tuple(graph, a[2]) && is_size_tuple(graph, a[3]);
}

bool shape_tensor_v2(const Graph& graph, Arguments a) {
  return (a.size() == 6 || a.size() == 7) && shape_tensor_v1(graph, a.first(4)) &&
         is_bool(graph, a[4]) && is_ordered_dict(graph, a[5]) &&
         (a.size() == 6 || is_empty_metadata(graph, a[6]));
}

bool shape_tensor_v3(const Graph& graph, Arguments a) {
  return (a.size() == 7 || a.size() == 8) && shape_tensor_v2(graph, a.first(6)) &&
         is_torch_dtype(graph, a[6]) && (a.size() == 7 || is_empty_metadata(graph, a[7]));
}

bool shape_parameter(const Graph& graph, Arguments a) {
  return a.size() == 3 && object::is_tensor(graph, a[0]) && is_bool(graph, a[1]) &&
         is_ordered_dict(graph, a[2]);
}

bool shape_sizes(const Graph& graph, Arguments a) {
  return a.size() == 1 && graph.kind(a[0]) == Kind::kTuple && is_size_tuple(graph, a[0]);
}

bool shape_device(const Graph& graph, Arguments a) {
  return (a.size() == 1 || a.size() == 2) && graph.is_text(a[0]) &&
         (a.size() == 1 || is_size(graph, a[1]));
}

bool shape_list(const Graph& graph, Arguments a) {
  return a.size() == 1 && graph.kind(a[0]) == Kind::kList;
}

// restore_type_tag(value, 'List[int]')
bool shape_type_tag(const Graph& graph, Arguments a) {
  return a.size() == 2 && graph.is_text(a[1]);
}

bool is_identifier(std::string_view text) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !text.empty() && is_letter(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

// getattr(Class, 'MEMBER'): how Python 3.11.0 to 3.11.3 pickles the members of an Enum. The class
// is judged by its own import; what is reached through one that is known to be used for harm is not
// allowed.
bool shape_member(const Graph& graph, Arguments a) {
  if (a.size() != 2 || graph.kind(a[0]) != Kind::kGlobal || !graph.is_text(a[1])) return false;
  const std::string_view member = graph.text(a[1]);
  return is_identifier(member) && !member.starts_with('_') &&
         !find_gadget(graph.module_text(a[0]), graph.name_text(a[0])) &&
         !graph.module_text(a[0]).empty();
}

// or_(A, B): members of a Flag, by the same releases. Each side is judged as a call of its own.
bool shape_flags(const Graph& graph, Arguments a) {
  return a.size() == 2 && std::ranges::all_of(a, [&](Value side) {
           return is_call_to(graph, side, "builtins", "getattr") ||
                  is_call_to(graph, side, "_operator", "or_");
         });
}

// eval('data', {'data': array}): a name that stands for the array, and nothing else.
bool shape_paddle(const Graph& graph, Arguments a) {
  const auto value = object::paddle_argument(graph, a);
  return value && object::NumpyReader::is_array(graph, *value);
}

// A file of torch in the bytes: it is judged as a file of its own.
bool shape_file(const Graph& graph, Arguments a) {
  if (a.size() != 1 || graph.kind(a[0]) != Kind::kBytes) return false;
  const ByteSpan file = as_bytes(graph.text(a[0]));
  return format::is_torch_legacy(file) || format::kZip.recognises(file);
}

// _get_layout('torch.strided'): an entry of a fixed table.
bool shape_text(const Graph& graph, Arguments a) {
  return a.size() == 1 && graph.is_text(a[0]);
}

// Path('models', 'first'): no file is reached.
bool shape_texts(const Graph& graph, Arguments a) {
  return std::ranges::all_of(a, [&](Value part) { return graph.is_text(part); });
}

// A member of an Enum by its value.
bool shape_value(const Graph& graph, Arguments a) {
  return a.size() == 1 && is_size(graph, a[0]);
}

struct AllowedCall {
  std::string_view module;
  std::string_view name;
  bool (*shape)(const Graph&, Arguments);
  enum class Use : std::uint8_t {
    kAny,       // it may be named without a call, too
    kClass,     // likewise; NEWOBJ makes it as well, and it may be given attributes
    kRecord,    // likewise; its __setstate__ takes its attributes as a tuple, and does no more
    kCallOnly,  // it does harm in other hands: named alone it is what it is
  };
  Use use = Use::kAny;
};
using Use = AllowedCall::Use;

constexpr std::array kAllowedCalls = {
    AllowedCall{"collections", "OrderedDict", shape_nothing},
    AllowedCall{"torch", "Size", shape_sizes},
    AllowedCall{"torch", "device", shape_device},
    AllowedCall{"torch._utils", "_rebuild_tensor", shape_tensor_v1},
    AllowedCall{"torch._utils", "_rebuild_tensor_v2", shape_tensor_v2},
    AllowedCall{"torch._utils", "_rebuild_tensor_v3", shape_tensor_v3},
    AllowedCall{"torch._utils", "_rebuild_parameter", shape_parameter},
    AllowedCall{"torch.storage", "_load_from_bytes", shape_file, Use::kCallOnly},
    AllowedCall{"builtins", "eval", shape_paddle, Use::kCallOnly},
    AllowedCall{"builtins", "getattr", shape_member, Use::kCallOnly},
    AllowedCall{"_operator", "or_", shape_flags, Use::kCallOnly},
    AllowedCall{"argparse", "Namespace", shape_nothing, Use::kClass},
    AllowedCall{"types", "SimpleNamespace", shape_nothing, Use::kClass},
    AllowedCall{"torch._dynamo.decorators", "_DimRange", shape_nothing, Use::kClass},
    AllowedCall{"torch.serialization", "_get_layout", shape_text},
    AllowedCall{"pathlib", "PosixPath", shape_texts},
    AllowedCall{"pathlib", "WindowsPath", shape_texts},
    AllowedCall{"pathlib._local", "PosixPath", shape_texts},
    AllowedCall{"pathlib._local", "WindowsPath", shape_texts},
    // The metadata of distributed checkpoints: dataclasses, and an Enum.
    AllowedCall{"torch.distributed.checkpoint.metadata", "Metadata", shape_nothing, Use::kClass},
    AllowedCall{"torch.distributed.checkpoint.metadata", "MetadataIndex", shape_nothing,
                Use::kClass},
    AllowedCall{"torch.distributed.checkpoint.metadata", "StorageMeta", shape_nothing, Use::kClass},
    AllowedCall{"torch.distributed.checkpoint.metadata", "TensorStorageMetadata", shape_nothing,
                Use::kClass},
    AllowedCall{"torch.distributed.checkpoint.metadata", "BytesStorageMetadata", shape_nothing,
                Use::kClass},
    AllowedCall{"torch.distributed.checkpoint.metadata", "ChunkStorageMetadata", shape_nothing,
                Use::kClass},
    AllowedCall{"torch.distributed.checkpoint.filesystem", "_StorageInfo", shape_nothing,
                Use::kClass},
    AllowedCall{"torch.distributed.checkpoint.metadata", "TensorProperties", shape_nothing,
                Use::kRecord},
    AllowedCall{"torch.distributed._shard.sharded_tensor.metadata", "TensorProperties",
                shape_nothing, Use::kRecord},
    AllowedCall{"torch.distributed.checkpoint.metadata", "_MEM_FORMAT_ENCODING", shape_value},
    AllowedCall{"torch.distributed._shard.sharded_tensor.metadata", "MEM_FORMAT_ENCODING",
                shape_value},
    // What TorchScript writes in place of lists.
    AllowedCall{"torch.jit._pickle", "build_intlist", shape_list},
    AllowedCall{"torch.jit._pickle", "build_doublelist", shape_list},
    AllowedCall{"torch.jit._pickle", "build_boollist", shape_list},
    AllowedCall{"torch.jit._pickle", "build_tensorlist", shape_list},
    AllowedCall{"torch.jit._pickle", "restore_type_tag", shape_type_tag},
};

const AllowedCall* find_allowed_call(std::string_view module, std::string_view name) {
  const auto found = std::ranges::find_if(kAllowedCalls, [&](const AllowedCall& entry) {
    return entry.module == module && entry.name == name;
  });
  return found == kAllowedCalls.end() ? nullptr : &*found;
}

// Hashing and comparing such a key runs no code of the file.
bool is_plain_key(const Graph& graph, Value key) {
  switch (graph.kind(key)) {
    case Kind::kNone:
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kBigInt:
    case Kind::kFloat:
    case Kind::kString:
    case Kind::kPy2String:
    case Kind::kBytes:
      return true;
    default:
      return false;
  }
}

// True for attributes by plain names.
bool is_attribute_dict(const Graph& graph, Value state) {
  if (graph.kind(state) != Kind::kDict) return false;
  return std::ranges::all_of(graph.updates(state), [&](const Update& update) {
    if (update.kind != UpdateKind::kSetItems) return false;
    for (std::size_t i = 0; i < update.items.size(); i += 2) {
      if (!graph.is_text(update.items[i])) return false;
      if (graph.text(update.items[i]).starts_with("__")) return false;
    }
    return true;
  });
}

// "os" covers "os" and "os.path", not "osmium".
bool covers(std::string_view listed, std::string_view module) {
  return module.starts_with(listed) &&
         (module.size() == listed.size() || module[listed.size()] == '.');
}

}  // namespace

const char* category_text(Category category) {
  switch (category) {
    case Category::kCodeExecution:
      return "runs code";
    case Category::kImport:
      return "imports or reaches modules";
    case Category::kFile:
      return "reaches files";
    case Category::kNetwork:
      return "reaches the network";
    case Category::kLibrary:
      return "loads native code";
    case Category::kDeserialization:
      return "loads another program";
    case Category::kAttribute:
      return "reaches attributes by name, and through them anything";
    case Category::kProcess:
      return "starts programs";
  }
  return "";
}

std::optional<Category> find_gadget(std::string_view module, std::string_view name) {
  // Names of the same module in Python 2 and inside every module's namespace.
  if (module == "__builtin__" || module == "__builtins__") module = "builtins";
  for (const Gadget& gadget : kGadgets) {
    if (gadget.name == "*" ? covers(gadget.module, module)
                           : gadget.module == module && covers(gadget.name, name)) {
      return gadget.category;
    }
  }
  // A dotted name walks from an innocent module to anything that it imports.
  if (name.find('.') != std::string_view::npos) return Category::kAttribute;
  return std::nullopt;
}

bool is_allowed_name(std::string_view module, std::string_view name) {
  const AllowedCall* const entry = find_allowed_call(module, name);
  if (entry != nullptr && entry->use != Use::kCallOnly) return true;
  if (module == "torch" || module == "torch.cuda" || module == "torch.storage") {
    if (object::find_storage_class(name) != nullptr) return true;
  }
  return module == "torch" && object::is_torch_dtype_name(name);
}

bool is_allowed_call(const Graph& graph, Value call) {
  const auto* entry =
      find_allowed_call(object::called_module(graph, call), object::called_name(graph, call));
  if (entry == nullptr) return false;
  const bool is_class = entry->use == Use::kClass || entry->use == Use::kRecord;
  const bool by_newobj = is_class && graph.made_by(call) == pickle::Op::kNewObj;
  if (graph.made_by(call) != pickle::Op::kReduce && !by_newobj) return false;
  const Value arguments = graph.arguments(call);
  return graph.kind(arguments) == Kind::kTuple && entry->shape(graph, graph.tuple_items(arguments));
}

// Plain objects take attributes. state_dict() sets the attribute _metadata of its OrderedDict, and
// nothing else.
bool is_allowed_state(const Graph& graph, Value object, Value state) {
  if (graph.kind(object) == Kind::kCall) {
    const auto* entry =
        find_allowed_call(object::called_module(graph, object), object::called_name(graph, object));
    if (entry != nullptr && entry->use == Use::kClass) return is_attribute_dict(graph, state);
    if (entry != nullptr && entry->use == Use::kRecord) {
      return graph.kind(state) == Kind::kTuple;
    }
  }
  if (!is_ordered_dict(graph, object) || graph.kind(state) != Kind::kDict) return false;
  return std::ranges::all_of(graph.updates(state), [&](const Update& update) {
    return update.kind == UpdateKind::kSetItems && update.items.size() == 2 &&
           graph.text_or_empty(update.items[0]) == "_metadata";
  });
}

bool is_allowed_items(const Graph& graph, const pickle::Event& event) {
  if (event.kind != pickle::EventKind::kSetItems || !is_ordered_dict(graph, event.subject)) {
    return false;
  }
  const auto items = graph.tuple_items(event.argument);
  for (std::size_t i = 0; i < items.size(); i += 2) {
    if (!is_plain_key(graph, items[i])) return false;
  }
  return true;
}

bool is_allowed_persistent(const Graph& graph, Value persistent) {
  return is_storage(graph, persistent);
}

}  // namespace tare::scan_policy
