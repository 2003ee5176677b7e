// The short cut of the pickle machine: the frequent opcodes in their plain form, with the machine's
// state in registers. Whatever is not plain (an argument that reaches past the frame, a container
// that is no container, an opcode that calls) is left to the machine's full step, which is the one
// place that knows every case; tests/unit/machine_fast_test.cpp holds the two against each other.
#pragma once

#include "pickle/builder.hpp"
#include "pickle/memo.hpp"

namespace tare::pickle {

inline bool is_unhashable(Kind kind) {
  return kind == Kind::kList || kind == Kind::kDict || kind == Kind::kSet ||
         kind == Kind::kByteArray;
}

// The part of a machine that plain opcodes change.
struct PlainState {
  detail::PodVector<Value>& stack;
  detail::PodVector<std::size_t>& marks;  // by height of the stack, the topmost last
  Memo& memo;
  Builder& build;
};

struct PlainProgress {
  std::uint64_t offset = 0;  // of the first opcode that was not taken
  std::uint64_t opcode_count = 0;
};

// Takes plain opcodes from `offset` of `stream` on: at most `max_opcodes`, one more if that splits
// a pair, and never more than a few thousand, so that the caller looks at its budgets from time to
// time. No argument reaches past the end of `stream`: pass it up to the end of the frame.
PlainProgress run_plain(ByteSpan stream, std::uint64_t offset, std::uint64_t max_opcodes,
                        const PlainState& state);

}  // namespace tare::pickle
