// CatBoost models: what is found in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/flatbuffer_builder.hpp"
#include "support/scanning.hpp"

namespace tare {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

// A model of one tree of two splits, on one feature with three thresholds; to be changed.
struct Model {
  std::uint32_t dimension = 1;
  std::vector<std::int32_t> splits = {0, 2};
  std::vector<std::int32_t> sizes = {2};
  std::vector<std::int32_t> starts = {0};
  std::uint64_t values = 4;
  std::uint64_t biases = 1;
  std::vector<std::uint32_t> steps;
  std::vector<std::uint32_t> leaves;
  std::vector<std::uint32_t> repacked = {0, 0};
  bool has_ctr = false;
  std::string version = "FlabuffersModel_v1";
  std::string rest;

  std::string build() const {
    const auto numbers = [](const auto& list) {
      return Flat::vector(memory_of(list), list.size());
    };
    const auto doubles = [](std::uint64_t n) { return Flat::vector(std::string(8 * n, '\0'), n); };
    const Flat feature = Flat::table(
        {Flat::absent(), Flat::absent(), Flat::absent(), Flat::vector(std::string(12, '\0'), 3)});
    const Flat trees = Flat::table(
        {Flat::number(u32(dimension)), Flat::ints(splits), Flat::ints(sizes), Flat::ints(starts),
         Flat::tables({}), Flat::tables({feature}), Flat::tables({}),
         has_ctr ? Flat::tables({Flat::table({})}) : Flat::tables({}), doubles(values), doubles(0),
         numbers(steps), numbers(leaves), Flat::absent(), Flat::absent(), Flat::absent(),
         Flat::absent(), doubles(biases), numbers(repacked)});
    const Flat info = Flat::table({Flat::text("params"), Flat::text("{}")});
    const std::string core =
        FlatBuilder().build(Flat::table({Flat::text(version), trees, Flat::tables({info})}), "");
    return "CBM1" + u32(core.size()) + core + rest;
  }
};

template <typename Change>
std::set<std::string> rules_with(const Change& change) {
  Model model;
  change(model);
  return rules_of(model.build());
}

TEST(Catboost, WholeModelsAreSafe) {
  EXPECT_THAT(rules_of(Model().build()), IsEmpty());
  EXPECT_THAT(rules_with([](Model& m) {
                m.steps = {0x0001'0000, 0};
                m.leaves = {3, 0};
              }),
              IsEmpty());
}

TEST(Catboost, FindsIndicesThatPointToNothing) {
  const auto found = ElementsAre("TARE-MDL-001");
  EXPECT_THAT(rules_with([](Model& m) { m.splits = {0, 3}; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.splits = {-1, 0}; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.sizes = {3}; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.sizes = {-1, 3}; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.starts = {1}; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.values = 3; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.dimension = 2; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.dimension = UINT32_MAX; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.biases = 2; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.repacked = {0, 1}; }), found);
  EXPECT_THAT(rules_with([](Model& m) {
                m.steps = {0x0002'0000, 0};
                m.leaves = {0, 0};
              }),
              found);
  EXPECT_THAT(rules_with([](Model& m) {
                m.steps = {0x0001'0000, 0};
                m.leaves = {0, 4};
              }),
              found);
}

TEST(Catboost, SaysWhatItDoesNotRead) {
  const auto found = ElementsAre("TARE-MDL-004");
  EXPECT_THAT(rules_with([](Model& m) { m.has_ctr = true; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.rest = "rest"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.version = "v2"; }), found);
}

TEST(Catboost, WhatIsCutOffIsNotSafe) {
  const std::string file = Model().build();
  for (std::size_t size = 4; size < file.size(); ++size) {
    EXPECT_GT(verdict_of(file.substr(0, size)), Verdict::kSafe) << size;
  }
}

}  // namespace
}  // namespace tare
