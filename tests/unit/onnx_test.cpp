// ONNX: what is read of it, and what is found in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/onnx.hpp"
#include "support/protobuf_builder.hpp"
#include "support/scanning.hpp"
#include "support/temp_dir.hpp"
#include "tare/scan.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

std::string opset(std::string_view domain = "") {
  return pb_bytes(8, pb_bytes(1, domain) + pb_number(2, 17));
}
// The message without what holds it: field 1 of a graph, 7 of a function.
std::string bare_node(std::string_view op, std::string_view domain, std::string_view more) {
  return pb_bytes(1, "x") + pb_bytes(2, "y") + pb_bytes(4, op) +
         (domain.empty() ? "" : pb_bytes(7, domain)) + std::string(more);
}
std::string node(std::string_view op, std::string_view domain = "", std::string_view more = "") {
  return pb_bytes(1, bare_node(op, domain, more));
}
std::string model(std::string_view graph, std::string_view more = "") {
  return pb_number(1, 8) + pb_bytes(2, "pytorch") +
         pb_bytes(7, node("Relu") + pb_bytes(2, "main") + std::string(graph)) + opset() +
         std::string(more);
}
std::string tensor(std::string_view name, std::initializer_list<std::uint64_t> dims,
                   std::uint64_t type, std::string_view content) {
  std::string out;
  for (const std::uint64_t length : dims) out += pb_number(1, length);
  return out + pb_number(2, type) + pb_bytes(8, name) + std::string(content);
}
std::string raw(std::string_view bytes) {
  return pb_bytes(9, bytes);
}
std::string initializer(std::string_view message) {
  return pb_bytes(5, message);
}
std::string entry(std::string_view key, std::string_view value) {
  return pb_bytes(13, pb_bytes(1, key) + pb_bytes(2, value));
}
std::string external(std::string_view location) {
  return entry("location", location) + pb_number(14, 1);
}

std::set<std::string> onnx_rules(const std::string& file) {
  const auto report = scanned(file);
  EXPECT_THAT(report.formats, ElementsAre("onnx"));
  return rules_of(report);
}

Verdict verdict_of(const std::string& file) {
  return scan(as_bytes(file))->verdict;
}

Result<ModelContents> read(const std::string& file) {
  auto context = format::context_of(as_bytes(file));
  return format::kOnnx.read_tensors(as_bytes(file), context);
}

// The elements of the only tensor.
std::string elements(const std::string& message) {
  const std::string file = model(initializer(message));
  EXPECT_THAT(onnx_rules(file), IsEmpty());
  const auto contents = read(file);
  EXPECT_THAT(contents->problems, IsEmpty());
  if (contents->tensors.size() != 1) return "none";
  return std::string(as_text(contents->tensors.front().view.contiguous_bytes()));
}

TEST(Onnx, ListsInitializers) {
  const std::string file = model(initializer(tensor("w", {2, 3}, 1, raw(std::string(24, 'w')))) +
                                 initializer(tensor("b", {}, 7, raw("12345678"))));
  EXPECT_EQ(verdict_of(file), Verdict::kSafe);
  const auto contents = read(file);
  ASSERT_EQ(contents->tensors.size(), 2U);
  EXPECT_EQ(contents->tensors[0].name, "w");
  EXPECT_THAT(contents->tensors[0].view.shape, ElementsAre(2, 3));
  EXPECT_EQ(contents->tensors[1].view.dtype, DType::kI64);
  EXPECT_THAT(contents->tensors[1].view.shape, IsEmpty());
  EXPECT_EQ(contents->metadata.at("producer_name"), "pytorch");
}

TEST(Onnx, ReadsTypedFields) {
  EXPECT_EQ(elements(tensor("t", {2}, 1, pb_bytes(4, "abcdefgh"))), "abcdefgh");
  EXPECT_EQ(elements(tensor("t", {2}, 1, pb_tag(4, 5) + "abcd" + pb_tag(4, 5) + "efgh")),
            "abcdefgh");
  EXPECT_EQ(elements(tensor("t", {1}, 11, pb_bytes(10, "abcdefgh"))), "abcdefgh");
  EXPECT_EQ(elements(tensor("t", {2}, 6, pb_packed(5, {1, UINT64_MAX}))), u32(1) + u32(UINT32_MAX));
  EXPECT_EQ(elements(tensor("t", {2}, 6, pb_number(5, 1) + pb_number(5, 2))), u32(1) + u32(2));
  EXPECT_EQ(elements(tensor("t", {2}, 10, pb_packed(5, {0x3C00, 0x4000}))),
            u16(0x3C00) + u16(0x4000));
  EXPECT_EQ(elements(tensor("t", {2}, 9, pb_packed(5, {1, 0}))), u8(1) + u8(0));
  EXPECT_EQ(elements(tensor("t", {1}, 7, pb_packed(7, {UINT64_MAX - 1}))), u64(UINT64_MAX - 1));
  EXPECT_EQ(elements(tensor("t", {1}, 12, pb_packed(11, {7}))), u32(7));
  EXPECT_EQ(elements(tensor("t", {1}, 14, pb_bytes(4, "abcdefgh"))), "abcdefgh");
  EXPECT_EQ(elements(tensor("t", {0}, 1, "")), "");
}

