// Graphs of TensorFlow: what is recognised, and what is found in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scan/tensorflow_operators.hpp"
#include "support/protobuf_builder.hpp"
#include "support/scanning.hpp"
#include "tare/scan.hpp"

namespace tare {
namespace {

using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

std::string attribute(std::string_view key, std::string_view value) {
  return pb_bytes(5, pb_bytes(1, key) + pb_bytes(2, value));
}
// The message without what holds it: field 1 of a graph, 3 of a function.
std::string bare(std::string_view name, std::string_view op,
                 const std::vector<std::string>& inputs = {}, std::string_view more = "") {
  std::string out = pb_bytes(1, name) + pb_bytes(2, op);
  for (const std::string& input : inputs) out += pb_bytes(3, input);
  return out + std::string(more);
}
std::string node(std::string_view name, std::string_view op,
                 const std::vector<std::string>& inputs = {}, std::string_view more = "") {
  return pb_bytes(1, bare(name, op, inputs, more));
}
std::string constant(std::string_view text) {
  return attribute("value", pb_bytes(8, pb_number(1, 7) + pb_bytes(8, text)));
}
std::string function(std::string_view name, const std::vector<std::string>& nodes) {
  std::string out = pb_bytes(1, pb_bytes(1, name));
  for (const std::string& inner : nodes) out += pb_bytes(3, inner);
  return pb_bytes(2, pb_bytes(1, out));
}
std::string meta_graph(std::string_view graph, std::string_view more = "") {
  return pb_bytes(1, pb_bytes(4, "serve")) + pb_bytes(2, graph) + std::string(more);
}
std::string saved_model(std::string_view meta) {
  return pb_number(1, 1) + pb_bytes(2, meta);
}

std::string format_of(const std::string& file) {
  const auto report = scan(as_bytes(file));
  return report && report->formats.size() == 1 ? report->formats.front() : "";
}

const std::string kPlain = node("x", "Placeholder") + node("y", "Relu", {"x"});

TEST(Tensorflow, RecognisesEveryMessage) {
  EXPECT_EQ(format_of(kPlain), "tensorflow-graph");
  EXPECT_EQ(format_of(meta_graph(kPlain)), "tensorflow-meta-graph");
  EXPECT_EQ(format_of(saved_model(meta_graph(kPlain))), "tensorflow-saved-model");
  EXPECT_EQ(format_of(pb_bytes(2, meta_graph(kPlain)) + pb_number(1, 1)), "tensorflow-saved-model");
  EXPECT_EQ(format_of(pb_tag(99, 3) + pb_tag(99, 4) + kPlain), "tensorflow-graph");
  for (const std::string& file : {kPlain, meta_graph(kPlain), saved_model(meta_graph(kPlain))}) {
    EXPECT_THAT(rules_of(file), IsEmpty());
  }
  EXPECT_THAT(rules_of("saved_model_schema_version: 1\n"), ElementsAre("TARE-FMT-001"));
  EXPECT_THAT(rules_of("node {\n"), ElementsAre("TARE-FMT-001"));
}

TEST(Tensorflow, FindsOperatorsThatReachOut) {
  for (const char* op : {"ReadFile", "FixedUnigramCandidateSampler", "Skipgram", "WriteFile",
                         "PyFunc", "EagerPyFunc", "MatchingFiles", "TextLineDataset", "RpcCall",
                         "ImmutableConst", "XlaLaunch"}) {
    const std::string bad = node("bad", op);
    EXPECT_THAT(rules_of(kPlain + bad), ElementsAre("TARE-TF-001")) << op;
    EXPECT_THAT(rules_of(saved_model(meta_graph(kPlain + bad))), ElementsAre("TARE-TF-001")) << op;
    EXPECT_THAT(rules_of(kPlain + function("f", {bare("bad", op)})), ElementsAre("TARE-TF-001"))
        << op;
  }
  EXPECT_THAT(
      rules_of(saved_model(meta_graph(kPlain)) + pb_bytes(2, meta_graph(node("a", "PyFunc")))),
      ElementsAre("TARE-TF-001"));
}

TEST(Tensorflow, DoesNotTrustWhatItDoesNotKnow) {
  EXPECT_THAT(rules_of(kPlain + node("z", "MyNativeOp")), ElementsAre("TARE-TF-003"));
  EXPECT_THAT(rules_of(kPlain + node("z", "MyLib>Op")), ElementsAre("TARE-TF-003"));
  EXPECT_THAT(rules_of(kPlain + node("z", "f") + function("f", {bare("a", "Relu")})), IsEmpty());
}

TEST(Tensorflow, FindsPrintsToFiles) {
  const auto print = [](std::string_view stream) {
    return kPlain + node("p", "PrintV2", {"x"}, attribute("output_stream", pb_bytes(2, stream)));
  };
  EXPECT_THAT(rules_of(print("stderr")), IsEmpty());
  EXPECT_THAT(rules_of(print("file:///home/user/.bashrc")), ElementsAre("TARE-TF-001"));
}

// As Saver and tf.saved_model make them.
TEST(Tensorflow, LetsSaversTakeTheirPathFromTheCaller) {
  const std::string old = node("save/filename/input", "Const", {}, constant("model")) +
                          node("save/filename", "PlaceholderWithDefault", {"save/filename/input"}) +
                          node("save/Const", "PlaceholderWithDefault", {"save/filename"}) +
                          node("part", "Const", {}, constant("_temp_1/part")) +
                          node("join", "StringJoin", {"save/Const", "part"}) +
                          node("sharded", "ShardedFilename", {"join", "a", "b"}) +
                          node("save", "SaveV2", {"sharded"}) +
                          node("merge", "MergeV2Checkpoints", {"sharded", "save/Const"}) +
                          node("restore", "RestoreV2", {"save/Const"});
  EXPECT_THAT(rules_of(old), IsEmpty());
  const std::string now =
      kPlain +
      function("save", {bare("s3", "Const", {}, constant(".part")),
                        bare("tmp", "Const", {}, constant("_temp/part")),
                        bare("test", "StaticRegexFullMatch", {"prefix"}),
                        bare("select", "Select", {"test:output:0", "s3:output:0", "tmp:output:0"}),
                        bare("join", "StringJoin", {"prefix", "select:output:0"}),
                        bare("save", "SaveV2", {"join:output:0"})});
  EXPECT_THAT(rules_of(now), IsEmpty());
}

TEST(Tensorflow, FindsPathsInTheGraph) {
  const auto restore = [](std::string_view path, std::string_view op = "RestoreV2") {
    return kPlain + node("c", "Const", {}, constant(path)) + node("i", "Identity", {"c:0"}) +
           node("r", op, {"i"});
  };
  for (const char* path : {"/etc/passwd", "../x", "a/../../b", "gs://bucket/x", "C:\\x"}) {
    EXPECT_THAT(rules_of(restore(path)), ElementsAre("TARE-TF-002")) << path;
    EXPECT_THAT(rules_of(restore(path, "SaveV2")), ElementsAre("TARE-TF-002")) << path;
  }
  EXPECT_THAT(rules_of(restore("model")), IsEmpty());
  const std::string climbing = kPlain + node("c", "Const", {}, constant("/../../x")) +
                               node("j", "StringJoin", {"x", "c"}) + node("s", "SaveV2", {"j"});
  EXPECT_THAT(rules_of(climbing), ElementsAre("TARE-TF-002"));
  const std::string joined = kPlain + node("c", "Const", {}, constant("/etc/")) +
                             node("j", "StringJoin", {"c", "x"}) + node("s", "SaveV2", {"j"});
  EXPECT_THAT(rules_of(joined), ElementsAre("TARE-TF-002"));
  const std::string chosen = kPlain + node("c", "Const", {}, constant("/x")) +
                             node("s", "SelectV2", {"x", "x", "c"}) + node("r", "RestoreV2", {"s"});
  EXPECT_THAT(rules_of(chosen), ElementsAre("TARE-TF-002"));
}

TEST(Tensorflow, FindsPathsThatAreHandedToFunctions) {
  const std::string restore = function("restore", {bare("r", "RestoreV2", {"file"})});
  const auto caller = [&](std::string_view path) {
    return kPlain + node("c", "Const", {}, constant(path)) +
           node("call", "StatefulPartitionedCall", {"x", "c"});
  };
  EXPECT_THAT(rules_of(caller("/etc/passwd") + restore), ElementsAre("TARE-TF-002"));
  EXPECT_THAT(rules_of(caller("/etc/passwd") + function("f", {bare("a", "Relu")})), IsEmpty());
  EXPECT_THAT(rules_of(caller("model") + restore), IsEmpty());
}

// Every SavedModel hands a description of its objects to the function that saves it.
TEST(Tensorflow, TakesNoProtobufForAPath) {
  using namespace std::string_literals;
  const std::string save = function("f", {bare("s", "SaveV2", {"file_prefix"})});
  const auto handed = [&](std::string_view text) {
    return rules_of(kPlain + node("c", "Const", {}, constant(text)) +
                    node("call", "StatefulPartitionedCall", {"x", "c"}) + save);
  };
  EXPECT_THAT(handed("\n0\n\x05\x08\x01\n@\x12:\n\x0EVARIABLE\x1A\x1Cw/.ATTRIBUTES/*\0\n\x17"s),
              IsEmpty());
  for (const std::string& path : {"/etc/x"s, "../x"s, "a/../../x\0 more"s, "gs://bucket/x"s,
                                  "C:\\x"s, "\\\\server\\x"s, "/x\0"s}) {
    EXPECT_THAT(handed(path), ElementsAre("TARE-TF-002")) << path;
  }
}

TEST(Tensorflow, DoesNotTrustComputedPaths) {
  EXPECT_THAT(rules_of(kPlain + node("u", "UnicodeEncode", {"x"}) + node("r", "RestoreV2", {"u"})),
              ElementsAre("TARE-TF-003"));
  const std::string circle = kPlain + node("a", "Identity", {"b"}) + node("b", "Identity", {"a"}) +
                             node("r", "RestoreV2", {"a"});
  EXPECT_THAT(rules_of(circle), IsEmpty());
}

TEST(Tensorflow, FindsAssetsOutsideOfTheModel) {
  const auto asset = [](std::string_view name) {
    return saved_model(meta_graph(kPlain, pb_bytes(6, pb_bytes(2, name))));
  };
  EXPECT_THAT(rules_of(asset("vocab.txt")), IsEmpty());
  EXPECT_THAT(rules_of(asset("../../x")), ElementsAre("TARE-TF-002"));
  EXPECT_THAT(rules_of(asset("/etc/passwd")), ElementsAre("TARE-TF-002"));
}

TEST(Tensorflow, FindsWhatParsersReadDifferently) {
  EXPECT_THAT(rules_of(kPlain + pb_bytes(1, bare("a", "Relu") + pb_bytes(2, "Tanh"))),
              ElementsAre("TARE-TF-004"));
  EXPECT_THAT(rules_of(saved_model(meta_graph(kPlain) + pb_bytes(2, kPlain))),
              ElementsAre("TARE-TF-004"));
}

TEST(Tensorflow, StopsAtADepth) {
  std::string call = pb_bytes(1, "f");
  for (int i = 0; i < 60; ++i)
    call = pb_bytes(1, "f") + pb_bytes(2, pb_bytes(2, pb_bytes(10, call)));
  EXPECT_THAT(rules_of(kPlain + node("a", "Relu", {}, attribute("f", pb_bytes(10, call)))),
              Contains("TARE-GEN-002"));
}

TEST(Tensorflow, IsNeverSafeIfCutOff) {
  const std::string file = saved_model(meta_graph(kPlain));
  for (std::size_t length = 5; length < file.size(); ++length) {
    const auto report = scan(as_bytes(std::string_view(file).substr(0, length)));
    ASSERT_TRUE(report.has_value() || length <= 20) << length;
    EXPECT_EQ(report ? report->verdict : Verdict::kUnreadable, Verdict::kUnreadable) << length;
  }
}

TEST(TensorflowOperators, AreOnOneListAtMost) {
  EXPECT_TRUE(is_known_tensorflow_operator("MatMul"));
  EXPECT_FALSE(is_known_tensorflow_operator("ReadFile"));
  EXPECT_FALSE(is_known_tensorflow_operator(""));
  EXPECT_STREQ(tensorflow_operator_reach("ReadFile"), "reads files of its own choice");
  EXPECT_EQ(tensorflow_operator_reach("MatMul"), nullptr);
}

}  // namespace
}  // namespace tare
