// What a model format is to the rest of tare.
//
// A Format recognises an input by content, lists its Parts (what some loader would interpret), and
// reads its tensors. A new format is one file that defines a Format, and one line in registry.cpp.
// A format says what is in a file; whether that is harmless is for scan/ to say.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "tare/model.hpp"

namespace tare::format {

enum class PartKind : std::uint8_t {
  kPickle,          // a pickle stream, maybe with more behind it
  kScriptPickle,    // the same in an archive of TorchScript, whose classes are code of the archive
  kTorchScript,     // TorchScript source code
  kNativeCode,      // compiled code, or what a loader compiles, or how
  kTensorData,      // raw elements that a tensor refers to
  kPlainText,       // a known record of plain text, with legal content
  kTensorHeader,    // a validated header without code
  kTemplate,        // a Jinja template
  kConfig,          // JSON of a Hugging Face library
  kKerasConfig,     // JSON of Keras
  kHydraConfig,     // YAML that Hydra may instantiate
  kMarManifest,     // JSON of a TorchServe archive
  kImage,           // JSON of a container image
  kNested,          // a file of any format
  kOnnx,            // an ONNX model: graphs and functions
  kTflite,          // a TensorFlow Lite model
  kTensorflow,      // a SavedModel, MetaGraph or graph of TensorFlow
  kProgram,         // an executable or a library
  kSkops,           // the schema of a skops file: a tree of nodes that its loader makes objects of
  kTorch7,          // an object of Torch7
  kRdata,           // a serialized object of R
  kXgboost,         // a model of XGBoost in JSON or UBJSON
  kLightgbm,        // a model of LightGBM
  kCatboost,        // a model of CatBoost
  kPmml,            // a model as PMML
  kOpenvino,        // a model as OpenVINO IR
  kCoreml,          // a model of CoreML
  kCoremlManifest,  // the manifest of a package of CoreML
  kPaddle,          // a program of PaddlePaddle
  kMxnet,           // a graph of MXNet
  kNativeModel,     // a model that is native code, known by its signature
  kRecognised,      // of a format that tare knows by its signature alone
  kUnknown,         // nothing here understands it
};

struct Part {
  std::string path;  // name of the container entry; empty for the whole file
  PartKind kind = PartKind::kUnknown;
  ByteSpan bytes;
  std::uint64_t offset = Error::kNoOffset;  // of the bytes in the input; none if decompressed
  std::uint64_t base = 0;                   // of the bytes in the entry, or in the file
  // Of a pickle: nothing stands beside it, so that the format has not checked its tensors.
  bool is_alone = false;
};

enum class NoteKind : std::uint8_t {
  kAmbiguous,   // loaders would read different bytes
  kDamaged,     // some loader refuses this, another does not
  kUnreadable,  // a part could not be read at all
  kTensor,      // a tensor that does not fit its storage
  kUnchecked,   // a tensor of which nobody here can say whether it fits
  kTrailing,    // bytes that belong to nothing
  kExtraction,  // extracting it changes other files, or hangs
  kOutside,     // reading it reads another file of its choice
  kLink,        // a name for something else in the same file
  kPlugin,      // reading it takes code that is not in the library
  kOddName,     // a tensor has a name that a program may trip over; the path is that name
  // Of GGUF: what readers differ about, what lies outside of the file, what overflows.
  kGgufHeader,
  kGgufBounds,
  kGgufOverflow,
  kContradiction,  // what a checkpoint says does not fit together
  kElsewhere,      // it names a file that is not beside it
};

// Something odd about the container itself. `text` is a literal, a sentence without a full stop.
struct Note {
  NoteKind kind;
  std::uint64_t offset;
  std::string path;
  const char* text;
};

struct PartList {
  // More tensors are noted than a report lists; a file of a few bytes each may have millions.
  static constexpr std::uint64_t kMaxTensorNotes = 5000;

  std::string_view format;  // which variant of a format this is, if it says
  std::vector<Part> parts;
  std::vector<Note> notes;
  // How many were found, noted or not.
  std::uint64_t misfits = 0;    // kTensor
  std::uint64_t unchecked = 0;  // kUnchecked
  // Own what was decompressed.
  std::deque<std::vector<std::byte>> inflated;
  std::deque<Input> unpacked;
};

// What reading a file may cost, files inside of it included.
struct ReadContext {
  unsigned depth = 0;              // files around this one
  std::uint64_t inflate_left = 0;  // bytes that may still be decompressed
};
// Files inside files are read to this depth.
inline constexpr unsigned kMaxDepth = 8;
// The context of a file that stands alone, or of several, by their size: what is compressed may
// grow to 20 times of it, or to 256 MiB.
ReadContext context_of(std::uint64_t size);
inline ReadContext context_of(ByteSpan file) {
  return context_of(std::uint64_t{file.size()});
}

struct Format {
  std::string_view name;
  const char* description;  // for describe_content(): "a safetensors file"
  bool (*recognises)(ByteSpan bytes);
  // Takes what it decompresses from the context; the parts are views of it or of `bytes`.
  Result<PartList> (*list_parts)(ByteSpan bytes, ReadContext& context);
  // Null: recognised, no tensors read.
  Result<ModelContents> (*read_tensors)(ByteSpan bytes, ReadContext& context);
};

// list_parts() of a file that stands alone.
inline Result<PartList> parts_of(const Format& format, ByteSpan bytes) {
  ReadContext context = context_of(bytes);
  return format.list_parts(bytes, context);
}

// The contents of a file inside another one, by the first format that reads it. Errors:
// kWrongFormat, kLimit (too deep), and those of the format.
Result<ModelContents> read_nested(ByteSpan bytes, ReadContext& context);

// kWrongFormat, with what the bytes are, or what they begin with if nothing here knows them.
Error wrong_format(ByteSpan bytes);

// Every format, in the order of detection.
std::span<const Format* const> formats();

// All formats that recognise the bytes: a polyglot has several.
std::vector<const Format*> detect(ByteSpan bytes);

extern const Format kZip;
extern const Format kProgram;
extern const Format kTar;
extern const Format k7z;
extern const Format kTorchLegacy;
extern const Format kNpy;
extern const Format kCompressed;
extern const Format kSafetensors;
extern const Format kHfConfig;
extern const Format kJinja;
extern const Format kKerasConfig;
extern const Format kHydra;
extern const Format kImage;
extern const Format kHdf5;
extern const Format kRecognised;
// What the bytes are, of which kRecognised says no more: "a TensorRT engine"; empty if nothing.
const char* recognised_text(ByteSpan bytes);
extern const Format kGguf;
extern const Format kGgml;
extern const Format kOnnx;
extern const Format kTflite;
extern const Format kTensorflow;
extern const Format kFlax;
extern const Format kTensorBundle;
extern const Format kCheckpointState;
extern const Format kSkops;
extern const Format kTorch7;
extern const Format kRdata;
extern const Format kZarr;
extern const Format kXgboost;
extern const Format kLightgbm;
extern const Format kCatboost;
extern const Format kPmml;
extern const Format kOpenvino;
extern const Format kCoreml;
extern const Format kCoremlManifest;
extern const Format kCoremlWeights;
extern const Format kPaddle;
extern const Format kPaddleParams;
extern const Format kMxnet;
extern const Format kMxnetGraph;
extern const Format kPickle;

}  // namespace tare::format
