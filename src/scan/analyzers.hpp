// The analyzers: one kind of part each. They add findings; they never decide what a file is.
#pragma once

#include <vector>

#include "format/format.hpp"
#include "scan/findings.hpp"
#include "tare/pickle.hpp"

namespace tare {

// The finding that a note of a format is.
void add_note(Findings& findings, const format::Note& note, std::string_view entry);
// Counts what was found of tensors and not noted.
void count_unnoted(Findings& findings, const format::PartList& list);

// A file that stands in a value of a pickle, and is handed to something that may load it.
struct NestedFile {
  std::uint64_t offset;            // of the call, bytes from the start of the entry
  ByteSpan bytes;                  // a view of the part, or of `decoded`
  std::vector<std::byte> decoded;  // if the value is a text that stands for bytes
  bool is_rest = false;            // no value: what follows the last stream
};

enum class Streams : bool { kAll, kFirst };

// The streams in a pickle part: what they import, call and change; where they break; what follows.
// Returns the files in it, which are to be judged as well.
std::vector<NestedFile> analyze_pickle(const format::Part& part, Findings& findings,
                                       Streams streams = Streams::kAll);

// TorchScript source: what it could do when a loader compiles and runs it. No finding if it only
// computes.
void analyze_torchscript(const format::Part& part, Findings& findings);
// The names of operators in a pickle of TorchScript: mobile bytecode calls them.
void analyze_script_names(const format::Part& part, const pickle::Run& run, Findings& findings);
// Python source: at least suspicious.
void analyze_python(const format::Part& part, Findings& findings);

// A Jinja template: what it could reach when it is rendered.
void analyze_template(const format::Part& part, Findings& findings);

// A configuration of a Hugging Face library: what it makes a loader import.
void analyze_config(const format::Part& part, Findings& findings);

// A configuration of Keras: what it makes Keras import, run and read.
void analyze_keras_config(const format::Part& part, Findings& findings);

// A configuration in YAML that Hydra may instantiate: what it makes it import and call, and what
// its interpolations read.
void analyze_hydra(const format::Part& part, Findings& findings);

// The manifest of a TorchServe archive: the code that it has the server run.
void analyze_mar(const format::Part& part, Findings& findings);

// The configuration of a container image: what it starts.
void analyze_image(const format::Part& part, Findings& findings);

// An ONNX model: paths, operators, functions, sizes.
void analyze_onnx(const format::Part& part, Findings& findings);

// A TensorFlow Lite model: operators, and bounds of what it refers to.
void analyze_tflite(const format::Part& part, Findings& findings);

// A SavedModel, MetaGraph or graph of TensorFlow: operators, and paths.
void analyze_tensorflow(const format::Part& part, Findings& findings);

// The schema of a skops file: what its nodes make the loader import and call.
void analyze_skops(const format::Part& part, Findings& findings);

// An object of Torch7: functions of Lua, and classes.
void analyze_torch7(const format::Part& part, Findings& findings);

// A serialized object of R: what is code in it, and what runs when it is read or used.
void analyze_rdata(const format::Part& part, Findings& findings);

// A model of XGBoost: names, and every index that prediction follows.
void analyze_xgboost(const format::Part& part, Findings& findings);

// A model of LightGBM: lines, sizes, and every index that prediction follows.
void analyze_lightgbm(const format::Part& part, Findings& findings);

// A model of CatBoost: every index that prediction follows.
void analyze_catboost(const format::Part& part, Findings& findings);

// A model as PMML: what makes a reader open files or run code, elements that PMML does not have.
void analyze_pmml(const format::Part& part, Findings& findings);

// A model as OpenVINO IR: layers of libraries, constants and edges that point to nothing.
void analyze_openvino(const format::Part& part, Findings& findings);

// A model of CoreML: classes that an app has to bring, other files, operators.
void analyze_coreml(const format::Part& part, Findings& findings);

// The manifest of a package of CoreML: paths.
void analyze_coreml_manifest(const format::Part& part, Findings& findings);

// A program of PaddlePaddle: operators, and blocks that are not there.
void analyze_paddle(const format::Part& part, Findings& findings);

// A graph of MXNet: operators, and nodes that are not there.
void analyze_mxnet(const format::Part& part, Findings& findings);

}  // namespace tare
