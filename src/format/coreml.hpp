// CoreML: the messages of a model that lead to code, files and operators, and what a package of one
// holds besides (docs/formats/coreml.md).
#pragma once

#include "format/format.hpp"
#include "io/protobuf.hpp"

namespace tare::format {

// Kinds of messages, for walk_messages().
enum CoremlMessage : unsigned {
  kMlModel,
  kMlPipelineOf,  // of a classifier or regressor
  kMlPipeline,
  kMlNetwork,
  kMlLayer,
  kMlBranch,
  kMlLoop,
  kMlCustomLayer,
  kMlCustomModel,
  kMlLinked,
  kMlLinkedFile,
  kMlText,  // a parameter that is a text
  kMlSerialized,
  kMlProgram,
  kMlFunctionEntry,
  kMlFunction,
  kMlBlockEntry,
  kMlBlock,
  kMlOperation,
  kMlInput,
  kMlArgument,
  kMlBinding,
  kMlValueEntry,
  kMlValue,
  kMlImmediate,
  kMlValues,
  kMlDictionary,
  kMlPair,
  kMlBlob,
};

std::span<const MessageField> coreml_fields();

}  // namespace tare::format
