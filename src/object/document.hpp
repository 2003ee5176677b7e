// One pickle of a model file together with what stands around it: its storages, arrays between its
// opcodes, files inside its bytes.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "object/numpy_objects.hpp"
#include "object/python_objects.hpp"
#include "object/torch_objects.hpp"

namespace tare::object {

class Document;

// Opens a model file that stands inside another one; `depth` files are around it.
using NestedOpener =
    std::function<Result<std::unique_ptr<Document>>(ByteSpan file, unsigned depth)>;

// Of the classes of a TorchScript archive, by "__torch__.module.Class": their parameters and
// buffers, which are what state_dict() has of the tensors among their attributes.
using ScriptClasses = std::map<std::string, std::set<std::string, std::less<>>, std::less<>>;

// What is known of a pickle besides its bytes.
struct Surroundings {
  std::unique_ptr<Externals> externals{};
  NestedOpener nested{};
  unsigned depth = 0;  // files around this one
  // Of TorchScript: a module's state is its parameters, buffers and modules. A class that is not
  // listed has all tensors among its attributes.
  std::optional<ScriptClasses> script{};
  // In front of the positions in the object itself, if that is a list: "c" makes c0, c1 ...
  std::string index_prefix{};
};

// What a value means beyond what Python itself makes of it.
enum class Meaning : std::uint8_t {
  kPlain,
  kTensor,   // of torch, or an array of numpy
  kObjects,  // an array of objects
  kFile,     // a model file in its bytes
};

// Not copyable or movable: readers refer to the run inside. Not thread-safe.
class Document {
 public:
  Document(pickle::Run run, Surroundings surroundings);
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  const pickle::Run& run() const { return run_; }
  const Graph& graph() const { return run_.graph; }
  Value root() const { return run_.result; }
  const std::optional<ScriptClasses>& script() const { return surroundings_.script; }
  const std::string& index_prefix() const { return surroundings_.index_prefix; }
  TorchReader& torch() { return torch_; }

  // Found once for each value.
  Meaning meaning(Value value);
  // The value itself, or what it wraps: PaddlePaddle saves tensors as eval('data', {'data':
  // array}).
  Value unwrapped(Value value) const;
  // Of a value that means a tensor. The same value is read once.
  const Result<AnyTensor>& tensor(Value value);
  // Of a value that means an array of objects.
  Result<ObjectArray> objects(Value value) { return numpy_.read_objects(value); }
  NumpyReader& numpy() { return numpy_; }
  // Of a value that means a file: the document in it. Opened once.
  Result<Document*> file(Value value);

 private:
  Meaning find_meaning(Value value);
  Result<AnyTensor> read(Value value);
  Result<TorchReader::Loaded> load_storage(ByteSpan file);
  Result<Document*> open(ByteSpan file);

  pickle::Run run_;
  Surroundings surroundings_;
  TorchReader torch_;
  NumpyReader numpy_;
  std::unordered_map<std::uint32_t, Meaning> meanings_;           // by node
  std::unordered_map<std::uint32_t, Result<AnyTensor>> tensors_;  // by node
  std::unordered_map<const std::byte*, Result<std::unique_ptr<Document>>> files_;
};

}  // namespace tare::object
