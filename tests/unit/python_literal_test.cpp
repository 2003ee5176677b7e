#include "format/python_literal.hpp"

#include <gtest/gtest.h>

#include "support/binary.hpp"

namespace tare::format {
namespace {

using Kind = PyLiteral::Kind;
using test::repeat;

// The literal once more, in one way of writing it.
std::string written(const PyLiteral& literal) {
  std::string items;
  for (const PyLiteral& item : literal.items) items += written(item) + " ";
  switch (literal.kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return literal.number != 0 ? "True" : "False";
    case Kind::kInteger:
      return (literal.negative ? "-" : "") + std::to_string(literal.number);
    case Kind::kString:
      return "<" + literal.text + ">";
    case Kind::kTuple:
      return "( " + items + ")";
    case Kind::kList:
      return "[ " + items + "]";
    case Kind::kDict:
      return "{ " + items + "}";
  }
  return "";
}

std::string parsed(std::string_view text, const PyLiteralOptions& options = {}) {
  const auto literal = parse_python_literal(text, options);
  return literal ? written(*literal) : error_code_name(literal.error().code);
}

TEST(PythonLiteral, ReadsScalars) {
  EXPECT_EQ(parsed("True"), "True");
  EXPECT_EQ(parsed("False"), "False");
  EXPECT_EQ(parsed("None"), "None");
  EXPECT_EQ(parsed("0"), "0");
  EXPECT_EQ(parsed("00"), "0");
  EXPECT_EQ(parsed("-0"), "-0");
  EXPECT_EQ(parsed("+12"), "12");
  EXPECT_EQ(parsed("- 12"), "-12");
  EXPECT_EQ(parsed("1_000"), "1000");
  EXPECT_EQ(parsed("0xFf"), "255");
  EXPECT_EQ(parsed("0b_101"), "5");
  EXPECT_EQ(parsed("0O17"), "15");
  EXPECT_EQ(parsed("18446744073709551615"), "18446744073709551615");
}

TEST(PythonLiteral, RefusesWhatIsNoScalar) {
  for (const char* text :
       {"",   " ",    "true",   "NULL", "x",        "Truely", "3.0",    "1e3",  "3j",    "3.",
        ".5", "03",   "0x",     "0x_",  "1_",       "1__0",   "_1",     "0b2",  "0o8",   "--1",
        "-",  "+",    "- True", "1 2",  "1,",       "...",    "b'x'",   "f'x'", "ur'x'", "'",
        "'a", "\"a'", "'a\nb'", "3L",   "not True", "1+1",    "'a' 'b", "\x01"}) {
    EXPECT_EQ(parsed(text), "malformed") << text;
  }
  EXPECT_EQ(parsed("18446744073709551616"), "overflow");
  EXPECT_EQ(parsed("99999999999999999999"), "overflow");
}

TEST(PythonLiteral, ReadsStrings) {
  EXPECT_EQ(parsed("'a'"), "<a>");
  EXPECT_EQ(parsed("\"a'b\""), "<a'b>");
  EXPECT_EQ(parsed("''"), "<>");
  EXPECT_EQ(parsed("u'a'"), "<a>");
  EXPECT_EQ(parsed("('a' \"b\"\n'''c''')"), "<abc>");
  EXPECT_EQ(parsed("'''a'b\n''c'''"), "<a'b\n''c>");
  EXPECT_EQ(parsed(R"('\\\'\"\a\b\f\n\r\t\v')"), "<\\'\"\a\b\f\n\r\t\v>");
  EXPECT_EQ(parsed(R"('\x41\101\u00e9\U0001F600\7')"), "<AA\xC3\xA9\xF0\x9F\x98\x80\a>");
  EXPECT_EQ(parsed("'\\ud800'"), "<\xED\xA0\x80>");
  EXPECT_EQ(parsed("'a\\\nb'"), "<ab>");
  EXPECT_EQ(parsed(R"('\q\8')"), R"(<\q\8>)");
  EXPECT_EQ(parsed(R"(r'\n\'\\')"), R"(<\n\'\\>)");
  EXPECT_EQ(parsed(R"(R"\x4")"), R"(<\x4>)");
}

TEST(PythonLiteral, RefusesBrokenEscapes) {
  for (const char* text :
       {R"('\x4')", R"('\xg0')", R"('\u123')", R"('\U00110000')", R"('\')", R"(r'\')", "'a\\"}) {
    EXPECT_EQ(parsed(text), "malformed") << text;
  }
  EXPECT_EQ(parsed(R"('\N{SPACE}')"), "unsupported");
  using namespace std::string_literals;
  EXPECT_EQ(parsed("'a\0b'"s), "malformed");
  EXPECT_EQ(parsed("'a'\0"s), "malformed");
}

TEST(PythonLiteral, DecodesCharacters) {
  EXPECT_EQ(parsed("'\xC3\xA9'"), "<\xC3\xA9>");
  EXPECT_EQ(parsed("'\xE9'", {.latin1 = true}), "<\xC3\xA9>");
  EXPECT_EQ(parsed("'\xE9'"), "malformed");
  EXPECT_EQ(parsed("\xE9", {.latin1 = true}), "malformed");
}

TEST(PythonLiteral, ReadsContainers) {
  EXPECT_EQ(parsed("()"), "( )");
  EXPECT_EQ(parsed("(1)"), "1");
  EXPECT_EQ(parsed("((1))"), "1");
  EXPECT_EQ(parsed("(1,)"), "( 1 )");
  EXPECT_EQ(parsed("(1,2)"), "( 1 2 )");
  EXPECT_EQ(parsed("[1,]"), "[ 1 ]");
  EXPECT_EQ(parsed("[1]"), "[ 1 ]");
  EXPECT_EQ(parsed("[]"), "[ ]");
  EXPECT_EQ(parsed("{}"), "{ }");
  EXPECT_EQ(parsed("{'a': 1, 'b': [(), {1: 2}], }"), "{ <a> 1 <b> [ ( ) { 1 2 } ] }");
  EXPECT_EQ(parsed("[(1,),((2)),[3]]"), "[ ( 1 ) 2 [ 3 ] ]");
}

TEST(PythonLiteral, RefusesBrokenContainers) {
  for (const char* text :
       {"(",     ")",       "[",     "]",         "{",          "}",
        "(1",    "(1,",     "[1)",   "(1]",       "{1}",        "{1,2}",
        "{1:}",  "{1:2:3}", "{:1}",  "(,)",       "(1,,)",      "[,1]",
        "{,}",   "{1:2,,}", "(1 2)", "[1][0]",    "{1:2}{3:4}", "[1 for x in []]",
        "[*()]", "{**{}}",  "set()", "dict(a=1)", "(1) 2"}) {
    EXPECT_EQ(parsed(text), "malformed") << text;
  }
}

TEST(PythonLiteral, PassesOverSpaceWherePythonDoes) {
  EXPECT_EQ(parsed(" \t[1]"), "[ 1 ]");
  EXPECT_EQ(parsed("\n\n[1]"), "[ 1 ]");
  EXPECT_EQ(parsed("[\n1\r\n,\f2 # two ]\n]"), "[ 1 2 ]");
  EXPECT_EQ(parsed("[1,\\\n2]"), "[ 1 2 ]");
  EXPECT_EQ(parsed("[1]  \n\n"), "[ 1 ]");
  EXPECT_EQ(parsed("[1] # comment"), "[ 1 ]");
  EXPECT_EQ(parsed("# comment\n\n# another\n[1]"), "[ 1 ]");
  EXPECT_EQ(parsed("[1]\n \n# comment\n"), "[ 1 ]");
  // A new line must not begin with a space.
  EXPECT_EQ(parsed("[1]\n "), "malformed");
  EXPECT_EQ(parsed("\n [1]"), "malformed");
}

TEST(PythonLiteral, ReadsLongsOfPython2IfAsked) {
  const PyLiteralOptions old{.python2_longs = true};
  EXPECT_EQ(parsed("(3L, 4 L)", old), "( 3 4 )");
  EXPECT_EQ(parsed("(3l,)", old), "malformed");
  EXPECT_EQ(parsed("(3LL,)", old), "malformed");
  EXPECT_EQ(parsed("(3L,)"), "malformed");
}

TEST(PythonLiteral, KeepsToItsDepth) {
  const std::size_t depth = PyLiteral::kMaxDepth;
  EXPECT_EQ(parsed(repeat("[", depth) + repeat("]", depth)),
            repeat("[ ", depth) + "]" + repeat(" ]", depth - 1));
  EXPECT_EQ(parsed(repeat("[", depth + 1) + repeat("]", depth + 1)), "limit");
  EXPECT_EQ(parsed(repeat("(", 1'000'000)), "limit");
}

TEST(PythonLiteral, TellsWhereAnErrorIs) {
  EXPECT_EQ(parse_python_literal("[1, x]").error().offset, 4U);
  EXPECT_EQ(parse_python_literal("[1, 2").error().offset, 5U);
  EXPECT_EQ(parse_python_literal("[1] x").error().offset, 4U);
  EXPECT_EQ(parse_python_literal("['a', ('b', 2)]")->items[1].offset, 6U);
}

TEST(PythonLiteral, StaysInsideACutText) {
  const std::string text =
      R"({'a': [(r'\'', u"\x41"), -0x1_0, """x""" 'y'], 'b': (True, None)} # c)";
  for (std::size_t length = 0; length < text.size(); ++length) {
    // A string of its own, so that sanitizers see a read behind its end.
    const std::string cut(text, 0, length);
    const auto literal = parse_python_literal(cut);
    EXPECT_EQ(literal.has_value(), length > text.find('}')) << length;
  }
}

}  // namespace
}  // namespace tare::format
