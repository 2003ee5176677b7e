// Values and events as one line of Python.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/pickle_bytes.hpp"

namespace tare::pickle {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::EndsWith;
using testing::StartsWith;

TEST(Expression, EscapesText) {
  EXPECT_EQ(result_of(text("a\\b\n\r\t") + "."), "'a\\\\b\\n\\r\\t'");
  EXPECT_EQ(result_of(text("\0\x01\x1B\x7F"s) + "."), "'\\x00\\x01\\x1b\\x7f'");
  EXPECT_EQ(result_of(text("\xC2\x80\xC3\xBF") + "."), "'\\x80\\xff'");
  EXPECT_EQ(result_of(text("\xC4\x80\xEF\xBF\xBD") + "."), "'\\u0100\\ufffd'");
  EXPECT_EQ(result_of(text("\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF") + "."), "'\\U0001f600\\U0010ffff'");
  EXPECT_EQ(result_of(text("\xED\xA0\x80") + "."), "'\\ud800'");
}

// Bytes that would move the cursor, ring or recolour a terminal never come out as they are.
TEST(Expression, IsAlwaysPrintableAscii) {
  std::string all;
  for (unsigned byte = 0; byte < 256; ++byte) all += u8(byte);
  std::string names = all;
  std::erase(names, '\n');
  const std::string latin = "V" + names + "\n";
  for (const std::string& stream :
       {"B" + u32(all.size()) + all + ".", "T" + u32(all.size()) + all + ".", latin + ".",
        "\x8a" + u8(255) + all.substr(1) + ".", "c" + names.substr(0, 127) + "\nx\n.",
        "P" + names.substr(0, 127) + "\n.", "\x96" + u64(all.size()) + all + "."}) {
    const auto run = pickle::run(as_bytes(stream));
    ASSERT_EQ(run.end, End::kStop) << run.error.what;
    for (const char c : expression(run.graph, run.result, 5000)) {
      ASSERT_TRUE(c >= 0x20 && c < 0x7F) << static_cast<int>(c);
    }
    for (const Event& event : run.events) {
      for (const char c : statement(run.graph, event, 5000)) {
        ASSERT_TRUE(c >= 0x20 && c < 0x7F) << static_cast<int>(c);
      }
    }
  }
}

TEST(Expression, WritesFloatsThatReadBack) {
  EXPECT_EQ(result_of("F0.1\n."), "0.1");
  EXPECT_EQ(result_of("F1e100\n."), "1e+100");
  EXPECT_EQ(result_of("F3\n."), "3.0");
  EXPECT_EQ(result_of("Finf\n."), "float('inf')");
  EXPECT_EQ(result_of("G" + from_hex("7ff8000000000000") + "."), "float('nan')");
}

TEST(Expression, WritesContainers) {
  EXPECT_EQ(result_of("}(" + text("k") + "]" + text("l") + ")" + text("m") + "}u."),
            "{'k': [], 'l': (), 'm': {}}");
  EXPECT_EQ(result_of("(\x91."), "frozenset([])");
  EXPECT_EQ(result_of("(((NtNt\x85(lt."), "((((None,), None),), [])");
}

TEST(Expression, CutsLongText) {
  const std::string stream = "X" + u32(1000) + std::string(1000, 'a') + ".";
  EXPECT_EQ(result_of(stream, 5), "'aaaaa'...");
  const std::string bytes = "B" + u32(1000) + std::string(1000, 'a') + ".";
  EXPECT_EQ(result_of(bytes, 5), "b'aaaaa'...");
}

TEST(Expression, CutsLongLists) {
  const std::string list = "](" + repeat("N", 1000) + "e.";
  EXPECT_THAT(result_of(list, 30), StartsWith("[None, None, "));
  EXPECT_THAT(result_of(list, 30), EndsWith("..."));
}

// At most about the length that was asked for: a little more to finish a word.
TEST(Expression, StaysNearTheLength) {
  std::string stream = "(";
  for (int i = 0; i < 5; ++i) {
    stream += text(std::string(20, 'x')) + global("module.name", "attribute") + ")R" +
              global("a", "b") + "N\x85}\x92]" + small(1) + "a}NNsPpersistent\n\x82" + u8(7) +
              "\x97" + "L99999999999999999999999\n" + short_bytes(std::string(30, '\0'));
  }
  stream += "t.";
  const auto run = pickle::run(as_bytes(stream));
  ASSERT_EQ(run.end, End::kStop) << run.error.what;
  for (std::size_t length = 0; length < 400; ++length) {
    ASSERT_LE(expression(run.graph, run.result, length).size(), length + 100) << length;
    for (const Event& event : run.events) {
      ASSERT_LE(statement(run.graph, event, length).size(), 2 * length + 120) << length;
    }
  }
}

// A chain of calls has no text before its innermost one: it is not looked for at any cost, or a
// file of 20,000 calls takes a minute to report on.
TEST(Expression, LooksAtNoMoreValuesThanItMayWriteCharacters) {
  EXPECT_EQ(result_of(global("a", "b") + repeat(")R", 3) + "."), "a.b()()()");
  EXPECT_THAT(result_of(global("a", "b") + repeat(")R", 1000) + "."), StartsWith("...()()"));
}

TEST(Expression, ShowsSharedObjectsEachTime) {
  EXPECT_EQ(result_of("]" + binput(0) + binget(0) + binget(0) + "\x87."), "([], [], [])");
}

TEST(Expression, EndsCycles) {
  EXPECT_EQ(result_of("]2a."), "[...]");
  EXPECT_EQ(result_of("}" + binput(0) + text("self") + binget(0) + "s."), "{'self': ...}");
  // Two lists in each other.
  EXPECT_EQ(result_of("]" + binput(0) + "]" + binput(1) + binget(0) + "aa."), "[[...]]");
}

TEST(Statement, SaysWhatHappens) {
  const auto last = [](const std::string& stream) { return statements(stream).back(); };
  EXPECT_EQ(last(global("a.b", "c") + "."), "from a.b import c");
  EXPECT_EQ(last(global("a", "b") + ")R."), "a.b()");
  EXPECT_EQ(last(global("a", "b") + ")R}b."), "a.b().__setstate__({})");
  EXPECT_EQ(last(global("a", "b") + ")RNa."), "a.b().append(None)");
  EXPECT_EQ(last(global("a", "b") + ")RNNs."), "a.b()[None] = None");
  EXPECT_EQ(last(global("a", "b") + ")R(N\x90."), "a.b().update((None,))");
  EXPECT_EQ(last("Pid\n."), "persistent_load('id')");
  EXPECT_EQ(last("\x82" + u8(1) + "."), "copyreg._inverted_registry[1]");
  EXPECT_EQ(last("\x97."), "next(buffers)");
}

TEST(KindNames, AreWhatPythonCallsThem) {
  EXPECT_EQ(kind_name(Kind::kBigInt), "int");
  EXPECT_EQ(kind_name(Kind::kPy2String), "str");
  EXPECT_EQ(kind_name(Kind::kFrozenSet), "frozenset");
  for (int kind = 0; kind <= static_cast<int>(Kind::kBuffer); ++kind) {
    EXPECT_NE(kind_name(static_cast<Kind>(kind)), "?");
  }
}

}  // namespace
}  // namespace tare::pickle
