#include "pickle/number_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace tare::pickle {
namespace {

// The value, if the text is an integer of 64 bits.
std::optional<std::int64_t> integer(std::string_view text) {
  const auto parsed = parse_integer(text);
  return parsed && parsed->fits ? std::optional(parsed->value) : std::nullopt;
}

bool is_canonical_integer(std::string_view text) {
  const auto parsed = parse_integer(text);
  return parsed && parsed->canonical;
}

TEST(NumberText, ReadsWhatPicklersWrite) {
  for (const std::int64_t value : {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, std::int64_t{7},
                                   std::int64_t{10}, INT64_MAX}) {
    const std::string text = std::to_string(value);
    EXPECT_EQ(integer(text), value);
    EXPECT_TRUE(is_canonical_integer(text)) << text;
  }
}

// What strtol(text, 0) or int(text, 0) makes of it.
TEST(NumberText, ReadsOtherBases) {
  EXPECT_EQ(integer("0x10"), 16);
  EXPECT_EQ(integer("0XfF"), 255);
  EXPECT_EQ(integer("-0x10"), -16);
  EXPECT_EQ(integer("010"), 8);
  EXPECT_EQ(integer("0o17"), 15);
  EXPECT_EQ(integer("0b101"), 5);
  EXPECT_EQ(integer("00"), 0);
  EXPECT_EQ(integer("+5"), 5);
  EXPECT_EQ(integer(" 5\t"), 5);
  EXPECT_EQ(integer("1_000"), 1000);
  EXPECT_EQ(integer("0x_ff"), 255);
  for (const char* text : {"0x10", "010", "+5", " 5", "5 ", "1_0", "00", "0b1"}) {
    EXPECT_FALSE(is_canonical_integer(text)) << text;
  }
}

TEST(NumberText, RefusesWhatIsNoInteger) {
  for (const char* text : {"",   " ",    "-",  "+",  "x",   "1x",  "0x",  "0xg", "0b2", "0o8",
                           "08", "1__0", "_1", "1_", "--1", "+-1", "1.0", "1e3", "1 2", "0x-1"}) {
    EXPECT_FALSE(parse_integer(text).has_value()) << text;
  }
}

TEST(NumberText, KeepsTheDigitsOfLargeIntegers) {
  for (const std::string text : {"9223372036854775808", "-9223372036854775809",
                                 "18446744073709551616", "-123456789012345678901234567890"}) {
    const auto parsed = parse_integer(text);
    ASSERT_TRUE(parsed.has_value()) << text;
    EXPECT_FALSE(parsed->fits);
    EXPECT_TRUE(parsed->canonical);
    EXPECT_EQ(parsed->digits, text);
  }
  const auto hex = parse_integer("0xffffffffffffffffffff");
  ASSERT_TRUE(hex.has_value());
  EXPECT_FALSE(hex->fits);
  EXPECT_FALSE(hex->canonical);
}

TEST(NumberText, ReadsMemoIndexes) {
  const auto index = [](std::string_view text) {
    const auto parsed = parse_memo_index(text);
    return parsed && parsed->fits ? parsed->value : -1;
  };
  EXPECT_EQ(index("0"), 0);
  EXPECT_EQ(index("123"), 123);
  EXPECT_EQ(index(" 7"), 7);
  EXPECT_EQ(index("+7"), 7);
  EXPECT_EQ(index("007"), 7);
  EXPECT_EQ(index("1_0"), 10);
  EXPECT_TRUE(parse_memo_index("12")->canonical);
  EXPECT_FALSE(parse_memo_index("012")->canonical);
  EXPECT_FALSE(parse_memo_index("99999999999999999999")->fits);
  for (const char* text : {"", "-1", "0x0", "a", "1a", "_1", "1__0", " ", "1.0"}) {
    EXPECT_FALSE(parse_memo_index(text).has_value()) << text;
  }
}

TEST(NumberText, ReadsFloats) {
  const auto value = [](std::string_view text) { return parse_float(text)->value; };
  EXPECT_EQ(value("1.5"), 1.5);
  EXPECT_EQ(value("-1e-300"), -1e-300);
  EXPECT_EQ(value("3"), 3.0);
  EXPECT_EQ(value(".5"), 0.5);
  EXPECT_EQ(value("5."), 5.0);
  EXPECT_TRUE(std::isinf(value("inf")));
  EXPECT_TRUE(std::isnan(value("nan")));
  EXPECT_EQ(value(" 1.5 "), 1.5);
  EXPECT_EQ(value("+1.5"), 1.5);
  EXPECT_EQ(value("1_0.5"), 10.5);
  EXPECT_TRUE(parse_float("1.5")->canonical);
  for (const char* text : {" 1.5", "+1.5", "1_0.5"}) {
    EXPECT_FALSE(parse_float(text)->canonical) << text;
  }
  EXPECT_TRUE(parse_float("1e999").has_value());  // infinity in Python, an error in C
  for (const char* text : {"", " ", "x", "1.5x", "1,5", "0x1p3", "1e", "--1", "1.5.5"}) {
    EXPECT_FALSE(parse_float(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace tare::pickle
