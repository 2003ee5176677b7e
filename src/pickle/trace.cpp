#include "tare/pickle_trace.hpp"

#include <bit>
#include <string>
#include <vector>

#include "pickle/argument.hpp"
#include "pickle/escape.hpp"
#include "pickle/observer.hpp"
#include "pickle/stacked.hpp"

namespace tare::pickle {
namespace {

constexpr std::size_t kMaxValue = 60;       // characters of one value
constexpr std::size_t kMaxValues = 100;     // of several
constexpr std::size_t kMaxStatement = 200;  // of a statement
constexpr std::size_t kFlushLength = std::size_t{1} << 16;
constexpr std::size_t kOffsetWidth = 8;

// Writes the steps of one stream after the other.
class Tracer : public StepObserver {
 public:
  explicit Tracer(const TraceSink& sink) : sink_(sink) {}

  void begin(ByteSpan stream, std::uint64_t base) {
    stream_ = stream;
    base_ = base;
  }
  void before(std::uint8_t byte, std::uint64_t offset, const MachineView& view) override;
  bool after(std::uint64_t next, const MachineView& view) override;
  void end(const Run& run);
  void comment(std::string_view text) { out_.append("# ").append(text).append("\n"); }
  bool flush();

 private:
  std::size_t pop_count(const MachineView& view) const;
  void write_opcode(const MachineView& view, std::uint64_t next);
  void write_argument(const Instruction& instruction);
  void write_stack(const MachineView& view);
  void write_memo(const MachineView& view);
  void write_effects(const MachineView& view);
  void write_values(const char* label, bool with_mark, std::span<const Value> values,
                    const Graph& graph);
  void begin_detail(const char* label);

  const TraceSink& sink_;
  std::string out_;
  ByteSpan stream_;
  std::uint64_t base_ = 0;

