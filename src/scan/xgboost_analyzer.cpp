// XGBoost models: names that XGBoost does not have, and every index that prediction follows
// (docs/formats/xgboost.md).
#include <algorithm>
#include <array>

#include "format/xgboost.hpp"
#include "io/parse_number.hpp"
#include "scan/analyzers.hpp"
#include "scan/model_report.hpp"

namespace tare {
namespace {

using format::JsonKind;
using format::JsonNode;
using format::JsonTree;
using namespace std::string_view_literals;

// Wherever they stand, sorted. Keys in "attributes" are the user's.
constexpr std::array kKeys = {"Config"sv,
                              "Model"sv,
                              "aft_loss_distribution"sv,
                              "aft_loss_distribution_scale"sv,
                              "aft_loss_param"sv,
                              "attributes"sv,
                              "base_score"sv,
                              "base_weights"sv,
                              "boost_from_average"sv,
                              "boosted_rounds"sv,
                              "categories"sv,
                              "categories_nodes"sv,
                              "categories_segments"sv,
                              "categories_sizes"sv,
                              "cats"sv,
                              "default_left"sv,
                              "enc"sv,
                              "expectile_alpha"sv,
                              "expectile_loss_param"sv,
                              "feature_names"sv,
                              "feature_segments"sv,
                              "feature_types"sv,
                              "fix_list_size"sv,
                              "gbtree"sv,
                              "gbtree_model_param"sv,
                              "gradient_booster"sv,
                              "huber_slope"sv,
                              "id"sv,
                              "iteration_indptr"sv,
                              "lambda_rank_param"sv,
                              "lambdarank_bias_norm"sv,
                              "lambdarank_normalization"sv,
                              "lambdarank_num_pair_per_sample"sv,
                              "lambdarank_pair_method"sv,
                              "lambdarank_param"sv,
                              "lambdarank_score_normalization"sv,
                              "lambdarank_unbiased"sv,
                              "leaf_child_counts"sv,
                              "leaf_weights"sv,
                              "learner"sv,
                              "learner_model_param"sv,
                              "left_children"sv,
                              "loss_changes"sv,
                              "max_delta_step"sv,
                              "model"sv,
                              "name"sv,
                              "ndcg_exp_gain"sv,
                              "num_class"sv,
                              "num_deleted"sv,
                              "num_feature"sv,
                              "num_nodes"sv,
                              "num_pairsample"sv,
                              "num_parallel_tree"sv,
                              "num_target"sv,
                              "num_trees"sv,
                              "objective"sv,
                              "offsets"sv,
                              "parents"sv,
                              "poisson_regression_param"sv,
                              "pseudo_huber_param"sv,
                              "quantile_alpha"sv,
                              "quantile_loss_param"sv,
                              "reg_loss_param"sv,
                              "right_children"sv,
                              "scale_pos_weight"sv,
                              "size_leaf_vector"sv,
                              "softmax_multiclass_param"sv,
                              "sorted_idx"sv,
                              "split_conditions"sv,
                              "split_indices"sv,
                              "split_type"sv,
                              "sum_hessian"sv,
                              "tree_info"sv,
                              "tree_param"sv,
                              "trees"sv,
                              "tweedie_regression_param"sv,
                              "tweedie_variance_power"sv,
                              "type"sv,
                              "values"sv,
                              "version"sv,
                              "weight_drop"sv,
                              "weights"sv};
static_assert(std::ranges::is_sorted(kKeys));

constexpr std::array kObjectives = {
    "binary:hinge"sv,      "binary:logistic"sv,    "binary:logitraw"sv,
    "count:poisson"sv,     "multi:softmax"sv,      "multi:softprob"sv,
    "rank:map"sv,          "rank:ndcg"sv,          "rank:pairwise"sv,
    "reg:absoluteerror"sv, "reg:expectileerror"sv, "reg:gamma"sv,
    "reg:linear"sv,        "reg:logistic"sv,       "reg:pseudohubererror"sv,
    "reg:quantileerror"sv, "reg:squarederror"sv,   "reg:squaredlogerror"sv,
    "reg:tweedie"sv,       "survival:aft"sv,       "survival:cox"sv};
static_assert(std::ranges::is_sorted(kObjectives));

constexpr std::array kBoosters = {"dart"sv, "gblinear"sv, "gbtree"sv};

constexpr double kRootParent = INT32_MAX;

class XgboostAnalyzer {
 public:
  XgboostAnalyzer(const format::Part& part, const JsonTree& tree, Findings& findings)
      : tree_(tree), report_(part, findings) {}

