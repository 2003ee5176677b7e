// CoreML models (.mlmodel), and the manifest of a package of them. Format: docs/formats/coreml.md.
#include "format/coreml.hpp"

#include <array>

#include "format/json_tree.hpp"

namespace tare::format {
namespace {

constexpr std::array kFields = {
    MessageField{kMlModel, 200, kMlPipelineOf},   MessageField{kMlModel, 201, kMlPipelineOf},
    MessageField{kMlModel, 202, kMlPipeline},     MessageField{kMlModel, 303, kMlNetwork},
    MessageField{kMlModel, 403, kMlNetwork},      MessageField{kMlModel, 500, kMlNetwork},
    MessageField{kMlModel, 502, kMlProgram},      MessageField{kMlModel, 555, kMlCustomModel},
    MessageField{kMlModel, 556, kMlLinked},       MessageField{kMlModel, 3000, kMlSerialized},
    MessageField{kMlPipelineOf, 1, kMlPipeline},  MessageField{kMlPipeline, 1, kMlModel},
    MessageField{kMlNetwork, 1, kMlLayer},        MessageField{kMlLayer, 500, kMlCustomLayer},
    MessageField{kMlLayer, 605, kMlBranch},       MessageField{kMlLayer, 615, kMlLoop},
    MessageField{kMlBranch, 1, kMlNetwork},       MessageField{kMlBranch, 2, kMlNetwork},
    MessageField{kMlLoop, 3, kMlNetwork},         MessageField{kMlLoop, 4, kMlNetwork},
    MessageField{kMlLinked, 1, kMlLinkedFile},    MessageField{kMlLinkedFile, 1, kMlText},
    MessageField{kMlLinkedFile, 2, kMlText},      MessageField{kMlProgram, 2, kMlFunctionEntry},
    MessageField{kMlProgram, 4, kMlValueEntry},   MessageField{kMlFunctionEntry, 2, kMlFunction},
    MessageField{kMlFunction, 3, kMlBlockEntry},  MessageField{kMlFunction, 4, kMlValueEntry},
    MessageField{kMlBlockEntry, 2, kMlBlock},     MessageField{kMlBlock, 3, kMlOperation},
    MessageField{kMlBlock, 4, kMlValueEntry},     MessageField{kMlOperation, 2, kMlInput},
    MessageField{kMlOperation, 4, kMlBlock},      MessageField{kMlOperation, 5, kMlValueEntry},
    MessageField{kMlInput, 2, kMlArgument},       MessageField{kMlArgument, 1, kMlBinding},
    MessageField{kMlBinding, 2, kMlValue},        MessageField{kMlValueEntry, 2, kMlValue},
    MessageField{kMlValue, 3, kMlImmediate},      MessageField{kMlValue, 5, kMlBlob},
    MessageField{kMlImmediate, 2, kMlValues},     MessageField{kMlImmediate, 3, kMlValues},
    MessageField{kMlImmediate, 4, kMlDictionary}, MessageField{kMlValues, 1, kMlValue},
    MessageField{kMlDictionary, 1, kMlPair},      MessageField{kMlPair, 1, kMlValue},
    MessageField{kMlPair, 2, kMlValue},
};

// specificationVersion = 1, description = 2, isUpdatable = 10, and one type from 200 on.
bool recognises(ByteSpan bytes) {
  ProtobufReader in(bytes);
  const auto version = in.next();
  if (!version || version->number != 1 || version->type != WireType::kVarint) return false;
  if (version->value < 1 || version->value > 100) return false;
  const auto description = in.next();
  if (!description || description->number != 2 || !description->is_bytes()) return false;
  unsigned types = 0;
  while (const auto field = in.next()) {
    if (field->number == 10 && field->type == WireType::kVarint) continue;
    if (field->number < 200 || field->number > 3000 || !field->is_bytes()) return false;
    ++types;
  }
  return !in.failed() && types > 0;
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kCoreml, bytes, 0});
  return list;
}

bool is_manifest(ByteSpan bytes) {
  unsigned seen = 0;
  return has_top_level_key(bytes, [&seen](std::string_view key) {
    if (key == "itemInfoEntries") seen |= 1U;
    if (key == "rootModelIdentifier") seen |= 2U;
    return seen == 3U;
  });
}

Result<PartList> list_manifest(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kCoremlManifest, bytes, 0});
  return list;
}

}  // namespace

std::span<const MessageField> coreml_fields() {
  return kFields;
}

const Format kCoreml = {"coreml", "a CoreML model", recognises, list_parts, nullptr};
const Format kCoremlManifest = {"coreml-manifest",
                                "the manifest of a CoreML package, which holds no tensors",
                                is_manifest, list_manifest, nullptr};

}  // namespace tare::format
