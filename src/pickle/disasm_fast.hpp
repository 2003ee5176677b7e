// The short cut of a disassembly: lines of instructions that hold no surprise (no text to escape,
// nothing to complain of, no frame that ends inside), several times as fast as the general way.
// Whatever it does not take, it leaves; leaving out the short cut altogether changes no text.
#pragma once

#include <array>
#include <memory>

#include "pickle/argument.hpp"
#include "pickle/disasm_state.hpp"
#include "pickle/text_sink.hpp"

namespace tare::pickle {

class FastLines {
 public:
  FastLines(ByteSpan stream, TextSink& out, DisasmState& state);

  // Writes lines from `at` on, and returns the offset of the first instruction that it leaves.
  std::uint64_t run(std::uint64_t at);

  // Adds the protocols of the opcodes written so far to the state. run() leaves that to its caller.
  void note_protocols();

  // How an instruction is written.
  enum class Way : std::uint8_t {
    kLeave,  // not here
    kPlain,  // no argument
    kSmallInteger,
    kInt4,
    kFloat,
    kText1,  // UTF-8 after a length of 1 byte
    kText4,  // of 4 bytes
    kPut1,
    kPut4,
    kGet1,
    kGet4,
    kMemoize,
    kMark,
    kCloseMark,
  };

  // The part of a line between its offset and its argument, for one opcode and one level of marks,
  // and what is to be known of the opcode.
  struct alignas(64) Template {
    static constexpr std::size_t kNarrow = 48;  // most texts are not longer
    char text[124];
    std::uint8_t length;
    Way way;
    std::uint8_t pops;   // values, besides a mark and what is above it
    std::int8_t change;  // values pushed less pops; a mark is none
  };
  // By the byte of the opcode.
  using Row = std::array<Template, 256>;

  // Lines that are indented by more marks are left.
  static constexpr std::size_t kMaxLevel = 24;

 private:
  std::uint64_t step(std::uint64_t base, std::uint64_t at, std::uint64_t end, std::uint64_t limit);
  bool reach_level();

  ByteSpan stream_;
  TextSink& out_;
  DisasmState& state_;
  // By level, once that is reached.
  std::array<std::unique_ptr<Row>, kMaxLevel + 1> rows_;
  std::array<const Template*, kMaxLevel + 1> templates_{};
  std::array<bool, 256> seen_{};  // opcodes
};

}  // namespace tare::pickle
