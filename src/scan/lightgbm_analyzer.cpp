// LightGBM models: lines that LightGBM does not write, sizes and indices that its reader follows,
// files that its parameters name (docs/formats/lightgbm.md).
#include <algorithm>
#include <array>
#include <charconv>

#include "format/json_tree.hpp"
#include "format/lightgbm.hpp"
#include "scan/analyzers.hpp"
#include "scan/model_report.hpp"

namespace tare {
namespace {

using format::JsonKind;
using format::JsonTree;
using format::LightgbmLine;
using format::LightgbmTree;
using format::LightgbmView;
using namespace std::string_view_literals;

// Sorted.
constexpr std::array kHeadKeys = {
    "average_output"sv,  "feature_infos"sv,        "feature_names"sv, "label_index"sv,
    "max_feature_idx"sv, "monotone_constraints"sv, "num_class"sv,     "num_tree_per_iteration"sv,
    "objective"sv,       "tree_sizes"sv,           "version"sv};
constexpr std::array kTreeKeys = {
    "cat_boundaries"sv, "cat_threshold"sv,   "decision_type"sv, "internal_count"sv,
    "internal_value"sv, "internal_weight"sv, "is_linear"sv,     "leaf_coeff"sv,
    "leaf_const"sv,     "leaf_count"sv,      "leaf_features"sv, "leaf_parent"sv,
    "leaf_value"sv,     "leaf_weight"sv,     "left_child"sv,    "num_cat"sv,
    "num_features"sv,   "num_leaves"sv,      "right_child"sv,   "shrinkage"sv,
    "split_feature"sv,  "split_gain"sv,      "threshold"sv};
constexpr std::array kObjectives = {"binary"sv,     "cross_entropy"sv, "cross_entropy_lambda"sv,
                                    "custom"sv,     "fair"sv,          "gamma"sv,
                                    "huber"sv,      "lambdarank"sv,    "mape"sv,
                                    "multiclass"sv, "multiclassova"sv, "none"sv,
                                    "poisson"sv,    "quantile"sv,      "rank_xendcg"sv,
                                    "regression"sv, "regression_l1"sv, "regression_l2"sv,
                                    "tweedie"sv,    "xentlambda"sv,    "xentropy"sv};
static_assert(std::ranges::is_sorted(kHeadKeys) && std::ranges::is_sorted(kTreeKeys) &&
              std::ranges::is_sorted(kObjectives));
// Parameters that name files, or hosts, for whoever trains on from the model.
constexpr std::array kFileParameters = {"forcedbins_filename"sv, "forcedsplits_filename"sv,
                                        "machine_list_filename"sv, "machines"sv,
                                        "parser_config_file"sv};

using Numbers = std::vector<double>;

// Numbers with spaces between them; false if anything else stands there.
bool read_numbers(std::string_view text, Numbers& out) {
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) return true;
    const std::string_view word = text.substr(0, text.find(' '));
    double value = 0;
    const auto read = std::from_chars(word.data(), word.data() + word.size(), value);
    if (read.ptr != word.data() + word.size()) return false;
    out.push_back(value);
    text.remove_prefix(word.size());
  }
}

std::size_t count_words(std::string_view text) {
  std::size_t count = 0;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    if (text.empty()) return count;
    ++count;
    text.remove_prefix(std::min(text.find(' '), text.size()));
  }
}

class LightgbmAnalyzer {
 public:
  LightgbmAnalyzer(const format::Part& part, Findings& findings)
      : model_(format::read_lightgbm(part.bytes)), report_(part, findings) {}

  void run();

 private:
  void judge_lines(const LightgbmTree& lines, std::span<const std::string_view> known);
  void judge_head();
  void judge_sizes();
  void judge_tree(const LightgbmTree& tree);
  void judge_arrays(const LightgbmTree& tree, std::size_t leaves);
  void judge_path(const LightgbmTree& tree, std::size_t leaves);
  void judge_categories(const LightgbmTree& tree);
  void judge_linear(const LightgbmTree& tree, std::size_t leaves);
  void judge_parameters();
  void judge_pandas();

  // The numbers of a line; what is none is reported, and the rest of the line is not read.
  Numbers numbers(const LightgbmTree& tree, std::string_view key);
  // A line with one number that is not negative.
  double number(const LightgbmTree& tree, std::string_view key);
  static bool are_inside(const Numbers& values, double begin, double end) {
    return std::ranges::all_of(values, [=](double v) { return v >= begin && v < end; });
  }

  LightgbmView model_;
  ModelReport report_;
  double features_ = 0;
};

