#include "format/torch_graph.hpp"

#include "format/torch_types.hpp"
#include "io/checked.hpp"

namespace tare::format {
namespace {

using pickle::Graph;
using pickle::Kind;
using pickle::Value;

// Wrappers around a tensor; a file that nests more than this is not made by torch.
constexpr int kMaxWrappers = 64;

bool is_call_to(const Graph& graph, Value value, std::string_view module, std::string_view name) {
  return graph.kind(value) == Kind::kCall && called_module(graph, value) == module &&
         called_name(graph, value) == name;
}

std::span<const Value> call_arguments(const Graph& graph, Value call) {
  const Value arguments = graph.arguments(call);
  return graph.kind(arguments) == Kind::kTuple ? graph.tuple_items(arguments)
                                               : std::span<const Value>();
}

std::optional<std::uint64_t> size_value(const Graph& graph, Value value) {
  if (graph.kind(value) != Kind::kInt) return std::nullopt;
  return checked_narrow<std::uint64_t>(graph.integer(value));
}

// A tuple, or torch.Size((...)), of non-negative integers.
std::optional<std::vector<std::uint64_t>> size_tuple(const Graph& graph, Value value) {
  if (is_call_to(graph, value, "torch", "Size")) {
    const auto arguments = call_arguments(graph, value);
    if (arguments.size() != 1) return std::nullopt;
    value = arguments[0];
  }
  if (graph.kind(value) != Kind::kTuple) return std::nullopt;
  std::vector<std::uint64_t> sizes;
  for (const Value item : graph.tuple_items(value)) {
    const auto size = size_value(graph, item);
    if (!size) return std::nullopt;
    sizes.push_back(*size);
  }
  return sizes;
}

// The bytes of a storage, cut to what its id claims.
Result<ByteSpan> storage_bytes(const StorageId& id, unsigned element_bits,
                               const StorageLookup& lookup) {
  const auto bytes = lookup(id);
  if (!bytes) return bytes;
  const auto bits = checked_mul(id.numel, element_bits);
  if (!bits) return fail(ErrorCode::kOverflow, "the size of a storage overflows");
  const std::uint64_t claimed = (*bits + 7) / 8;
  if (claimed > bytes->size()) {
    return fail(ErrorCode::kMalformed,
                "the storage record is shorter than the pickle claims (CVE-2026-24747)");
  }
  return bytes->first(claimed);
}

}  // namespace

std::string_view called_module(const Graph& graph, Value call) {
  const Value callable = graph.callable(call);
  return graph.kind(callable) == Kind::kGlobal ? graph.module_text(callable) : "";
}

std::string_view called_name(const Graph& graph, Value call) {
  const Value callable = graph.callable(call);
  return graph.kind(callable) == Kind::kGlobal ? graph.name_text(callable) : "";
}

Result<StorageId> read_storage_id(const Graph& graph, Value persistent) {
  const auto unsupported = fail(ErrorCode::kUnsupported, "a persistent id that is no storage");
  if (graph.kind(persistent) != Kind::kPersistent) return unsupported;
  const Value id = graph.persistent_id(persistent);
  if (graph.kind(id) != Kind::kTuple) return unsupported;
  const auto items = graph.tuple_items(id);
  if (items.size() != 5 || graph.text_or_empty(items[0]) != "storage" ||
      graph.kind(items[1]) != Kind::kGlobal || !graph.is_text(items[2]) ||
      !graph.is_text(items[3])) {
    return unsupported;
  }
  const auto numel = size_value(graph, items[4]);
  const std::string_view module = graph.module_text(items[1]);
  const bool torch_module =
      module == "torch" || module == "torch.cuda" || module == "torch.storage";
  if (!numel || !torch_module || !is_storage_class(graph.name_text(items[1]))) return unsupported;
  return StorageId{graph.name_text(items[1]), graph.text(items[2]), *numel};
}

Result<void> check_storage(const Graph& graph, Value persistent, const StorageLookup& lookup) {
  const auto id = read_storage_id(graph, persistent);
  if (!id) return std::unexpected(id.error());
  const auto dtype = dtype_of_storage_class(id->storage_class);
  // The other storages have at least a byte an element, or count bytes.
  const auto bytes = storage_bytes(*id, dtype ? dtype_bits(*dtype) : 8, lookup);
  if (!bytes) return std::unexpected(bytes.error());
  return {};
}

bool is_tensor(const Graph& graph, Value value) {
  if (graph.kind(value) != Kind::kCall) return false;
  const std::string_view module = called_module(graph, value);
  const std::string_view name = called_name(graph, value);
  return (module == "torch._utils" && name.starts_with("_rebuild_")) ||
         (module == "torch._tensor" && name.starts_with("_rebuild_from_type")) ||
         (module == "torch.nn.parameter" && name == "Parameter");
}

Result<TorchTensor> read_tensor(const Graph& graph, Value value, const StorageLookup& lookup) {
  for (int wrappers = 0; is_call_to(graph, value, "torch._utils", "_rebuild_parameter");
       ++wrappers) {
    const auto arguments = call_arguments(graph, value);
    if (arguments.size() != 3 || wrappers == kMaxWrappers) {
      return fail(ErrorCode::kMalformed, "a parameter is rebuilt from something unexpected");
    }
    value = arguments[0];
  }
  const bool v2 = is_call_to(graph, value, "torch._utils", "_rebuild_tensor_v2");
  const bool v3 = is_call_to(graph, value, "torch._utils", "_rebuild_tensor_v3");
  const bool v1 = is_call_to(graph, value, "torch._utils", "_rebuild_tensor");
  if (!v1 && !v2 && !v3) {
    return fail(ErrorCode::kUnsupported, "a kind of tensor that this version does not read");
  }
  const auto arguments = call_arguments(graph, value);
  const std::size_t required = v1 ? 4 : v2 ? 6 : 7;
  if (arguments.size() < required || arguments.size() > required + (v1 ? 0 : 1)) {
    return fail(ErrorCode::kMalformed, "a tensor is rebuilt from an unexpected number of values");
  }
  if (arguments.size() > required) {
    const Value metadata = arguments[required];
    const bool plain = graph.kind(metadata) == Kind::kNone ||
                       (graph.kind(metadata) == Kind::kDict && graph.length(metadata) == 0);
    if (!plain) return fail(ErrorCode::kUnsupported, "a conjugate, negated or annotated tensor");
  }
  const auto id = read_storage_id(graph, arguments[0]);
  if (!id) return std::unexpected(id.error());

  std::optional<DType> dtype = dtype_of_storage_class(id->storage_class);
  unsigned storage_bits = dtype ? dtype_bits(*dtype) : 8;
  if (v3) {
    const Value name = arguments[6];
    dtype = graph.kind(name) == Kind::kGlobal && graph.module_text(name) == "torch"
                ? dtype_of_torch_name(graph.name_text(name))
                : std::nullopt;
    storage_bits = 8;
  }
  if (!dtype)
    return fail(ErrorCode::kUnsupported, "an element type that this version does not read");

  const auto offset = size_value(graph, arguments[1]);
  auto shape = size_tuple(graph, arguments[2]);
  auto strides = size_tuple(graph, arguments[3]);
  if (!offset || !shape || !strides) {
    return fail(ErrorCode::kMalformed, "a tensor's offset, shape or strides are no sizes");
  }
  const auto storage = storage_bytes(*id, storage_bits, lookup);
  if (!storage) return std::unexpected(storage.error());
  TorchTensor tensor{{*dtype, std::move(*shape), std::move(*strides), *offset, *storage}, id->key};
  if (auto checked = check_view(tensor.view); !checked) return std::unexpected(checked.error());
  return tensor;
}

}  // namespace tare::format
