#include "io/utf8.hpp"

#include <gtest/gtest.h>

namespace tare {
namespace {

using namespace std::string_view_literals;

TEST(Utf8, AcceptsEveryCodePoint) {
  for (std::uint32_t code_point = 0; code_point < 0x110000; ++code_point) {
    std::string text;
    append_utf8(text, code_point);
    const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
    if (is_utf8(text) == surrogate || !is_utf8(text, true) ||
        is_ascii(text) != (code_point < 0x80)) {
      ADD_FAILURE() << std::hex << code_point;
    }
  }
}

TEST(Utf8, EncodesTheBoundaries) {
  const auto encoded = [](std::uint32_t code_point) {
    std::string text;
    append_utf8(text, code_point);
    return text;
  };
  EXPECT_EQ(encoded(0x7F), "\x7F");
  EXPECT_EQ(encoded(0x80), "\xC2\x80");
  EXPECT_EQ(encoded(0x7FF), "\xDF\xBF");
  EXPECT_EQ(encoded(0x800), "\xE0\xA0\x80");
  EXPECT_EQ(encoded(0xFFFF), "\xEF\xBF\xBF");
  EXPECT_EQ(encoded(0x10000), "\xF0\x90\x80\x80");
  EXPECT_EQ(encoded(0x10FFFF), "\xF4\x8F\xBF\xBF");
}

TEST(Utf8, RefusesOverlongForms) {
  for (const auto text : {"\xC0\x80"sv, "\xC1\xBF"sv, "\xE0\x80\x80"sv, "\xE0\x9F\xBF"sv,
                          "\xF0\x80\x80\x80"sv, "\xF0\x8F\xBF\xBF"sv}) {
    EXPECT_FALSE(is_utf8(text));
    EXPECT_FALSE(is_utf8(text, true));
  }
}

TEST(Utf8, RefusesWhatIsCutOrStray) {
  for (const auto text :
       {"\x80"sv, "\xBF"sv, "\xC2"sv, "\xC2x"sv, "\xE2\x82"sv, "\xE2\x28\xA1"sv, "\xF0\x9F\x98"sv,
        "\xF4\x90\x80\x80"sv, "\xF5\x80\x80\x80"sv, "\xFE"sv, "\xFF"sv, "\xF8\x88\x80\x80\x80"sv}) {
    EXPECT_FALSE(is_utf8(text));
    EXPECT_FALSE(is_utf8(text, true));
  }
}

// ASCII is skipped eight bytes at a time: an error must be found at every distance.
TEST(Utf8, FindsAnErrorAnywhere) {
  for (std::size_t before = 0; before < 20; ++before) {
    for (std::size_t after = 0; after < 20; ++after) {
      const std::string good = std::string(before, 'a') + "\xC3\xA9" + std::string(after, 'b');
      EXPECT_TRUE(is_utf8(good));
      EXPECT_FALSE(is_ascii(good));
      const std::string bad = std::string(before, 'a') + "\xC3" + std::string(after, 'b');
      EXPECT_FALSE(is_utf8(bad));
      EXPECT_TRUE(is_ascii(std::string(before + after, '\0')));
    }
  }
}

}  // namespace
}  // namespace tare
