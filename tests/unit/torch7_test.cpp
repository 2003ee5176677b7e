// Objects of Torch7: what is read of them, and what is found in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "support/scanning.hpp"
#include "support/tensors.hpp"
#include "support/torch7_builder.hpp"

namespace tare {
namespace {

using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

Result<ModelContents> read(const std::string& file) {
  auto context = format::context_of(as_bytes(file));
  return format::kTorch7.read_tensors(as_bytes(file), context);
}

// {weight = a tensor, again = the same, layers = {a view of its storage}, rate = 0.5, on = true}
std::string small() {
  const std::string tensor = t7_tensor(2, "Float", {2, 3}, {3, 1}, 1,
                                       t7_storage(3, "Float", 6, "aaaabbbbccccddddeeeeffff"));
  const std::string part = t7_tensor(5, "Float", {2}, {3}, 2, t7_reference(3));
  return t7_table(1, {{t7_text("weight"), tensor},
                      {t7_text("again"), t7_reference(2)},
                      {t7_text("layers"), t7_table(4, {{t7_number(1), part}})},
                      {t7_text("rate"), t7_number(0.5)},
                      {t7_text("on"), u32(5) + u32(1)},
                      {t7_text("none"), u32(0)}});
}

TEST(Torch7, ListsTensorsByTheirPaths) {
  const std::string file = small();
  const auto contents = read(file);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  EXPECT_THAT(names_of(contents->tensors), ElementsAre("weight", "again", "layers.1"));
  EXPECT_EQ(packed_elements(contents->tensors[0].view), "aaaabbbbccccddddeeeeffff");
  EXPECT_EQ(packed_elements(contents->tensors[1].view), "aaaabbbbccccddddeeeeffff");
  EXPECT_EQ(packed_elements(contents->tensors[2].view), "bbbbeeee");
  const std::map<std::string, std::string> metadata = {{"rate", "0.5"}, {"on", "true"}};
  EXPECT_EQ(contents->metadata, metadata);
  EXPECT_THAT(rules_of(file), IsEmpty());
}

TEST(Torch7, ReadsEveryTypeOfElement) {
  for (const auto& [type, dtype] : {std::pair("Byte", DType::kU8),
                                    {"Char", DType::kI8},
                                    {"Short", DType::kI16},
                                    {"Int", DType::kI32},
                                    {"Long", DType::kI64},
                                    {"Half", DType::kF16},
                                    {"Float", DType::kF32},
                                    {"Double", DType::kF64},
                                    {"Cuda", DType::kF32},
                                    {"CudaLong", DType::kI64}}) {
    const std::string bytes(dtype_bits(dtype) / 8 * 2, '\1');
    const std::string file = t7_tensor(1, type, {2}, {1}, 1, t7_storage(2, type, 2, bytes));
    const auto contents = read(file);
    ASSERT_TRUE(contents.has_value()) << type;
    ASSERT_EQ(contents->tensors.size(), 1U) << type;
    EXPECT_EQ(contents->tensors[0].view.dtype, dtype) << type;
    EXPECT_EQ(packed_elements(contents->tensors[0].view), bytes) << type;
  }
}

// As torch.save(path, x, 'ascii') writes it.
TEST(Torch7, ReadsTheFormOfTexts) {
  const std::string file =
      "3\n1\n2\n2\n1\nw\n4\n2\n3\nV 1\n17\ntorch.FloatTensor\n2\n2 2\n2 1\n1\n4\n3\n3\nV 1\n18\n"
      "torch.FloatStorage\n4\n1 -2.5 nan 1e+10\n2\n4\nbyte\n4\n4\n3\nV 1\n17\ntorch.ByteStorage\n"
      "3\nabc\n";
  const auto contents = read(file);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  ASSERT_THAT(names_of(contents->tensors), ElementsAre("w", "byte"));
  const auto numbers = elements_of(contents->tensors[0].view);
  ASSERT_EQ(numbers.size(), 4U);
  EXPECT_EQ(numbers[0], 1.0F);
  EXPECT_EQ(numbers[1], -2.5F);
  EXPECT_TRUE(numbers[2] != numbers[2]);
  EXPECT_EQ(numbers[3], 1e10F);
  EXPECT_EQ(packed_elements(contents->tensors[1].view), "abc");
  EXPECT_THAT(rules_of(file), IsEmpty());
}

TEST(Torch7, FunctionsAreDangerous) {
  const std::string code = "\x1BLJ\1\2 a function";
  for (const std::string& file :
       {t7_function(1, code, t7_table(2, {})),
        t7_table(1, {{t7_text("f"), t7_function(2, code, u32(0))}}),
        t7_table(1, {{t7_text("a"), u32(0)}, {t7_function(2, code, u32(0)), t7_number(1)}}),
        t7_table(1, {{t7_text("f"), u32(6) + t7_bytes("print(1)") + u32(0)}}),
        t7_table(1, {{t7_text("f"), u32(7) + u32(2) + t7_bytes(code) + u32(0)}}),
        t7_object(1, "nn.Sequential",
                  t7_table(2, {{t7_text("hook"), t7_function(3, code, u32(0))}}))}) {
    EXPECT_EQ(verdict_of(file), Verdict::kDangerous);
    EXPECT_THAT(rules_of(file), Contains("TARE-LUA-001"));
  }
}

TEST(Torch7, UnknownClassesAreSuspicious) {
  const std::string fields = t7_table(2, {{t7_text("x"), t7_number(1)}});
  EXPECT_THAT(rules_of(t7_object(1, "nn.Linear", fields)), IsEmpty());
  EXPECT_THAT(rules_of(t7_object(1, "my_project.Encoder", fields)), ElementsAre("TARE-LUA-002"));
}

TEST(Torch7, TensorsThatReachPastTheirStorageAreDangerous) {
  const std::string storage = t7_storage(2, "Float", 2, "aaaabbbb");
  for (const std::string& file :
       {t7_tensor(1, "Float", {3}, {1}, 1, storage), t7_tensor(1, "Float", {2}, {1}, 2, storage),
        t7_tensor(1, "Float", {2}, {1}, 0, storage),
        t7_tensor(1, "Float", {2}, {UINT64_MAX}, 1, storage),
        t7_tensor(1, "Double", {1}, {1}, 1, storage), t7_tensor(1, "Float", {1}, {1}, 1, u32(0)),
        t7_tensor(1, "Float", {1ULL << 62, 8}, {0, 0}, 1, storage)}) {
    EXPECT_THAT(rules_of(file), ElementsAre("TARE-TEN-001"));
    const auto contents = read(file);
    ASSERT_TRUE(contents.has_value());
    EXPECT_THAT(contents->tensors, IsEmpty());
    EXPECT_EQ(contents->problems.size(), 1U);
  }
}

TEST(Torch7, RefusesWhatIsBroken) {
  for (const std::string& file :
       {t7_tensor(1, "Float", {1}, {1}, 1, t7_number(1)),
        t7_tensor(1, "Float", {1}, {1}, 1, t7_object(2, "nn.Linear", "")),
        t7_tensor(1, "Float", {1}, {1}, 1, t7_reference(1)), t7_table(1, {{t7_text("a"), u32(99)}}),
        t7_object(1, "tds.Hash", u32(0)), t7_storage(1, "Float", UINT64_MAX, ""),
        t7_storage(1, "Double", 1ULL << 61, "")}) {
    EXPECT_EQ(verdict_of(file), Verdict::kUnreadable);
    EXPECT_FALSE(read(file).has_value());
  }
}

TEST(Torch7, BytesBehindTheObjectAreJudged) {
  EXPECT_THAT(rules_of(small() + "x"), ElementsAre("TARE-GEN-001"));
  EXPECT_EQ(verdict_of(small() + "cos\nsystem\n(S'id'\ntR."), Verdict::kDangerous);
}

TEST(Torch7, NoPrefixIsSafe) {
  const std::string file = small();
  for (std::size_t length = 0; length < file.size(); ++length) {
    EXPECT_TRUE(is_not_safe(file.substr(0, length))) << length;
  }
}

// A table that holds itself, and tables in tables.
TEST(Torch7, IsBounded) {
  EXPECT_THAT(rules_of(t7_table(1, {{t7_text("self"), u32(3) + u32(1)}})), IsEmpty());
  std::string deep;
  for (std::uint64_t i = 1; i <= 20'000; ++i) deep += u32(3) + u32(i) + u32(1) + t7_text("a");
  EXPECT_EQ(read(deep + u32(0)).error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace tare
