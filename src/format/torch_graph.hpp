// Gives meaning to the object graph of torch's pickles: which calls are tensors, and of what.
#pragma once

#include <functional>
#include <string_view>

#include "tare/pickle.hpp"
#include "tare/tensor.hpp"

namespace tare::format {

// ('storage', <class>, key, location, numel), the persistent id of a storage.
struct StorageId {
  std::string_view storage_class;  // "FloatStorage"
  std::string_view key;
  std::uint64_t numel = 0;  // elements of the storage class; bytes for UntypedStorage
};

// Reads a persistent id. Errors: kUnsupported for any other shape of id.
Result<StorageId> read_storage_id(const pickle::Graph& graph, pickle::Value persistent);

// Finds the bytes of a storage.
using StorageLookup = std::function<Result<ByteSpan>(const StorageId&)>;

// Checks that a storage has the bytes that its id claims. Errors: those of read_storage_id() and of
// `lookup`, kMalformed, kOverflow.
Result<void> check_storage(const pickle::Graph& graph, pickle::Value persistent,
                           const StorageLookup& lookup);

struct TorchTensor {
  TensorView view;
  std::string_view storage_key;
};

// True if the value is a call that torch makes for tensors, whether or not it can be read here.
bool is_tensor(const pickle::Graph& graph, pickle::Value value);

// Reads a tensor: the dense rebuild functions, through any depth of _rebuild_parameter. The view
// has been checked against its storage. Errors: kUnsupported (quantized, sparse, conjugate ...),
// kMalformed, kOverflow, and those of `lookup`.
Result<TorchTensor> read_tensor(const pickle::Graph& graph, pickle::Value value,
                                const StorageLookup& lookup);

// The global that a call calls, as "module.name"; empty if it calls something else.
std::string_view called_module(const pickle::Graph& graph, pickle::Value call);
std::string_view called_name(const pickle::Graph& graph, pickle::Value call);

}  // namespace tare::format