  void run();

 private:
  using Numbers = std::span<const double>;
  void judge_key(const JsonNode& node);
  void judge_learner(const JsonNode& learner);
  void judge_name(const JsonNode& owner, std::span<const std::string_view> known);
  void judge_forest(const JsonNode& forest);
  void judge_linear(const JsonNode& linear);
  void judge_categories(const JsonNode& cats);
  void judge_tree(const JsonNode& tree);
  std::uint64_t width_of(const JsonNode& tree);
  double leaves_of(const JsonNode& tree);
  void judge_arrays(const JsonNode& tree, std::size_t nodes);
  void judge_splits(const JsonNode& tree, std::size_t nodes);
  void judge_path(const JsonNode& tree, Numbers left, Numbers right);

  const JsonNode* find(const JsonNode& object, std::initializer_list<std::string_view> path) const;
  // Numbers of a member; nothing if it is absent. What is no array of numbers alone is reported.
  Numbers numbers(const JsonNode& object, std::string_view key);
  std::size_t length(const JsonNode& array) const;
  // A parameter, which is a number as text. `otherwise` if it is absent or no number.
  std::uint64_t parameter(const JsonNode* node, std::uint64_t otherwise);
  void all_below(const JsonNode& object, std::string_view key, double end, const char* what);

  const JsonTree& tree_;
  ModelReport report_;
  std::uint64_t features_ = UINT64_MAX;
  std::uint64_t groups_ = 1;
};

const JsonNode* XgboostAnalyzer::find(const JsonNode& object,
                                      std::initializer_list<std::string_view> path) const {
  const JsonNode* node = &object;
  for (const std::string_view key : path) {
    if (node != nullptr) node = tree_.member(*node, key);
  }
  return node;
}

XgboostAnalyzer::Numbers XgboostAnalyzer::numbers(const JsonNode& object, std::string_view key) {
  const JsonNode* const array = tree_.member(object, key);
  if (array == nullptr) return {};
  if (array->first != JsonNode::kNone || array->kind < JsonKind::kArray) {
    report_.bounds(array->offset, "something else than numbers in place of numbers", key);
  }
  return tree_.numbers(*array);
}

std::size_t XgboostAnalyzer::length(const JsonNode& array) const {
  std::size_t count = array.count;
  for (auto i = array.first; i != JsonNode::kNone; i = tree_.at(i).next) ++count;
  return count;
}

std::uint64_t XgboostAnalyzer::parameter(const JsonNode* node, std::uint64_t otherwise) {
  if (node == nullptr) return otherwise;
  const auto value = parse_number(node->text);
  if (node->kind == JsonKind::kText && value) return *value;
  report_.bounds(node->offset, "a parameter is no number", node->key);
  return otherwise;
}

void XgboostAnalyzer::all_below(const JsonNode& object, std::string_view key, double end,
                                const char* what) {
  const auto outside = [end](double value) { return !(value >= 0 && value < end); };
  if (std::ranges::any_of(numbers(object, key), outside)) {
    report_.bounds(tree_.member(object, key)->offset, what, key);
  }
}

void XgboostAnalyzer::run() {
  if (const auto twice = tree_.repeated_key()) report_.odd(*twice, "a key stands there twice");
  for (const JsonNode& node : tree_.nodes()) judge_key(node);
  const JsonNode* const learner = tree_.member(tree_.root(), "learner");
  if (learner == nullptr || learner->kind != JsonKind::kObject) {
    return report_.odd(0, "the learner is no object");
  }
  judge_learner(*learner);
  for (const JsonNode& node : tree_.nodes()) {
    if (node.key == "trees") {
      for (auto i = node.first; i != JsonNode::kNone; i = tree_.at(i).next) judge_tree(tree_.at(i));
    }
    if (node.key == "model" && find(node, {"trees"}) != nullptr) judge_forest(node);
    if (node.key == "model" && find(node, {"weights"}) != nullptr) judge_linear(node);
    if (node.key == "cats") judge_categories(node);
  }
}

void XgboostAnalyzer::judge_key(const JsonNode& node) {
  if (node.parent == JsonNode::kNone) return;
  const JsonNode& around = tree_.at(node.parent);
  if (around.key == "attributes") {
    if (node.kind != JsonKind::kText) report_.odd(node.offset, "an attribute is no text", node.key);
    return;
  }
  if (around.kind == JsonKind::kObject && !std::ranges::binary_search(kKeys, node.key)) {
    report_.odd(node.offset, "a key that no XGBoost writes", node.key);
  }
}

void XgboostAnalyzer::judge_learner(const JsonNode& learner) {
  features_ = parameter(find(learner, {"learner_model_param", "num_feature"}), 0);
  groups_ = std::max(parameter(find(learner, {"learner_model_param", "num_class"}), 1),
                     parameter(find(learner, {"learner_model_param", "num_target"}), 1));
  groups_ = std::max<std::uint64_t>(groups_, 1);
  const JsonNode* const objective = find(learner, {"objective"});
  const JsonNode* const booster = find(learner, {"gradient_booster"});
  if (objective == nullptr || booster == nullptr) {
    return report_.odd(learner.offset, "a learner without an objective or a booster");
  }
  judge_name(*objective, kObjectives);
  judge_name(*booster, kBoosters);
}

void XgboostAnalyzer::judge_name(const JsonNode& owner, std::span<const std::string_view> known) {
  const JsonNode* const name = tree_.member(owner, "name");
  if (name != nullptr && std::ranges::find(known, name->text) != known.end()) return;
  report_.add(scan_rules::kModelCode, owner.offset,
              "an objective or booster that XGBoost does not have",
              name == nullptr ? "" : name->text);
}

void XgboostAnalyzer::judge_forest(const JsonNode& forest) {
  const std::size_t trees = length(*tree_.member(forest, "trees"));
  const auto declared = parameter(find(forest, {"gbtree_model_param", "num_trees"}), UINT64_MAX);
  if (declared != trees) report_.bounds(forest.offset, "more or fewer trees than the model says");
  if (numbers(forest, "tree_info").size() != trees) {
    report_.bounds(forest.offset, "more or fewer groups than trees");
  }
  all_below(forest, "tree_info", static_cast<double>(groups_),
            "a tree of a class that is not there");
  all_below(forest, "iteration_indptr", static_cast<double>(trees) + 1,
            "an iteration has trees that are not there");
  const Numbers rounds = numbers(forest, "iteration_indptr");
  if (!std::ranges::is_sorted(rounds) ||
      (!rounds.empty() && rounds.back() != static_cast<double>(trees))) {
    report_.bounds(forest.offset, "the iterations do not fit the trees");
  }
  // The weights of DART stand beside the booster that holds the model.
  const std::uint32_t outer =
      forest.parent == JsonNode::kNone ? forest.parent : tree_.at(forest.parent).parent;
  if (outer == JsonNode::kNone) return;
  const JsonNode* const weights = tree_.member(tree_.at(outer), "weight_drop");
  if (weights != nullptr && length(*weights) != trees) {
    report_.bounds(weights->offset, "more or fewer weights than trees");
  }
}

void XgboostAnalyzer::judge_linear(const JsonNode& linear) {
  const std::size_t weights = length(*tree_.member(linear, "weights"));
  if (features_ > UINT32_MAX || groups_ > UINT32_MAX || weights != (features_ + 1) * groups_) {
    report_.bounds(linear.offset, "more or fewer weights than features and classes");
  }
}

// Texts of categories, one behind the other, and an order of all of them.
void XgboostAnalyzer::judge_categories(const JsonNode& cats) {
  const Numbers segments = numbers(cats, "feature_segments");
  const Numbers order = numbers(cats, "sorted_idx");
  if (!std::ranges::is_sorted(segments) ||
      (!segments.empty() && segments.back() != static_cast<double>(order.size()))) {
    report_.bounds(cats.offset, "the categories of a feature are not there");
  }
  all_below(cats, "sorted_idx", static_cast<double>(order.size()), "a category that is not there");
  const JsonNode* const encoded = tree_.member(cats, "enc");
  if (encoded == nullptr) return;
  for (auto i = encoded->first; i != JsonNode::kNone; i = tree_.at(i).next) {
    const JsonNode& feature = tree_.at(i);
    const Numbers offsets = numbers(feature, "offsets");
    const JsonNode* const values = tree_.member(feature, "values");
    const std::size_t bytes = values == nullptr ? 0 : length(*values);
    all_below(feature, "offsets", static_cast<double>(bytes) + 1,
              "a category ends behind its texts");
    if (!std::ranges::is_sorted(offsets)) {
      report_.bounds(feature.offset, "the texts of categories do not fit each other");
    }
  }
}

void XgboostAnalyzer::judge_tree(const JsonNode& tree) {
  const Numbers left = numbers(tree, "left_children");
  const Numbers right = numbers(tree, "right_children");
  const auto declared = parameter(find(tree, {"tree_param", "num_nodes"}), UINT64_MAX);
  if (left.empty() || left.size() != declared || right.size() != declared) {
    return report_.bounds(tree.offset, "a tree has more or fewer nodes than it says");
  }
  judge_arrays(tree, left.size());
  judge_path(tree, left, right);
  judge_splits(tree, left.size());
}

std::uint64_t XgboostAnalyzer::width_of(const JsonNode& tree) {
  return std::max<std::uint64_t>(parameter(find(tree, {"tree_param", "size_leaf_vector"}), 1), 1);
}

// Those that have weights of their own.
double XgboostAnalyzer::leaves_of(const JsonNode& tree) {
  const std::uint64_t leaves = numbers(tree, "leaf_weights").size() / width_of(tree);
  return static_cast<double>(leaves);
}

void XgboostAnalyzer::judge_arrays(const JsonNode& tree, std::size_t nodes) {
  const std::uint64_t width = width_of(tree);
  for (const std::string_view key :
       {"split_conditions"sv, "split_indices"sv, "default_left"sv, "parents"sv, "split_type"sv,
        "loss_changes"sv, "sum_hessian"sv, "base_weights"sv}) {
    const JsonNode* const array = tree_.member(tree, key);
    const bool is_needed = key != "parents" && key != "split_type" && key != "loss_changes" &&
                           key != "sum_hessian" && key != "base_weights";
    if (array == nullptr && !is_needed) continue;
    const std::size_t count = array == nullptr ? 0 : length(*array);
    // Trees of several targets have a vector for each node, or for each leaf.
    const bool is_wide = key == "base_weights" && width <= UINT32_MAX && count == nodes * width;
    if (count != nodes && !is_wide) {
      report_.bounds(tree.offset, "a tree has more or fewer values than nodes", key);
    }
  }
  const JsonNode* const leaves = tree_.member(tree, "leaf_weights");
  if (leaves != nullptr && (length(*leaves) % width != 0 || length(*leaves) / width > nodes)) {
    report_.bounds(leaves->offset, "the weights of leaves do not fit their tree");
  }
}

// Every node that prediction reaches has two children or none, and is reached by one way.
void XgboostAnalyzer::judge_path(const JsonNode& tree, Numbers left, Numbers right) {
  const Numbers features = numbers(tree, "split_indices");
  const auto nodes = static_cast<double>(left.size());
  const double leaves = leaves_of(tree);
  std::vector<bool> seen(left.size());
  std::vector<std::size_t> open{0};
  seen[0] = true;
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    // A leaf; in trees of several targets its number stands in place of the right child.
    if (left[node] == -1 && right[node] >= -1 && right[node] < std::max(0.0, leaves)) continue;
    if (node < features.size() &&
        !(features[node] >= 0 && features[node] < static_cast<double>(features_))) {
      return report_.bounds(tree.offset, "a tree asks for a feature that is not there");
    }
    for (const double child : {left[node], right[node]}) {
      if (!(child > 0 && child < nodes) || seen[static_cast<std::size_t>(child)]) {
        return report_.bounds(tree.offset, "a tree has a child that is not there, or a circle");
      }
      seen[static_cast<std::size_t>(child)] = true;
      open.push_back(static_cast<std::size_t>(child));
    }
  }
}

void XgboostAnalyzer::judge_splits(const JsonNode& tree, std::size_t nodes) {
  for (const double parent : numbers(tree, "parents")) {
    if (parent == kRootParent || (parent >= -1 && parent < static_cast<double>(nodes))) continue;
    report_.bounds(tree.offset, "a node has a parent that is not there");
    break;
  }
  const Numbers starts = numbers(tree, "categories_segments");
  const Numbers sizes = numbers(tree, "categories_sizes");
  const auto categories = static_cast<double>(numbers(tree, "categories").size());
  if (starts.size() != sizes.size() || starts.size() != numbers(tree, "categories_nodes").size()) {
    return report_.bounds(tree.offset, "the categories of a tree do not fit each other");
  }
  all_below(tree, "categories_nodes", static_cast<double>(nodes), "a node that is not there");
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (starts[i] >= 0 && sizes[i] >= 0 && starts[i] + sizes[i] <= categories) continue;
    return report_.bounds(tree.offset, "a node has categories that are not there");
  }
}

}  // namespace

void analyze_xgboost(const format::Part& part, Findings& findings) {
  const auto tree = format::read_xgboost(part.bytes);
  if (!tree) return ModelReport(part, findings).add(tree.error());
  XgboostAnalyzer(part, *tree, findings).run();
}

}  // namespace tare
