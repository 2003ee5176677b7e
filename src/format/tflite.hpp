// TensorFlow Lite: the tables of a model file (docs/formats/tflite.md).
#pragma once

#include <string_view>
#include <vector>

#include "format/format.hpp"
#include "io/flatbuffer.hpp"

namespace tare::format {

struct TfliteBuffer {
  ByteSpan data;
  bool is_outside = false;  // its offset and size point behind the file
};

// A tensor as it stands there: nothing was checked.
struct TfliteTensorView {
  std::uint64_t at = 0;  // of its table in the file
  std::string_view name;
  std::vector<std::int32_t> shape;
  std::int8_t type = 0;
  std::uint32_t buffer = 0;
  bool is_quantized = false;
  bool is_sparse = false;
};

struct TfliteOperatorView {
  std::uint64_t at = 0;
  std::uint32_t code = 0;             // index of its operator code
  std::vector<std::int32_t> tensors;  // inputs, outputs and intermediates; -1: none
  bool is_outside = false;            // custom options point behind the file
};

struct TfliteGraphView {
  std::uint64_t at = 0;
  std::vector<TfliteTensorView> tensors;
  std::vector<std::int32_t> ends;  // inputs and outputs of the graph
  std::vector<TfliteOperatorView> operators;
};

struct TfliteCodeView {
  std::uint64_t at = 0;
  std::int32_t builtin = 0;
  std::string_view custom;
};

struct TfliteView {
  std::uint32_t version = 0;
  std::vector<TfliteCodeView> codes;
  std::vector<TfliteGraphView> graphs;
  std::vector<TfliteBuffer> buffers;
  std::uint64_t metadata_count = 0;
};

// Every table and vector that readers follow. Errors: those of FlatBuffer.
Result<TfliteView> read_tflite(ByteSpan bytes);

// The elements of a shape. Errors: kOverflow, kMalformed (a negative length).
Result<std::uint64_t> tflite_element_count(const TfliteTensorView& tensor);
// Bits of an element; 0 for texts, resources and variants, and what no version has.
unsigned tflite_type_bits(std::int8_t type);

}  // namespace tare::format
