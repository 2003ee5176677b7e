// CoreML models: classes that an app has to bring, other models, files of weights, layers and
// operators that CoreML does not have (docs/formats/coreml.md).
#include <algorithm>
#include <array>

#include "format/coreml.hpp"
#include "format/json_tree.hpp"
#include "format/onnx.hpp"
#include "scan/analyzers.hpp"
#include "scan/model_report.hpp"

namespace tare {
namespace {

using namespace format;

constexpr std::string_view kOperators[] = {
#define TARE_COREML_OPERATOR(name) std::string_view(#name),
#include "scan/coreml_operators.def"
#undef TARE_COREML_OPERATOR
};
static_assert(std::ranges::is_sorted(kOperators));

// Types of models, by their field in Model: those that hold numbers and nothing else.
constexpr std::array<std::uint32_t, 27> kTypes = {
    300, 301, 302, 304, 400, 401, 402,  404,  501,  560,  600,  601,  602, 603,
    604, 606, 607, 609, 610, 900, 2000, 2001, 2002, 2003, 2004, 2005, 2006};

// Types of layers, by their field in NeuralNetworkLayer.
constexpr std::array<std::uint32_t, 155> kLayers = {
    100,  120,  130,  140,  150,  160,  165,  170,  175,  180,  190,  200,  210,  211,  212,  220,
    230,  231,  240,  245,  250,  260,  261,  270,  280,  290,  300,  301,  310,  320,  330,  340,
    345,  350,  400,  410,  420,  430,  600,  620,  625,  635,  640,  660,  665,  670,  680,  685,
    700,  710,  715,  720,  730,  735,  740,  750,  755,  760,  770,  775,  780,  790,  795,  815,
    820,  825,  827,  830,  832,  840,  845,  850,  855,  865,  870,  875,  880,  885,  890,  895,
    900,  905,  920,  925,  930,  935,  940,  945,  950,  952,  954,  960,  965,  975,  980,  985,
    995,  1000, 1005, 1015, 1020, 1025, 1040, 1045, 1065, 1070, 1080, 1085, 1090, 1100, 1105, 1110,
    1120, 1125, 1130, 1135, 1140, 1145, 1150, 1155, 1170, 1175, 1180, 1190, 1195, 1200, 1210, 1215,
    1220, 1230, 1250, 1255, 1260, 1265, 1270, 1275, 1280, 1285, 1290, 1295, 1313, 1315, 1320, 1325,
    1330, 1350, 1400, 1450, 1455, 1460, 1461, 1465, 1466, 1470, 1471};
static_assert(std::ranges::is_sorted(kLayers));

// Fields below 64 that a message has, by kind.
constexpr std::array<std::uint64_t, 29> kKnown = {field_bits({1, 2, 10}),
                                                  field_bits({1}),
                                                  field_bits({1, 2}),
                                                  field_bits({1, 2, 5, 6, 10}),
                                                  field_bits({1, 2, 3, 4, 5, 10}),
                                                  field_bits({1, 2}),
                                                  field_bits({1, 2, 3, 4}),
                                                  field_bits({10, 20, 30, 40}),
                                                  field_bits({10, 30, 40}),
                                                  field_bits({1}),
                                                  field_bits({1, 2}),
                                                  field_bits({1, 10, 11}),
                                                  field_bits({1, 2}),
                                                  field_bits({1, 2, 3, 4}),
                                                  field_bits({1, 2}),
                                                  field_bits({1, 2, 3, 4}),
                                                  field_bits({1, 2}),
                                                  field_bits({1, 2, 3, 4}),
                                                  field_bits({1, 2, 3, 4, 5}),
                                                  field_bits({1, 2}),
                                                  field_bits({1}),
                                                  field_bits({1, 2}),
                                                  field_bits({1, 2}),
                                                  field_bits({1, 2, 3, 5}),
                                                  field_bits({1, 2, 3, 4}),
                                                  field_bits({1}),
                                                  field_bits({1}),
                                                  field_bits({1, 2}),
                                                  field_bits({1, 2})};

class CoremlAnalyzer {
 public:
  CoremlAnalyzer(const Part& part, Findings& findings) : part_(part), report_(part, findings) {}

  void run();
  void begin(unsigned kind, const WireField& field);
  void field(unsigned kind, const WireField& field);
  void end(unsigned) {}

 private:
  void judge_operator(const WireField& field);
  void judge_linked(const WireField& field);
  void judge_blob(const WireField& field);

