// MXNet graphs: operators that reach code or files, and nodes that are not there
// (docs/formats/mxnet-graph.md).
#include <algorithm>
#include <array>

#include "format/json_tree.hpp"
#include "scan/analyzers.hpp"
#include "scan/model_report.hpp"

namespace tare {
namespace {

using format::JsonKind;
using format::JsonNode;
using format::JsonNumbers;
using format::JsonTree;
using namespace std::string_view_literals;

constexpr std::string_view kOperators[] = {
#define TARE_MXNET_OPERATOR(name) std::string_view(#name),
#include "scan/mxnet_operators.def"
#undef TARE_MXNET_OPERATOR
};
static_assert(std::ranges::is_sorted(kOperators));

struct Reach {
  std::string_view name;
  const char* reason;
};
constexpr std::array kReaches = {
    Reach{"_NDArray", "the operator calls a function whose address stands in the model"},
    Reach{"_Native", "the operator calls a function whose address stands in the model"},
    Reach{"_cvimread", "the operator reads a file"},
    Reach{"_npi_cvimread", "the operator reads a file"}};

constexpr std::array kGraphKeys = {"arg_nodes"sv, "attrs"sv, "heads"sv, "node_row_ptr"sv,
                                   "nodes"sv};
constexpr std::array kNodeKeys = {"attr"sv,         "attrs"sv,  "backward_source_id"sv,
                                  "control_deps"sv, "inputs"sv, "name"sv,
                                  "op"sv,           "param"sv,  "subgraphs"sv};

class MxnetAnalyzer {
 public:
  MxnetAnalyzer(const format::Part& part, const JsonTree& tree, Findings& findings)
      : tree_(tree), report_(part, findings) {}

  void run();

 private:
  template <typename Visit>
  void each(const JsonNode* around, const Visit& visit) const {
    if (around == nullptr) return;
    for (auto i = around->first; i != JsonNode::kNone; i = tree_.at(i).next) visit(tree_.at(i));
  }
  void judge_keys(const JsonNode& object, std::span<const std::string_view> known);
  void judge_graph(const JsonNode& graph);
  void judge_operator(const JsonNode& node);
  void judge_entries(const JsonNode* entries, std::size_t end);
  void judge_indices(const JsonNode* indices, std::size_t end);

  const JsonTree& tree_;
  ModelReport report_;
};

void MxnetAnalyzer::run() {
  if (const auto twice = tree_.repeated_key()) report_.odd(*twice, "a key stands there twice");
  // Graphs stand in nodes of graphs.
  for (const JsonNode& node : tree_.nodes()) {
    const bool is_attribute = node.key == "attrs" || node.key == "attr" || node.key == "param";
    if (!is_attribute && tree_.member(node, "nodes") != nullptr) judge_graph(node);
  }
}

void MxnetAnalyzer::judge_keys(const JsonNode& object, std::span<const std::string_view> known) {
  each(&object, [&](const JsonNode& member) {
    if (std::ranges::find(known, member.key) == known.end()) {
      report_.odd(member.offset, "a key that no MXNet writes", member.key);
    }
  });
}

void MxnetAnalyzer::judge_graph(const JsonNode& graph) {
  judge_keys(graph, kGraphKeys);
  std::size_t count = 0;
  each(tree_.member(graph, "nodes"), [&](const JsonNode& node) {
    judge_keys(node, kNodeKeys);
    judge_operator(node);
    // What comes in comes from nodes in front.
    judge_entries(tree_.member(node, "inputs"), count);
    judge_indices(tree_.member(node, "control_deps"), count);
    ++count;
  });
  judge_entries(tree_.member(graph, "heads"), count);
  judge_indices(tree_.member(graph, "arg_nodes"), count);
}

void MxnetAnalyzer::judge_operator(const JsonNode& node) {
  const JsonNode* const op = tree_.member(node, "op");
  if (op == nullptr || op->kind != JsonKind::kText) {
    return report_.odd(node.offset, "a node without an operator");
  }
  if (op->text == "null" || std::ranges::binary_search(kOperators, op->text)) return;
  const auto reach = std::ranges::find(kReaches, op->text, &Reach::name);
  if (reach != kReaches.end()) {
    report_.add(scan_rules::kModelReaches, op->offset, reach->reason, op->text);
  } else {
    report_.add(scan_rules::kModelCode, op->offset,
                "an operator that Python or a library of the user has to bring", op->text);
  }
}

// [[node, output, version], ...]
void MxnetAnalyzer::judge_entries(const JsonNode* entries, std::size_t end) {
  if (entries != nullptr && entries->kind != JsonKind::kArray) {
    return report_.bounds(entries->offset, "inputs that are no list of nodes");
  }
  each(entries, [&](const JsonNode& entry) {
    const auto numbers = tree_.numbers(entry);
    const bool is_there = (numbers.size() == 2 || numbers.size() == 3) && numbers[0] >= 0 &&
                          numbers[0] < static_cast<double>(end) && numbers[1] >= 0;
    if (!is_there) report_.bounds(entry.offset, "an input from a node that is not in front of it");
  });
}

void MxnetAnalyzer::judge_indices(const JsonNode* indices, std::size_t end) {
  if (indices == nullptr) return;
  const bool are_there = std::ranges::all_of(tree_.numbers(*indices), [end](double index) {
    return index >= 0 && index < static_cast<double>(end);
  });
  if (!are_there || indices->first != JsonNode::kNone) {
    report_.bounds(indices->offset, "a node that is not there", indices->key);
  }
}

}  // namespace

void analyze_mxnet(const format::Part& part, Findings& findings) {
  const auto tree = JsonTree::parse(as_text(part.bytes), JsonNumbers::kPacked);
  if (!tree) return ModelReport(part, findings).add(tree.error());
  MxnetAnalyzer(part, *tree, findings).run();
}

}  // namespace tare
