// Configurations of container images: what is started when the image is run. Layers and other blobs
// are files of their own.
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

// Lists of words; "Test" is what Healthcheck runs.
constexpr std::array kStarts = {"Entrypoint"sv, "Cmd"sv, "OnBuild"sv, "Test"sv};

std::string words_of(const JsonTree& tree, const JsonNode& list) {
  std::string words;
  for (auto i = list.first; i != JsonNode::kNone && words.size() < 200; i = tree.at(i).next) {
    words += (words.empty() ? "" : " ") + excerpt(tree.at(i).text, 120);
  }
  return words;
}

}  // namespace

void analyze_image(const format::Part& part, Findings& findings) {
  const auto tree = JsonTree::parse(as_text(part.bytes));
  // The format has parsed it already.
  if (!tree) return;
  for (const JsonNode& node : tree->nodes()) {
    const bool is_start = std::ranges::find(kStarts, node.key) != kStarts.end();
    const bool says = node.kind == JsonKind::kText || node.first != JsonNode::kNone;
    if (!is_start || !says) continue;
    Finding* finding = findings.add(scan_rules::kImageStart, part.path, part.base + node.offset,
                                    "its " + std::string(node.key) + " is run");
    if (finding == nullptr) continue;
    finding->evidence =
        node.kind == JsonKind::kText ? excerpt(node.text, 200) : words_of(*tree, node);
  }
}

}  // namespace tare
