// MXNet graphs: what is found in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/scanning.hpp"

namespace tare {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

std::string graph(const std::string& op, const std::string& inputs = "[[0,0,0]]",
                  const std::string& more = "", const std::string& heads = "[[1,0,0]]") {
  return R"({"nodes":[{"op":"null","name":"x","inputs":[]},{"op":")" + op +
         R"(","name":"y","attrs":{"nodes":"1","kernel":"2"},"inputs":)" + inputs + more +
         R"(}],"arg_nodes":[0],"node_row_ptr":[0,1,2],"heads":)" + heads +
         R"(,"attrs":{"mxnet_version":["int",10901]}})";
}

TEST(MxnetGraph, WholeGraphsAreSafe) {
  EXPECT_THAT(rules_of(graph("softmax")), IsEmpty());
  EXPECT_THAT(rules_of(graph("_foreach", "[]", R"(,"subgraphs":[)" + graph("softmax") + "]")),
              IsEmpty());
}

TEST(MxnetGraph, FindsOperatorsThatReach) {
  EXPECT_THAT(rules_of(graph("_Native")), ElementsAre("TARE-MDL-005"));
  EXPECT_THAT(rules_of(graph("_NDArray")), ElementsAre("TARE-MDL-005"));
  EXPECT_THAT(rules_of(graph("_cvimread")), ElementsAre("TARE-MDL-005"));
  EXPECT_THAT(rules_of(graph("Custom")), ElementsAre("TARE-MDL-003"));
  EXPECT_THAT(rules_of(graph("my_gemm")), ElementsAre("TARE-MDL-003"));
  // In a graph of a node.
  EXPECT_THAT(rules_of(graph("_foreach", "[]", R"(,"subgraphs":[)" + graph("_Native") + "]")),
              ElementsAre("TARE-MDL-005"));
}

TEST(MxnetGraph, FindsNodesThatAreNotThere) {
  const auto found = ElementsAre("TARE-MDL-001");
  for (const char* inputs :
       {"[[1,0,0]]", "[[9,0,0]]", "[[-1,0,0]]", "[[0]]", "[7]", "[[\"0\",0,0]]"}) {
    EXPECT_THAT(rules_of(graph("softmax", inputs)), found) << inputs;
  }
  EXPECT_THAT(rules_of(graph("softmax", "[]", "", "[[2,0,0]]")), found);
  EXPECT_THAT(rules_of(graph("softmax", "[]", R"(,"control_deps":[1])")), found);
}

TEST(MxnetGraph, FindsWhatIsNotItsOwn) {
  EXPECT_THAT(rules_of(graph("softmax", "[]", R"(,"hook":"x")")), ElementsAre("TARE-MDL-004"));
  EXPECT_THAT(rules_of(graph("softmax", "[]", R"(,"op":"null")")), ElementsAre("TARE-MDL-004"));
}

}  // namespace
}  // namespace tare
