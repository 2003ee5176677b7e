// Shapes of torch's calls. Storages and bounds are the business of the readers of tensors: every
// tensor that these calls make is held against its storage.
#include "format/torch_legacy.hpp"
#include "object/torch_objects.hpp"
#include "object/torch_types.hpp"
#include "scan/shape_checks.hpp"

namespace tare::scan_policy::checks {
namespace {

// A dict may be shared by any number of tensors.
constexpr std::size_t kMaxAttributes = 256;

bool is_bool(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kBool;
}

// A persistent id, judged as that, or what a file in the pickle holds, judged as a file.
bool is_storage(const Graph& graph, Value value) {
  return object::is_storage(graph, value);
}

bool is_torch_dtype(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kGlobal && graph.module_text(value) == "torch" &&
         object::is_torch_dtype_name(graph.name_text(value));
}

// Calls check(key, value) for what the dict holds; false if one is false, or it is no such dict.
template <typename Check>
bool all_items(const Graph& graph, Value dict, Check check) {
  if (graph.kind(dict) != Kind::kDict) return false;
  std::size_t count = 0;
  for (const Update& update : graph.updates(dict)) {
    if (update.kind != UpdateKind::kSetItems) return false;
    count += 1 + update.items.size();
    if (count > kMaxAttributes) return false;
    for (std::size_t i = 0; i + 1 < update.items.size(); i += 2) {
      if (!check(graph.text_or_empty(update.items[i]), update.items[i + 1])) return false;
    }
  }
  return true;
}

// {'conj': True}: what the tensor is a view of.
bool is_tensor_metadata(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kNone ||
         all_items(graph, value, [&](std::string_view key, Value item) {
           return (key == "conj" || key == "neg") && is_bool(graph, item);
         });
}

// torch sets these one by one with setattr(): none may be the name of something that a tensor has.
bool are_tensor_attributes(const Graph& graph, Value state) {
  return all_items(graph, state, [](std::string_view key, Value) {
    constexpr std::string_view kTaken[] = {"data", "grad",  "requires_grad", "real",
                                           "imag", "names", "retains_grad"};
    if (key == "_is_buffer") return true;  // of torch.nn.parameter.Buffer
    return !key.empty() && key.front() != '_' && std::ranges::find(kTaken, key) == std::end(kTaken);
  });
}

// A dict, or (dict, None).
bool is_tensor_state(const Graph& graph, Value state) {
  if (graph.kind(state) == Kind::kNone) return true;
  if (graph.kind(state) != Kind::kTuple) return are_tensor_attributes(graph, state);
  const auto items = graph.tuple_items(state);
  return items.size() == 2 && graph.kind(items[1]) == Kind::kNone &&
         (graph.kind(items[0]) == Kind::kNone || are_tensor_attributes(graph, items[0]));
}

bool is_device(const Graph& graph, Value value) {
  return graph.is_text(value) || is_call_to(graph, value, "torch", "device");
}

bool is_tensor(const Graph& graph, Value value) {
  return object::is_tensor(graph, value);
}

// (scheme, scale, zero point), or (scheme, scales, zero points, axis).
bool is_scheme(const Graph& graph, Value value) {
  if (graph.kind(value) != Kind::kTuple) return false;
  const auto items = graph.tuple_items(value);
  if (items.size() < 3 || items.size() > 4 || graph.kind(items[0]) != Kind::kGlobal) return false;
  if (graph.module_text(items[0]) != "torch") return false;
  if (!graph.name_text(items[0]).starts_with("per_")) return false;
  return std::ranges::all_of(items.subspan(1), [&](Value item) {
    return is_number(graph, item) || is_tensor(graph, item) || graph.kind(item) == Kind::kList;
  });
}

bool is_sparse_part(const Graph& graph, Value value) {
  return is_tensor(graph, value) || is_size_tuple(graph, value) || is_bool(graph, value);
}

}  // namespace

bool is_size_tuple(const Graph& graph, Value value) {
  if (is_call_to(graph, value, "torch", "Size")) return true;  // judged as a call of its own
  constexpr std::size_t kMaxAxes = 1024;  // a tuple may be shared by any number of tensors
  return graph.kind(value) == Kind::kTuple && graph.tuple_items(value).size() <= kMaxAxes &&
         std::ranges::all_of(graph.tuple_items(value),
                             [&](Value item) { return is_size(graph, item); });
}

bool is_ordered_dict(const Graph& graph, Value value) {
  return is_call_to(graph, value, "collections", "OrderedDict");
}

bool is_tensor_v1(const Graph& graph, Arguments a) {
  return a.size() == 4 && is_storage(graph, a[0]) && is_size(graph, a[1]) &&
         is_size_tuple(graph, a[2]) && is_size_tuple(graph, a[3]);
}

bool is_tensor_v2(const Graph& graph, Arguments a) {
  return (a.size() == 6 || a.size() == 7) && is_tensor_v1(graph, a.first(4)) &&
         is_bool(graph, a[4]) && is_ordered_dict(graph, a[5]) &&
         (a.size() == 6 || is_tensor_metadata(graph, a[6]));
}

bool is_tensor_v3(const Graph& graph, Arguments a) {
  return (a.size() == 7 || a.size() == 8) && is_tensor_v2(graph, a.first(6)) &&
         is_torch_dtype(graph, a[6]) && (a.size() == 7 || is_tensor_metadata(graph, a[7]));
}

bool is_parameter(const Graph& graph, Arguments a) {
  return a.size() == 3 && is_tensor(graph, a[0]) && is_bool(graph, a[1]) &&
         is_ordered_dict(graph, a[2]);
}

bool is_parameter_with_state(const Graph& graph, Arguments a) {
  return a.size() == 4 && is_parameter(graph, a.first(3)) && is_tensor_state(graph, a[3]);
}

bool is_quantized(const Graph& graph, Arguments a) {
  return a.size() == 7 && is_tensor_v1(graph, a.first(4)) && is_scheme(graph, a[4]) &&
         is_bool(graph, a[5]) && is_ordered_dict(graph, a[6]);
}

bool is_sparse(const Graph& graph, Arguments a) {
  if (a.size() != 2 || !is_call_to(graph, a[0], "torch.serialization", "_get_layout")) return false;
  if (graph.kind(a[1]) != Kind::kTuple) return false;
  const auto parts = graph.tuple_items(a[1]);
  return parts.size() >= 3 && parts.size() <= 4 &&
         std::ranges::all_of(parts, [&](Value part) { return is_sparse_part(graph, part); });
}

bool is_nested(const Graph& graph, Arguments a) {
  return a.size() == 4 &&
         std::ranges::all_of(a, [&](Value part) { return is_tensor(graph, part); });
}

bool is_meta(const Graph& graph, Arguments a) {
  return a.size() == 4 && is_torch_dtype(graph, a[0]) && is_size_tuple(graph, a[1]) &&
         is_size_tuple(graph, a[2]) && is_bool(graph, a[3]);
}

bool is_from_array(const Graph& graph, Arguments a) {
  return a.size() == 4 && (is_array(graph, a[0]) || is_tensor(graph, a[0])) &&
         is_torch_dtype(graph, a[1]) && is_device(graph, a[2]) && is_bool(graph, a[3]);
}

// _rebuild_from_type_v2(function, class, arguments, state): function(*arguments).as_subclass(class)
bool is_typed(const Names& names, const Graph& graph, Arguments a) {
  if (a.size() != 4 || graph.kind(a[0]) != Kind::kGlobal || graph.kind(a[2]) != Kind::kTuple) {
    return false;
  }
  const bool is_class = is_global(graph, a[1], "torch", "Tensor") ||
                        is_global(graph, a[1], "torch.nn.parameter", "Parameter") ||
                        is_global(graph, a[1], "torch.nn.parameter", "Buffer");
  if (!is_class || !is_tensor_state(graph, a[3])) return false;
  const auto use = names.find(graph.module_text(a[0]), graph.name_text(a[0]));
  if (!use) return false;
  const auto arguments = graph.tuple_items(a[2]);
  switch (use->arguments) {
    case ArgumentShape::kTensorV2:
      return is_tensor_v2(graph, arguments);
    case ArgumentShape::kTensorV3:
      return is_tensor_v3(graph, arguments);
    case ArgumentShape::kParameter:
      return is_parameter(graph, arguments);
    case ArgumentShape::kQuantized:
      return is_quantized(graph, arguments);
    default:
      return false;
  }
}

// It is judged as a file of its own.
bool is_torch_file(const Graph& graph, Arguments a) {
  if (a.size() != 1 || graph.kind(a[0]) != Kind::kBytes) return false;
  const ByteSpan file = as_bytes(graph.text(a[0]));
  return format::is_torch_legacy(file) || format::kZip.recognises(file);
}

}  // namespace tare::scan_policy::checks
