// The machine has a short cut for plain opcodes: with it and without it, the same stream must come
// to the same graph, events and end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/pickle_bytes.hpp"
#include "support/tensors.hpp"

namespace tare::pickle {
namespace {

using namespace test;

// Everything about a run, as text.
std::string described(std::string_view stream, bool fast, std::uint64_t max_nodes) {
  Limits limits;
  limits.fast = fast;
  limits.max_nodes = max_nodes;
  const auto run = pickle::run(as_bytes(stream), limits);
  std::string out = std::to_string(static_cast<int>(run.end)) + ' ' + run.error.what + ' ' +
                    std::to_string(run.end_offset) + ' ' + std::to_string(run.opcode_count) + ' ' +
                    std::to_string(run.protocol) + '\n';
  for (const Event& event : run.events) {
    out += std::to_string(event.offset) + ' ' + statement(run.graph, event, 500) + '\n';
  }
  for (const Oddity& oddity : run.oddities) {
    out += std::to_string(oddity.offset) + ' ' + oddity_text(oddity.kind) + '\n';
  }
  if (run.end == End::kStop) out += expression(run.graph, run.result, 5000);
  return out;
}

// An opcode with an argument that fits, most of the time one that pushes something.
std::string random_opcode(Random& random) {
  const auto number = [&](std::uint64_t highest) { return up_to(random, highest); };
  switch (number(45)) {
    case 0:
      return "N";
    case 1:
      return "\x88";
    case 2:
      return small(static_cast<unsigned>(number(255)));
    case 3:
      return "M" + u16(number(65535));
    case 4:
      return "J" + random_bytes(random, 4);
    case 5:
      return "G" + random_bytes(random, 8);
    case 6:
      return text(std::string(number(5), 'a'));
    case 7:
      return text("\xC3\xA9");
    case 8:
      return long_text(std::string(number(300), 'b'));
    case 9:
      return short_bytes(random_bytes(random, number(5)));
    case 10:
      return "]";
    case 11:
      return "}";
    case 12:
      return ")";
    case 13:
      return "\x8f";
    case 14:
    case 15:
      return "(";
    case 16:
      return "a";
    case 17:
      return "e";
    case 18:
      return "s";
    case 19:
      return "u";
    case 20:
      return "\x85";
    case 21:
      return "\x86";
    case 22:
      return "\x87";
    case 23:
      return "t";
    case 24:
      return "l";
    case 25:
      return "\x94";
    case 26:
      return binput(static_cast<unsigned>(number(6)));
    case 27:
      return "r" + u32(number(300));
    case 28:
      return binget(static_cast<unsigned>(number(6)));
    case 29:
      return "j" + u32(number(6));
    case 30:
      return "2";
    case 31:
      return "0";
    case 32:
      return global("m", "f");
    case 33:
      return global("m", "f") + ")R";
    case 34:
      return "\x90";
    case 35:
      return "b";
    case 36:
      return frame(number(40));
    case 37:
      return "\x96" + u64(number(3)) + "xyz";
    case 38:
      return "I" + std::to_string(number(1000)) + "\n";
    case 39:
      return "](" + small(1) + small(2) + "e";
    case 40:
      return "}" + text("k") + "Ns";
    case 41:
      return "}(" + text("k") + "N" + text("l") + "]u";
    case 42:
      return "Vtext\n";
    case 43:
      return "1";
    case 44:
      return "Q";
    default:
      return random_bytes(random, 1);
  }
}

TEST(MachineFast, AgreesWithThePlainMachine) {
  Random random(2024);
  std::size_t finished = 0;
  for (int round = 0; round < 6000; ++round) {
    std::string stream = round % 3 == 0 ? proto(4) : "";
    for (std::uint64_t left = up_to(random, 20); left > 0; --left) stream += random_opcode(random);
    stream += 'N';
    if (round % 5 != 0) stream += '.';
    const std::uint64_t budget = round % 7 == 0 ? up_to(random, 12) : 1'000'000;
    const std::string plain = described(stream, false, budget);
    ASSERT_EQ(described(stream, true, budget), plain) << "round " << round;
    finished += plain.starts_with('0') ? 1 : 0;
  }
  EXPECT_GT(finished, 500U);  // enough of them get to their end
}

TEST(MachineFast, AgreesOnEveryPrefix) {
  const std::string stream = proto(4) + frame(60) + "}(" + text("key") + "\x94](" + small(1) + "M" +
                             u16(300) + "J" + u32(70'000) + "e" + long_text("text") + "\x94G" +
                             u64(0) + "\x86Nu" + text("k") + short_bytes("b") + "s" + binput(9) +
                             "0" + binget(9) + "j" + u32(0) + "\x86\x85.";
  ASSERT_TRUE(described(stream, true, 1000).starts_with('0')) << described(stream, true, 1000);
  for (std::size_t length = 0; length <= stream.size(); ++length) {
    const std::string cut(stream.data(), length);
    EXPECT_EQ(described(cut, true, 1000), described(cut, false, 1000)) << length;
  }
}

}  // namespace
}  // namespace tare::pickle