TEST(Onnx, ListsNoTensorThatDoesNotFit) {
  for (const std::string& message :
       {tensor("t", {2}, 1, raw("abcd")), tensor("t", {UINT64_MAX}, 1, raw("abcd")),
        tensor("t", {1ULL << 40, 1ULL << 40}, 1, raw("abcd")),
        tensor("t", {2}, 6, pb_packed(5, {1})), tensor("t", {1}, 6, pb_packed(7, {1})),
        tensor("t", {1}, 1, raw("abcd") + pb_bytes(4, "abcd")), tensor("t", {1}, 8, raw("abcd")),
        tensor("t", {1}, 99, raw("abcd")), tensor("t", {1}, 8, pb_bytes(6, "a") + pb_bytes(6, "b")),
        tensor("t", {1}, 6, pb_bytes(5, "\x80"))}) {
    const std::string file = model(initializer(message));
    EXPECT_THAT(onnx_rules(file), Contains("TARE-ONNX-005"));
    EXPECT_THAT(read(file)->tensors, IsEmpty());
    EXPECT_EQ(read(file)->problems.size(), 1U);
  }
  const std::string twice = initializer(tensor("t", {1}, 1, raw("abcd")));
  EXPECT_EQ(read(model(twice + twice))->problems.size(), 1U);
}

TEST(Onnx, FindsPathsThatLeaveTheFolder) {
  for (const std::string_view path : {"/etc/passwd", "../x", "a/../../x", "a/..", "..", "C:\\x",
                                      "\\\\host\\x", "a\\..\\x", "file://x", "https://x/y", ""}) {
    const std::string file = model(initializer(tensor("t", {1}, 1, external(path))));
    EXPECT_THAT(onnx_rules(file), Contains("TARE-ONNX-001")) << path;
    EXPECT_EQ(verdict_of(file), Verdict::kDangerous);
  }
  for (const std::string_view path : {"weights.bin", "./weights.bin", "data/w..bin", "..w"}) {
    EXPECT_THAT(onnx_rules(model(initializer(tensor("t", {1}, 1, external(path))))), IsEmpty())
        << path;
  }
}

// A reader that takes the last location, and one that takes the first.
TEST(Onnx, JudgesEveryLocation) {
  const std::string two = entry("location", "/etc/passwd") + external("w");
  EXPECT_THAT(onnx_rules(model(initializer(tensor("t", {1}, 1, two)))), Contains("TARE-ONNX-001"));
  const std::string unused = entry("location", "/etc/passwd") + raw("abcd");
  EXPECT_THAT(onnx_rules(model(initializer(tensor("t", {1}, 1, unused)))),
              Contains("TARE-ONNX-001"));
}

TEST(Onnx, FindsOddDescriptionsOfExternalData) {
  for (const std::string& more : {entry("basepath", "/"), entry("__class__", "x"),
                                  entry("offset", "-1"), entry("length", "1e3")}) {
    EXPECT_THAT(onnx_rules(model(initializer(tensor("t", {1}, 1, external("w") + more)))),
                ElementsAre("TARE-ONNX-002"));
  }
  const std::string usual =
      entry("offset", "4096") + entry("length", "4") + entry("checksum", "00");
  EXPECT_THAT(onnx_rules(model(initializer(tensor("t", {1}, 1, external("w") + usual)))),
              IsEmpty());
}

TEST(Onnx, FindsTensorsInEveryPlace) {
  const std::string bad = tensor("t", {1}, 1, external("/x"));
  const std::string attribute = pb_bytes(5, pb_bytes(1, "value") + pb_bytes(5, bad));
  const std::string inner =
      pb_bytes(5, pb_bytes(1, "body") + pb_bytes(6, node("Constant", "", attribute)));
  const std::string sparse =
      pb_bytes(1, bad) + pb_bytes(2, tensor("i", {1}, 7, raw(u64(0)))) + pb_number(3, 1);
  for (const std::string& file :
       {model(node("Constant", "", attribute)), model(node("If", "", inner)),
        model(node("Constant", "", pb_bytes(5, pb_bytes(10, bad)))),
        model(node("If", "", pb_bytes(5, pb_bytes(11, initializer(bad))))),
        model(pb_bytes(15, sparse)), model("", pb_bytes(20, pb_bytes(2, initializer(bad)))),
        model("", pb_bytes(25, pb_bytes(1, "f") + pb_bytes(10, "d") +
                                   pb_bytes(7, bare_node("C", "", attribute))))}) {
    EXPECT_THAT(onnx_rules(file), Contains("TARE-ONNX-001"));
  }
}

