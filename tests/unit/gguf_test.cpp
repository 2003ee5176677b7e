// GGUF: what is read of it, and what is found wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "format/ggml_types.hpp"
#include "support/gguf_builder.hpp"
#include "support/scanning.hpp"
#include "tare/scan.hpp"

namespace tare {
namespace {

using test::GgufBuilder;
using test::rules_of;
using test::u32;
using test::u64;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ40 = 2;

// Two tensors and some keys.
GgufBuilder small() {
  GgufBuilder file;
  file.text_key("general.architecture", "llama").key("llama.block_count", 4, u32(1));
  file.tensor("a", {2, 3}, kF32, std::string(24, 'a'))
      .tensor("b", {32}, kQ40, std::string(18, 'b'));
  return file;
}

Result<ModelContents> read(const std::string& file) {
  auto context = format::context_of(as_bytes(file));
  return format::kGguf.read_tensors(as_bytes(file), context);
}

TEST(Gguf, ListsTensorsOutermostAxisFirst) {
  const std::string file = small().build();
  const auto contents = read(file);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  EXPECT_THAT(contents->problems, IsEmpty());
  ASSERT_EQ(contents->tensors.size(), 1U);
  const NamedTensor& dense = contents->tensors.front();
  EXPECT_EQ(dense.name, "a");
  EXPECT_EQ(dense.view.dtype, DType::kF32);
  EXPECT_THAT(dense.view.shape, ElementsAre(3, 2));
  EXPECT_EQ(as_text(dense.view.contiguous_bytes()), std::string(24, 'a'));
  ASSERT_EQ(contents->specials.size(), 1U);
  const SpecialTensor& blocks = contents->specials.front();
  EXPECT_EQ(blocks.class_name, "Q4_0");
  EXPECT_THAT(blocks.shape, ElementsAre(32));
  EXPECT_EQ(as_text(blocks.part("blocks")->contiguous_bytes()), std::string(18, 'b'));
  EXPECT_EQ(contents->metadata.at("general.architecture"), "llama");
  EXPECT_EQ(contents->metadata.at("llama.block_count"), "1");
}

TEST(Gguf, IsSafeWithoutATemplate) {
  EXPECT_THAT(rules_of(small().build()), IsEmpty());
  GgufBuilder empty;
  EXPECT_THAT(rules_of(empty.build()), IsEmpty());
}

TEST(Gguf, ReadsEveryTypeOfValue) {
  GgufBuilder file;
  const std::vector<std::string> values = {"\x01", "\xFF",          "\x02\x01",      "\xFE\xFF",
                                           u32(7), u32(0xFFFFFFFF), u32(0x3F800000), "\x01"};
  for (std::uint32_t type = 0; type < values.size(); ++type) {
    file.key("k" + std::to_string(type), type, values[type]);
  }
  file.key("k9", 9, u32(8) + u64(2) + file.text("x") + file.text(""));
  file.key("k10", 10, u64(1ULL << 40)).key("k11", 11, u64(UINT64_MAX));
  file.key("k12", 12, u64(0x3FF0000000000000));
  const auto contents = read(file.build());
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  const std::map<std::string, std::string> expected = {
      {"k0", "1"},          {"k1", "-1"},
      {"k2", "258"},        {"k3", "-2"},
      {"k4", "7"},          {"k5", "-1"},
      {"k6", "1.000000"},   {"k7", "true"},
      {"k9", "[2 x text]"}, {"k10", "1099511627776"},
      {"k11", "-1"},        {"k12", "1.000000"},
      {"GGUF.version", "3"}};
  EXPECT_EQ(contents->metadata, expected);
}

TEST(Gguf, ReadsBigEndianFiles) {
  GgufBuilder file;
  file.big_endian = true;
  file.text_key("general.name", "big");
  file.tensor("a", {2}, kF32, std::string("\x3F\x80\0\0\x40\0\0\0", 8));
  const std::string bytes = file.build();
  const auto contents = read(bytes);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  EXPECT_EQ(contents->metadata.at("general.name"), "big");
  std::vector<float> values(2);
  ASSERT_TRUE(gather(contents->tensors.at(0).view, std::as_writable_bytes(std::span(values))));
  EXPECT_THAT(values, ElementsAre(1.0F, 2.0F));
}

TEST(Gguf, HandsTemplatesToTheirAnalyzer) {
  GgufBuilder file;
  file.text_key("tokenizer.chat_template", "{{ x }}")
      .text_key("tokenizer.chat_template.tools", "y");
  file.text_key("tokenizer.chat_templates", "no");
  const std::string bytes = file.build();
  const auto list = format::parts_of(format::kGguf, as_bytes(bytes));
  ASSERT_TRUE(list.has_value());
  std::vector<std::string> found;
  for (const format::Part& part : list->parts) {
    if (part.kind != format::PartKind::kTemplate) continue;
    found.push_back(part.path + "=" + std::string(as_text(part.bytes)));
    EXPECT_EQ(bytes.substr(part.offset, part.bytes.size()), as_text(part.bytes));
  }
  EXPECT_THAT(found,
              ElementsAre("tokenizer.chat_template={{ x }}", "tokenizer.chat_template.tools=y"));
}

TEST(Gguf, FindsWhatReadersDifferAbout) {
  const auto with = [](auto change) {
    GgufBuilder file = small();
    change(file);
    return file.build();
  };
  const std::string four(4, 'x');
  for (const std::string& file : {
           with([](GgufBuilder& f) { f.text_key("general.architecture", "gpt2"); }),
           with([](GgufBuilder& f) { f.text_key("k", "\xFF"); }),
           with([](GgufBuilder& f) { f.text_key("\xFF", "v"); }),
           with([](GgufBuilder& f) { f.key("k", 7, "\x02"); }),
           with([&](GgufBuilder& f) { f.tensor("a", {1}, kF32, four); }),
           with([&](GgufBuilder& f) { f.tensor("\xFF", {1}, kF32, four); }),
           with([&](GgufBuilder& f) { f.tensor(std::string(64, 'n'), {1}, kF32, four); }),
           with([&](GgufBuilder& f) { f.tensor("c", {1}, 9, four); }),
           with([&](GgufBuilder& f) { f.info("c", {1}, kF32, 0); }),
           with([&](GgufBuilder& f) { f.info("c", {1}, kF32, 60); }),
           with([&](GgufBuilder& f) {
             f.data += std::string(32, 'h');
             f.tensor("c", {1}, kF32, four);
           }),
       }) {
    EXPECT_THAT(rules_of(file), Contains("TARE-GGUF-001"));
  }
  const std::string longest =
      with([&](GgufBuilder& f) { f.tensor(std::string(63, 'n'), {1}, kF32, four); });
  EXPECT_THAT(rules_of(longest), IsEmpty());
}

TEST(Gguf, FindsTensorsOutsideOfTheFile) {
  GgufBuilder file = small();
  file.info("c", {1}, kF32, 1 << 20);
  EXPECT_THAT(rules_of(file.build()), ElementsAre("TARE-GGUF-002"));
  const auto contents = read(file.build());
  ASSERT_EQ(contents->problems.size(), 1U);
  EXPECT_EQ(contents->problems.front().error.code, ErrorCode::kTruncated);
}

TEST(Gguf, FindsSizesThatOverflow) {
  const std::uint64_t high = 1ULL << 32;
  for (const auto& [axes, type, offset] :
       std::initializer_list<std::tuple<std::vector<std::uint64_t>, std::uint32_t, std::uint64_t>>{
           {{high, high}, kF32, 0},
           {{1ULL << 62}, kF32, 0},
           {{UINT64_MAX, 0}, kF32, 0},
           {{1}, kF32, UINT64_MAX - 31},
           {{33}, kQ40, 0},
           {{}, kQ40, 0}}) {
    GgufBuilder file;
    file.info("c", axes, type, offset);
    EXPECT_THAT(rules_of(file.build()), ElementsAre("TARE-GGUF-003"))
        << testing::PrintToString(axes);
  }
}

TEST(Gguf, RefusesWhatItCannotReadOn) {
  GgufBuilder axes;
  axes.info("a", {1, 1, 1, 1, 1}, kF32, 0);
  GgufBuilder nested;
  nested.key("k", 9, u32(9) + u64(1) + u32(4) + u64(0));
  GgufBuilder alignment;
  alignment.key("general.alignment", 4, u32(24));
  GgufBuilder zero;
  zero.key("general.alignment", 4, u32(0));
  GgufBuilder unknown;
  unknown.key("k", 13, u64(0));
  GgufBuilder old;
  old.version = 1;
  GgufBuilder many;
  many.tensor_count = UINT64_MAX;
  GgufBuilder keys;
  keys.key_count = 1ULL << 40;
  GgufBuilder array;
  array.key("k", 9, u32(10) + u64(1ULL << 61));
  for (const GgufBuilder& file : {axes, nested, alignment, zero, unknown, old, many, keys, array}) {
    EXPECT_FALSE(read(file.build()).has_value());
    EXPECT_THAT(rules_of(file.build()), ElementsAre("TARE-GEN-002"));
  }
}

TEST(Gguf, ReadsAnotherAlignment) {
  GgufBuilder file;
  file.alignment = 64;
  file.key("general.alignment", 4, u32(64));
  file.tensor("a", {1}, kF32, "1234").tensor("b", {1}, kF32, "5678");
  EXPECT_THAT(rules_of(file.build()), IsEmpty());
  const std::string bytes = file.build();
  EXPECT_EQ(as_text(read(bytes)->tensors.at(1).view.contiguous_bytes()), "5678");
}

TEST(Gguf, IsNeverSafeIfCutOff) {
  const std::string file = small().build();
  for (std::size_t length = 4; length < file.size() - 14; ++length) {
    const auto report = scan(as_bytes(std::string_view(file).substr(0, length)));
    ASSERT_TRUE(report.has_value());
    EXPECT_GE(report->verdict, Verdict::kSuspicious) << length;
  }
}

TEST(Gguf, SaysThatBytesBehindTheTensorsAreNotUnderstood) {
  EXPECT_THAT(rules_of(small().build() + std::string(40, 'x')), ElementsAre("TARE-GEN-001"));
}

TEST(Ggml, IsRecognisedAndNotAnalysed) {
  for (const char* magic : {"lmgg", "fmgg", "tjgg", "algg"}) {
    EXPECT_THAT(rules_of(magic + u32(1) + u32(2)), ElementsAre("TARE-FMT-001"));
  }
}

TEST(GgmlTypes, AreFoundByNumber) {
  EXPECT_EQ(format::ggml_type(30)->dtype, DType::kBF16);
  EXPECT_TRUE(format::ggml_type(12)->is_quantized());
  EXPECT_EQ(format::ggml_type(9), nullptr);
  EXPECT_EQ(format::ggml_type(UINT32_MAX), nullptr);
}

}  // namespace
}  // namespace tare
