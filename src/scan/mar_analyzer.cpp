// The manifest of a TorchServe archive (MAR-INF/MANIFEST.json): which code the server runs. The
// files that it names are entries of the archive, and judged as those.
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

// Handlers of TorchServe itself.
constexpr std::array kHandlers = {"image_classifier"sv, "image_segmenter"sv, "object_detector"sv,
                                  "text_classifier"sv};
// Keys of paths in the archive.
constexpr std::array kPaths = {"handler"sv, "modelFile"sv, "serializedFile"sv, "requirementsFile"sv,
                               "configFile"sv};

bool leads_outside(std::string_view path) {
  const bool has_drive = path.size() > 1 && path[1] == ':' && path[0] != ':';
  if (path.starts_with('/') || path.starts_with('\\') || path.find("://") != path.npos) return true;
  for (std::size_t at = path.find(".."); at != path.npos; at = path.find("..", at + 1)) {
    const bool starts = at == 0 || path[at - 1] == '/' || path[at - 1] == '\\';
    const bool ends = at + 2 == path.size() || path[at + 2] == '/' || path[at + 2] == '\\';
    if (starts && ends) return true;
  }
  return has_drive && path.size() > 2 && (path[2] == '\\' || path[2] == '/');
}

class MarAnalyzer {
 public:
  MarAnalyzer(const format::Part& part, Findings& findings) : part_(part), findings_(findings) {}

  void read(const JsonNode& node) {
    if (node.kind != JsonKind::kText || node.text.empty()) return;
    const bool is_path = std::ranges::find(kPaths, node.key) != kPaths.end();
    if (is_path && leads_outside(node.text)) {
      report(scan_rules::kMarOutside, node, "the path leads out of the archive");
    }
    const bool is_builtin = std::ranges::find(kHandlers, node.text) != kHandlers.end();
    if (node.key == "handler" && !is_builtin) {
      report(scan_rules::kMarHandler, node, "the server imports and runs this handler");
    } else if (node.key == "modelFile") {
      report(scan_rules::kMarHandler, node, "the server imports the class of the model from it");
    } else if (node.key == "requirementsFile") {
      report(scan_rules::kMarRequirements, node, "the server may install what it lists");
    }
  }

 private:
  void report(const Rule& rule, const JsonNode& node, const char* detail) {
    Finding* finding = findings_.add(rule, part_.path, part_.base + node.offset, detail);
    if (finding == nullptr) return;
    finding->evidence = '"' + excerpt(node.key, 60) + "\": \"" + excerpt(node.text, 120) + '"';
  }

  const format::Part& part_;
  Findings& findings_;
};

}  // namespace

void analyze_mar(const format::Part& part, Findings& findings) {
  const auto tree = JsonTree::parse(as_text(part.bytes));
  if (!tree) {
    findings.add(scan_rules::kUnknownPart, part.path, part.base, tree.error().what);
    return;
  }
  if (const auto twice = tree->repeated_key()) {
    findings.add(scan_rules::kContainerAmbiguous, part.path, part.base + *twice,
                 "the JSON has a key twice");
  }
  MarAnalyzer analyzer(part, findings);
  for (const JsonNode& node : tree->nodes()) analyzer.read(node);
}

}  // namespace tare
