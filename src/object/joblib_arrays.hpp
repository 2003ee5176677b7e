// The arrays of joblib: behind the object that stands for an array, between the opcodes, the file
// has its elements, or a pickle of it if they are objects. Format: docs/formats/joblib.md.
#pragma once

#include <memory>
#include <unordered_map>

#include "object/document.hpp"

namespace tare::object {

class JoblibArrays : public pickle::InlineData {
 public:
  // `stream` is what the pickle machine is to run, from the start of the (decompressed) file on; it
  // outlives the arrays and their views.
  explicit JoblibArrays(ByteSpan stream) : stream_(stream) {}

  // A pickle between the opcodes.
  struct Nested {
    std::uint64_t offset;  // in the stream
    std::uint64_t length;
  };

  Result<std::uint64_t> length(const pickle::Graph& graph, pickle::Value object,
                               std::uint64_t offset) override;

  // Where the first data stands; nothing if there is none. An unpickler that is not joblib's takes
  // it for opcodes.
  std::optional<std::uint64_t> first_offset() const { return first_offset_; }
  const std::vector<Nested>& nested() const { return nested_; }

  // The arrays as what the pickle refers to. To be called once, after the run.
  std::unique_ptr<Externals> take_externals();

 private:
  struct Array {
    ArrayType type;
    Shape shape;
    bool fortran = false;
    ByteSpan bytes;
    std::unique_ptr<Document> document;  // of objects
  };
  class ArrayExternals;

  Result<std::uint64_t> read_elements(Array& array, const ObjectView& wrapper,
                                      const pickle::Graph& graph, std::uint64_t offset) const;
  Result<std::uint64_t> read_pickle(Array& array, std::uint64_t offset);

  ByteSpan stream_;
  std::optional<std::uint64_t> first_offset_;
  std::vector<Nested> nested_;
  std::unordered_map<std::uint32_t, Array> arrays_;  // by node of the graph
};

}  // namespace tare::object