TEST(Onnx, FindsOperatorsOfForeignDomains) {
  EXPECT_THAT(onnx_rules(model(node("Thing", "my.ops"))), ElementsAre("TARE-ONNX-003"));
  EXPECT_THAT(onnx_rules(model(node("PyOp", "ai.onnx.contrib"))), ElementsAre("TARE-ONNX-004"));
  EXPECT_THAT(onnx_rules(model(node("PythonOp", "com.microsoft"))), ElementsAre("TARE-ONNX-004"));
  EXPECT_THAT(onnx_rules(model(node("EPContext", "com.microsoft"))), ElementsAre("TARE-ONNX-004"));
  EXPECT_THAT(onnx_rules(model(node("FusedMatMul", "com.microsoft") + node("Scaler", "ai.onnx.ml") +
                               node("Relu", "ai.onnx"))),
              IsEmpty());
}

std::string function(std::string_view domain, std::string_view name, const std::string& calls) {
  // Nodes are field 7 of a function, and 1 of a graph.
  return pb_bytes(25, pb_bytes(1, name) + pb_bytes(10, domain) + calls);
}
std::string call(std::string_view op, std::string_view domain) {
  return pb_bytes(7, pb_bytes(4, op) + pb_bytes(7, domain));
}

TEST(Onnx, KnowsFunctionsOfTheModel) {
  const std::string good = function("pkg", "gelu", call("Mul", "") + call("Erf", ""));
  EXPECT_THAT(onnx_rules(model(node("gelu", "pkg"), good)), IsEmpty());
  EXPECT_THAT(onnx_rules(model(node("silu", "pkg"), good)), ElementsAre("TARE-ONNX-003"));
  EXPECT_THAT(onnx_rules(model("", function("", "Relu", call("Mul", "")))),
              ElementsAre("TARE-ONNX-007"));
  EXPECT_THAT(onnx_rules(model("", function("ai.onnx", "Relu", call("Mul", "")))),
              ElementsAre("TARE-ONNX-007"));
}

TEST(Onnx, FindsFunctionsThatNeverEnd) {
  EXPECT_THAT(onnx_rules(model("", function("d", "a", call("a", "d")))),
              ElementsAre("TARE-ONNX-007"));
  EXPECT_THAT(onnx_rules(model(
                  "", function("d", "a", call("b", "d")) + function("d", "b", call("a", "d")))),
              ElementsAre("TARE-ONNX-007"));
  std::string doubling;
  for (int i = 0; i < 24; ++i) {
    const std::string next = call("f" + std::to_string(i + 1), "d");
    doubling += function("d", "f" + std::to_string(i), next + next);
  }
  doubling += function("d", "f24", call("Mul", ""));
  EXPECT_THAT(onnx_rules(model("", doubling)), ElementsAre("TARE-ONNX-007"));
}

TEST(Onnx, JudgesSparseTensors) {
  const auto sparse = [](std::string_view indices, std::initializer_list<std::uint64_t> dims,
                         std::initializer_list<std::uint64_t> index_dims) {
    std::string out = pb_bytes(1, tensor("s", {1}, 1, raw("abcd"))) +
                      pb_bytes(2, tensor("", index_dims, 7, raw(indices)));
    for (const std::uint64_t length : dims) out += pb_number(3, length);
    return model(pb_bytes(15, out));
  };
  EXPECT_THAT(onnx_rules(sparse(u64(5), {2, 3}, {1})), IsEmpty());
  EXPECT_THAT(onnx_rules(sparse(u64(1) + u64(2), {2, 3}, {1, 2})), IsEmpty());
  EXPECT_THAT(onnx_rules(sparse(u64(6), {2, 3}, {1})), ElementsAre("TARE-ONNX-005"));
  EXPECT_THAT(onnx_rules(sparse(u64(UINT64_MAX), {2, 3}, {1})), ElementsAre("TARE-ONNX-005"));
  EXPECT_THAT(onnx_rules(sparse(u64(2) + u64(2), {2, 3}, {1, 2})), ElementsAre("TARE-ONNX-005"));
  EXPECT_THAT(onnx_rules(sparse(u64(0) + u64(0), {2, 3}, {2})), ElementsAre("TARE-ONNX-005"));
  EXPECT_THAT(onnx_rules(sparse(u64(0), {}, {1, 1})), ElementsAre("TARE-ONNX-005"));
  EXPECT_THAT(onnx_rules(sparse(u64(0), {1ULL << 20, 1ULL << 20}, {1})),
              ElementsAre("TARE-ONNX-005"));
  EXPECT_THAT(onnx_rules(sparse(u64(0), {1ULL << 40, 1ULL << 40}, {1})),
              ElementsAre("TARE-ONNX-005"));
}

