// A look at the pickle machine before and after each opcode, for readers that follow a run step by
// step. Internal to the pickle readers.
#pragma once

#include <span>

#include "pickle/framed_cursor.hpp"
#include "tare/pickle.hpp"

namespace tare::pickle {

// The state of the machine between two opcodes. Valid until the next one.
struct MachineView {
  const Run& run;  // what there is so far
  std::span<const Value> stack;
  std::span<const std::size_t> marks;  // heights of the stack
  std::uint64_t memo_size;
};

class StepObserver {
 public:
  virtual ~StepObserver() = default;
  // `byte` at `offset` is about to be executed; it need not be an opcode.
  virtual void before(std::uint8_t byte, std::uint64_t offset, const MachineView& view) = 0;
  // It was, with an argument up to `next`, or it broke the run. False ends the run here.
  virtual bool after(std::uint64_t next, const MachineView& view) = 0;
};

// As run(), with an observer and for one of the two readings.
Run run_observed(ByteSpan stream, const Limits& limits, Crossing crossing, StepObserver& observer);

}  // namespace tare::pickle
