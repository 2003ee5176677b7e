// Checkpoints of Flax: what is read of them, and what is found wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "io/msgpack.hpp"
#include "support/msgpack_builder.hpp"
#include "support/scanning.hpp"
#include "support/tensors.hpp"

namespace tare {
namespace {

using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

Result<ModelContents> read(const std::string& file) {
  auto context = format::context_of(as_bytes(file));
  return format::kFlax.read_tensors(as_bytes(file), context);
}

std::string small() {
  return mp_map({{"params", mp_map({{"kernel", flax_array({2, 3}, "float32", std::string(24, 'k'))},
                                    {"bias", flax_array({2}, "bfloat16", "abcd")}})},
                 {"layers", mp_array({flax_array({}, "int64", std::string(8, 'n')), u8(0xC0)})},
                 {"step", mp_number(700)},
                 {"rate", u8(0xCB) + big(0x3FE0000000000000, 8)},
                 {"seed", mp_extension(3, flax_content({}, "uint32", "seed"))},
                 {"name", mp_text("tiny")}});
}

TEST(Flax, ListsArraysByTheirPaths) {
  const std::string file = small();
  const auto contents = read(file);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  EXPECT_THAT(contents->problems, IsEmpty());
  EXPECT_THAT(names_of(contents->tensors),
              ElementsAre("params.kernel", "params.bias", "layers.0", "seed"));
  const TensorView& kernel = contents->tensors[0].view;
  EXPECT_EQ(kernel.dtype, DType::kF32);
  EXPECT_THAT(kernel.shape, ElementsAre(2, 3));
  EXPECT_EQ(packed_elements(kernel), std::string(24, 'k'));
  EXPECT_EQ(contents->tensors[1].view.dtype, DType::kBF16);
  EXPECT_THAT(contents->tensors[2].view.shape, IsEmpty());
  const std::map<std::string, std::string> metadata = {
      {"step", "700"}, {"rate", "0.5"}, {"name", "tiny"}};
  EXPECT_EQ(contents->metadata, metadata);
}

TEST(Flax, IsSafeWithArraysAndPlainValues) {
  EXPECT_THAT(rules_of(small()), IsEmpty());
  EXPECT_EQ(verdict_of(flax_array({1}, "uint8", "x")), Verdict::kSafe);
}

TEST(Flax, ReadsEveryTypeOfElement) {
  for (const auto& [type, dtype] : {std::pair("bool", DType::kBool),
                                    {"int8", DType::kI8},
                                    {"uint8", DType::kU8},
                                    {"float8_e4m3fn", DType::kF8E4M3},
                                    {"float8_e5m2", DType::kF8E5M2},
                                    {"int16", DType::kI16},
                                    {"uint16", DType::kU16},
                                    {"float16", DType::kF16},
                                    {"bfloat16", DType::kBF16},
                                    {"int32", DType::kI32},
                                    {"uint32", DType::kU32},
                                    {"float32", DType::kF32},
                                    {"complex64", DType::kC64},
                                    {"float64", DType::kF64},
                                    {"int64", DType::kI64},
                                    {"uint64", DType::kU64},
                                    {"complex128", DType::kC128}}) {
    const std::string bytes(dtype_bits(dtype) / 8 * 2, '\1');
    const std::string file = mp_map({{"a", flax_array({2}, type, bytes)}});
    const auto contents = read(file);
    ASSERT_TRUE(contents.has_value()) << type;
    ASSERT_EQ(contents->tensors.size(), 1U) << type;
    EXPECT_EQ(contents->tensors[0].view.dtype, dtype) << type;
    EXPECT_EQ(packed_elements(contents->tensors[0].view), bytes) << type;
  }
}

TEST(Flax, SwapsBigEndianElements) {
  const std::string file = mp_map({{"a", flax_array({2}, ">i2", "\1\2\3\4")}});
  const auto contents = read(file);
  ASSERT_TRUE(contents.has_value());
  ASSERT_EQ(contents->tensors.size(), 1U);
  EXPECT_EQ(packed_elements(contents->tensors[0].view), "\2\1\4\3");
}

// Whatever the cuts, the elements are those of the whole array.
TEST(Flax, PutsChunksTogether) {
  std::string all;
  for (int i = 0; i < 2 * 3 * 4; ++i) all += u16(static_cast<std::uint64_t>(i));
  for (std::size_t length = 1; length <= 24; ++length) {
    std::vector<std::string> chunks;
    for (std::size_t at = 0; at < 24; at += length) {
      const std::string part = all.substr(2 * at, 2 * length);
      chunks.push_back(flax_array({part.size() / 2}, "int16", part));
    }
    const std::string file = mp_map({{"a", flax_chunked({2, 3, 4}, chunks)}});
    const auto contents = read(file);
    ASSERT_TRUE(contents.has_value()) << length;
    ASSERT_EQ(contents->tensors.size(), 1U) << length;
    EXPECT_THAT(contents->tensors[0].view.shape, ElementsAre(2, 3, 4));
    EXPECT_EQ(packed_elements(contents->tensors[0].view), all) << length;
    EXPECT_THAT(rules_of(file), IsEmpty()) << length;
  }
}

TEST(Flax, ReportsChunksThatDoNotFit) {
  const std::string two = flax_array({2}, "int16", "abcd");
  for (const std::string& chunked :
       {flax_chunked({3}, {two}), flax_chunked({3}, {two, two}), flax_chunked({}, {two}),
        flax_chunked({4}, {two, flax_array({2}, "uint16", "abcd")}),
        flax_chunked({4}, {two, flax_array({1, 2}, "int16", "abcd")}),
        flax_chunked({UINT64_MAX, 3}, {two}), flax_chunked({2}, {two, mp_number(1)})}) {
    const std::string file = mp_map({{"a", chunked}, {"b", two}});
    EXPECT_THAT(rules_of(file), Contains("TARE-CKP-001"));
    const auto contents = read(file);
    ASSERT_TRUE(contents.has_value());
    EXPECT_EQ(contents->tensors.size(), 1U);
    EXPECT_EQ(contents->problems.size(), 1U);
  }
}

TEST(Flax, ReportsArraysThatContradictThemselves) {
  const std::string good = flax_array({1}, "int8", "x");
  for (const std::string& array :
       {flax_array({2}, "int8", "x"), flax_array({1}, "int8", "xy"),
        flax_array({UINT64_MAX, UINT64_MAX}, "int8", "x"), mp_extension(1, "\xC0"),
        mp_extension(1, flax_content({1}, "int8", "x") + "\x01"),
        mp_extension(3, flax_content({2}, "float32", "x")),
        mp_extension(1, mp_array({mp_array({u8(0xFF)}), mp_text("int8"), mp_bytes("x")}))}) {
    const std::string file = mp_map({{"good", good}, {"bad", array}});
    EXPECT_THAT(rules_of(file), ElementsAre("TARE-CKP-001"));
    const auto contents = read(file);
    ASSERT_TRUE(contents.has_value());
    ASSERT_EQ(contents->problems.size(), 1U);
    EXPECT_EQ(contents->problems[0].subject, "bad");
  }
}

TEST(Flax, ReportsAKeyThatStandsThereTwice) {
  const std::string one = flax_array({1}, "int8", "x");
  EXPECT_THAT(rules_of(mp_map({{"a", one}, {"a", one}})), ElementsAre("TARE-CKP-001"));
}

TEST(Flax, TypesThatTareDoesNotReadAreProblemsAndNoFindings) {
  const std::string file =
      mp_map({{"a", flax_array({2}, "int4", "xy")}, {"b", flax_array({1}, "str32", "abcd")}});
  EXPECT_THAT(rules_of(file), IsEmpty());
  EXPECT_EQ(read(file)->problems.size(), 2U);
}

TEST(Flax, FindsPicklesInBytesAndForeignExtensions) {
  const std::string array = flax_array({1}, "int8", "x");
  const std::string pickle = "cos\nsystem\n(S'id'\ntR.";
  EXPECT_EQ(verdict_of(mp_map({{"a", array}, {"b", mp_bytes(pickle)}})), Verdict::kDangerous);
  EXPECT_EQ(verdict_of(mp_map({{"a", array}, {"b", mp_extension(9, pickle)}})),
            Verdict::kDangerous);
  EXPECT_EQ(verdict_of(mp_map({{"a", array}, {"b", mp_extension(9, "?")}})), Verdict::kSuspicious);
}

TEST(Flax, NoPrefixIsSafe) {
  const std::string file = small();
  for (std::size_t length = 0; length < file.size(); ++length) {
    EXPECT_TRUE(is_not_safe(file.substr(0, length))) << length;
    EXPECT_FALSE(read(file.substr(0, length)).has_value()) << length;
  }
  EXPECT_TRUE(is_not_safe(file + "x"));
}

TEST(Flax, LimitsDepthAndNames) {
  std::string deep;
  for (int i = 0; i < 2000; ++i) deep += u8(0x81) + mp_text("a");
  deep += flax_array({1}, "int8", "x");
  EXPECT_EQ(verdict_of(deep), Verdict::kUnreadable);
  EXPECT_EQ(read(deep).error().code, ErrorCode::kLimit);
  // One long name above many short ones.
  std::vector<std::pair<std::string, std::string>> leaves;
  for (int i = 0; i < 10'000; ++i) leaves.emplace_back(std::to_string(i), u8(1));
  const std::string wide =
      mp_map({{std::string(100'000, 'n'), mp_map(leaves)}, {"a", flax_array({1}, "int8", "x")}});
  EXPECT_EQ(read(wide).error().code, ErrorCode::kLimit);
}

TEST(Msgpack, ReadsEveryKindOfItem) {
  struct Case {
    std::string bytes;
    MsgpackKind kind;
    std::uint64_t value;
  };
  using namespace std::string_literals;
  const std::vector<Case> cases = {
      {"\x7F"s, MsgpackKind::kUnsigned, 127},
      {"\xE0"s, MsgpackKind::kSigned, static_cast<std::uint64_t>(-32)},
      {"\xC0"s, MsgpackKind::kNil, 0},
      {"\xC2"s, MsgpackKind::kBool, 0},
      {"\xC3"s, MsgpackKind::kBool, 1},
      {"\xCA\x3F\x80\0\0"s, MsgpackKind::kFloat, 0x3FF0000000000000},
      {"\xCB\x3F\xF0\0\0\0\0\0\0"s, MsgpackKind::kFloat, 0x3FF0000000000000},
      {"\xCC\xFF"s, MsgpackKind::kUnsigned, 255},
      {"\xCD\x01\x02"s, MsgpackKind::kUnsigned, 258},
      {"\xCE\0\0\1\2"s, MsgpackKind::kUnsigned, 258},
      {"\xCF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s, MsgpackKind::kUnsigned, UINT64_MAX},
      {"\xD0\xFF"s, MsgpackKind::kSigned, UINT64_MAX},
      {"\xD0\x7F"s, MsgpackKind::kUnsigned, 127},
      {"\xD1\xFF\xFE"s, MsgpackKind::kSigned, UINT64_MAX - 1},
      {"\xD2\xFF\xFF\xFF\xFE"s, MsgpackKind::kSigned, UINT64_MAX - 1},
      {"\xD3\x80\0\0\0\0\0\0\0"s, MsgpackKind::kSigned, std::uint64_t{1} << 63},
      {"\xDC\0\1\xC0"s, MsgpackKind::kArray, 1},
      {"\xDE\0\1\xC0\xC0"s, MsgpackKind::kMap, 1},
  };
  for (const Case& c : cases) {
    const auto item = MsgpackReader(as_bytes(c.bytes)).next();
    ASSERT_TRUE(item.has_value());
    EXPECT_EQ(item->kind, c.kind);
    EXPECT_EQ(item->value, c.value);
    for (std::size_t length = 0; length < c.bytes.size(); ++length) {
      EXPECT_FALSE(MsgpackReader(as_bytes(c.bytes).first(length)).next()) << length;
    }
  }
  for (const std::string& bytes :
       {"\xA2hi"s, "\xD9\2hi"s, "\xDA\0\2hi"s, "\xDB\0\0\0\2hi"s, "\xC4\2hi"s, "\xC5\0\2hi"s,
        "\xC6\0\0\0\2hi"s, "\xC7\2\1hi"s, "\xC8\0\2\1hi"s, "\xC9\0\0\0\2\1hi"s, "\xD5\1hi"s}) {
    const auto item = MsgpackReader(as_bytes(bytes)).next();
    ASSERT_TRUE(item.has_value());
    EXPECT_EQ(item->text(), "hi");
    EXPECT_EQ(item->content, bytes.size() - 2);
  }
  EXPECT_EQ(MsgpackReader(as_bytes("\xC1")).next().error().code, ErrorCode::kMalformed);
}

}  // namespace
}  // namespace tare
