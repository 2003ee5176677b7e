// Graphs of TensorFlow: operators that reach files, the network or code, and paths of checkpoints
// that do not come from the caller (docs/formats/tensorflow.md).
#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "format/onnx.hpp"
#include "format/tensorflow.hpp"
#include "scan/analyzers.hpp"
#include "scan/excerpt.hpp"
#include "scan/rules.hpp"
#include "scan/tensorflow_operators.hpp"

namespace tare {
namespace {

using namespace format;

constexpr std::size_t kMaxOperators = 100'000;

// Where a text comes from.
enum class Origin : std::uint8_t { kCaller, kComputed, kPath };

struct Node {
  std::string_view name;
  std::string_view op;
  std::uint64_t offset = 0;
  std::vector<std::string_view> inputs{};
  bool has_path = false;        // a constant with a path that leaves the folder
  bool has_parent = false;      // a constant with a ".." in it
  bool prints_to_file = false;  // if it prints: an attribute is the name of a file
};

// Operators that read or write files by a path that savers take from the caller: which inputs are
// paths.
struct FileOperator {
  std::string_view op;
  unsigned first;
  unsigned last;
  // Loaders of saved models put the path of an asset into its place.
  bool is_replaced = false;
};
constexpr std::array kFileOperators = {
    FileOperator{"InitializeTableFromTextFile", 1, 1, true},
    FileOperator{"InitializeTableFromTextFileV2", 1, 1, true},
    FileOperator{"MergeV2Checkpoints", 0, 1},
    FileOperator{"Restore", 0, 0},
    FileOperator{"RestoreSlice", 0, 0},
    FileOperator{"RestoreV2", 0, 0},
    FileOperator{"Save", 0, 0},
    FileOperator{"SaveSlices", 0, 0},
    FileOperator{"SaveV2", 0, 0},
};

const FileOperator* file_operator(std::string_view op) {
  const auto found = std::ranges::find(kFileOperators, op, &FileOperator::op);
  return found == kFileOperators.end() ? nullptr : &*found;
}

// Whose first inputs, as many as this, are texts that come out of it.
unsigned passed_inputs(std::string_view op) {
  if (op == "Identity" || op == "ShardedFilename" || op == "StringJoin" || op == "Reshape" ||
      op == "ExpandDims" || op == "PlaceholderWithDefault") {
    return 1;
  }
  if (op == "Select" || op == "SelectV2") return 3;
  return op == "Pack" || op == "IdentityN" || op == "Merge" || op == "Switch" ? UINT32_MAX : 0;
}

bool is_call(std::string_view op) {
  return op == "PartitionedCall" || op == "StatefulPartitionedCall" || op == "If" ||
         op == "StatelessIf" || op == "While" || op == "StatelessWhile" || op == "Case";
}

bool has_parent_folder(std::string_view path) {
  while (!path.empty()) {
    const std::size_t end = std::min(path.find_first_of("/\\"), path.size());
    if (path.substr(0, end) == "..") return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

// The front of a URL, or a drive of Windows.
bool has_scheme(std::string_view path) {
  const std::string_view front = path.substr(0, path.find(':'));
  return front.size() < path.size() &&
         std::ranges::all_of(
             front,
             [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '+' || c == '-' || c == '.' || c == '_';
             });
}

// The nodes of a graph or function, among which names are unique.
class Scope {
 public:
  bool in_function = false;
  std::vector<Node> nodes{};

  // The origin of what comes in by an input.
  Origin origin_of(std::string_view input);
  void index();

 private:
  const Node* find(std::string_view input) const;
  std::optional<Origin> known(const Node& node) const;
  Origin combine(const Node& node);

  std::unordered_map<std::string_view, std::size_t> by_name_;
  std::unordered_map<const Node*, Origin> origins_;
};

void Scope::index() {
  for (std::size_t i = 0; i < nodes.size(); ++i) by_name_.emplace(nodes[i].name, i);
}

// "name", "name:0", "name:output:0".
const Node* Scope::find(std::string_view input) const {
  const auto found = by_name_.find(input.substr(0, input.find(':')));
  return found == by_name_.end() ? nullptr : &nodes[found->second];
}

std::optional<Origin> Scope::known(const Node& node) const {
  const auto found = origins_.find(&node);
  if (found != origins_.end()) return found->second;
  if (node.op == "Const") return node.has_path ? Origin::kPath : Origin::kCaller;
  if (node.op == "Placeholder" || node.op == "PlaceholderV2" || node.op == "_Arg") {
    return Origin::kCaller;
  }
  // A variable or a table may keep the path of an asset.
  return passed_inputs(node.op) == 0 ? std::optional(Origin::kComputed) : std::nullopt;
}

// Of inputs whose origins are known, or go round in a circle.
Origin Scope::combine(const Node& node) {
  Origin result = Origin::kCaller;
  const std::size_t most = std::min<std::size_t>(passed_inputs(node.op), node.inputs.size());
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Node* const input = find(node.inputs[i]);
    if (input == nullptr) continue;
    if (input->has_parent) result = Origin::kPath;
    const bool is_condition = i == 0 && node.op.starts_with("Select");
    if (i < most && !is_condition) {
      result = std::max(result, known(*input).value_or(Origin::kCaller));
    }
  }
  return result;
}

// Inputs that no node of the scope has are arguments of the function.
Origin Scope::origin_of(std::string_view input) {
  const Node* const start = find(input);
  if (start == nullptr) return Origin::kCaller;
  std::vector<const Node*> stack{start};
  std::unordered_set<const Node*> open;
  while (!stack.empty()) {
    const Node& node = *stack.back();
    if (known(node) || !open.insert(&node).second) {
      if (!known(node)) origins_.emplace(&node, combine(node));
      stack.pop_back();
      continue;
    }
    const std::size_t most = std::min<std::size_t>(passed_inputs(node.op), node.inputs.size());
    for (std::size_t i = 0; i < most; ++i) {
      const Node* const next = find(node.inputs[i]);
      if (next != nullptr && !known(*next) && !open.contains(next)) stack.push_back(next);
    }
  }
  return known(*start).value_or(Origin::kCaller);
}

class TensorflowAnalyzer {
 public:
  TensorflowAnalyzer(const Part& part, Findings& findings) : part_(part), findings_(findings) {}

  void run();
  void begin(unsigned kind, const WireField& field);
  void field(unsigned kind, const WireField& field);
  void end(unsigned kind);

 private:
  struct Use {
    std::string_view op;
    std::uint64_t offset;
  };
  struct Message {
    unsigned kind;
    std::uint64_t seen = 0;
  };

  void report(const Rule& rule, std::uint64_t offset, std::string detail,
              std::string_view evidence = "");
  void note_repeated(const WireField& field);
  void take_text(std::string_view text);
  void end_node();
  void end_scope();
  void judge_paths(Scope& scope, const Node& node, const FileOperator& file);
  void judge_operators();

  const Part& part_;
  Findings& findings_;
  std::vector<Message> messages_;
  std::vector<Scope> scopes_;  // a graph and the function in it
  Node node_;
  std::map<std::string_view, Use> uses_;
  std::unordered_set<std::string_view> functions_;
  std::vector<std::uint64_t> handed_paths_;  // calls that get a path as an argument
  bool function_has_files_ = false;
};

void TensorflowAnalyzer::report(const Rule& rule, std::uint64_t offset, std::string detail,
                                std::string_view evidence) {
  Finding* finding = findings_.add(rule, part_.path, offset, std::move(detail));
  if (finding != nullptr) finding->evidence = shown(evidence);
}

void TensorflowAnalyzer::run() {
  const auto root = tensorflow_root(part_.bytes);
  if (!root) return report(scan_rules::kUnreadableFile, 0, "no graph of TensorFlow");
  messages_.push_back({*root});
  if (*root == kTfGraph) scopes_.emplace_back();
  const auto walked = walk_messages(part_.bytes, *root, tensorflow_fields(), *this, part_.base);
  if (!walked) report(scan_rules::kUnreadableFile, walked.error().offset, walked.error().what);
  // What was read before the end counts.
  while (!walked && !scopes_.empty()) end_scope();
  judge_operators();
  if (!function_has_files_) return;
  for (const std::uint64_t offset : handed_paths_) {
    report(scan_rules::kTensorflowPath, offset,
           "a path is handed to a function, and a function reads or writes checkpoints");
  }
}

// ---- messages

// Fields that must not be repeated, by kind.
constexpr std::array<std::uint64_t, 13> kOnce = {field_bits({1}),
                                                 field_bits({1, 2, 3, 7}),
                                                 field_bits({2, 3, 4, 5}),
                                                 0,
                                                 field_bits({1}),
                                                 field_bits({1}),
                                                 field_bits({1, 2, 4}),
                                                 field_bits({1, 2}),
                                                 field_bits({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}),
                                                 0,
                                                 field_bits({1}),
                                                 field_bits({1, 2, 3, 4}),
                                                 field_bits({1, 2})};

void TensorflowAnalyzer::note_repeated(const WireField& field) {
  Message& message = messages_.back();
  const std::uint64_t bit = field_bit(field.number);
  if ((kOnce[message.kind] & message.seen & bit) != 0) {
    report(scan_rules::kTensorflowAmbiguous, field.offset,
           "field " + std::to_string(field.number) + " of a message stands there twice");
  }
  message.seen |= bit;
}

void TensorflowAnalyzer::begin(unsigned kind, const WireField& field) {
  note_repeated(field);
  messages_.push_back({kind});
  if (kind == kTfGraph || kind == kTfFunction) {
    scopes_.emplace_back();
    scopes_.back().in_function = kind == kTfFunction;
  }
  if (kind == kTfNode) {
    node_ = Node{};
    node_.offset = field.offset;
  }
}

void TensorflowAnalyzer::field(unsigned kind, const WireField& field) {
  note_repeated(field);
  if (!field.is_bytes()) return;
  const std::string_view text = field.text();
  if (kind == kTfNode && field.number == 1) node_.name = text;
  if (kind == kTfNode && field.number == 2) node_.op = text;
  if (kind == kTfNode && field.number == 3) node_.inputs.push_back(text);
  if (kind == kTfTensor && field.number == 8) take_text(text);
  if (kind == kTfSignature && field.number == 1) functions_.insert(text);
  if (kind == kTfAsset && field.number == 2 && !is_inside_folder(text)) {
    report(scan_rules::kTensorflowPath, field.offset, "an asset lies outside of the model", text);
  }
  if (kind == kTfValue && field.number == 2 && text.starts_with("file:")) {
    node_.prints_to_file = true;
  }
}

void TensorflowAnalyzer::take_text(std::string_view text) {
  // The system ends a path at a NUL. Every SavedModel has a constant with a protobuf in it.
  const std::string_view path = text.substr(0, text.find('\0'));
  if (path.empty()) return;
  node_.has_parent = node_.has_parent || has_parent_folder(path);
  node_.has_path =
      node_.has_path || node_.has_parent || path[0] == '/' || path[0] == '\\' || has_scheme(path);
}

void TensorflowAnalyzer::end(unsigned kind) {
  messages_.pop_back();
  if (kind == kTfNode) end_node();
  if (kind == kTfGraph || kind == kTfFunction) end_scope();
}

void TensorflowAnalyzer::end_node() {
  if (node_.op == "PrintV2" && node_.prints_to_file) {
    report(scan_rules::kTensorflowReaches, node_.offset, "the operator prints to a file", node_.op);
  }
  if (uses_.size() < kMaxOperators) uses_.try_emplace(node_.op, Use{node_.op, node_.offset});
  if (!scopes_.empty()) scopes_.back().nodes.push_back(std::move(node_));
  node_ = Node{};
}

// ---- paths

void TensorflowAnalyzer::end_scope() {
  Scope scope = std::move(scopes_.back());
  scopes_.pop_back();
  scope.index();
  for (const Node& node : scope.nodes) {
    if (const FileOperator* const file = file_operator(node.op)) {
      function_has_files_ = function_has_files_ || scope.in_function;
      judge_paths(scope, node, *file);
    }
    if (!is_call(node.op)) continue;
    const bool gets_path = std::ranges::any_of(node.inputs, [&](std::string_view input) {
      return scope.origin_of(input) == Origin::kPath;
    });
    if (gets_path && handed_paths_.size() < kMaxOperators) handed_paths_.push_back(node.offset);
  }
}

void TensorflowAnalyzer::judge_paths(Scope& scope, const Node& node, const FileOperator& file) {
  for (std::size_t i = file.first; i <= file.last && i < node.inputs.size(); ++i) {
    switch (scope.origin_of(node.inputs[i])) {
      case Origin::kCaller:
        break;
      case Origin::kComputed:
        report(scan_rules::kTensorflowUnknown, node.offset,
               "the path of a file is computed in the graph", node.op);
        break;
      case Origin::kPath:
        report(file.is_replaced ? scan_rules::kTensorflowUnknown : scan_rules::kTensorflowPath,
               node.offset, "the path of a file is a constant that leaves the folder of the model",
               node.op);
        break;
    }
  }
}

// ---- operators

void TensorflowAnalyzer::judge_operators() {
  if (uses_.size() == kMaxOperators) {
    report(scan_rules::kTensorflowUnknown, 0, "more kinds of operators than tare tells apart");
  }
  for (const auto& [op, use] : uses_) {
    if (is_known_tensorflow_operator(op) || file_operator(op) != nullptr || op == "PrintV2")
      continue;
    if (const char* const reach = tensorflow_operator_reach(op)) {
      report(scan_rules::kTensorflowReaches, use.offset, std::string("the operator ") + reach, op);
    } else if (!functions_.contains(op)) {
      report(scan_rules::kTensorflowUnknown, use.offset, "an operator that tare does not know", op);
    }
  }
}

}  // namespace

void analyze_tensorflow(const Part& part, Findings& findings) {
  TensorflowAnalyzer(part, findings).run();
}

}  // namespace tare