Numbers LightgbmAnalyzer::numbers(const LightgbmTree& tree, std::string_view key) {
  Numbers values;
  if (!read_numbers(tree.value(key), values)) {
    report_.bounds(tree.offset, "something else than a number among the numbers of a tree", key);
  }
  return values;
}

double LightgbmAnalyzer::number(const LightgbmTree& tree, std::string_view key) {
  const Numbers values = numbers(tree, key);
  return values.size() == 1 && values[0] >= 0 ? values[0] : -1;
}

void LightgbmAnalyzer::run() {
  judge_head();
  judge_sizes();
  for (const LightgbmTree& tree : model_.trees) judge_tree(tree);
  judge_parameters();
  judge_pandas();
  for (const LightgbmLine& line : model_.others) {
    report_.odd(line.offset, "a line that no LightGBM writes", line.key);
  }
}

void LightgbmAnalyzer::judge_lines(const LightgbmTree& lines,
                                   std::span<const std::string_view> known) {
  std::vector<std::string_view> keys;
  for (const LightgbmLine& line : lines.lines) {
    if (!std::ranges::binary_search(known, line.key)) {
      report_.odd(line.offset, "a line that no LightGBM writes", line.key);
    }
    keys.push_back(line.key);
  }
  std::ranges::sort(keys);
  if (std::ranges::adjacent_find(keys) != keys.end()) {
    report_.odd(lines.offset, "a line stands there twice", *std::ranges::adjacent_find(keys));
  }
}

void LightgbmAnalyzer::judge_head() {
  const LightgbmTree& head = model_.head;
  judge_lines(head, kHeadKeys);
  features_ = number(head, "max_feature_idx") + 1;
  for (const std::string_view key : {"feature_names"sv, "feature_infos"sv}) {
    if (static_cast<double>(count_words(head.value(key))) != features_) {
      report_.bounds(head.offset, "more or fewer features than the model says", key);
    }
  }
  const std::string_view objective = head.value("objective");
  if (!objective.empty() &&
      !std::ranges::binary_search(kObjectives, objective.substr(0, objective.find(' ')))) {
    report_.add(scan_rules::kModelCode, head.offset, "an objective that LightGBM does not have",
                objective);
  }
  const double classes = number(head, "num_tree_per_iteration");
  if (!(classes >= 1) || !(number(head, "num_class") >= 1)) {
    report_.bounds(head.offset, "a model without classes");
  }
}

// LightGBM takes the trees by these sizes, and looks at no border of them.
void LightgbmAnalyzer::judge_sizes() {
  const std::string_view text = model_.head.value("tree_sizes");
  if (text.empty() && model_.trees.empty()) return;
  // Before version 3 there were no sizes.
  if (text.empty() && model_.head.value("version") == "v2") return;
  const Numbers sizes = numbers(model_.head, "tree_sizes");
  bool fit = sizes.size() == model_.trees.size();
  double at = fit && !sizes.empty() ? static_cast<double>(model_.trees[0].offset) : 0;
  for (std::size_t i = 0; fit && i < sizes.size(); ++i) {
    fit = at == static_cast<double>(model_.trees[i].offset) && sizes[i] > 0;
    at += sizes[i];
  }
  if (!fit) report_.bounds(0, "the sizes of the trees are not those of the trees");
}

void LightgbmAnalyzer::judge_tree(const LightgbmTree& tree) {
  judge_lines(tree, kTreeKeys);
  const double leaves = number(tree, "num_leaves");
  const std::size_t values = numbers(tree, "leaf_value").size();
  if (!(leaves >= 1) || static_cast<double>(values) != leaves) {
    return report_.bounds(tree.offset, "a tree has more or fewer leaves than it says");
  }
  judge_arrays(tree, values);
  judge_path(tree, values);
  judge_categories(tree);
  judge_linear(tree, values);
}

void LightgbmAnalyzer::judge_arrays(const LightgbmTree& tree, std::size_t leaves) {
  const auto judge = [&](std::string_view key, std::size_t count, bool is_needed) {
    const std::string_view text = tree.value(key);
    if (text.empty() && (!is_needed || count == 0)) return;
    if (numbers(tree, key).size() != count) {
      report_.bounds(tree.offset, "a tree has more or fewer values than nodes", key);
    }
  };
  for (const std::string_view key :
       {"left_child"sv, "right_child"sv, "split_feature"sv, "threshold"sv, "decision_type"sv}) {
    judge(key, leaves - 1, true);
  }
  for (const std::string_view key :
       {"split_gain"sv, "internal_value"sv, "internal_weight"sv, "internal_count"sv}) {
    judge(key, leaves - 1, false);
  }
  judge("leaf_weight", leaves, false);
  judge("leaf_count", leaves, false);
  if (!are_inside(numbers(tree, "split_feature"), 0, features_)) {
    report_.bounds(tree.offset, "a tree asks for a feature that is not there");
  }
}

