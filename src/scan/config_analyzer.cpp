// Configurations of Hugging Face libraries: what makes a loader run code that is not in the
// libraries: classes in files beside the configuration, pipelines, kernels of other repositories.
#include <algorithm>
#include <array>

#include "format/json_tree.hpp"
#include "scan/analyzers.hpp"
#include "scan/excerpt.hpp"
#include "scan/rules.hpp"

namespace tare {
namespace {

using format::JsonKind;
using format::JsonNode;
using format::JsonTree;
using namespace std::string_view_literals;

// Libraries whose classes a list of modules or a pipeline may name.
constexpr std::array kLibraries = {"diffusers"sv, "sentence_transformers"sv, "transformers"sv};

bool is_library(std::string_view module) {
  return std::ranges::any_of(kLibraries, [module](std::string_view library) {
    return module == library || (module.starts_with(library) && module[library.size()] == '.');
  });
}

class ConfigAnalyzer {
 public:
  ConfigAnalyzer(const format::Part& part, const JsonTree& tree, Findings& findings)
      : part_(part), tree_(tree), findings_(findings) {}

  void run();

 private:
  void report(const Rule& rule, const JsonNode& node, std::string detail);
  void read(const JsonNode& node);
  void read_auto_map(const JsonNode& map);
  void read_class_name(const JsonNode& node);
  void read_pipeline();
  void read_modules();
  template <typename Visit>
  void each(const JsonNode& around, const Visit& visit) const {
    for (auto i = around.first; i != JsonNode::kNone; i = tree_.at(i).next) visit(tree_.at(i));
  }

  const format::Part& part_;
  const JsonTree& tree_;
  Findings& findings_;
};

void ConfigAnalyzer::report(const Rule& rule, const JsonNode& node, std::string detail) {
  Finding* finding = findings_.add(rule, part_.path, part_.base + node.offset, std::move(detail));
  if (finding == nullptr) return;
  const std::string value =
      node.kind == JsonKind::kText ? '"' + excerpt(node.text, 120) + '"' : excerpt(node.text, 120);
  finding->evidence = node.key.empty() ? value : '"' + excerpt(node.key, 60) + "\": " + value;
}

void ConfigAnalyzer::run() {
  for (const JsonNode& node : tree_.nodes()) read(node);
  if (tree_.member(tree_.root(), "_class_name") != nullptr) read_pipeline();
  if (tree_.root().kind == JsonKind::kArray) read_modules();
}

void ConfigAnalyzer::read(const JsonNode& node) {
  if (node.key == "auto_map") return read_auto_map(node);
  if (node.key == "trust_remote_code" && node.kind == JsonKind::kTrue) {
    return report(scan_rules::kConfigTrust, node, "it asks for code of other repositories");
  }
  if (node.key == "custom_pipelines" && node.first != JsonNode::kNone) {
    return report(scan_rules::kConfigCode, node, "a pipeline in a file of the repository");
  }
  if (node.key == "_target_") {
    return report(scan_rules::kConfigTarget, node, "Hydra imports and calls what _target_ names");
  }
  const bool is_attention = node.key == "_attn_implementation" ||
                            node.key == "_attn_implementation_internal" ||
                            node.key == "attn_implementation";
  if (is_attention && node.kind == JsonKind::kText && node.text.find('/') != node.text.npos) {
    report(scan_rules::kConfigKernel, node, "a kernel of another repository (CVE-2026-4372)");
  }
}

// {"AutoModel": "modeling_x.X"}, also [slow, fast] for tokenizers, "owner/repo--modeling_x.X".
void ConfigAnalyzer::read_auto_map(const JsonNode& map) {
  const std::uint32_t from = tree_.index_of(map);
  for (std::uint32_t i = from; i < tree_.nodes().size() && tree_.stands_in(i, from); ++i) {
    const JsonNode& node = tree_.at(i);
    if (node.kind != JsonKind::kText) continue;
    const std::size_t repository = node.text.find("--");
    std::string_view name = node.text;
    std::string where = "beside this file";
    if (repository != std::string_view::npos) {
      where = "of the repository " + excerpt(name.substr(0, repository), 80);
      name.remove_prefix(repository + 2);
    }
    report(scan_rules::kConfigCode, node,
           "the class comes from " + excerpt(name.substr(0, name.rfind('.')), 80) + ".py " + where);
  }
}

// model_index.json of diffusers: "unet": ["diffusers", "UNet2DConditionModel"].
void ConfigAnalyzer::read_pipeline() {
  each(tree_.root(), [this](const JsonNode& component) {
    if (component.kind != JsonKind::kArray || component.first == JsonNode::kNone) return;
    const JsonNode& library = tree_.at(component.first);
    const bool is_pair = library.next != JsonNode::kNone && library.kind == JsonKind::kText &&
                         tree_.at(library.next).kind == JsonKind::kText &&
                         tree_.at(library.next).next == JsonNode::kNone;
    // Modules of diffusers itself stand there without its name.
    const bool is_own = library.text == "stable_diffusion" || library.text == "onnxruntime";
    if (!is_pair || is_library(library.text) || is_own) return;
    // Lists of two texts stand in configurations of models as well.
    if (component.key != "_class_name" &&
        tree_.at(library.next).text.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 0) {
      return;
    }
    report(
        scan_rules::kConfigCode, library,
        "the class " + excerpt(tree_.at(library.next).text, 80) + " is of no library known here");
  });
}

// modules.json of sentence-transformers: each "type" is imported.
void ConfigAnalyzer::read_modules() {
  each(tree_.root(), [this](const JsonNode& entry) {
    const JsonNode* type = tree_.member(entry, "type");
    if (type == nullptr || (type->kind == JsonKind::kText && is_library(type->text))) return;
    report(scan_rules::kConfigCode, *type, "the class is imported when the model is loaded");
  });
}

}  // namespace

void analyze_config(const format::Part& part, Findings& findings) {
  const auto tree = JsonTree::parse(as_text(part.bytes));
  // What does not parse has been reported by the format: nobody makes a part of it.
  if (tree) ConfigAnalyzer(part, *tree, findings).run();
}

}  // namespace tare
