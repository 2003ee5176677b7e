#include "object/document.hpp"

namespace tare::object {
namespace {

// Files inside files; torch makes one inside another.
constexpr unsigned kMaxDepth = 8;

}  // namespace

Document::Document(pickle::Run run, Surroundings surroundings)
    : run_(std::move(run)),
      surroundings_(std::move(surroundings)),
      torch_(run_, surroundings_.externals.get()),
      numpy_(run_.graph) {
  torch_.set_nested([this](ByteSpan file) { return load_storage(file); });
  torch_.set_arrays([this](Value value) { return numpy_.read(value); });
}

Value Document::unwrapped(Value value) const {
  const auto inner = paddle_tensor(graph(), value);
  return inner.value_or(value);
}

Meaning Document::meaning(Value value) {
  const pickle::Kind kind = graph().kind(value);
  if (kind != pickle::Kind::kCall && kind != pickle::Kind::kPersistent) return Meaning::kPlain;
  const auto known = meanings_.find(*graph().node_index(value));
  if (known != meanings_.end()) return known->second;
  const Meaning found = find_meaning(unwrapped(value));
  meanings_.emplace(*graph().node_index(value), found);
  return found;
}

Meaning Document::find_meaning(Value value) {
  const pickle::Kind kind = graph().kind(value);
  if (kind != pickle::Kind::kCall && kind != pickle::Kind::kPersistent) return Meaning::kPlain;
  if (is_tensor(graph(), value)) return Meaning::kTensor;
  if (surroundings_.externals) {
    if (surroundings_.externals->is_tensor(graph(), value)) return Meaning::kTensor;
    if (surroundings_.externals->document(graph(), value) != nullptr) return Meaning::kFile;
  }
  if (NumpyReader::is_array(graph(), value)) {
    if (numpy_.is_tensor(value)) return Meaning::kTensor;
    return numpy_.read_objects(value) ? Meaning::kObjects : Meaning::kPlain;
  }
  return is_call_to(graph(), value, "torch.storage", "_load_from_bytes") ? Meaning::kFile
                                                                         : Meaning::kPlain;
}

const Result<AnyTensor>& Document::tensor(Value value) {
  const std::uint32_t node = *graph().node_index(value);  // calls and persistent ids are nodes
  const auto known = tensors_.find(node);
  if (known != tensors_.end()) return known->second;
  return tensors_.emplace(node, read(unwrapped(value))).first->second;
}

Result<AnyTensor> Document::read(Value value) {
  if (is_tensor(graph(), value)) return torch_.read(value);
  if (NumpyReader::is_masked(graph(), value)) {
    auto masked = numpy_.read_masked(value);
    if (!masked) return std::unexpected(masked.error());
    return AnyTensor(std::move(*masked));
  }
  if (NumpyReader::is_array(graph(), value)) {
    auto array = numpy_.read(value);
    if (!array) return std::unexpected(array.error());
    return AnyTensor(TorchTensor{std::move(*array), ""});
  }
  auto tensor = surroundings_.externals->tensor(graph(), value);
  if (!tensor) return std::unexpected(tensor.error());
  return AnyTensor(std::move(*tensor));
}

Result<Document*> Document::file(Value value) {
  if (surroundings_.externals) {
    if (Document* inner = surroundings_.externals->document(graph(), value)) return inner;
  }
  const auto arguments = call_arguments(graph(), value);
  if (arguments.size() != 1 || graph().kind(arguments[0]) != pickle::Kind::kBytes) {
    return fail(ErrorCode::kUnsupported, "a file inside the pickle that cannot be read");
  }
  return open(as_bytes(graph().text(arguments[0])));
}

Result<Document*> Document::open(ByteSpan file) {
  if (!surroundings_.nested) {
    return fail(ErrorCode::kUnsupported, "a file inside the pickle that cannot be read");
  }
  if (surroundings_.depth >= kMaxDepth) {
    return fail(ErrorCode::kLimit, "files stand inside files more than 8 deep");
  }
  auto known = files_.find(file.data());
  if (known == files_.end()) {
    known = files_.emplace(file.data(), surroundings_.nested(file, surroundings_.depth + 1)).first;
  }
  if (!known->second) return std::unexpected(known->second.error());
  return known->second->get();
}

Result<TorchReader::Loaded> Document::load_storage(ByteSpan file) {
  const auto document = open(file);
  if (!document) return std::unexpected(document.error());
  const Value storage = (*document)->root();
  // No further: a file of a file of a file is no way to hold a storage.
  if ((*document)->graph().kind(storage) != pickle::Kind::kPersistent) {
    return fail(ErrorCode::kUnsupported, "a file inside the pickle holds no storage");
  }
  return (*document)->torch().read_storage(storage);
}

}  // namespace tare::object
