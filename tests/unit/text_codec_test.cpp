#include "pickle/text_codec.hpp"

#include <gtest/gtest.h>

namespace tare::pickle {
namespace {

using namespace std::string_literals;

TEST(TextCodec, DecodesRawUnicodeEscapes) {
  EXPECT_EQ(decode_raw_unicode_escape("plain"), "plain");
  EXPECT_EQ(decode_raw_unicode_escape("\\u0041\\u20ac"), "A\xE2\x82\xAC");
  EXPECT_EQ(decode_raw_unicode_escape("\\U0001F600"), "\xF0\x9F\x98\x80");
  EXPECT_EQ(decode_raw_unicode_escape("\\U0010ffff"), "\xF4\x8F\xBF\xBF");
  EXPECT_EQ(decode_raw_unicode_escape("\xE9"), "\xC3\xA9");  // Latin-1
  EXPECT_EQ(decode_raw_unicode_escape("\\n\\x41\\"), "\\n\\x41\\");
  EXPECT_EQ(decode_raw_unicode_escape("\\u0000"), "\0"s);
}

// Surrogates stay apart, even a pair of them.
TEST(TextCodec, KeepsSurrogates) {
  EXPECT_EQ(decode_raw_unicode_escape("\\ud83d\\ude00"), "\xED\xA0\xBD\xED\xB8\x80");
}

TEST(TextCodec, CountsBackslashes) {
  EXPECT_EQ(decode_raw_unicode_escape("\\\\u0041"), "\\\\u0041");
  EXPECT_EQ(decode_raw_unicode_escape("\\\\\\u0041"), "\\\\A");
}

TEST(TextCodec, RefusesBrokenUnicodeEscapes) {
  for (const char* text :
       {"\\u", "\\u004", "\\u00g1", "\\U0010", "\\U00110000", "\\UFFFFFFFF", "a\\u12"}) {
    EXPECT_FALSE(decode_raw_unicode_escape(text).has_value()) << text;
  }
}

TEST(TextCodec, DecodesStringEscapes) {
  EXPECT_EQ(decode_string_escape("plain"), "plain");
  EXPECT_EQ(decode_string_escape("\\a\\b\\f\\n\\r\\t\\v"), "\a\b\f\n\r\t\v");
  EXPECT_EQ(decode_string_escape("\\\\\\'\\\""), "\\'\"");
  EXPECT_EQ(decode_string_escape("\\x41\\xfF"), "A\xFF");
  EXPECT_EQ(decode_string_escape("\\101\\0\\08"),
            "A\0\0"
            "8"s);
  EXPECT_EQ(decode_string_escape("\\1012"), "A2");
  EXPECT_EQ(decode_string_escape("a\\\nb"), "ab");
  EXPECT_EQ(decode_string_escape("\\q\\8"), "\\q\\8");
  EXPECT_EQ(decode_string_escape("\\400"), "\0"s);  // one byte of it
}

TEST(TextCodec, RefusesBrokenStringEscapes) {
  for (const char* text : {"\\", "\\x", "\\x4", "\\xg1", "a\\x4g", "ab\\"}) {
    EXPECT_FALSE(decode_string_escape(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace tare::pickle
