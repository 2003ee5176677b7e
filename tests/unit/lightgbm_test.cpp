// LightGBM models: what is found in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/scanning.hpp"

namespace tare {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

// A model of one tree, to be changed.
struct Model {
  std::string features = "1 0";
  std::string thresholds = "0.5 0";
  std::string kinds = "2 1";
  std::string left = "1 -1";
  std::string right = "-2 -3";
  std::string leaves = "3";
  std::string values = "0.1 -2e-5 inf";
  std::string sets = "1";
  std::string borders = "0 1";
  std::string bitmap = "240";
  std::string more_tree;
  std::string more_head;
  std::string objective = "regression";
  std::string parameters = "[boosting: gbdt]\n[forcedsplits_filename: ]\n";
  std::string categories = "[[\"a\", 2]]";
  int size_error = 0;

  std::string build() const {
    const std::string tree =
        "Tree=0\nnum_leaves=" + leaves + "\nnum_cat=" + sets + "\nsplit_feature=" + features +
        "\nthreshold=" + thresholds + "\ndecision_type=" + kinds + "\nleft_child=" + left +
        "\nright_child=" + right + "\nleaf_value=" + values + "\ncat_boundaries=" + borders +
        "\ncat_threshold=" + bitmap + "\nshrinkage=1\n" + more_tree + "\n\n";
    return "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
           "max_feature_idx=1\nobjective=" +
           objective + "\nfeature_names=a b\nfeature_infos=[0:1] 0:1\n" + more_head +
           "tree_sizes=" + std::to_string(static_cast<int>(tree.size()) + size_error) + "\n\n" +
           tree + "end of trees\n\nfeature_importances:\na=1\n\nparameters:\n" + parameters +
           "\nend of parameters\n\npandas_categorical:" + categories + "\n";
  }
};

template <typename Change>
std::set<std::string> rules_with(const Change& change) {
  Model model;
  change(model);
  return rules_of(model.build());
}

TEST(Lightgbm, WholeModelsAreSafe) {
  EXPECT_THAT(rules_of(Model().build()), IsEmpty());
  EXPECT_THAT(rules_with([](Model& m) { m.categories = "null"; }), IsEmpty());
}

TEST(Lightgbm, FindsIndicesThatPointToNothing) {
  const auto found = ElementsAre("TARE-MDL-001");
  for (const char* left : {"2 -1", "0 -1", "1 -4", "1 -2", "1", "x -1", "1 nan", "1e300 -1"}) {
    EXPECT_THAT(rules_with([=](Model& m) { m.left = left; }), found) << left;
  }
  EXPECT_THAT(rules_with([](Model& m) { m.features = "2 0"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.features = "-1 0"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.thresholds = "0.5 1"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.kinds = "2 257"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.borders = "0 2"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.borders = "1 1"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.sets = "0"; }), found);
  EXPECT_THAT(rules_with([](Model& m) {
                m.sets = "-1";
                m.borders = m.bitmap = "";
              }),
              found);
  EXPECT_THAT(rules_with([](Model& m) { m.leaves = "4"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.leaves = "9999999999"; }), found);
  EXPECT_THAT(rules_with([](Model& m) {
                m.more_tree =
                    "is_linear=1\nleaf_const=0 0 0\nnum_features=1 0 0\nleaf_features=2\n"
                    "leaf_coeff=1\n";
              }),
              found);
}

TEST(Lightgbm, FindsSizesThatAreNotThoseOfTheTrees) {
  EXPECT_THAT(rules_with([](Model& m) { m.size_error = 1; }), IsEmpty());  // nothing follows
  const std::string one = Model().build();
  const std::string two = one.substr(0, one.find("tree_sizes")) + "tree_sizes=100000 100000" +
                          one.substr(one.find('\n', one.find("tree_sizes")));
  EXPECT_THAT(rules_of(two), ElementsAre("TARE-MDL-001"));
}

TEST(Lightgbm, FindsWhatIsNotItsOwn) {
  EXPECT_THAT(rules_with([](Model& m) { m.objective = "mine a:1"; }), ElementsAre("TARE-MDL-003"));
  const auto found = ElementsAre("TARE-MDL-004");
  EXPECT_THAT(rules_with([](Model& m) { m.more_head = "hook=os.system\n"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.more_tree = "hook=1\n"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.more_tree = "shrinkage=2\n"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.parameters = "[forcedsplits_filename: /etc/passwd]\n"; }),
              found);
  EXPECT_THAT(rules_with([](Model& m) { m.parameters = "parser: {}\n"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.categories = "[[1]"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.categories = R"({"a": 1})"; }), found);
  EXPECT_THAT(rules_of(Model().build() + "import os\n"), found);
}

}  // namespace
}  // namespace tare
