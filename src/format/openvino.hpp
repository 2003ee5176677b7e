// OpenVINO IR: the layers of a model, whose constants stand in a file beside it
// (docs/formats/openvino.md).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "format/format.hpp"

namespace tare::format {

// Where the elements of a constant are in the file of weights. As it stands there: not checked.
struct OpenvinoConst {
  std::string element_type;
  std::string shape;  // "2, 3"
  std::string offset;
  std::string size;
};

struct OpenvinoLayer {
  std::uint64_t offset = 0;  // of the element, bytes from the start of the file
  std::uint32_t scope = 0;   // the graph that it stands in: the net, or a body of a layer
  std::string id;
  std::string name;
  std::string type;
  std::string opset;  // "opset1"
  std::optional<OpenvinoConst> data;
  bool is_ambiguous = false;  // it has data twice
};

struct OpenvinoEdge {
  std::uint64_t offset = 0;
  std::uint32_t scope = 0;
  std::string from;
  std::string to;
};

struct OpenvinoView {
  std::string version;
  std::vector<OpenvinoLayer> layers;
  std::vector<OpenvinoEdge> edges;
};

// Errors: those of XmlReader, and kLimit (more than a million layers or edges).
Result<OpenvinoView> read_openvino(ByteSpan bytes);

struct OpenvinoRange {
  std::optional<DType> dtype;  // nothing for types that no tensor here has
  Shape shape;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
// The numbers of a constant. Errors: kMalformed (no numbers, a type that OpenVINO does not have, a
// size that is not that of the shape), kOverflow.
Result<OpenvinoRange> openvino_range(const OpenvinoConst& data);

// The model with the constants that stand in the file of the same name, with ".bin". Errors: those
// of read_openvino(); what cannot be read of the constants is a problem of the model.
std::expected<Model, Failure> open_openvino(const std::filesystem::path& path, Input input,
                                            const OpenInput& open);

}  // namespace tare::format
