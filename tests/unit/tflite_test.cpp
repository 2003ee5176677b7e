// TensorFlow Lite: what is read of it, and what is found in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "format/tflite.hpp"
#include "support/flatbuffer_builder.hpp"
#include "support/scanning.hpp"
#include "tare/scan.hpp"

namespace tare {
namespace {

using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

// A model of one graph, to be changed.
struct Small {
  std::uint32_t version = 3;
  std::uint8_t old_code = 9;  // FULLY_CONNECTED
  std::uint32_t code = 9;
  std::string custom;
  std::vector<std::int32_t> shape = {2, 3};
  std::uint8_t type = 0;  // FLOAT32
  std::uint32_t buffer = 1;
  std::string data = std::string(24, 'w');
  std::uint64_t buffer_offset = 0;
  std::uint64_t buffer_size = 0;
  std::vector<std::int32_t> inputs = {0, -1};
  std::vector<std::int32_t> graph_outputs = {0};
  std::uint32_t code_index = 0;

  std::string build() const {
    const Flat operator_code = Flat::table({Flat::number(u8(old_code)), Flat::text(custom),
                                            Flat::number(u32(1)), Flat::number(u32(code))});
    const Flat tensor = Flat::table(
        {Flat::ints(shape), Flat::number(u8(type)), Flat::number(u32(buffer)), Flat::text("w")});
    const Flat op =
        Flat::table({Flat::number(u32(code_index)), Flat::ints(inputs), Flat::ints({0})});
    const Flat graph = Flat::table(
        {Flat::tables({tensor}), Flat::ints({}), Flat::ints(graph_outputs), Flat::tables({op})});
    const Flat full =
        Flat::table({Flat::vector(data, data.size()), Flat::number(u64(buffer_offset)),
                     Flat::number(u64(buffer_size))});
    const Flat model = Flat::table({Flat::number(u32(version)), Flat::tables({operator_code}),
                                    Flat::tables({graph}), Flat::text("d"),
                                    Flat::tables({Flat::table({}), full})});
    return FlatBuilder().build(model, "TFL3");
  }
};

template <typename Change>
std::set<std::string> rules_with(const Change& change) {
  Small model;
  change(model);
  return rules_of(model.build());
}

Result<ModelContents> read(const std::string& file) {
  auto context = format::context_of(as_bytes(file));
  return format::kTflite.read_tensors(as_bytes(file), context);
}

TEST(Tflite, ListsConstants) {
  const std::string file = Small().build();
  EXPECT_THAT(rules_of(file), IsEmpty());
  const auto contents = read(file);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  ASSERT_EQ(contents->tensors.size(), 1U);
  EXPECT_EQ(contents->tensors[0].name, "w");
  EXPECT_EQ(contents->tensors[0].view.dtype, DType::kF32);
  EXPECT_THAT(contents->tensors[0].view.shape, ElementsAre(2, 3));
  EXPECT_EQ(as_text(contents->tensors[0].view.contiguous_bytes()), std::string(24, 'w'));
}

TEST(Tflite, ReadsBuffersBehindTheTables) {
  Small model;
  const std::size_t end = model.build().size();
  model.buffer_offset = end;
  model.buffer_size = 24;
  const std::string file = model.build() + std::string(24, 'z');
  EXPECT_THAT(rules_of(file), IsEmpty());
  EXPECT_EQ(as_text(read(file)->tensors.at(0).view.contiguous_bytes()), std::string(24, 'z'));
  EXPECT_THAT(rules_of(file.substr(0, file.size() - 1)), ElementsAre("TARE-TFL-002"));
  model.buffer_size = UINT64_MAX;
  EXPECT_THAT(rules_of(model.build()), ElementsAre("TARE-TFL-002"));
}

TEST(Tflite, FindsOperatorsThatAreNotItsOwn) {
  const auto custom = [](const char* name) {
    return rules_with([name](Small& m) {
      m.code = m.old_code = 32;
      m.custom = name;
    });
  };
  EXPECT_THAT(custom("MyOp"), ElementsAre("TARE-TFL-001"));
  EXPECT_THAT(custom(""), ElementsAre("TARE-TFL-001"));
  EXPECT_THAT(custom("TFLite_Detection_PostProcess"), IsEmpty());
  EXPECT_THAT(custom("FlexErf"), IsEmpty());
  EXPECT_THAT(custom("FlexReadFile"), ElementsAre("TARE-TF-001"));
  EXPECT_THAT(custom("FlexMyOp"), ElementsAre("TARE-TF-003"));
  EXPECT_THAT(rules_with([](Small& m) { m.code = 51; }), ElementsAre("TARE-TFL-001"));
  EXPECT_THAT(rules_with([](Small& m) { m.code = 100'000; }), ElementsAre("TARE-TFL-001"));
  // Only the old field says so.
  EXPECT_THAT(rules_with([](Small& m) {
                m.old_code = 32;
                m.code = 0;
              }),
              ElementsAre("TARE-TFL-001"));
}

TEST(Tflite, FindsIndicesThatPointToNothing) {
  EXPECT_THAT(rules_with([](Small& m) { m.inputs = {1}; }), ElementsAre("TARE-TFL-002"));
  EXPECT_THAT(rules_with([](Small& m) { m.inputs = {-2}; }), ElementsAre("TARE-TFL-002"));
  EXPECT_THAT(rules_with([](Small& m) { m.graph_outputs = {7}; }), ElementsAre("TARE-TFL-002"));
  EXPECT_THAT(rules_with([](Small& m) { m.code_index = 1; }), ElementsAre("TARE-TFL-002"));
  EXPECT_THAT(rules_with([](Small& m) { m.buffer = 2; }), ElementsAre("TARE-TFL-002"));
}

TEST(Tflite, FindsTensorsThatDoNotFit) {
  EXPECT_THAT(rules_with([](Small& m) { m.shape = {2, 4}; }), ElementsAre("TARE-TFL-003"));
  EXPECT_THAT(rules_with([](Small& m) { m.shape = {-1, 3}; }), ElementsAre("TARE-TFL-003"));
  EXPECT_THAT(rules_with([](Small& m) { m.shape = {INT32_MAX, INT32_MAX, INT32_MAX}; }),
              ElementsAre("TARE-TFL-003"));
  EXPECT_THAT(rules_with([](Small& m) { m.type = 13; }), ElementsAre("TARE-TFL-003"));
  Small bad;
  bad.shape = {2, 4};
  EXPECT_EQ(read(bad.build())->problems.size(), 1U);
}

TEST(Tflite, ChecksTexts) {
  const auto texts = [](const std::string& data) {
    return rules_with([&data](Small& m) {
      m.type = 5;
      m.data = data;
    });
  };
  EXPECT_THAT(texts(u32(1) + u32(12) + u32(14) + "ab"), IsEmpty());
  EXPECT_THAT(texts(u32(1) + u32(12) + u32(15) + "ab"), ElementsAre("TARE-TFL-002"));
  EXPECT_THAT(texts(u32(1) + u32(14) + u32(12) + "ab"), ElementsAre("TARE-TFL-002"));
  EXPECT_THAT(texts(u32(0xFFFFFFFF) + u32(12)), ElementsAre("TARE-TFL-002"));
  EXPECT_THAT(texts("a"), ElementsAre("TARE-TFL-002"));
}

TEST(Tflite, IsNotSafeInAnotherVersion) {
  EXPECT_THAT(rules_with([](Small& m) { m.version = 4; }), ElementsAre("TARE-FMT-001"));
}

TEST(Tflite, IsNeverSafeIfCutOff) {
  const std::string file = Small().build();
  for (std::size_t length = 8; length + 1 < file.size(); ++length) {
    const auto report = scan(as_bytes(std::string_view(file).substr(0, length)));
    ASSERT_TRUE(report.has_value());
    EXPECT_GE(report->verdict, Verdict::kSuspicious) << length;
  }
}

// Offsets anywhere: an answer, no crash, and memory and time within bounds.
TEST(Tflite, StandsEveryChangedByte) {
  const std::string file = Small().build();
  for (std::size_t at = 8; at < file.size(); ++at) {
    for (const char value : {'\x00', '\x01', '\x7F', '\x80', '\xFF'}) {
      std::string changed = file;
      changed[at] = value;
      EXPECT_TRUE(scan(as_bytes(changed)).has_value());
      static_cast<void>(read(changed));
    }
  }
}

// Half a million graphs of half a million tensors, all the same ones, in few bytes.
TEST(Tflite, StopsAtSharedTables) {
  Small small;
  std::string file = small.build();
  const auto model = format::read_tflite(as_bytes(file));
  ASSERT_TRUE(model.has_value());
  const std::uint64_t graph = model->graphs.at(0).at;
  // The offsets of a vector in front of a copy: each points to the same graph.
  constexpr std::uint64_t kCount = 1'200'000;
  const std::size_t head = 8;
  std::string out = u32(32) + "TFL3";
  out += u16(10) + u16(8) + u16(0) + u16(0) + u16(4) + std::string(14, '\0');
  // The root table at 32: its vtable at 8, and slot 2 behind it.
  out += u32(32 - head) + u32(4) + u32(kCount);
  const std::size_t items = out.size();
  const std::size_t copy = items + 4 * kCount;
  for (std::uint64_t i = 0; i < kCount; ++i) out += u32(copy + graph - (items + 4 * i));
  out += file;
  const auto read = format::read_tflite(as_bytes(out));
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace tare
