// The disassembler as a library: pieces, results, and that its short cut changes nothing. What the
// text is to be is tested against pickletools (tests/cli/test_disasm.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "support/pickle_bytes.hpp"
#include "tare/pickle_disasm.hpp"

namespace tare::pickle {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct Disassembly {
  std::string text;
  DisasmResult result;
  std::size_t longest_piece = 0;
};

Disassembly disassembly(std::string_view stream, bool notes = false) {
  Disassembly out;
  out.result = disassemble(as_bytes(stream), {.notes = notes}, [&out](std::string_view piece) {
    out.text += piece;
    out.longest_piece = std::max(out.longest_piece, piece.size());
    return true;
  });
  return out;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t start = 0; start < text.size();) {
    const auto end = text.find('\n', start);
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

TEST(Disasm, WritesTheTextOfPickletools) {
  const auto out = disassembly(proto(4) + "](K\x01" + text("a") + "\x94" + "e.");
  EXPECT_EQ(out.text,
            "    0: \\x80 PROTO      4\n"
            "    2: ]    EMPTY_LIST\n"
            "    3: (    MARK\n"
            "    4: K        BININT1    1\n"
            "    6: \\x8c     SHORT_BINUNICODE 'a'\n"
            "    9: \\x94     MEMOIZE    (as 0)\n"
            "   10: e        APPENDS    (MARK at 3)\n"
            "   11: .    STOP\n"
            "highest protocol among opcodes = 4\n");
  EXPECT_FALSE(out.result.broken);
  EXPECT_EQ(out.result.pickle_count, 1);
}

TEST(Disasm, TellsTheFirstBreak) {
  const auto out = disassembly("N0t.N\xFF");
  ASSERT_TRUE(out.result.broken);
  EXPECT_EQ(out.result.broken->offset, 2);
  EXPECT_STREQ(out.result.broken->what, "a mark is needed and there is none");
  EXPECT_EQ(out.result.pickle_count, 1);
}

TEST(Disasm, TakesNothingForBroken) {
  const auto out = disassembly("");
  ASSERT_TRUE(out.result.broken);
  EXPECT_EQ(out.result.broken->code, ErrorCode::kTruncated);
  EXPECT_THAT(out.text, StartsWith("# pickletools stops here: pickle exhausted"));
}

TEST(Disasm, CountsStackedPickles) {
  EXPECT_EQ(disassembly("N.N.N.").result.pickle_count, 3);
}

TEST(Disasm, EndsWhenTheSinkRefuses) {
  const std::string stream = repeat("N0", 1'000'000) + "N.";
  int calls = 0;
  const auto result = disassemble(as_bytes(stream), {}, [&calls](std::string_view) {
    ++calls;
    return false;
  });
  EXPECT_TRUE(result.cancelled);
  EXPECT_EQ(calls, 1);
}

TEST(Disasm, HandsOnLongArgumentsInPieces) {
  const std::string bytes(5'000'000, '\xFF');
  const auto out = disassembly("B" + u32(bytes.size()) + bytes +
                               long_text(std::string(3'000'000, 'x')) + "\x86.");
  EXPECT_LT(out.longest_piece, 1'000'000U);
  EXPECT_GT(out.text.size(), 4 * bytes.size() + 3'000'000);
  EXPECT_FALSE(out.result.broken);
}

TEST(Disasm, KeepsIntegersWithinTheLimitOfPython) {
  EXPECT_THAT(disassembly("\x8b" + u32(1785) + std::string(1785, '\x7f') + ".").text,
              Not(HasSubstr("0x")));
  EXPECT_THAT(disassembly("\x8b" + u32(1900) + std::string(1900, '\x7f') + ".").text,
              HasSubstr("LONG4      0x7f7f"));
  EXPECT_THAT(disassembly("\x8b" + u32(100000) + "\x05" + std::string(99999, '\0') + ".").text,
              HasSubstr("LONG4      5\n"));
}

TEST(Disasm, DoesNotIndentWithoutEnd) {
  const auto out = disassembly(repeat("(", 3000) + "N" + repeat("t", 3000) + ".");
  EXPECT_THAT(out.text, HasSubstr("# more than 1024 marks are open"));
  for (const std::string& line : lines_of(out.text)) EXPECT_LT(line.size(), 5000U);
}

// With notes, every line is written in the general way; without, most are not. What the short cut
// writes must be how the other lines begin.
class ShortCut : public testing::TestWithParam<int> {};

std::string random_instruction(std::mt19937& random) {
  const auto below = [&random](unsigned n) { return static_cast<unsigned>(random() % n); };
  const auto word = [&below] {
    static const std::string kWords[] = {"",
                                         "a",
                                         "it's",
                                         "tab\t",
                                         "caf\xc3\xa9",
                                         "back\\slash",
                                         "exactly8",
                                         "sixteen letters!",
                                         "a \" quote"};
    return kWords[below(std::size(kWords))];
  };
  switch (below(14)) {
    case 0:
      return small(below(256)) + small(below(256)) + small(below(256));
    case 1:
      return "M" + u16(random());
    case 2:
      return "J" + u32(random());
    case 3:
      return "G" + u64(random() * std::uint64_t{random()});
    case 4:
      return text(word());
    case 5:
      return long_text(word());
    case 6:
      return binput(below(200));
    case 7:
      return "r" + u32(below(100000));
    case 8:
      return binget(below(200));
    case 9:
      return "j" + u32(below(100000));
    case 10:
      return "I" + std::to_string(below(1000)) + "\n";
    case 11:
      return frame(below(300));
    default: {
      static const std::string kPlain =
          "N)]}((((0tlde\x94\x94\x94\x85\x86\x87\x88su\x8f\x90\x91"
          "2Q";
      return {kPlain[below(static_cast<unsigned>(kPlain.size()))]};
    }
  }
}

TEST_P(ShortCut, ChangesNoText) {
  std::mt19937 random(static_cast<unsigned>(GetParam()));
  std::string stream;
  for (int i = 0; i < 3000; ++i) stream += random_instruction(random);
  stream += ".";
  const auto plain = disassembly(stream);
  const auto general = disassembly(stream, true);
  const auto plain_lines = lines_of(plain.text);
  const auto general_lines = lines_of(general.text);
  ASSERT_EQ(plain_lines.size(), general_lines.size());
  for (std::size_t i = 0; i < plain_lines.size(); ++i) {
    ASSERT_THAT(general_lines[i], StartsWith(plain_lines[i])) << "line " << i;
  }
  EXPECT_EQ(plain.result.pickle_count, general.result.pickle_count);
  EXPECT_EQ(plain.result.broken.has_value(), general.result.broken.has_value());
}

INSTANTIATE_TEST_SUITE_P(Disasm, ShortCut, testing::Range(0, 40));

}  // namespace
}  // namespace tare::pickle
