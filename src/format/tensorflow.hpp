// TensorFlow's graphs: the messages of SavedModel, MetaGraphDef and GraphDef
// (docs/formats/tensorflow.md).
#pragma once

#include "format/format.hpp"
#include "io/protobuf.hpp"

namespace tare::format {

// Kinds of messages, for walk_messages().
enum TensorflowMessage : unsigned {
  kTfSavedModel,
  kTfMetaGraph,
  kTfGraph,
  kTfLibrary,
  kTfFunction,
  kTfSignature,
  kTfNode,
  kTfAttribute,  // an entry of a map: key and value
  kTfValue,
  kTfList,
  kTfCall,  // the name of a function with attributes
  kTfTensor,
  kTfAsset,
};

std::span<const MessageField> tensorflow_fields();

// What a file is: kTfSavedModel, kTfMetaGraph, kTfGraph, or nothing of these.
std::optional<TensorflowMessage> tensorflow_root(ByteSpan bytes);

}  // namespace tare::format