  const Part& part_;
  ModelReport report_;
};

void CoremlAnalyzer::run() {
  const auto walked = walk_messages(part_.bytes, kMlModel, coreml_fields(), *this);
  if (!walked) report_.add(walked.error());
}

void CoremlAnalyzer::begin(unsigned kind, const WireField& field) {
  if (kind == kMlSerialized) report_.odd(field.offset, "a model that is not of CoreML's messages");
}

void CoremlAnalyzer::field(unsigned kind, const WireField& field) {
  const bool is_custom = kind == kMlCustomLayer || kind == kMlCustomModel;
  if (is_custom && field.number == 10) {
    return report_.add(scan_rules::kModelCode, field.offset,
                       "a class that the app which loads it has to bring", field.text());
  }
  if (kind == kMlText && field.number == 1) return judge_linked(field);
  if (kind == kMlBlob && field.number == 1) return judge_blob(field);
  if (kind == kMlOperation && field.number == 1) return judge_operator(field);
  const bool is_type = kind == kMlModel && std::ranges::find(kTypes, field.number) != kTypes.end();
  const bool is_layer = kind == kMlLayer && std::ranges::binary_search(kLayers, field.number);
  const bool is_label =
      kind == kMlNetwork && (field.number == 100 || field.number == 101 || field.number == 200);
  const bool is_pipeline = kind == kMlPipeline && field.number == 2;
  if (is_type || is_layer || is_label || is_pipeline) return;
  if ((kKnown[kind] & field_bit(field.number)) == 0) {
    report_.odd(field.offset, "a field that no version of CoreML has",
                std::to_string(field.number));
  }
}

void CoremlAnalyzer::judge_operator(const WireField& field) {
  if (std::ranges::binary_search(kOperators, field.text())) return;
  report_.odd(field.offset, "an operator that tare does not know", field.text());
}

// The name of a model, or where it is searched.
void CoremlAnalyzer::judge_linked(const WireField& field) {
  if (is_inside_folder(field.text())) {
    return report_.odd(field.offset, "another model is a part of it", field.text());
  }
  report_.add(scan_rules::kModelPath, field.offset, "another model is a part of it", field.text());
}

void CoremlAnalyzer::judge_blob(const WireField& field) {
  constexpr std::string_view kFolder = "@model_path/";
  std::string_view path = field.text();
  if (path.starts_with(kFolder)) path.remove_prefix(kFolder.size());
  if (is_inside_folder(path)) return;
  report_.add(scan_rules::kModelPath, field.offset, "its weights stand in another file",
              field.text());
}

class ManifestAnalyzer {
 public:
  ManifestAnalyzer(const Part& part, const JsonTree& tree, Findings& findings)
      : tree_(tree), report_(part, findings) {}

  void run();

 private:
  void judge_item(const JsonNode& item);

  const JsonTree& tree_;
  ModelReport report_;
};

void ManifestAnalyzer::run() {
  if (const auto twice = tree_.repeated_key()) report_.odd(*twice, "a key stands there twice");
  const JsonNode& root = tree_.root();
  for (auto i = root.first; i != JsonNode::kNone; i = tree_.at(i).next) {
    const JsonNode& member = tree_.at(i);
    if (member.key != "fileFormatVersion" && member.key != "itemInfoEntries" &&
        member.key != "rootModelIdentifier") {
      report_.odd(member.offset, "a key that no manifest has", member.key);
    }
  }
  const JsonNode* const items = tree_.member(root, "itemInfoEntries");
  const JsonNode* const model = tree_.member(root, "rootModelIdentifier");
  for (auto i = items->first; i != JsonNode::kNone; i = tree_.at(i).next) judge_item(tree_.at(i));
  if (tree_.member(*items, model->text) == nullptr) {
    report_.odd(model->offset, "the model is none of the items", model->text);
  }
}

void ManifestAnalyzer::judge_item(const JsonNode& item) {
  const JsonNode* const path = tree_.member(item, "path");
  if (path == nullptr || path->kind != JsonKind::kText) {
    return report_.odd(item.offset, "an item without a path", item.key);
  }
  if (is_inside_folder(path->text)) return;
  report_.add(scan_rules::kModelPath, path->offset, "an item of the package", path->text);
}

}  // namespace

void analyze_coreml(const Part& part, Findings& findings) {
  CoremlAnalyzer(part, findings).run();
}

void analyze_coreml_manifest(const Part& part, Findings& findings) {
  const auto tree = JsonTree::parse(as_text(part.bytes));
  if (!tree) return ModelReport(part, findings).add(tree.error());
  ManifestAnalyzer(part, *tree, findings).run();
}

}  // namespace tare
