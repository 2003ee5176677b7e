// Configurations of Hugging Face libraries, and JSON as a tree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/json_tree.hpp"
#include "support/scanning.hpp"
#include "support/zip_builder.hpp"
#include "tare/scan.hpp"

namespace tare {
namespace {

using format::JsonKind;
using format::JsonTree;
using test::rules_of;
using test::scanned;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(JsonTree, HoldsEveryValueInOrder) {
  const auto tree =
      JsonTree::parse(R"( {"a": [1, -2.5e3, {}], "b": {"c": "x\u0041"}, "d": null} )");
  ASSERT_TRUE(tree.has_value());
  std::string seen;
  for (const auto& node : tree->nodes()) {
    seen += std::string(node.key) + "=" + std::string(node.text) + ";";
  }
  EXPECT_EQ(seen, "=;a=;=1;=-2.5e3;=;b=;c=xA;d=null;");
  EXPECT_EQ(tree->root().offset, 1U);
  EXPECT_EQ(tree->member(tree->root(), "d")->kind, JsonKind::kNull);
  EXPECT_EQ(tree->member(tree->root(), "e"), nullptr);
  EXPECT_TRUE(tree->stands_in(6, 5));
  EXPECT_FALSE(tree->stands_in(7, 5));
}

TEST(JsonTree, TakesWhatPythonTakes) {
  EXPECT_TRUE(JsonTree::parse("[NaN, Infinity, -Infinity]").has_value());
  for (const char* text : {"", "[", "{\"a\":1,}", "[1] 2", "[nan]", "[Infinit]", "\xFF", "[+1]"}) {
    EXPECT_FALSE(JsonTree::parse(text).has_value()) << text;
  }
}

TEST(JsonTree, NotesAKeyTwice) {
  EXPECT_EQ(JsonTree::parse(R"({"a":1,"b":{"a":2}})")->repeated_key(), std::nullopt);
  const auto tree = JsonTree::parse(R"({"a":1,"b":2,"\u0061":3})");
  EXPECT_EQ(tree->repeated_key(), 22U);
  EXPECT_EQ(tree->member(tree->root(), "a")->text, "3");
}

TEST(JsonTree, IsBoundedInDepth) {
  EXPECT_TRUE(JsonTree::parse(test::repeat("[", 127) + test::repeat("]", 127)).has_value());
  const auto deep = JsonTree::parse(test::repeat("[", 128) + test::repeat("]", 128));
  ASSERT_FALSE(deep.has_value());
  EXPECT_EQ(deep.error().code, ErrorCode::kLimit);
}

TEST(HfConfig, OrdinaryOnesAreSafe) {
  for (const char* text :
       {R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "eps": 1e-06})",
        R"({"model_type": "mamba2", "time_step_limit": [0.0, Infinity]})",
        R"({"tokenizer_class": "X",
            "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"})",
        R"({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.1",
            "unet": ["diffusers", "UNet2DConditionModel"], "safety_checker": [null, null],
            "feature_extractor": ["transformers", "CLIPImageProcessor"]})",
        R"({"_class_name": "UNet2DConditionModel", "down_block_types": ["a", "b"]})",
        R"([{"idx": 0, "name": "0", "path": "",
             "type": "sentence_transformers.models.Transformer"}])",
        R"({"_attn_implementation": "sdpa", "trust_remote_code": false, "model_type": "x"})"}) {
    const auto report = scanned(text);
    EXPECT_EQ(report.verdict, Verdict::kSafe) << text;
    EXPECT_THAT(report.findings, IsEmpty());
    EXPECT_THAT(report.formats, ElementsAre("hf-config"));
  }
}

TEST(HfConfig, CodeOfItsOwn) {
  const auto report =
      scanned(R"({"a": {"auto_map": {"AutoModel": "owner/repo--modeling_x.X", "T": ["t.A", null]}},
               "model_type": "x"})");
  EXPECT_EQ(report.verdict, Verdict::kSuspicious);
  ASSERT_EQ(report.findings.size(), 2U);
  EXPECT_STREQ(report.findings[0].rule->id, "TARE-HFC-001");
  EXPECT_EQ(report.findings[0].evidence, R"("AutoModel": "owner/repo--modeling_x.X")");
  EXPECT_THAT(report.findings[0].detail, HasSubstr("modeling_x.py of the repository owner/repo"));
  EXPECT_THAT(report.findings[1].detail, HasSubstr("t.py beside this file"));
  for (const char* text :
       {R"({"_class_name": ["my_pipeline", "Pipe"]})",
        R"({"_class_name": "P", "unet": ["my_unet", "Unet"]})",
        R"({"model_type": "x", "custom_pipelines": {"t": {"impl": "f.P"}}})",
        R"([{"idx": 0, "type": "custom_st.Transformer"}])", R"([{"idx": 0, "type": 1}])"}) {
    EXPECT_THAT(rules_of(text), ElementsAre("TARE-HFC-001")) << text;
  }
}

TEST(HfConfig, TrustKernelsAndTargets) {
  EXPECT_THAT(rules_of(R"({"auto_map": {}, "x": {"trust_remote_code": true}})"),
              ElementsAre("TARE-HFC-002"));
  const auto kernel = scanned(R"({"_attn_implementation_internal": "evil/kernel"})");
  EXPECT_EQ(kernel.verdict, Verdict::kDangerous);
  EXPECT_STREQ(kernel.findings.at(0).rule->id, "TARE-HFC-003");
  EXPECT_THAT(rules_of(R"({"model_type": "x", "y": [{"_target_": "os.system"}]})"),
              ElementsAre("TARE-HFC-004"));
}

TEST(HfConfig, TemplatesAreJudged) {
  for (const char* text :
       {R"({"chat_template": "{{ x.__class__ }}"})",
        R"({"chat_template": [{"name": "a", "template": "{{ x['\\x5f_class__'] }}"}]})",
        R"({"chat_template": {"a": "{{ 1 }}", "b": "{{ x\u002e__class__ }}"}})",
        R"({"model_type": "x", "sub": {"chat_template": "{{ x|attr(y) }}"}})"}) {
    const auto report = scanned(text);
    EXPECT_EQ(report.verdict, Verdict::kDangerous) << text;
    EXPECT_EQ(report.findings.back().entry, "chat_template");
  }
}

TEST(HfConfig, BrokenOnesAreUnreadable) {
  EXPECT_EQ(scanned(R"({"model_type": "x")").verdict, Verdict::kUnreadable);
  EXPECT_EQ(scanned("{\"model_type\": \"\xFF\"}").verdict, Verdict::kUnreadable);
  EXPECT_THAT(rules_of(R"({"model_type": "x", "model_type": "y"})"), ElementsAre("TARE-ZIP-001"));
}

TEST(HfConfig, OtherJsonIsNone) {
  for (const char* text :
       {"{}", "[]", R"({"a": 1})", R"({"a": {"model_type": 1}})", R"([{"a": 1}])"}) {
    EXPECT_FALSE(scan(as_bytes(text)).has_value()) << text;
  }
}

TEST(HfConfig, InsideOfArchives) {
  test::ZipBuilder archive;
  archive.add("m/config.json", R"({"auto_map": {"AutoModel": "x.Y"}})");
  EXPECT_THAT(rules_of(archive.build()), ElementsAre("TARE-HFC-001"));
}

}  // namespace
}  // namespace tare
