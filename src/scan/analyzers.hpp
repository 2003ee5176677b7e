// The analyzers: one kind of part each. They add findings; they never decide what a file is.
#pragma once

#include <vector>

#include "format/format.hpp"
#include "scan/findings.hpp"

namespace tare {

// A file that stands in the bytes of a pickle, and is loaded from there.
struct NestedFile {
  std::uint64_t offset;  // of the call, bytes from the start of the entry
  ByteSpan bytes;
};

// Every stream in a pickle part: what it imports, calls and changes; where it breaks; what follows.
// Returns the files in it, which are to be judged as well.
std::vector<NestedFile> analyze_pickle(const format::Part& part, Findings& findings);

// TorchScript source: what it could do when a loader compiles and runs it.
void analyze_torchscript(const format::Part& part, Findings& findings);

// An ONNX model: paths, operators, functions, sizes.
void analyze_onnx(const format::Part& part, Findings& findings);

// A TensorFlow Lite model: operators, and bounds of what it refers to.
void analyze_tflite(const format::Part& part, Findings& findings);

// A SavedModel, MetaGraph or graph of TensorFlow: operators, and paths.
void analyze_tensorflow(const format::Part& part, Findings& findings);

}  // namespace tare