// A child from 0 on is a node, one below it a leaf. Every one is reached by one way.
void LightgbmAnalyzer::judge_path(const LightgbmTree& tree, std::size_t leaves) {
  const std::array children = {numbers(tree, "left_child"), numbers(tree, "right_child")};
  const std::size_t nodes = leaves - 1;
  if (nodes == 0 || children[0].size() != nodes || children[1].size() != nodes) return;
  std::vector<bool> seen(nodes + leaves);
  std::vector<std::size_t> open{0};
  seen[0] = true;
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    for (const auto& side : children) {
      const double child = side[node];
      const bool is_there =
          child >= -static_cast<double>(leaves) && child < static_cast<double>(nodes);
      const std::size_t place = !is_there    ? 0
                                : child >= 0 ? static_cast<std::size_t>(child)
                                             : nodes + static_cast<std::size_t>(-child) - 1;
      if (seen[place]) {
        return report_.bounds(tree.offset, "a tree has a child that is not there, or a circle");
      }
      seen[place] = true;
      if (child >= 0) open.push_back(place);
    }
  }
}

// A node of categories has the number of its set in place of a threshold; the sets stand in one
// bitmap, between boundaries.
void LightgbmAnalyzer::judge_categories(const LightgbmTree& tree) {
  const double sets = tree.value("num_cat").empty() ? 0 : number(tree, "num_cat");
  const Numbers kinds = numbers(tree, "decision_type");
  const Numbers thresholds = numbers(tree, "threshold");
  const Numbers borders = numbers(tree, "cat_boundaries");
  const Numbers bitmap = numbers(tree, "cat_threshold");
  const bool fit = sets == 0 ? borders.empty() && bitmap.empty()
                             : sets > 0 && static_cast<double>(borders.size()) == sets + 1 &&
                                   std::ranges::is_sorted(borders) && borders.front() == 0 &&
                                   borders.back() == static_cast<double>(bitmap.size());
  if (!fit) return report_.bounds(tree.offset, "the categories of a tree do not fit each other");
  for (std::size_t i = 0; i < std::min(kinds.size(), thresholds.size()); ++i) {
    if (!(kinds[i] >= 0 && kinds[i] < 256)) {
      return report_.bounds(tree.offset, "a kind of decision that is not there");
    }
    const bool is_category = static_cast<unsigned>(kinds[i]) % 2 == 1;
    if (is_category && !(thresholds[i] >= 0 && thresholds[i] < sets)) {
      return report_.bounds(tree.offset, "a node has categories that are not there");
    }
  }
}

void LightgbmAnalyzer::judge_linear(const LightgbmTree& tree, std::size_t leaves) {
  if (tree.value("is_linear") != "1") {
    if (!tree.value("is_linear").empty() && tree.value("is_linear") != "0") {
      report_.odd(tree.offset, "a kind of tree that tare does not know");
    }
    return;
  }
  const Numbers counts = numbers(tree, "num_features");
  const Numbers features = numbers(tree, "leaf_features");
  double sum = 0;
  for (const double count : counts) sum += count;
  if (counts.size() != leaves || !are_inside(counts, 0, features_ + 1) ||
      numbers(tree, "leaf_const").size() != leaves || static_cast<double>(features.size()) != sum ||
      numbers(tree, "leaf_coeff").size() != features.size() ||
      !are_inside(features, 0, features_)) {
    report_.bounds(tree.offset, "the linear models of the leaves do not fit their tree");
  }
}

void LightgbmAnalyzer::judge_parameters() {
  for (const LightgbmLine& line : model_.parameters) {
    if (line.value.empty()) continue;
    if (std::ranges::find(kFileParameters, line.key) != kFileParameters.end()) {
      report_.odd(line.offset,
                  "a parameter names files or hosts, which training on from the model uses",
                  line.value);
    }
  }
}

// Null, or a list of lists of categories.
void LightgbmAnalyzer::judge_pandas() {
  const LightgbmLine& line = model_.categories;
  if (line.key.empty()) return;
  const auto tree = JsonTree::parse(line.value);
  if (!tree) return report_.odd(line.offset, "the categories of pandas are no JSON");
  for (const format::JsonNode& node : tree->nodes()) {
    if (node.kind != JsonKind::kObject) continue;
    return report_.odd(line.offset, "the categories of pandas are no lists", line.value);
  }
}

}  // namespace

void analyze_lightgbm(const format::Part& part, Findings& findings) {
  LightgbmAnalyzer(part, findings).run();
}

}  // namespace tare
