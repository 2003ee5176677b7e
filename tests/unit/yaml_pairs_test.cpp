#include "format/yaml_pairs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tare::format {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;

// "key=value" for each scalar; "key=*name" for an alias; "broken" last.
std::vector<std::string> pairs(std::string_view text) {
  const YamlPairs read = read_yaml_pairs(text);
  std::vector<std::string> out;
  for (const YamlScalar& scalar : read.scalars) {
    out.push_back(scalar.key + "=" + (scalar.is_alias ? "*" : "") + scalar.value);
  }
  if (read.broken) out.emplace_back("broken");
  return out;
}

TEST(YamlPairs, ReadsBlocks) {
  EXPECT_THAT(pairs("a: 1\nb:\n  c: two words\n  d:\n  - x\n  - e: y\n    f: z\n"),
              ElementsAre("a=1", "c=two words", "d=x", "e=y", "f=z"));
  EXPECT_THAT(pairs("---\n# text\na: b # more\nc: d#e\n...\n"), ElementsAre("a=b", "c=d#e"));
  EXPECT_THAT(pairs("a:\n    b\n"), ElementsAre("a=b"));
  EXPECT_THAT(pairs("a: http://x:80/y\nb: -1\n"), ElementsAre("a=http://x:80/y", "b=-1"));
}

TEST(YamlPairs, ReadsFlowStyle) {
  EXPECT_THAT(pairs("a: {b: c, \"d\":e, f: [g, {h: i}]}\nj: k\n"),
              ElementsAre("b=c", "d=e", "f=g", "h=i", "j=k"));
  EXPECT_THAT(pairs("{a: b,\n c: d}"), ElementsAre("a=b", "c=d"));
}

TEST(YamlPairs, ReadsQuotes) {
  EXPECT_THAT(pairs("a: 'it''s: # x'\n\"b\\x5f\\u0041\": \"c\\\n   d\\n\"\n"),
              ElementsAre("a=it's: # x", "b_A=cd\n"));
  EXPECT_THAT(pairs("a: \"x\n   y\"\n"), ElementsAre("a=x y"));
}

TEST(YamlPairs, ReadsBlockScalars) {
  EXPECT_THAT(pairs("a: |-\n  one\n  b: two\nc: >\n  three\n"),
              ElementsAre("a=one\nb: two", "c=three"));
  // What is not indented further than the key is none of it.
  EXPECT_THAT(pairs("- a: |\n  b: c\n- d: >-\n    e\n  f: g\n"),
              ElementsAre("a=", "b=c", "d=e", "f=g"));
  EXPECT_THAT(pairs("-   a: |\n        x\n    b: c\n- |\n  y\n  z\n"),
              ElementsAre("a=x", "b=c", "b=y\nz"));
  EXPECT_THAT(pairs("a: |2-\n    x\n   y\nb: c\n"), ElementsAre("a=  x\n y", "b=c"));
  EXPECT_THAT(pairs("a:\n  |\n  x\nb: |\n\n  y\n"), ElementsAre("a=x", "b=y"));
}

TEST(YamlPairs, ReadsAnchors) {
  EXPECT_THAT(pairs("a: &x os.system\nb: *x\n<<: *y\n"),
              ElementsAre("a=os.system", "b=*x", "<<=*y"));
}

TEST(YamlPairs, SaysWhatItDoesNotRead) {
  for (const std::string& text :
       {"? a\n: b\n"s, "a: !!str b\n"s, "%TAG ! x\n"s, "a: \"b\n"s, "a: 'b"s, "*x : b\n"s,
        "a: \"\\q\"\n"s, "a: {b\n"s, "a: b\xE2\x80\xA8_target_: c\n"s, "a: \xFF\n"s}) {
    EXPECT_TRUE(read_yaml_pairs(text).broken.has_value()) << text;
  }
}

TEST(YamlPairs, ReadsAnyBytesToTheEnd) {
  const std::string pieces = "a:-?{}[],&*!|>'\"%@`# \n\t\\x\x80";
  unsigned state = 7;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (int k = 0; k < 12; ++k) {
      state = state * 1103515245U + 12345U;
      text += pieces[(state >> 16) % pieces.size()];
    }
    for (const YamlScalar& scalar : read_yaml_pairs(text).scalars) {
      EXPECT_LT(scalar.offset, text.size());
    }
  }
  EXPECT_THAT(pairs(""), IsEmpty());
}

}  // namespace
}  // namespace tare::format
