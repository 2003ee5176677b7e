// XGBoost models: what is read of them, and what is found in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/json_tree.hpp"
#include "support/scanning.hpp"
#include "support/xgboost_builder.hpp"

namespace tare {
namespace {

using namespace test;
using namespace std::string_literals;
using format::JsonKind;
using format::JsonNumbers;
using format::JsonTree;
using testing::ElementsAre;
using testing::IsEmpty;

template <typename Change>
std::set<std::string> rules_with(const Change& change) {
  XgboostModel model;
  change(model);
  return rules_of(model.build());
}

TEST(Xgboost, WholeModelsAreSafe) {
  EXPECT_THAT(rules_of(XgboostModel().build()), IsEmpty());
  EXPECT_THAT(scanned(XgboostModel().build()).formats, ElementsAre("xgboost-json"));
}

TEST(Xgboost, FindsChildrenThatAreNotThere) {
  for (const char* left : {"[3,-1,-1]", "[-2,-1,-1]", "[1e9,-1,-1]", "[NaN,-1,-1]", "[0,-1,-1]",
                           "[2,-1,-1]", "[1,0,-1]", "[1,-1]", "[]", "[-1,-1,-1]"}) {
    EXPECT_THAT(rules_with([=](XgboostModel& m) { m.left = left; }), ElementsAre("TARE-MDL-001"))
        << left;
  }
  // A leaf has no number in a tree of one target.
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.right = "[2,0,-1]"; }),
              ElementsAre("TARE-MDL-001"));
}

TEST(Xgboost, FindsWhatDoesNotFitTheTree) {
  const auto found = ElementsAre("TARE-MDL-001");
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.features = "[2,0,0]"; }), found);
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.features = "[1,0]"; }), found);
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.parents = "[2147483647,0,3]"; }), found);
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.conditions = "[0.5]"; }), found);
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.features = R"([9,0,"x"])"; }), found);
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.nodes = "4"; }), found);
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.nodes = "many"; }), found);
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.trees = "2"; }), found);
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.tree_info = "[1]"; }), found);
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.tree_info = "[0,0]"; }), found);
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.rounds = "[0,2]"; }), found);
  EXPECT_THAT(rules_with([](XgboostModel& m) {
                m.more = R"(,"categories":[1],"categories_nodes":[0],"categories_segments":[0],)"
                         R"("categories_sizes":[2])";
              }),
              found);
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.more = R"(,"leaf_weights":[1,2,3,4])"; }), found);
}

TEST(Xgboost, FindsNamesThatAreNotItsOwn) {
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.objective = "my:loss"; }),
              ElementsAre("TARE-MDL-003"));
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.booster = "mine"; }), ElementsAre("TARE-MDL-003"));
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.more_learner = R"(,"hook":"os.system")"; }),
              ElementsAre("TARE-MDL-004"));
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.more = R"(,"id":1)"; }),
              ElementsAre("TARE-MDL-004"));
  EXPECT_THAT(rules_with([](XgboostModel& m) { m.attributes = R"({"a":{}})"; }),
              ElementsAre("TARE-MDL-004"));
}

TEST(Xgboost, FindsPicklesInAttributes) {
  const auto report = scanned([] {
    XgboostModel model;
    // os.system("id"), protocol 2, in base64.
    model.attributes = R"({"a":"gAJjb3MKc3lzdGVtClgCAAAAaWSFUi4="})";
    return model.build();
  }());
  EXPECT_EQ(report.verdict, Verdict::kDangerous);
}

TEST(Xgboost, WhatIsCutOffIsUnreadable) {
  const std::string file = XgboostModel().build();
  for (std::size_t size = file.find("version") + 9; size < file.size(); ++size) {
    EXPECT_EQ(verdict_of(file.substr(0, size)), Verdict::kUnreadable) << size;
  }
}

TEST(Ubjson, ReadsWhatXgboostWrites) {
  const std::string text = "{" + ub_key("a") + "[$l#L\0\0\0\0\0\0\0\2\0\0\0\7\xFF\xFF\xFF\xFF"s +
                           ub_key("b") + "[#L\0\0\0\0\0\0\0\2i\1U\xFF"s + ub_key("c") + "[d" +
                           "\x3F\x80\0\0Z]"s + ub_key("d") + "S" + ub_key("x") + ub_key("e") +
                           "{}" + ub_key("f") + "T}";
  const auto tree = JsonTree::parse_ubjson(as_bytes(text));
  ASSERT_TRUE(tree.has_value()) << tree.error().what;
  const auto& root = tree->root();
  EXPECT_THAT(tree->numbers(*tree->member(root, "a")), ElementsAre(7, -1));
  EXPECT_THAT(tree->numbers(*tree->member(root, "b")), ElementsAre(1, 255));
  EXPECT_EQ(tree->member(root, "c")->kind, JsonKind::kArray);
  EXPECT_EQ(tree->member(root, "d")->text, "x");
  EXPECT_EQ(tree->member(root, "e")->kind, JsonKind::kObject);
  EXPECT_EQ(tree->member(root, "f")->kind, JsonKind::kTrue);
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(JsonTree::parse_ubjson(as_bytes(text).first(size)).has_value()) << size;
  }
}

TEST(Ubjson, RefusesWhatIsHostile) {
  const std::string huge = "\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF";
  for (const std::string& text : {"[$d#L" + huge, "[#L" + huge,
                                  "S"
                                  "L" +
                                      huge,
                                  "Si\xFF"s, "[$Z#i\1"s, "?"s, "{i\1"s, "]"s, "TT"s, "[#i\2T]"s,
                                  std::string(200, '['), ""s, "{L"s}) {
    EXPECT_FALSE(JsonTree::parse_ubjson(as_bytes(text)).has_value()) << text;
  }
}

TEST(JsonTree, PacksArraysOfNumbersAlone) {
  const auto tree = JsonTree::parse(R"({"a":[1,-2.5,NaN],"b":[1,"x"],"c":[[3],[]],"d":[1e999]})",
                                    JsonNumbers::kPacked);
  EXPECT_FALSE(tree.has_value());
  const auto good =
      JsonTree::parse(R"({"a":[ 1 , -2.5 ],"b":[1,"x"],"c":[[3],[]]})", JsonNumbers::kPacked);
  ASSERT_TRUE(good.has_value()) << good.error().what;
  const auto& root = good->root();
  EXPECT_THAT(good->numbers(*good->member(root, "a")), ElementsAre(1, -2.5));
  const auto& mixed = *good->member(root, "b");
  EXPECT_EQ(mixed.kind, JsonKind::kArray);
  EXPECT_EQ(good->at(good->at(mixed.first).next).text, "x");
  EXPECT_THAT(good->numbers(good->at(good->member(root, "c")->first)), ElementsAre(3));
  EXPECT_FALSE(JsonTree::parse("[1,2", JsonNumbers::kPacked).has_value());
  EXPECT_FALSE(JsonTree::parse("[1,]", JsonNumbers::kPacked).has_value());
  EXPECT_FALSE(JsonTree::parse("[1 2]", JsonNumbers::kPacked).has_value());
}

}  // namespace
}  // namespace tare
