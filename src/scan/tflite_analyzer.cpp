// TensorFlow Lite models: operators that are not TensorFlow Lite's own, and everything that refers
// to something which is not there (docs/formats/tflite.md).
#include <algorithm>
#include <array>

#include "format/tflite.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"
#include "scan/analyzers.hpp"
#include "scan/excerpt.hpp"
#include "scan/rules.hpp"
#include "scan/tensorflow_operators.hpp"

namespace tare {
namespace {

using namespace format;

constexpr std::int32_t kCustom = 32;
constexpr std::int32_t kDelegate = 51;
constexpr std::int32_t kLastBuiltin = 207;  // of the schema of TensorFlow 2.18
constexpr std::int8_t kText = 5;

// Custom operators that every TensorFlow Lite has, for models that were made before they had codes.
constexpr std::array<std::string_view, 4> kOwnCustom = {"AudioSpectrogram", "Mfcc", "NumericVerify",
                                                        "TFLite_Detection_PostProcess"};

class TfliteAnalyzer {
 public:
  TfliteAnalyzer(const Part& part, Findings& findings) : part_(part), findings_(findings) {}

  void run();

 private:
  void report(const Rule& rule, std::uint64_t offset, std::string detail,
              std::string_view evidence = "");
  void judge_code(const TfliteCodeView& code);
  void judge_custom(const TfliteCodeView& code);
  void judge_graph(const TfliteGraphView& graph);
  void judge_tensor(const TfliteTensorView& tensor);
  void judge_texts(const TfliteTensorView& tensor, ByteSpan data);
  void outside(std::uint64_t offset, const char* what) {
    report(scan_rules::kTfliteBounds, offset, what);
  }

  const Part& part_;
  Findings& findings_;
  TfliteView model_;
};

void TfliteAnalyzer::report(const Rule& rule, std::uint64_t offset, std::string detail,
                            std::string_view evidence) {
  Finding* finding = findings_.add(rule, part_.path, offset, std::move(detail));
  if (finding != nullptr) finding->evidence = shown(evidence);
}

void TfliteAnalyzer::run() {
  auto model = read_tflite(part_.bytes);
  if (!model) {
    return report(model.error().code == ErrorCode::kLimit ? scan_rules::kUnreadableFile
                                                          : scan_rules::kTfliteBounds,
                  model.error().offset, model.error().what);
  }
  model_ = std::move(*model);
  if (model_.version != 3) {
    report(scan_rules::kRecognisedOnly, 0, "a version of the schema that is not 3");
  }
  for (const TfliteCodeView& code : model_.codes) judge_code(code);
  for (const TfliteGraphView& graph : model_.graphs) judge_graph(graph);
  for (const TfliteBuffer& buffer : model_.buffers) {
    if (buffer.is_outside) outside(0, "a buffer ends behind the file");
  }
}

void TfliteAnalyzer::judge_code(const TfliteCodeView& code) {
  if (code.builtin == kCustom) return judge_custom(code);
  if (code.builtin == kDelegate || code.builtin < 0 || code.builtin > kLastBuiltin) {
    report(scan_rules::kTfliteCustom, code.at,
           "operator " + std::to_string(code.builtin) + " is none of TensorFlow Lite's");
  }
}

// "FlexNAME" runs the operator NAME of TensorFlow.
void TfliteAnalyzer::judge_custom(const TfliteCodeView& code) {
  constexpr std::string_view kFlex = "Flex";
  if (std::ranges::find(kOwnCustom, code.custom) != kOwnCustom.end()) return;
  if (!code.custom.starts_with(kFlex)) {
    return report(scan_rules::kTfliteCustom, code.at,
                  "an operator that a native library of the user has to bring", code.custom);
  }
  const std::string_view name = code.custom.substr(kFlex.size());
  if (is_known_tensorflow_operator(name)) return;
  const char* const reach = tensorflow_operator_reach(name);
  if (reach == nullptr) {
    return report(scan_rules::kTensorflowUnknown, code.at,
                  "a TensorFlow operator that tare does not know", code.custom);
  }
  report(scan_rules::kTensorflowReaches, code.at, std::string("the operator ") + reach,
         code.custom);
}

void TfliteAnalyzer::judge_graph(const TfliteGraphView& graph) {
  const auto is_tensor = [&graph](std::int32_t index) {
    return index >= -1 && index < static_cast<std::int64_t>(graph.tensors.size());
  };
  for (const TfliteTensorView& tensor : graph.tensors) judge_tensor(tensor);
  if (!std::ranges::all_of(graph.ends, is_tensor)) {
    outside(graph.at, "a graph has an input or output that is no tensor of it");
  }
  for (const TfliteOperatorView& op : graph.operators) {
    if (op.code >= model_.codes.size()) outside(op.at, "an operator has a code that is not there");
    if (!std::ranges::all_of(op.tensors, is_tensor)) {
      outside(op.at, "an operator has an input or output that is no tensor of its graph");
    }
    if (op.is_outside) outside(op.at, "the options of an operator end behind the file");
  }
}

void TfliteAnalyzer::judge_tensor(const TfliteTensorView& tensor) {
  const auto wrong = [&](const char* what) {
    report(scan_rules::kTfliteTensor, tensor.at, what, tensor.name);
  };
  const auto count = tflite_element_count(tensor);
  if (!count) return wrong(count.error().what);
  const unsigned bits = tflite_type_bits(tensor.type);
  const auto total = checked_mul(*count, std::max(bits, 1U));
  if (!total || *total > INT64_MAX) return wrong("the size of a tensor overflows");
  // Buffer 0 is none.
  if (tensor.buffer == 0 && model_.buffers.empty()) return;
  if (tensor.buffer >= model_.buffers.size()) {
    return outside(tensor.at, "a tensor has a buffer that is not there");
  }
  const ByteSpan data = model_.buffers[tensor.buffer].data;
  if (data.empty()) return;
  if (tensor.type == kText) return judge_texts(tensor, data);
  if (bits == 0) return wrong("a tensor of a type without elements has some");
  if (!tensor.is_sparse && (*total + 7) / 8 != data.size()) {
    wrong("the elements of a tensor do not fit its shape");
  }
}

// i32 count, i32 offsets of the texts and of their end.
void TfliteAnalyzer::judge_texts(const TfliteTensorView& tensor, ByteSpan data) {
  Cursor cursor(data);
  const auto count = cursor.read<std::uint32_t>();
  std::uint64_t before = 0;
  for (std::uint64_t i = 0; count && i <= *count; ++i) {
    const auto offset = cursor.read<std::uint32_t>();
    if (!offset || *offset < before || *offset > data.size()) {
      return outside(tensor.at, "a text of a tensor ends behind its buffer");
    }
    before = *offset;
  }
  if (!count) outside(tensor.at, "a text of a tensor ends behind its buffer");
}

}  // namespace

void analyze_tflite(const Part& part, Findings& findings) {
  TfliteAnalyzer(part, findings).run();
}

}  // namespace tare
