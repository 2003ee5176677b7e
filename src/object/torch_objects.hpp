// Gives meaning to torch's calls in a pickle: which of them are tensors, and of what.
//
// Source: torch/_utils.py, torch/_tensor.py, torch/serialization.py of releases 0.1 to 2.13
// (docs/formats/torch.md).
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>

#include "object/torch_types.hpp"
#include "tare/named_tensor.hpp"
#include "tare/pickle.hpp"

namespace tare::object {

// The sizes in a tuple, a list or a torch.Size; nothing for anything else, and if one is negative.
std::optional<Shape> sizes_of(const pickle::Graph& graph, pickle::Value value);
// The type that the global `torch float32` and its kind stand for; nothing for any other value, and
// for types without a DType.
std::optional<DType> dtype_value(const pickle::Graph& graph, pickle::Value value);

// ('storage', <class>, key, location, numel[, view]), the persistent id of a storage.
struct StorageId {
  const StorageClass* storage_class = nullptr;
  std::string key;          // an integer in decimal digits
  std::uint64_t numel = 0;  // elements of the storage class; bytes for UntypedStorage
  // A part of the storage, in elements; torch 0.2 and 0.3.
  struct View {
    std::uint64_t offset;
    std::uint64_t numel;
  };
  std::optional<View> view;
};

// Reads a persistent id. Errors: kUnsupported for any other shape of id.
Result<StorageId> read_storage_id(const pickle::Graph& graph, pickle::Value persistent);

// The bytes behind a storage's id, and what they are.
struct Storage {
  ByteSpan bytes;
  bool big_endian = false;
  std::string entry;  // of the container
};

// A tensor as a file holds it.
struct TorchTensor {
  TensorView view;
  std::string entry;
};

class Document;

// What a pickle refers to and does not hold itself.
class Externals {
 public:
  virtual ~Externals() = default;
  // All bytes of a storage. Errors: kNotFound, kRefused (ambiguous), and those of reading.
  virtual Result<Storage> storage(const StorageId&) {
    return fail(ErrorCode::kNotFound, "the file has no storages");
  }
  // Values that stand for tensors in this file only: persistent ids, or objects behind which an
  // array follows.
  virtual bool is_tensor(const pickle::Graph&, pickle::Value) const { return false; }
  virtual Result<TorchTensor> tensor(const pickle::Graph&, pickle::Value) {
    return fail(ErrorCode::kNotFound, "no such tensor");
  }
  // The document of a pickle that stands for the value; null for most.
  virtual Document* document(const pickle::Graph&, pickle::Value) { return nullptr; }
};
using AnyTensor = std::variant<TorchTensor, SpecialTensor>;  // a SpecialTensor without a name

// True if the value is one of the calls by which torch makes tensors, whether or not it can be
// read here.
bool is_tensor(const pickle::Graph& graph, pickle::Value value);
// True for a storage: a persistent id, or what torch.storage._load_from_bytes() loads.
bool is_storage(const pickle::Graph& graph, pickle::Value value);

// Reads the tensors of one pickle.
class TorchReader {
 public:
  // What torch.storage._load_from_bytes(bytes) holds: a storage, with its class.
  struct Loaded {
    StorageId id;
    Storage storage;
  };
  // Reads a file inside a pickle whose only object is a storage.
  using NestedStorage = std::function<Result<Loaded>(ByteSpan file)>;
  // Reads a numpy array.
  using ArrayReader = std::function<Result<TensorView>(pickle::Value)>;

  // Both outlive the reader. `externals` may be null: there are no storages.
  TorchReader(const pickle::Run& run, Externals* externals)
      : run_(&run), externals_(externals), budget_(16 * run.end_offset + kLeastBudget) {}
  void set_nested(NestedStorage nested) { nested_ = std::move(nested); }
  void set_arrays(ArrayReader arrays) { arrays_ = std::move(arrays); }

  // A tensor for which is_tensor() is true. The views have been checked against their storages.
  // Errors: kUnsupported, kMalformed, kOverflow, and those of Externals::storage().
  Result<AnyTensor> read(pickle::Value value);

  // A storage: a persistent id, or one that _load_from_bytes() loads. The class is that of the
  // first id of the key, as in torch. Errors: kMalformed if fewer bytes are there than the id
  // claims.
  Result<Loaded> read_storage(pickle::Value value);

  // True if the pickle names one storage by two classes: torch takes the first.
  bool has_mixed_classes();

 private:
  // A call that stands in the graph, or that another call makes with its arguments.
  struct Call {
    std::string_view module;
    std::string_view name;
    std::span<const pickle::Value> arguments;
    pickle::Value value;  // with updates; None if the call is not in the graph
  };

  static constexpr std::uint64_t kLeastBudget = std::uint64_t{64} << 10;

  // The call behind all wrappers; of a tensor that is external, its value alone.
  Result<Call> unwrapped(pickle::Value value) const;
  bool is_external(pickle::Value value) const;
  // Takes the cost of what tensors may share with each other. Errors: kLimit.
  Result<void> afford(std::uint64_t cost);
  Result<TorchTensor> read_dense(const Call& call);
  Result<TorchTensor> read_part(pickle::Value value);
  Result<TorchTensor> make_view(const Loaded& loaded, DType dtype,
                                std::span<const pickle::Value> offset_shape_strides) const;
  Result<AnyTensor> read_quantized(const Call& call);
  Result<AnyTensor> read_sparse(const Call& call);
  Result<AnyTensor> read_sparse_data(SpecialKind kind, pickle::Value data);
  Result<AnyTensor> read_nested(const Call& call);
  Result<AnyTensor> read_without_elements(const Call& call, std::size_t first);
  Result<AnyTensor> read_subclass(const Call& call);
  Result<AnyTensor> read_from_array(const Call& call);
  Result<void> add_part(SpecialTensor& tensor, const char* name, pickle::Value value);
  // A tensor, or a list of numbers as a tensor of them.
  Result<void> add_numbers(SpecialTensor& tensor, const char* name, pickle::Value value,
                           DType dtype);
  void note_classes();

  const pickle::Run* run_;
  Externals* externals_;
  NestedStorage nested_;
  ArrayReader arrays_;
  std::deque<std::vector<std::byte>> made_;  // elements that the file has as numbers
  std::uint64_t budget_;                     // bytes, more than any file of torch needs
  bool noted_ = false;
  bool mixed_ = false;
  std::unordered_map<std::string, StorageId> first_ids_;  // by key
};

}  // namespace tare::object