TEST(Onnx, KnowsTheOperatorsOfItsOwnDomainsByName) {
  EXPECT_THAT(onnx_rules(model(node("Thing"))), ElementsAre("TARE-ONNX-004"));
  EXPECT_THAT(onnx_rules(model(node("Relu", "com.microsoft.nchwc"))), ElementsAre("TARE-ONNX-004"));
  EXPECT_THAT(onnx_rules(model(node("Conv", "com.microsoft.nchwc"))), IsEmpty());
}

TEST(Onnx, FindsWhatParsersReadDifferently) {
  const std::string second = pb_bytes(7, node("Relu"));
  EXPECT_THAT(onnx_rules(model("", second)), ElementsAre("TARE-ONNX-006"));
  EXPECT_THAT(onnx_rules(model("", pb_number(99, 1))), ElementsAre("TARE-ONNX-006"));
  EXPECT_THAT(onnx_rules(model(node("Relu", "", pb_bytes(4, "Abs")))),
              ElementsAre("TARE-ONNX-006"));
  EXPECT_THAT(onnx_rules(model(initializer(tensor("t", {1}, 1, raw("abcd") + pb_number(2, 6))))),
              ElementsAre("TARE-ONNX-006"));
}

TEST(Onnx, IsRecognisedWithGroupsAndInAnyOrder) {
  const std::string graph = pb_bytes(7, node("Thing", "my.ops"));
  EXPECT_THAT(onnx_rules(graph + opset() + pb_number(1, 8)), ElementsAre("TARE-ONNX-003"));
  EXPECT_THAT(onnx_rules(pb_tag(99, 3) + pb_tag(99, 4) + graph), Contains("TARE-ONNX-003"));
}

TEST(Onnx, IsNeverSafeIfCutOff) {
  const std::string file = model(initializer(tensor("w", {2, 3}, 1, raw(std::string(24, 'w')))));
  const std::size_t graph = file.find("Relu");
  for (std::size_t length = graph; length < file.size(); ++length) {
    const auto report = scan(as_bytes(std::string_view(file).substr(0, length)));
    ASSERT_TRUE(report.has_value()) << length;
    // Without the operator sets it is a model of another version.
    const bool is_whole = length == file.size() - opset().size();
    EXPECT_EQ(report->verdict, is_whole ? Verdict::kSafe : Verdict::kUnreadable) << length;
  }
}

TEST(Onnx, OpensTheFilesOfExternalData) {
  const TempDir dir;
  const auto with = [](std::string_view more) {
    return model(initializer(tensor("w", {2}, 1, external("w.bin") + std::string(more))));
  };
  dir.write("w.bin", "0123456789");
  const auto opened = [&](std::string_view more) {
    return open_model(dir.write("m.onnx", with(more)));
  };
  const auto model = opened(entry("offset", "2"));
  ASSERT_TRUE(model.has_value());
  ASSERT_EQ(model->tensors().size(), 1U);
  EXPECT_EQ(as_text(model->tensors()[0].view.contiguous_bytes()), "23456789");
  ASSERT_EQ(model->files().size(), 2U);
  EXPECT_EQ(scan_file(model->files()[1])->verdict, Verdict::kSafe);
  EXPECT_EQ(opened("")->tensors().size(), 1U);
  const auto problem = [&](std::string_view more) {
    const auto bad = opened(more);
    EXPECT_THAT(bad->tensors(), IsEmpty());
    return bad->contents().problems.at(0).error.code;
  };
  EXPECT_EQ(problem(entry("offset", "3")), ErrorCode::kTruncated);
  EXPECT_EQ(problem(entry("offset", "18446744073709551615")), ErrorCode::kTruncated);
  EXPECT_EQ(problem(entry("length", "4")), ErrorCode::kMalformed);
  EXPECT_EQ(problem(entry("location", "../m.onnx")), ErrorCode::kRefused);
  EXPECT_EQ(problem(entry("location", "missing")), ErrorCode::kNotFound);
  EXPECT_EQ(problem(entry("location", "a/w.bin")), ErrorCode::kUnsupported);
  std::filesystem::create_symlink(dir / "w.bin", dir / "link");
  EXPECT_EQ(problem(entry("location", "link")), ErrorCode::kRefused);
}

}  // namespace
}  // namespace tare
