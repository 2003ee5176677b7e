#include "object/torch_objects.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <tuple>

#include "io/checked.hpp"
#include "object/python_objects.hpp"

namespace tare::object {
namespace {

using pickle::Update;
using pickle::UpdateKind;
using PickleKind = pickle::Kind;
using Values = std::span<const Value>;

// Wrappers around a tensor; a file that nests more than this is not made by torch.
constexpr int kMaxWrappers = 64;
// Of a tensor. torch itself has no limit, and cannot print a tensor with as many.
constexpr std::size_t kMaxAxes = 1024;
// Bytes of the key of a storage, which is a short number in every file that torch writes.
constexpr std::size_t kMaxKey = 1000;
// States that an object is given; torch gives one.
constexpr int kMaxStates = 64;
// Of the budget of a reader.
constexpr std::uint64_t kListItemCost = 16;

std::optional<std::uint64_t> size_value(const Graph& graph, Value value) {
  if (graph.kind(value) == PickleKind::kBool) return graph.boolean(value) ? 1 : 0;
  if (graph.kind(value) != PickleKind::kInt) return std::nullopt;
  return checked_narrow<std::uint64_t>(graph.integer(value));
}

// The items of a tuple or a list, or of the torch.Size that is made of one; nothing for anything
// else and for more than `most`. Many tensors may share one list, so no more of it is looked at.
std::optional<std::vector<Value>> items_of(const Graph& graph, Value value, std::size_t most) {
  if (is_call_to(graph, value, "torch", "Size")) {
    const auto arguments = call_arguments(graph, value);
    if (arguments.size() == 1) value = arguments[0];
  }
  std::vector<Value> items;
  const auto add = [&](std::span<const Value> more) {
    if (more.size() > most - items.size()) return false;
    items.insert(items.end(), more.begin(), more.end());
    return true;
  };
  if (graph.kind(value) == PickleKind::kTuple) {
    if (!add(graph.tuple_items(value))) return std::nullopt;
    return items;
  }
  if (graph.kind(value) != PickleKind::kList) return std::nullopt;
  for (const Update update : graph.updates(value)) {
    if (update.kind == UpdateKind::kAppend && !add(update.items)) return std::nullopt;
  }
  return items;
}

}  // namespace

std::optional<Shape> sizes_of(const Graph& graph, Value value) {
  const auto items = items_of(graph, value, kMaxAxes);
  if (!items) return std::nullopt;
  Shape sizes;
  for (const Value item : *items) {
    const auto size = size_value(graph, item);
    if (!size) return std::nullopt;
    sizes.push_back(*size);
  }
  return sizes;
}

std::optional<DType> dtype_value(const Graph& graph, Value value) {
  if (graph.kind(value) != PickleKind::kGlobal || graph.module_text(value) != "torch") {
    return std::nullopt;
  }
  return dtype_of_torch_name(graph.name_text(value));
}

namespace {

// The last state that an object was given; nothing also if it was given more than torch gives.
std::optional<Value> state_of(const Graph& graph, Value value) {
  std::optional<Value> state;
  if (graph.kind(value) != PickleKind::kCall) return state;
  int states = 0;
  for (const Update update : graph.updates(value)) {
    if (++states > kMaxStates) return std::nullopt;
    if (update.kind == UpdateKind::kBuild && !update.items.empty()) state = update.items.back();
  }
  return state;
}

// ---- the calls

// Names are compared with their modules: those that moved stand here more than once.
enum class Maker : std::uint8_t {
  kNone,
  kDense,      // _rebuild_tensor, _v2, _v3
  kWrapper,    // the first argument is the tensor
  kObject,     // made without arguments, the state is the tensor: Parameter, Variable
  kOldTensor,  // FloatTensor() with (storage, offset, size, stride) as its state
  kFromType,   // func, type, args, state
  kQuantized,
  kSparse,
  kSparseCsr,
  kNested,
  kJagged,  // a nested tensor by torch.nested's newer class
  kMeta,
  kWrapperSubclass,
  kFromArray,
};

struct MakerName {
  std::string_view module;
  std::string_view name;
  Maker maker;
};

constexpr std::array kMakers = {
    MakerName{"torch._utils", "_rebuild_tensor", Maker::kDense},
    MakerName{"torch._utils", "_rebuild_tensor_v2", Maker::kDense},
    MakerName{"torch._utils", "_rebuild_tensor_v3", Maker::kDense},
    MakerName{"torch._utils", "_rebuild_parameter", Maker::kWrapper},
    MakerName{"torch._utils", "_rebuild_parameter_with_state", Maker::kWrapper},
    MakerName{"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Maker::kWrapper},
    MakerName{"torch.nn.parameter", "Parameter", Maker::kObject},
    MakerName{"torch.nn.parameter", "Buffer", Maker::kObject},
    MakerName{"torch.nn", "Parameter", Maker::kObject},
    MakerName{"torch.autograd.variable", "Variable", Maker::kObject},
    MakerName{"torch.autograd", "Variable", Maker::kObject},
    MakerName{"torch._tensor", "_rebuild_from_type", Maker::kFromType},
    MakerName{"torch._tensor", "_rebuild_from_type_v2", Maker::kFromType},
    MakerName{"torch.tensor", "_rebuild_from_type", Maker::kFromType},
    MakerName{"torch._utils", "_rebuild_qtensor", Maker::kQuantized},
    MakerName{"torch._utils", "_rebuild_sparse_tensor", Maker::kSparse},
    MakerName{"torch._utils", "_rebuild_sparse_csr_tensor", Maker::kSparseCsr},
    MakerName{"torch._utils", "_rebuild_nested_tensor", Maker::kNested},
    MakerName{"torch.nested._internal.nested_tensor", "_rebuild_njt", Maker::kJagged},
    MakerName{"torch._utils", "_rebuild_meta_tensor_no_storage", Maker::kMeta},
    MakerName{"torch._utils", "_rebuild_wrapper_subclass", Maker::kWrapperSubclass},
    MakerName{"torch._utils", "_rebuild_device_tensor_from_numpy", Maker::kFromArray},
    MakerName{"torch._utils", "_rebuild_xla_tensor", Maker::kFromArray},
};

constexpr std::array<std::string_view, 13> kOldTensors = {
    "DoubleTensor", "FloatTensor",        "HalfTensor",         "BFloat16Tensor", "LongTensor",
    "IntTensor",    "ShortTensor",        "CharTensor",         "ByteTensor",     "BoolTensor",
    "Tensor",       "ComplexFloatTensor", "ComplexDoubleTensor"};

Maker maker_of(std::string_view module, std::string_view name) {
  const auto found = std::ranges::find_if(kMakers, [&](const MakerName& known) {
    return known.name == name && known.module == module;
  });
  if (found != kMakers.end()) return found->maker;
  const bool is_torch = module == "torch" || module == "torch.cuda" || module == "torch._tensor";
  if (is_torch && std::ranges::find(kOldTensors, name) != kOldTensors.end()) {
    return Maker::kOldTensor;
  }
  return Maker::kNone;
}

std::unexpected<Error> unexpected_arguments() {
  return fail(ErrorCode::kMalformed, "a tensor is made from unexpected arguments");
}

}  // namespace

// ---- storages

Result<StorageId> read_storage_id(const Graph& graph, Value persistent) {
  const auto unsupported = fail(ErrorCode::kUnsupported, "a persistent id that is no storage");
  if (graph.kind(persistent) != PickleKind::kPersistent) return unsupported;
  const Value id = graph.persistent_id(persistent);
  if (graph.kind(id) != PickleKind::kTuple) return unsupported;
  const auto items = graph.tuple_items(id);
  const auto is_ascii = [&](Value value) {
    return graph.is_text(value) || graph.kind(value) == PickleKind::kBytes;
  };
  if (items.size() < 5 || items.size() > 6 || !is_ascii(items[0]) ||
      graph.text(items[0]) != "storage" || graph.kind(items[1]) != PickleKind::kGlobal) {
    return unsupported;
  }
  StorageId storage;
  const std::string_view module = graph.module_text(items[1]);
  if (module == "torch" || module == "torch.cuda" || module == "torch.storage") {
    storage.storage_class = find_storage_class(graph.name_text(items[1]));
  }
  if (storage.storage_class == nullptr || !is_ascii(items[3])) return unsupported;
  if (is_ascii(items[2])) {
    if (graph.text(items[2]).size() > kMaxKey) return unsupported;
    storage.key = graph.text(items[2]);
  } else if (const auto number = size_value(graph, items[2])) {
    storage.key = std::to_string(*number);
  } else {
    return unsupported;
  }
  const auto numel = size_value(graph, items[4]);
  if (!numel) return unsupported;
  storage.numel = *numel;
  if (items.size() == 6 && graph.kind(items[5]) != PickleKind::kNone) {
    const auto view = items_of(graph, items[5], 3);
    const bool is_view = view && view->size() == 3;
    const auto offset = is_view ? size_value(graph, (*view)[1]) : std::nullopt;
    const auto count = is_view ? size_value(graph, (*view)[2]) : std::nullopt;
    if (!offset || !count) return unsupported;
    storage.view = StorageId::View{*offset, *count};
  }
  return storage;
}

bool is_storage(const Graph& graph, Value value) {
  return graph.kind(value) == PickleKind::kPersistent
             ? read_storage_id(graph, value).has_value()
             : is_call_to(graph, value, "torch.storage", "_load_from_bytes");
}

void TorchReader::note_classes() {
  if (noted_) return;
  noted_ = true;
  for (const pickle::Event& event : run_->events) {
    if (event.kind != pickle::EventKind::kPersistentLoad) continue;
    auto id = read_storage_id(run_->graph, event.subject);
    if (!id) continue;
    const StorageClass* const storage_class = id->storage_class;
    std::string key = id->key;
    const auto first = first_ids_.try_emplace(std::move(key), std::move(*id)).first;
    mixed_ = mixed_ || first->second.storage_class != storage_class;
  }
}

bool TorchReader::has_mixed_classes() {
  note_classes();
  return mixed_;
}

namespace {

// The bytes that an id claims, of all that are there.
Result<ByteSpan> claimed_bytes(const StorageId& id, ByteSpan bytes) {
  const unsigned bits = id.storage_class->bits;
  const auto total = checked_mul(id.numel, bits);
  if (!total) return fail(ErrorCode::kOverflow, "the size of a storage overflows");
  if (*total / 8 > bytes.size()) {
    return fail(ErrorCode::kMalformed,
                "the storage is shorter than the pickle claims (CVE-2026-24747)");
  }
  bytes = bytes.first(*total / 8);
  if (!id.view) return bytes;
  const std::uint64_t width = bits / 8;
  const std::uint64_t count = bytes.size() / width;
  if (id.view->offset > count || id.view->numel > count - id.view->offset) {
    return fail(ErrorCode::kMalformed, "a view of a storage reaches past its end");
  }
  return bytes.subspan(id.view->offset * width, id.view->numel * width);
}

}  // namespace

Result<TorchReader::Loaded> TorchReader::read_storage(Value value) {
  const Graph& graph = run_->graph;
  if (is_call_to(graph, value, "torch.storage", "_load_from_bytes")) {
    const auto arguments = call_arguments(graph, value);
    if (arguments.size() != 1 || graph.kind(arguments[0]) != PickleKind::kBytes || !nested_) {
      return fail(ErrorCode::kUnsupported, "a storage inside the pickle that cannot be read");
    }
    return nested_(as_bytes(graph.text(arguments[0])));
  }
  auto id = read_storage_id(graph, value);
  if (!id) return std::unexpected(id.error());
  note_classes();
  // Torch makes a storage once for each key, as its first id says.
  const auto first = first_ids_.find(id->key);
  if (first != first_ids_.end()) {
    id->storage_class = first->second.storage_class;
    id->numel = first->second.numel;
  }
  if (externals_ == nullptr) return fail(ErrorCode::kNotFound, "the file has no storages");
  auto storage = externals_->storage(*id);
  if (!storage) return std::unexpected(storage.error());
  const auto claimed = claimed_bytes(*id, storage->bytes);
  if (!claimed) return std::unexpected(claimed.error());
  storage->bytes = *claimed;
  return Loaded{std::move(*id), std::move(*storage)};
}

// ---- tensors

bool is_tensor(const Graph& graph, Value value) {
  if (graph.kind(value) != PickleKind::kCall) return false;
  const Maker maker = maker_of(called_module(graph, value), called_name(graph, value));
  // The classes are called for other things as well.
  if (maker != Maker::kObject && maker != Maker::kOldTensor) return maker != Maker::kNone;
  if (maker == Maker::kObject && !call_arguments(graph, value).empty()) return true;
  const auto state = state_of(graph, value);
  return state && graph.kind(*state) == PickleKind::kTuple;
}

// A tensor that the file has elsewhere: those of tar archives.
bool TorchReader::is_external(Value value) const {
  return run_->graph.kind(value) == PickleKind::kPersistent && externals_ != nullptr &&
         externals_->is_tensor(run_->graph, value);
}

Result<void> TorchReader::afford(std::uint64_t cost) {
  if (cost > budget_ || budget_ == 0) {
    budget_ = 0;
    return fail(ErrorCode::kLimit, "tensors share parts too often to read them all");
  }
  budget_ -= cost;
  return {};
}

Result<TorchReader::Call> TorchReader::unwrapped(Value value) const {
  const Graph& graph = run_->graph;
  Call call{called_module(graph, value), called_name(graph, value), call_arguments(graph, value),
            value};
  for (int wrappers = 0; wrappers < kMaxWrappers; ++wrappers) {
    std::optional<Value> inner;
    switch (maker_of(call.module, call.name)) {
      case Maker::kWrapper:
        if (call.arguments.empty()) return unexpected_arguments();
        inner = call.arguments[0];
        break;
      case Maker::kObject:
        if (!call.arguments.empty()) {
          inner = call.arguments[0];
        } else if (const auto state = state_of(graph, call.value)) {
          if (graph.kind(*state) == PickleKind::kTuple && !graph.tuple_items(*state).empty()) {
            inner = graph.tuple_items(*state)[0];
          }
        }
        if (!inner) return unexpected_arguments();
        break;
      case Maker::kFromType: {
        if (call.arguments.size() != 4 || graph.kind(call.arguments[0]) != PickleKind::kGlobal ||
            graph.kind(call.arguments[2]) != PickleKind::kTuple) {
          return unexpected_arguments();
        }
        const Value function = call.arguments[0];
        // It keeps its elements in the state.
        if (maker_of(graph.module_text(function), graph.name_text(function)) ==
            Maker::kWrapperSubclass) {
          return call;
        }
        call = {graph.module_text(function), graph.name_text(function),
                graph.tuple_items(call.arguments[2]), Value()};
        continue;
      }
      default:
        return call;
    }
    if (is_external(*inner)) return Call{"", "", {}, *inner};
    if (graph.kind(*inner) != PickleKind::kCall) return unexpected_arguments();
    call = {called_module(graph, *inner), called_name(graph, *inner), call_arguments(graph, *inner),
            *inner};
  }
  return fail(ErrorCode::kLimit, "a tensor is wrapped more than 64 times");
}

Result<AnyTensor> TorchReader::read(Value value) {
  const auto call = unwrapped(value);
  if (!call) return std::unexpected(call.error());
  switch (maker_of(call->module, call->name)) {
    case Maker::kQuantized:
      return read_quantized(*call);
    case Maker::kSparse:
    case Maker::kSparseCsr:
      return read_sparse(*call);
    case Maker::kNested:
      return read_nested(*call);
    case Maker::kJagged: {
      SpecialTensor tensor;
      tensor.kind = SpecialKind::kNested;
      return AnyTensor(std::move(tensor));
    }
    case Maker::kMeta:
      return read_without_elements(*call, 0);
    case Maker::kWrapperSubclass:
      return read_without_elements(*call, 1);
    case Maker::kFromType:
      return read_subclass(*call);
    default:
      break;
  }
  auto dense = read_dense(*call);
  if (!dense) return std::unexpected(dense.error());
  return AnyTensor(std::move(*dense));
}

Result<TorchTensor> TorchReader::read_part(Value value) {
  const Graph& graph = run_->graph;
  if (!is_tensor(graph, value)) return unexpected_arguments();
  const auto call = unwrapped(value);
  if (!call) return std::unexpected(call.error());
  return read_dense(*call);
}

namespace {

struct Metadata {
  bool conjugated = false;
  bool negated = false;
};

// {'conj': True, 'neg': True}, or any part of it. Nothing for anything else.
std::optional<Metadata> read_metadata(const Graph& graph, Value value) {
  if (graph.kind(value) == PickleKind::kNone) return Metadata{};
  if (graph.kind(value) != PickleKind::kDict) return std::nullopt;
  Metadata metadata;
  int updates = 0;
  for (const Update update : graph.updates(value)) {
    if (++updates > kMaxStates || update.items.size() > 2 * kMaxStates) return std::nullopt;
    for (std::size_t i = 0; i + 1 < update.items.size(); i += 2) {
      const std::string_view key = graph.text_or_empty(update.items[i]);
      const Value flag = update.items[i + 1];
      if (graph.kind(flag) != PickleKind::kBool || (key != "conj" && key != "neg")) {
        return std::nullopt;
      }
      (key == "conj" ? metadata.conjugated : metadata.negated) = graph.boolean(flag);
    }
  }
  return metadata;
}

// Pairs of F4 that torch counts as one element, as the elements that they are.
Result<void> split_pairs(TensorView& view) {
  if (view.shape.empty() || view.strides.back() != 1) {
    return fail(ErrorCode::kUnsupported, "pairs of 4-bit elements that do not stand together");
  }
  view.dtype = DType::kF4;
  for (std::uint64_t* number : {&view.shape.back(), &view.offset}) {
    const auto doubled = checked_mul(*number, 2);
    if (!doubled) return fail(ErrorCode::kOverflow, "the product of the shape overflows");
    *number = *doubled;
  }
  for (std::size_t axis = 0; axis + 1 < view.strides.size(); ++axis) {
    const auto doubled = checked_mul(view.strides[axis], 2);
    if (!doubled) return fail(ErrorCode::kOverflow, "the strides overflow");
    view.strides[axis] = *doubled;
  }
  return {};
}

}  // namespace

Result<TorchTensor> TorchReader::make_view(const Loaded& loaded, DType dtype,
                                           Values offset_shape_strides) const {
  const Graph& graph = run_->graph;
  const auto offset = size_value(graph, offset_shape_strides[0]);
  auto shape = sizes_of(graph, offset_shape_strides[1]);
  auto strides = sizes_of(graph, offset_shape_strides[2]);
  if (!offset || !shape || !strides) {
    return fail(ErrorCode::kMalformed,
                "a tensor's offset, shape or strides are no sizes, or too many");
  }
  TorchTensor tensor{{dtype, std::move(*shape), std::move(*strides), *offset, loaded.storage.bytes},
                     loaded.storage.entry};
  if (loaded.storage.big_endian && dtype_bits(dtype) > 8) {
    tensor.view.stored = Stored{.dtype = dtype, .big_endian = true};
  }
  return tensor;
}

Result<TorchTensor> TorchReader::read_dense(const Call& call) {
  const Graph& graph = run_->graph;
  Values arguments = call.arguments;
  if (is_external(call.value)) return externals_->tensor(graph, call.value);
  if (maker_of(call.module, call.name) == Maker::kFromArray) {
    auto array = read_from_array(call);
    if (!array) return std::unexpected(array.error());
    return std::move(std::get<TorchTensor>(*array));
  }
  if (maker_of(call.module, call.name) == Maker::kOldTensor) {
    const auto state = state_of(graph, call.value);
    if (!state || graph.kind(*state) != PickleKind::kTuple) return unexpected_arguments();
    arguments = graph.tuple_items(*state);
  } else if (maker_of(call.module, call.name) != Maker::kDense) {
    return fail(ErrorCode::kUnsupported, "a kind of tensor that this version does not read");
  }
  const bool v3 = call.name == "_rebuild_tensor_v3";
  const bool v2 = call.name == "_rebuild_tensor_v2";
  const std::size_t required = v3 ? 7 : v2 ? 6 : 4;
  if (arguments.size() < required || arguments.size() > required + (v2 || v3 ? 1 : 0)) {
    return unexpected_arguments();
  }
  const auto metadata =
      arguments.size() > required ? read_metadata(graph, arguments[required]) : Metadata{};
  if (!metadata) return fail(ErrorCode::kUnsupported, "a tensor with metadata not known here");

  const auto loaded = read_storage(arguments[0]);
  if (!loaded) return std::unexpected(loaded.error());
  const bool pairs = v3 && is_global(graph, arguments[6], "torch", "float4_e2m1fn_x2");
  std::optional<DType> dtype = loaded->id.storage_class->dtype;
  if (v3) dtype = pairs ? DType::kU8 : dtype_value(graph, arguments[6]);
  if (!dtype) {
    const bool named = v3 && graph.kind(arguments[6]) == PickleKind::kGlobal;
    return fail(ErrorCode::kUnsupported,
                unread_type_text(named ? graph.name_text(arguments[6]) : ""));
  }

  auto tensor = make_view(*loaded, *dtype, arguments.subspan(1, 3));
  if (!tensor) return tensor;
  if (metadata->conjugated || metadata->negated) {
    if (!tensor->view.stored) tensor->view.stored = Stored{.dtype = *dtype};
    tensor->view.stored->conjugated = metadata->conjugated;
    tensor->view.stored->negated = metadata->negated;
  }
  if (pairs) {
    if (auto split = split_pairs(tensor->view); !split) return std::unexpected(split.error());
  }
  if (auto checked = check_view(tensor->view); !checked) return std::unexpected(checked.error());
  return tensor;
}

// ndarray, dtype, device, requires_grad. A bfloat16 tensor comes as an array of float32.
Result<AnyTensor> TorchReader::read_from_array(const Call& call) {
  if (call.arguments.size() < 2 || !arrays_) return unexpected_arguments();
  auto view = arrays_(call.arguments[0]);
  if (!view) return std::unexpected(view.error());
  const auto dtype = dtype_value(run_->graph, call.arguments[1]);
  if (!dtype) return fail(ErrorCode::kUnsupported, unread_type_text(""));
  if (view->dtype != *dtype) {
    if (!view->stored) view->stored = Stored{.dtype = view->dtype};
    view->dtype = *dtype;
  }
  if (auto checked = check_view(*view); !checked) return std::unexpected(checked.error());
  return AnyTensor(TorchTensor{std::move(*view), ""});
}

// ---- special tensors

Result<void> TorchReader::add_part(SpecialTensor& tensor, const char* name, Value value) {
  auto part = read_part(value);
  if (!part) return std::unexpected(part.error());
  if (tensor.entry.empty()) tensor.entry = part->entry;
  tensor.parts.push_back({name, std::move(part->view), std::move(part->entry)});
  return {};
}

namespace {

// The number as an element of F64 or I64.
std::optional<std::uint64_t> element_of(const Graph& graph, Value value, DType dtype) {
  const bool is_integer = graph.kind(value) == PickleKind::kInt;
  if (dtype == DType::kI64) {
    return is_integer ? std::optional(static_cast<std::uint64_t>(graph.integer(value)))
                      : std::nullopt;
  }
  if (is_integer) return std::bit_cast<std::uint64_t>(static_cast<double>(graph.integer(value)));
  if (graph.kind(value) != PickleKind::kFloat) return std::nullopt;
  return std::bit_cast<std::uint64_t>(graph.real(value));
}

}  // namespace

// Old files have lists of numbers where newer ones have tensors.
Result<void> TorchReader::add_numbers(SpecialTensor& tensor, const char* name, Value value,
                                      DType dtype) {
  const Graph& graph = run_->graph;
  if (graph.kind(value) != PickleKind::kList) return add_part(tensor, name, value);
  const auto items = items_of(graph, value, budget_ / kListItemCost);
  if (auto paid = afford(items ? kListItemCost * items->size() : UINT64_MAX); !paid) return paid;
  std::vector<std::byte>& made = made_.emplace_back(items->size() * sizeof(std::uint64_t));
  for (std::size_t i = 0; i < items->size(); ++i) {
    const auto element = element_of(graph, (*items)[i], dtype);
    if (!element) return unexpected_arguments();
    std::memcpy(made.data() + i * sizeof *element, &*element, sizeof *element);
  }
  tensor.parts.push_back({name, {dtype, {items->size()}, {1}, 0, made}, ""});
  return {};
}

// storage, offset, size, stride, (scheme, ...), requires_grad, hooks
Result<AnyTensor> TorchReader::read_quantized(const Call& call) {
  const Graph& graph = run_->graph;
  const Values arguments = call.arguments;
  if (arguments.size() < 5 || graph.kind(arguments[4]) != PickleKind::kTuple) {
    return unexpected_arguments();
  }
  const auto loaded = read_storage(arguments[0]);
  if (!loaded) return std::unexpected(loaded.error());
  const std::string_view name = loaded->id.storage_class->name;
  const DType dtype = name == "QInt8Storage"    ? DType::kI8
                      : name == "QUInt8Storage" ? DType::kU8
                                                : DType::kI32;
  if (dtype == DType::kI32 && name != "QInt32Storage") {
    return fail(ErrorCode::kUnsupported, "quantized elements of less than 8 bits");
  }
  auto elements = make_view(*loaded, dtype, arguments.subspan(1, 3));
  if (!elements) return std::unexpected(elements.error());
  if (auto checked = check_view(elements->view); !checked) {
    return std::unexpected(checked.error());
  }
  SpecialTensor tensor;
  tensor.shape = elements->view.shape;
  tensor.entry = elements->entry;
  tensor.parts.push_back({"elements", std::move(elements->view), elements->entry});
  const Values scheme = graph.tuple_items(arguments[4]);
  if (scheme.size() == 3 && is_global(graph, scheme[0], "torch", "per_tensor_affine")) {
    tensor.kind = SpecialKind::kQuantizedPerTensor;
    if (graph.kind(scheme[1]) != PickleKind::kFloat || graph.kind(scheme[2]) != PickleKind::kInt) {
      return unexpected_arguments();
    }
    tensor.scale = graph.real(scheme[1]);
    tensor.zero_point = graph.integer(scheme[2]);
    return AnyTensor(std::move(tensor));
  }
  const bool per_channel =
      scheme.size() == 4 &&
      (is_global(graph, scheme[0], "torch", "per_channel_affine") ||
       is_global(graph, scheme[0], "torch", "per_channel_affine_float_qparams"));
  const auto axis = per_channel ? size_value(graph, scheme[3]) : std::nullopt;
  if (!axis || *axis >= tensor.shape.size()) {
    return fail(ErrorCode::kUnsupported,
                "a scheme of quantization that this version does not read");
  }
  tensor.kind = SpecialKind::kQuantizedPerChannel;
  tensor.axis = *axis;
  for (const auto& [part_name, value, part_dtype] :
       {std::tuple{"scales", scheme[1], DType::kF64}, {"zero_points", scheme[2], DType::kI64}}) {
    if (auto added = add_numbers(tensor, part_name, value, part_dtype); !added) {
      return std::unexpected(added.error());
    }
    if (tensor.parts.back().view.shape != Shape{tensor.shape[*axis]}) {
      return fail(ErrorCode::kMalformed, "the scales do not fit the axis of a quantized tensor");
    }
  }
  return AnyTensor(std::move(tensor));
}

namespace {

std::optional<SpecialKind> layout_kind(const Graph& graph, Value layout) {
  if (!is_call_to(graph, layout, "torch.serialization", "_get_layout")) return std::nullopt;
  const auto arguments = call_arguments(graph, layout);
  if (arguments.size() != 1) return std::nullopt;
  const std::string_view name = graph.text_or_empty(arguments[0]);
  constexpr std::array<std::pair<std::string_view, SpecialKind>, 5> kLayouts = {{
      {"torch.sparse_coo", SpecialKind::kSparseCoo},
      {"torch.sparse_csr", SpecialKind::kSparseCsr},
      {"torch.sparse_csc", SpecialKind::kSparseCsc},
      {"torch.sparse_bsr", SpecialKind::kSparseBsr},
      {"torch.sparse_bsc", SpecialKind::kSparseBsc},
  }};
  for (const auto& [layout_name, kind] : kLayouts) {
    if (layout_name == name) return kind;
  }
  return std::nullopt;
}

}  // namespace

// layout, data
Result<AnyTensor> TorchReader::read_sparse(const Call& call) {
  if (call.arguments.size() < 2) return unexpected_arguments();
  const auto kind = layout_kind(run_->graph, call.arguments[0]);
  if (!kind) return fail(ErrorCode::kUnsupported, "a layout that this version does not read");
  return read_sparse_data(*kind, call.arguments[1]);
}

// COO: indices, values, size[, is_coalesced]; others: compressed indices, plain indices, values,
// size.
Result<AnyTensor> TorchReader::read_sparse_data(SpecialKind kind, Value data) {
  const Graph& graph = run_->graph;
  if (graph.kind(data) != PickleKind::kTuple) return unexpected_arguments();
  const Values items = graph.tuple_items(data);
  const bool coo = kind == SpecialKind::kSparseCoo;
  const std::size_t required = coo ? 3 : 4;
  if (items.size() < required) return unexpected_arguments();
  SpecialTensor tensor;
  tensor.kind = kind;
  auto shape = sizes_of(graph, items[required - 1]);
  if (!shape) return unexpected_arguments();
  tensor.shape = std::move(*shape);
  const std::array<const char*, 3> coo_names = {"indices", "values", ""};
  const std::array<const char*, 3> names = {"compressed_indices", "plain_indices", "values"};
  for (std::size_t i = 0; i + 1 < required; ++i) {
    const char* const name = coo ? coo_names.at(i) : names.at(i);
    if (auto added = add_part(tensor, name, items[i]); !added) {
      return std::unexpected(added.error());
    }
  }
  tensor.dtype = tensor.parts.back().view.dtype;
  return AnyTensor(std::move(tensor));
}

// buffer, sizes, strides, offsets
Result<AnyTensor> TorchReader::read_nested(const Call& call) {
  if (call.arguments.size() != 4) return unexpected_arguments();
  SpecialTensor tensor;
  tensor.kind = SpecialKind::kNested;
  constexpr std::array kNames = {"buffer", "sizes", "strides", "offsets"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (auto added = add_part(tensor, kNames.at(i), call.arguments[i]); !added) {
      return std::unexpected(added.error());
    }
  }
  tensor.dtype = tensor.parts.front().view.dtype;
  return AnyTensor(std::move(tensor));
}

// [class,] dtype, size, ...
Result<AnyTensor> TorchReader::read_without_elements(const Call& call, std::size_t first) {
  const Graph& graph = run_->graph;
  if (call.arguments.size() < first + 2) return unexpected_arguments();
  const auto dtype = dtype_value(graph, call.arguments[first]);
  auto shape = sizes_of(graph, call.arguments[first + 1]);
  if (!dtype || !shape) return unexpected_arguments();
  SpecialTensor tensor;
  tensor.kind = SpecialKind::kMeta;
  tensor.dtype = *dtype;
  tensor.shape = std::move(*shape);
  return AnyTensor(std::move(tensor));
}

// func, type, args, state: func is _rebuild_wrapper_subclass, the state holds the elements.
Result<AnyTensor> TorchReader::read_subclass(const Call& call) {
  const Graph& graph = run_->graph;
  if (auto paid = afford(kListItemCost); !paid) return std::unexpected(paid.error());
  const Call wrapper{"", "", graph.tuple_items(call.arguments[2]), Value()};
  auto described = read_without_elements(wrapper, 1);
  if (!described) return described;
  SpecialTensor& tensor = std::get<SpecialTensor>(*described);
  tensor.kind = SpecialKind::kSubclass;
  const Value type = call.arguments[1];
  if (graph.kind(type) == PickleKind::kGlobal) {
    tensor.class_name =
        std::string(graph.module_text(type)) + "." + std::string(graph.name_text(type));
  }
  const ObjectView state = look(graph, call.arguments[3]);
  if (auto paid = afford(kListItemCost * state.steps); !paid) return std::unexpected(paid.error());
  for (const Child& child : state.children) {
    const std::string_view key = graph.text_or_empty(child.key);
    if (auto paid = afford(key.size()); !paid) return std::unexpected(paid.error());
    if (!is_tensor(graph, child.value)) continue;
    auto part = read_part(child.value);
    if (!part) continue;
    // A tensor of a process group of one: its local part is all of it.
    if (key == "_local_tensor" && part->view.shape == tensor.shape &&
        part->view.dtype == tensor.dtype) {
      return AnyTensor(std::move(*part));
    }
    tensor.parts.push_back({std::string(key), std::move(part->view), std::move(part->entry)});
  }
  return described;
}

}  // namespace tare::object