  // The opcode that is being executed, and the state before it.
  const OpcodeInfo* info_ = nullptr;
  std::uint64_t offset_ = 0;
  std::vector<Value> popped_;
  std::size_t stack_below_ = 0;  // values that it does not touch
  std::size_t mark_count_ = 0;
  std::size_t event_count_ = 0;
  std::size_t oddity_count_ = 0;
  std::optional<std::uint64_t> number_;  // its argument, if that is an integer of fixed size
  std::string line_;                     // if that is a line
  bool refused_ = false;
};

// How many values the opcode takes, as far as there are that many.
std::size_t Tracer::pop_count(const MachineView& view) const {
  const std::size_t fence = view.marks.empty() ? 0 : view.marks.back();
  const std::size_t reachable = view.stack.size() - fence;
  if (info_ == nullptr) return 0;
  switch (info_->pops) {
    case kToMark:
      return view.marks.empty() ? 0 : reachable;
    case kMarkAndOne:
      return view.marks.empty() ? 0 : std::min(reachable + 1, view.stack.size());
    default:
      return std::min<std::size_t>(static_cast<std::size_t>(info_->pops), reachable);
  }
}

void Tracer::before(std::uint8_t byte, std::uint64_t offset, const MachineView& view) {
  info_ = opcode_info(byte);
  offset_ = offset;
  stack_below_ = view.stack.size() - pop_count(view);
  const auto popped = view.stack.subspan(stack_below_);
  popped_.assign(popped.begin(), popped.end());
  mark_count_ = view.marks.size();
  event_count_ = view.run.events.size();
  oddity_count_ = view.run.oddities.size();
}

bool Tracer::after(std::uint64_t next, const MachineView& view) {
  write_opcode(view, next);
  // What an opcode that breaks the run has taken is no matter.
  if (view.run.error.what[0] == '\0') {
    write_stack(view);
    write_memo(view);
  }
  write_effects(view);
  return out_.size() < kFlushLength || flush();
}

void Tracer::write_opcode(const MachineView& view, std::uint64_t next) {
  const std::string offset = std::to_string(base_ + offset_);
  if (offset.size() < kOffsetWidth) out_.append(kOffsetWidth - offset.size(), ' ');
  out_.append(offset).append(": ");
  out_ += info_ != nullptr ? info_->name : "?";
  number_.reset();
  line_.clear();
  const auto instruction = decode(stream_, offset_);
  // Behind the end of a frame the argument may stand elsewhere.
  if (instruction && instruction->next == next) {
    write_argument(*instruction);
  }
  if (info_ != nullptr && info_->pops == 0 && info_->pushes == 1 && number_ == std::nullopt &&
      line_.empty() && info_->argument != Argument::kNone && view.stack.size() > stack_below_) {
    out_ += ' ';
    out_ += expression(view.run.graph, view.stack.back(), kMaxValue);
  }
  out_ += '\n';
}

// Arguments that are no text: those are shown as the value that they make.
void Tracer::write_argument(const Instruction& instruction) {
  switch (instruction.info->argument) {
    case Argument::kUint1:
    case Argument::kUint2:
    case Argument::kUint4:
    case Argument::kUint8:
    case Argument::kInt4:
      number_ = instruction.number;
      out_ += ' ';
      out_ += std::to_string(instruction.signed_number());
      break;
    case Argument::kDecimalLine:
    case Argument::kDecimalLineLong:
    case Argument::kFloatLine:
    case Argument::kLine:
    case Argument::kTwoLines:
      line_ =
          as_text(instruction.argument.first(std::min(instruction.argument.size(), kMaxValues)));
      std::ranges::replace(line_, '\n', ' ');
      out_ += ' ';
      append_printable(out_, line_, kMaxValues);
      break;
    default:
      break;
  }
}

void Tracer::begin_detail(const char* label) {
  out_.append(kOffsetWidth + 6, ' ');
  out_ += label;
}

void Tracer::write_values(const char* label, bool with_mark, std::span<const Value> values,
                          const Graph& graph) {
  if (!with_mark && values.empty()) return;
  begin_detail(label);
  const std::size_t limit = out_.size() + kMaxValues;
  const char* separator = "";
  if (with_mark) {
    out_ += "MARK";
    separator = ", ";
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    out_ += separator;
    separator = ", ";
    if (out_.size() > limit) {
      out_ += "... (" + std::to_string(values.size()) + " values)";
      break;
    }
    out_ += expression(graph, values[i], kMaxValue);
  }
  out_ += '\n';
}

void Tracer::write_stack(const MachineView& view) {
  std::span<const Value> popped = popped_;
  std::span<const Value> pushed;
  if (view.stack.size() > stack_below_) pushed = view.stack.subspan(stack_below_);
  // POP takes a mark if one is on top: then no value.
  if (view.marks.size() < mark_count_ && info_->op == Op::kPop) pushed = popped = {};
  // An object that is changed stays where it is.
  if (!popped.empty() && !pushed.empty() && popped.front() == pushed.front()) {
    popped = popped.subspan(1);
    pushed = pushed.subspan(1);
  }
  write_values("Popped   ", view.marks.size() < mark_count_, popped, view.run.graph);
  write_values("Pushed   ", view.marks.size() > mark_count_, pushed, view.run.graph);
}

void Tracer::write_memo(const MachineView& view) {
  std::string index;
  switch (info_->op) {
    case Op::kMemoize:
      index = std::to_string(view.memo_size - 1);
      break;
    case Op::kBinPut:
    case Op::kLongBinPut:
      if (number_) index = std::to_string(*number_);
      break;
    case Op::kPut:
      append_printable(index, line_, kMaxValues);
      break;
    default:
      return;
  }
  begin_detail("Memoized ");
  out_.append(index).append(": ");
  out_ += expression(view.run.graph, view.stack.back(), kMaxValue);
  out_ += '\n';
}

void Tracer::write_effects(const MachineView& view) {
  const Run& run = view.run;
  for (std::size_t i = event_count_; i < run.events.size(); ++i) {
    begin_detail(">>>      ");
    out_ += statement(run.graph, run.events[i], kMaxStatement);
    out_ += '\n';
  }
  if (run.end == End::kStop) {
    begin_detail(">>>      ");
    out_ += "result = " + expression(run.graph, run.result, kMaxStatement) + "\n";
  }
  for (std::size_t i = oddity_count_; i < run.oddities.size(); ++i) {
    begin_detail("#        ");
    out_ += oddity_text(run.oddities[i].kind);
    out_ += '\n';
  }
}

void Tracer::end(const Run& run) {
  if (refused_ || run.end == End::kStop) return;
  comment("the stream breaks here: " + std::string(run.error.what) + " (at byte " +
          std::to_string(base_ + run.end_offset) + ")");
}

bool Tracer::flush() {
  if (!refused_ && !out_.empty()) refused_ = !sink_(out_);
  out_.clear();
  return !refused_;
}

bool crosses_frame(const Run& run) {
  return std::ranges::any_of(run.oddities, [](const Oddity& oddity) {
    return oddity.kind == OddityKind::kFrameCrossed || oddity.kind == OddityKind::kFrameOverlap;
  });
}

// Both readings of one stream; returns that of pickle.loads.
Run trace_one(ByteSpan stream, std::uint64_t base, Tracer& tracer) {
  tracer.begin(stream, base);
  Run run = run_observed(stream, {}, Crossing::kReadsOn, tracer);
  tracer.end(run);
  if (crosses_frame(run)) {
    tracer.comment("an argument crosses a frame: from a file object, some unpicklers read");
    tracer.end(run_observed(stream, {}, Crossing::kDropsRest, tracer));
  }
  return run;
}

}  // namespace

TraceResult trace(ByteSpan stream, const TraceSink& sink) {
  TraceResult result;
  Tracer tracer(sink);
  std::uint64_t base = 0;
  for (;;) {
    const Run run = trace_one(stream.subspan(base), base, tracer);
    if (!tracer.flush()) break;
    if (run.end != End::kStop) {
      result.broken = run.error;
      result.broken->offset = base + run.end_offset;
      break;
    }
    ++result.pickle_count;
    base += run.end_offset;
    const ByteSpan rest = stream.subspan(base);
    if (rest.empty()) break;
    if (!is_pickle(pickle::run(rest), rest)) {
      result.trailing_bytes = rest.size();
      tracer.comment(std::to_string(rest.size()) + " bytes that are no pickle follow (at byte " +
                     std::to_string(base) + ")");
      break;
    }
    tracer.comment("another pickle");
  }
  result.cancelled = !tracer.flush();
  return result;
}

}  // namespace tare::pickle
