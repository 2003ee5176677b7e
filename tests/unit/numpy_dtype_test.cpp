#include "tensor/numpy_dtype.hpp"

#include <gtest/gtest.h>

#include "support/binary.hpp"

namespace tare {
namespace {

using Order = NumpyDType::Order;

// Like numpy's str(): "<f4", "|S5", "<M8[ns]"; the size of U in bytes.
std::string text_of(const Result<NumpyDType>& type) {
  if (!type) return error_code_name(type.error().code);
  const char order = type->order == Order::kNone ? '|' : type->order == Order::kBig ? '>' : '<';
  std::string out{order, type->kind};
  out += std::to_string(type->item_size);
  return type->unit.empty() ? out : out + "[" + type->unit + "]";
}

TEST(NumpyDType, ReadsTypeStrings) {
  EXPECT_EQ(text_of(numpy_scalar("<f4")), "<f4");
  EXPECT_EQ(text_of(numpy_scalar(">f4")), ">f4");
  EXPECT_EQ(text_of(numpy_scalar("=i8")), "<i8");
  EXPECT_EQ(text_of(numpy_scalar("|i8")), "<i8");
  EXPECT_EQ(text_of(numpy_scalar("u2")), "<u2");
  EXPECT_EQ(text_of(numpy_scalar("|b1")), "|b1");
  EXPECT_EQ(text_of(numpy_scalar(">i1")), "|i1");
  EXPECT_EQ(text_of(numpy_scalar("c16")), "<c16");
  EXPECT_EQ(text_of(numpy_scalar("f16")), "<f16");
  EXPECT_EQ(text_of(numpy_scalar("|S5")), "|S5");
  EXPECT_EQ(text_of(numpy_scalar("a5")), "|S5");
  EXPECT_EQ(text_of(numpy_scalar(">U3")), ">U12");
  EXPECT_EQ(text_of(numpy_scalar("|V2")), "|V2");
  EXPECT_EQ(text_of(numpy_scalar("<V2")), "|V2");
  EXPECT_EQ(text_of(numpy_scalar("S0")), "|S0");
  EXPECT_EQ(text_of(numpy_scalar("|O")), "|O8");
  EXPECT_EQ(text_of(numpy_scalar("O4")), "|O8");
  EXPECT_EQ(text_of(numpy_scalar("S2147483647")), "|S2147483647");
}

TEST(NumpyDType, ReadsUnitsOfTime) {
  EXPECT_EQ(text_of(numpy_scalar("<M8[ns]")), "<M8[ns]");
  EXPECT_EQ(text_of(numpy_scalar(">m8[25s]")), ">m8[25s]");
  EXPECT_EQ(text_of(numpy_scalar("M8")), "<M8");
  EXPECT_EQ(text_of(numpy_scalar("M8[generic]")), "<M8");
  EXPECT_EQ(text_of(numpy_scalar("M8[2147483647s]")), "<M8[2147483647s]");
  for (const char* text :
       {"M8[]", "M8[xx]", "M8[3]", "M8[-1s]", "M8[2147483648s]", "M8[s]x", "M8[ns", "M8ns]",
        "M8 [ns]", "M8[ ns]", "M[ns]", "M4", "M4[s]", "f4[s]", "M8[s/0]", "M8[s/2]", "M8["}) {
    EXPECT_EQ(text_of(numpy_scalar(text)), "malformed") << text;
  }
}

TEST(NumpyDType, ReadsCodesAndNames) {
  EXPECT_EQ(text_of(numpy_scalar("?")), "|b1");
  EXPECT_EQ(text_of(numpy_scalar("b")), "|i1");
  EXPECT_EQ(text_of(numpy_scalar(">d")), ">f8");
  EXPECT_EQ(text_of(numpy_scalar("c")), "|S1");
  EXPECT_EQ(text_of(numpy_scalar("float32")), "<f4");
  EXPECT_EQ(text_of(numpy_scalar("bool")), "|b1");
  EXPECT_EQ(text_of(numpy_scalar("complex64")), "<c8");
}

TEST(NumpyDType, RefusesWhatNumpyDoes) {
  for (const char* text : {"",
                           "<",
                           "<<f4",
                           " f4",
                           "f4 ",
                           "f3",
                           "f1",
                           "i3",
                           "i16",
                           "b8",
                           "B1",
                           "d8",
                           "O1",
                           "c4",
                           "S-1",
                           "S2147483648",
                           "U536870912",
                           "bfloat16",
                           "Float32",
                           "x",
                           "f4x",
                           "99999999999999999999",
                           "S99999999999999999999",
                           "float",
                           "f+4"}) {
    const std::string error = text_of(numpy_scalar(text));
    EXPECT_TRUE(error == "malformed" || error == "unsupported") << text << " " << error;
  }
  EXPECT_EQ(text_of(numpy_scalar("f4,i4")), "unsupported");
  EXPECT_EQ(text_of(numpy_scalar("(2,3)f4")), "unsupported");
  EXPECT_EQ(text_of(numpy_scalar("2f4")), "unsupported");
}

TEST(NumpyDType, TakesWhatAPickledStateAdds) {
  // numpy.dtype('f8', False, True) and (3, '>', None, None, None, -1, -1, 0).
  EXPECT_EQ(text_of(numpy_scalar("f8", '>')), ">f8");
  EXPECT_EQ(text_of(numpy_scalar("f8", '<')), "<f8");
  EXPECT_EQ(text_of(numpy_scalar(">f8", '<')), "<f8");
  EXPECT_EQ(text_of(numpy_scalar("b1", '|')), "|b1");
  EXPECT_EQ(text_of(numpy_scalar("U3", '<', 12)), "<U12");
  EXPECT_EQ(text_of(numpy_scalar("V", '|', 20)), "|V20");
  EXPECT_EQ(text_of(numpy_scalar("f8", '<', 8)), "<f8");
  EXPECT_EQ(text_of(numpy_scalar("f8", 'x')), "malformed");
  EXPECT_EQ(text_of(numpy_scalar("f8", '<', 4)), "malformed");
  EXPECT_EQ(text_of(numpy_scalar("V", '|', std::uint64_t{1} << 31)), "malformed");
}

TEST(NumpyDType, KnowsObjects) {
  EXPECT_TRUE(numpy_scalar("O")->has_objects);
  EXPECT_FALSE(numpy_scalar("V8")->has_objects);
  EXPECT_TRUE(numpy_subarray(*numpy_scalar("O"), {2})->has_objects);
  EXPECT_TRUE(
      numpy_struct({{"a", *numpy_scalar("f4"), 0}, {"b", *numpy_scalar("O"), 4}}, 12)->has_objects);
}

TEST(NumpyDType, MakesSubarrays) {
  const auto type = numpy_subarray(*numpy_scalar(">f4"), {2, 3});
  ASSERT_TRUE(type.has_value());
  EXPECT_EQ(text_of(type), "|V24");
  EXPECT_EQ(type->shape, (Shape{2, 3}));
  EXPECT_EQ(text_of(type->base.at(0)), ">f4");
  EXPECT_EQ(text_of(numpy_subarray(*numpy_scalar(">f4"), {})), ">f4");
  EXPECT_EQ(text_of(numpy_subarray(*numpy_scalar("f4"), {0})), "|V0");
  EXPECT_EQ(text_of(numpy_subarray(*numpy_scalar("f4"), {1U << 29})), "overflow");
  EXPECT_EQ(text_of(numpy_subarray(*numpy_scalar("f4"), {0, std::uint64_t{1} << 40})), "overflow");
  EXPECT_EQ(text_of(numpy_subarray(*numpy_scalar("f4"), {1U << 31, 1U << 31, 4})), "overflow");
  EXPECT_EQ(text_of(numpy_subarray(*numpy_scalar("f4"), Shape(64, 1))), "|V4");
  EXPECT_EQ(text_of(numpy_subarray(*numpy_scalar("f4"), Shape(65, 1))), "malformed");
  EXPECT_EQ(text_of(numpy_subarray(*numpy_scalar("S"), {3})), "malformed");
}

TEST(NumpyDType, MakesStructures) {
  const auto f4 = *numpy_scalar("f4");
  const auto type = numpy_struct({{"a", f4, 0}, {"b", f4, 6, "title"}}, 10);
  ASSERT_TRUE(type.has_value());
  EXPECT_EQ(text_of(type), "|V10");
  EXPECT_EQ(type->fields.size(), 2U);
  EXPECT_EQ(text_of(numpy_struct({}, 0)), "|V0");
  // Fields may share bytes.
  EXPECT_EQ(text_of(numpy_struct({{"a", f4, 0}, {"b", f4, 0}}, 4)), "|V4");
  EXPECT_EQ(text_of(numpy_struct({{"a", f4, 0}, {"a", f4, 4}}, 8)), "malformed");
  EXPECT_EQ(text_of(numpy_struct({{"a", f4, 0}, {"b", f4, 4, "a"}}, 8)), "malformed");
  EXPECT_EQ(text_of(numpy_struct({{"a", f4, 0, "t"}, {"b", f4, 4, "t"}}, 8)), "malformed");
  EXPECT_EQ(text_of(numpy_struct({{"a", f4, 5}}, 8)), "malformed");
  EXPECT_EQ(text_of(numpy_struct({{"a", f4, UINT64_MAX}}, 8)), "malformed");
  EXPECT_EQ(text_of(numpy_struct({}, std::uint64_t{1} << 31)), "overflow");
}

TEST(NumpyDType, BecomesATensorType) {
  const std::pair<const char*, DType> types[] = {
      {"b1", DType::kBool}, {"i1", DType::kI8},  {">i2", DType::kI16}, {"i4", DType::kI32},
      {"i8", DType::kI64},  {"u1", DType::kU8},  {"u2", DType::kU16},  {"u4", DType::kU32},
      {"u8", DType::kU64},  {"f2", DType::kF16}, {"f4", DType::kF32},  {">f8", DType::kF64},
      {"c8", DType::kC64}};
  for (const auto& [text, dtype] : types) EXPECT_EQ(to_tensor_dtype(*numpy_scalar(text)), dtype);
  for (const char* text : {"f16", "c16", "O", "S4", "U1", "V2", "M8[ns]", "m8"}) {
    EXPECT_EQ(to_tensor_dtype(*numpy_scalar(text)), std::nullopt) << text;
  }
  EXPECT_EQ(to_tensor_dtype(*numpy_subarray(*numpy_scalar("f4"), {1})), std::nullopt);
  EXPECT_EQ(to_tensor_dtype(*numpy_struct({{"a", *numpy_scalar("f4"), 0}}, 4)), std::nullopt);
}

}  // namespace
}  // namespace tare
