// Instructions told apart: where each ends, what its argument is, and what cannot be told.
#include "pickle/argument.hpp"

#include <gtest/gtest.h>

#include "support/pickle_bytes.hpp"

namespace tare::pickle {
namespace {

using namespace std::string_literals;
using namespace test;

struct Sample {
  std::string stream;
  std::string argument;
  std::uint64_t number = 0;
};

// One for each kind of argument.
std::vector<Sample> samples() {
  return {
      {"N", ""},
      {"K" + u8(255), "", 255},
      {"M" + u16(0xFFFE), "", 0xFFFE},
      {"r" + u32(0xFFFFFFFF), "", 0xFFFFFFFF},
      {frame(INT64_MAX), "", INT64_MAX},
      {"J" + u32(0xFFFFFFFF), "", UINT64_MAX},
      {"G\x3f\xf8\0\0\0\0\0\0"s, "", 0x3FF8000000000000},
      {"\x8a" + u8(2) + "\x80\0"s, "\x80\0"s},
      {"\x8b" + u32(1) + "\x7f", "\x7f"},
      {short_bytes("a\n"), "a\n"},
      {"B" + u32(1) + "b", "b"},
      {"T" + u32(1) + "t", "t"},
      {"\x8e" + u64(1) + "B", "B"},
      {text("u"), "u"},
      {long_text("uu"), "uu"},
      {"\x8d" + u64(3) + "uuu", "uuu"},
      {"I12\n", "12"},
      {"L12L\n", "12L"},
      {"F1.5\n", "1.5"},
      {"S'a'\n", "'a'"},
      {"Va\\n\n", "a\\n"},
      {"Pid\n", "id"},
      {global("os", "system"), "os\nsystem"},
  };
}

TEST(Decode, FindsTheArgumentAndTheEnd) {
  for (const Sample& sample : samples()) {
    const std::string stream = "NN" + sample.stream + ".";
    const auto instruction = decode(as_bytes(stream), 2);
    ASSERT_TRUE(instruction) << sample.stream;
    EXPECT_EQ(static_cast<char>(instruction->info->op), sample.stream.front());
    EXPECT_EQ(as_text(instruction->argument), sample.argument);
    EXPECT_EQ(instruction->number, sample.number) << sample.stream;
    EXPECT_EQ(instruction->offset, 2);
    EXPECT_EQ(instruction->next, stream.size() - 1);
  }
}

TEST(Decode, RefusesEveryCut) {
  for (const Sample& sample : samples()) {
    for (std::size_t length = 1; length < sample.stream.size(); ++length) {
      const auto instruction = decode(as_bytes(sample.stream).first(length), 0);
      ASSERT_FALSE(instruction) << sample.stream << " cut to " << length;
      EXPECT_EQ(instruction.error().code, ErrorCode::kTruncated);
      EXPECT_EQ(instruction.error().offset, 0);
    }
  }
}

TEST(Decode, RefusesTheEndAndBytesThatAreNoOpcode) {
  EXPECT_EQ(decode(as_bytes("N"), 1).error().code, ErrorCode::kTruncated);
  EXPECT_EQ(decode(as_bytes("N"), 1).error().offset, 1);
  EXPECT_EQ(decode(as_bytes("N"), 100).error().code, ErrorCode::kTruncated);
  EXPECT_EQ(decode({}, 0).error().code, ErrorCode::kTruncated);
  EXPECT_EQ(decode(as_bytes("N\xFF"), 1).error().code, ErrorCode::kMalformed);
}

TEST(Decode, RefusesNegativeLengths) {
  EXPECT_EQ(decode(as_bytes("T" + u32(0x80000000)), 0).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(decode(as_bytes("\x8b" + u32(0xFFFFFFFF)), 0).error().code, ErrorCode::kMalformed);
  // As unsigned lengths these are merely too long.
  EXPECT_EQ(decode(as_bytes("B" + u32(0x80000000)), 0).error().code, ErrorCode::kTruncated);
  EXPECT_EQ(decode(as_bytes("\x8e" + u64(UINT64_MAX)), 0).error().code, ErrorCode::kTruncated);
}

TEST(OpcodeInfo, KnowsTheBytesThatTheMachineKnows) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const OpcodeInfo* info = opcode_info(static_cast<std::uint8_t>(byte));
    const auto name = op_name(static_cast<Op>(byte));
    EXPECT_EQ(info == nullptr, name == "?") << byte;
    if (info != nullptr) {
      EXPECT_EQ(info->name, name);
      EXPECT_EQ(static_cast<unsigned>(info->op), byte);
      EXPECT_FALSE(info->note.empty());
    }
  }
}

// The machine has a decoding of its own; both must agree on where an instruction ends.
TEST(Decode, AgreesWithTheMachine) {
  for (const Sample& sample : samples()) {
    // Values enough for whatever the opcode takes; then STOP.
    const std::string stream = "(NN" + sample.stream + "N.";
    const auto run = pickle::run(as_bytes(stream));
    EXPECT_EQ(run.end, End::kStop) << sample.stream;
    EXPECT_EQ(run.end_offset, stream.size()) << sample.stream;
    EXPECT_EQ(decode(as_bytes(stream), 3)->next, stream.size() - 2);
  }
}

}  // namespace
}  // namespace tare::pickle
