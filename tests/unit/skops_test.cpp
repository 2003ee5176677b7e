// Schemas of skops: what their nodes make the loader do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/scanning.hpp"
#include "support/zip_builder.hpp"

namespace tare {
namespace {

using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

std::string node(std::string_view loader, std::string_view name, std::string_view content) {
  const std::size_t dot = name.rfind('.');
  return R"({"__class__": ")" + std::string(name.substr(dot + 1)) + R"(", "__module__": ")" +
         std::string(name.substr(0, dot)) + R"(", "__loader__": ")" + std::string(loader) +
         R"(", "content": )" + std::string(content) + "}";
}

// A dict with one value.
std::string in_dict(std::string_view value) {
  return node("DictNode", "builtins.dict", R"({"a": )" + std::string(value) + "}");
}

std::string estimator(std::string_view value) {
  return node("ObjectNode", "sklearn.linear_model._logistic.LogisticRegression", in_dict(value));
}

std::string generator(std::string_view name) {
  const std::string text =
      node("JsonNode", "builtins.str", R"("\")" + std::string(name) + R"(\"")");
  const std::string state = node("DictNode", "builtins.dict", R"({"bit_generator": )" + text + "}");
  return node("RandomGeneratorNode", "numpy.random._generator.Generator",
              R"({"bit_generator": )" + state + R"(, "seed_seq": )" + in_dict("null") + "}");
}

std::string method(std::string_view owner, std::string_view object, std::string_view func) {
  return node("MethodNode", owner,
              R"({"func": ")" + std::string(func) + R"(", "obj": )" +
                  node("ObjectNode", object, "null") + "}");
}

TEST(Skops, IsSafeWithWhatIsKnown) {
  const std::string json = node("JsonNode", "builtins.float", "\"1.5\"");
  for (const std::string& value :
       {json, node("ListNode", "builtins.list", "[" + json + "]"),
        node("SetNode", "builtins.set", "[]"), node("TupleNode", "builtins.tuple", "[]"),
        node("TypeNode", "builtins.float", "null"), node("TypeNode", "numpy.float64", "null"),
        node("NdArrayNode", "numpy.ndarray", "null"), node("NdArrayNode", "numpy.float64", "null"),
        node("DictNode", "collections.OrderedDict", "{}"), generator("PCG64"),
        node("OperatorFuncNode", "operator.itemgetter", "null"),
        node("ConstructorFromReduceNode", "datetime.timezone", "null")}) {
    EXPECT_THAT(rules_of(estimator(value)), IsEmpty()) << value;
  }
}

TEST(Skops, KnownGadgetsAreDangerous) {
  for (const std::string loader : {"FunctionNode", "TypeNode", "ObjectNode", "NdArrayNode",
                                   "ConstructorFromReduceNode", "ListNode", "DictNode"}) {
    for (const std::string name : {"os.system", "subprocess.Popen", "builtins.eval"}) {
      EXPECT_THAT(rules_of(estimator(node(loader, name, "[]"))), ElementsAre("TARE-SKO-001"))
          << loader << name;
    }
  }
}

TEST(Skops, UnknownNamesAreSuspicious) {
  for (const std::string loader : {"FunctionNode", "TypeNode", "ObjectNode", "NdArrayNode",
                                   "ConstructorFromReduceNode", "ListNode", "TupleNode"}) {
    EXPECT_THAT(rules_of(node(loader, "my_project.models.Encoder", "[]")),
                ElementsAre("TARE-SKO-002"))
        << loader;
  }
  EXPECT_THAT(rules_of(node("PartialNode", "functools.partial", "{}")),
              ElementsAre("TARE-SKO-002"));
  EXPECT_THAT(rules_of(node("NewNode", "builtins.int", "0")), ElementsAre("TARE-SKO-002"));
  EXPECT_THAT(rules_of(R"({"__loader__": "ObjectNode"})"), ElementsAre("TARE-SKO-002"));
  EXPECT_THAT(rules_of(R"({"__loader__": 5, "__class__": {}})"), ElementsAre("TARE-SKO-002"));
}

// A class that may be made is none that may be called with anything.
TEST(Skops, WhatALoaderDoesCounts) {
  const std::string_view name = "sklearn.linear_model._logistic.LogisticRegression";
  EXPECT_THAT(rules_of(node("ObjectNode", name, "{}")), IsEmpty());
  for (const std::string loader : {"ConstructorFromReduceNode", "ListNode", "NdArrayNode"}) {
    EXPECT_THAT(rules_of(node(loader, name, "[]")), ElementsAre("TARE-SKO-002")) << loader;
  }
  // What pickles may name is nothing to make objects of.
  EXPECT_TRUE(is_not_safe(node("ObjectNode", "torch._utils._rebuild_tensor_v2", "{}")));
}

// CVE-2025-54412: the module that is shown is not the one that is used.
TEST(Skops, OperatorsThatAreNoGetters) {
  for (const std::string name :
       {"sklearn.linear_model._stochastic_gradient.call", "operator.call", "builtins.itemgetter"}) {
    EXPECT_THAT(rules_of(node("OperatorFuncNode", name, "{}")), ElementsAre("TARE-SKO-001"));
  }
  EXPECT_THAT(rules_of(node("OperatorFuncNode", "operator.methodcaller", "{}")),
              ElementsAre("TARE-SKO-002"));
}

// CVE-2025-54413: an attribute of an object of another class.
TEST(Skops, MethodsThatAreNone) {
  const std::string_view name = "sklearn.linear_model._logistic.LogisticRegression";
  EXPECT_THAT(rules_of(method(name, name, "fit")), ElementsAre("TARE-SKO-002"));
  for (const std::string& bad :
       {method(name, "builtins.int", "fit"), method(name, name, "__init__"),
        method(name, name, "__globals__"), method(name, name, "a.b"),
        node("MethodNode", name, "{}"), node("MethodNode", name, "[]")}) {
    EXPECT_THAT(rules_of(bad), Contains("TARE-SKO-001")) << bad;
  }
}

TEST(Skops, GeneratorsThatAreNone) {
  EXPECT_THAT(rules_of(generator("seed")), ElementsAre("TARE-SKO-001"));
  EXPECT_THAT(rules_of(node("RandomGeneratorNode", "numpy.random._generator.Generator", "{}")),
              ElementsAre("TARE-SKO-001"));
}

TEST(Skops, NodesCountWhereverTheyStand) {
  const std::string hostile = node("FunctionNode", "os.system", "null");
  for (const std::string& text :
       {estimator(R"({"x": [{"y": )" + hostile + "}]}"),
        R"({"protocol": 0, "z": )" + hostile + R"(, "__loader__": "JsonNode"})",
        node("JsonNode", "builtins.str", hostile)}) {
    EXPECT_THAT(rules_of(text), Contains("TARE-SKO-001")) << text;
  }
  EXPECT_TRUE(is_not_safe(R"({"__loader__": "ObjectNode", "__loader__": "JsonNode", )"
                          R"("__class__": "int", "__module__": "builtins"})"));
}

TEST(Skops, InItsArchive) {
  ZipBuilder archive;
  archive.add("schema.json", estimator(node("FunctionNode", "os.system", "null")));
  const auto report = scanned(archive.build());
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].entry, "schema.json");
  EXPECT_EQ(report.verdict, Verdict::kDangerous);
}

TEST(Skops, NoPrefixIsSafe) {
  const std::string text = estimator(generator("PCG64"));
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_TRUE(is_not_safe(text.substr(0, length))) << length;
  }
}

}  // namespace
}  // namespace tare
