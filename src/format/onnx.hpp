// ONNX: the messages of a model file, and its tensors (docs/formats/onnx.md).
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>
#include <vector>

#include "format/format.hpp"
#include "io/protobuf.hpp"

namespace tare::format {

// Kinds of messages, for walk_messages().
enum OnnxMessage : unsigned {
  kOnnxModel,
  kOnnxGraph,
  kOnnxNode,
  kOnnxAttribute,
  kOnnxFunction,
  kOnnxTraining,
  kOnnxOpset,
  kOnnxTensor,
  kOnnxSparse,
};

// What holds what. Tensors are leaves, to be read by read_onnx_tensor().
std::span<const MessageField> onnx_fields();

// Where the elements of a tensor are, if not in the model.
struct OnnxExternalView {
  std::string_view key;
  std::string_view value;
  std::uint64_t offset;  // of the entry in the file
};

// A TensorProto as it stands there: nothing was checked.
struct OnnxTensorView {
  std::uint64_t at = 0;  // of the message in the file
  std::string_view name;
  std::vector<std::int64_t> dims;
  std::uint64_t type = 0;
  bool has_raw = false;
  ByteSpan raw;
  // int32_data, int64_data, uint64_data, float_data and double_data, in order: packed, or one
  // number each.
  std::vector<WireField> typed;
  std::uint64_t text_count = 0;
  bool is_external = false;
  std::vector<OnnxExternalView> external;
  bool is_ambiguous = false;  // a field is repeated that must not be, or has a number unknown here

  // The last value of a key, as readers take it; empty if there is none.
  std::string_view external_value(std::string_view key) const;
};

// Errors: those of ProtobufReader, kLimit (more than 64 axes or entries of external data, a million
// numbers that are not packed).
Result<OnnxTensorView> read_onnx_tensor(ByteSpan message, std::uint64_t offset);

// The elements that a shape has. Errors: kOverflow, kMalformed (a negative length).
Result<std::uint64_t> onnx_element_count(std::span<const std::int64_t> dims);
// Whether a path of external data stays in the folder of the model, on any system.
bool is_inside_folder(std::string_view path);

// Finds the elements of a tensor whose data is external, that many bytes of them.
using OnnxElements =
    std::function<Result<ByteSpan>(const OnnxTensorView& tensor, std::uint64_t bytes)>;

// The initializers of the outermost graph. Those that cannot be read are problems. Errors: those of
// walk_messages().
Result<ModelContents> read_onnx(ByteSpan bytes, ReadContext& context, const OnnxElements& external);

// A model with the files of its external data, which lie beside it. Tensors whose file is missing,
// in another folder or too short are problems of the model. Errors: those of read_onnx().
std::expected<Model, Failure> open_onnx(const std::filesystem::path& path, Input input,
                                        const OpenInput& open);

}  // namespace tare::format
