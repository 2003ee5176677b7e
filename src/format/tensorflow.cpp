#include "format/tensorflow.hpp"

#include <algorithm>
#include <array>

#include "io/utf8.hpp"

namespace tare::format {
namespace {

constexpr std::array kFields = {
    MessageField{kTfSavedModel, 2, kTfMetaGraph}, MessageField{kTfMetaGraph, 2, kTfGraph},
    MessageField{kTfMetaGraph, 6, kTfAsset},      MessageField{kTfGraph, 1, kTfNode},
    MessageField{kTfGraph, 2, kTfLibrary},        MessageField{kTfLibrary, 1, kTfFunction},
    MessageField{kTfFunction, 1, kTfSignature},   MessageField{kTfFunction, 3, kTfNode},
    MessageField{kTfFunction, 5, kTfAttribute},   MessageField{kTfNode, 5, kTfAttribute},
    MessageField{kTfAttribute, 2, kTfValue},      MessageField{kTfValue, 1, kTfList},
    MessageField{kTfValue, 8, kTfTensor},         MessageField{kTfValue, 10, kTfCall},
    MessageField{kTfList, 8, kTfTensor},          MessageField{kTfList, 9, kTfCall},
    MessageField{kTfCall, 2, kTfAttribute},
};

// ---- detection: no magic, but nodes look like nothing else

bool is_operator_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_>.-/:").find(c) != std::string_view::npos;
  });
}

bool could_be_node(ByteSpan bytes) {
  ProtobufReader reader(bytes);
  bool has_operator = false;
  while (const auto field = reader.next()) {
    if (field->number <= 5 && !field->is_bytes()) return false;
    if (field->number <= 4 && !is_utf8(field->text())) return false;
    if (field->number == 2) has_operator = is_operator_name(field->text());
  }
  return has_operator;
}

// By the first node, wherever that stands.
bool could_be_graph(ByteSpan bytes) {
  ProtobufReader reader(bytes);
  while (const auto field = reader.next()) {
    if (field->number <= 2 && !field->is_bytes()) return false;
    if (field->number == 1) return could_be_node(field->bytes);
  }
  return false;
}

bool could_be_meta_graph(ByteSpan bytes) {
  ProtobufReader reader(bytes);
  while (const auto field = reader.next()) {
    if (field->number <= 7 && !field->is_bytes()) return false;
    if (field->number == 2) return could_be_graph(field->bytes);
  }
  return false;
}

// Whether the bytes are a message to their end, or cut off.
bool is_message(ByteSpan bytes) {
  ProtobufReader reader(bytes);
  while (reader.next()) {
  }
  return !reader.failed() || reader.error().code != ErrorCode::kMalformed;
}

// A saved model that is cut off inside of its first graph still counts.
bool could_be_saved_model(ByteSpan bytes) {
  ProtobufReader reader(bytes);
  bool has_version = false;
  while (const auto field = reader.next()) {
    if (field->number == 1) {
      if (field->type != WireType::kVarint || field->value > 1000) return false;
      has_version = true;
    }
    if (field->number == 2) return field->is_bytes() && could_be_meta_graph(field->bytes);
  }
  return reader.error().code == ErrorCode::kTruncated && has_version && bytes.size() > 3 &&
         bytes[2] == std::byte{0x12};
}

constexpr std::array<std::string_view, 4> kTextBegins = {
    "saved_model_schema_version:", "meta_graphs {", "meta_info_def {", "node {"};

bool is_text(ByteSpan bytes) {
  return std::ranges::any_of(kTextBegins, [&](std::string_view begin) {
    return as_text(bytes.first(std::min(bytes.size(), begin.size()))) == begin;
  });
}

bool recognises(ByteSpan bytes) {
  return is_text(bytes) || tensorflow_root(bytes).has_value();
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  const auto root = tensorflow_root(bytes);
  list.parts.push_back({"", root ? PartKind::kTensorflow : PartKind::kRecognised, bytes, 0});
  if (root == kTfSavedModel) list.format = "tensorflow-saved-model";
  if (root == kTfMetaGraph) list.format = "tensorflow-meta-graph";
  if (root == kTfGraph) list.format = "tensorflow-graph";
  return list;
}

}  // namespace

std::span<const MessageField> tensorflow_fields() {
  return kFields;
}

std::optional<TensorflowMessage> tensorflow_root(ByteSpan bytes) {
  if (!is_message(bytes)) return std::nullopt;
  if (could_be_saved_model(bytes)) return kTfSavedModel;
  if (could_be_meta_graph(bytes)) return kTfMetaGraph;
  if (could_be_graph(bytes)) return kTfGraph;
  return std::nullopt;
}

const Format kTensorflow = {"tensorflow", "a graph of TensorFlow", recognises, list_parts, nullptr};

}  // namespace tare::format
