// Disassembly. The layout of lines and the checks are those of pickletools of CPython 3.11.
#include <bit>

#include "pickle/disasm_fast.hpp"
#include "pickle/python_repr.hpp"
#include "pickle/reading.hpp"
#include "tare/pickle_disasm.hpp"

namespace tare::pickle {
namespace {

// No pickler nests deeper under Python's own limit on recursion.
constexpr std::uint64_t kMaxIndentedMarks = 1024;
// Budgets for what a hostile stream may make this remember: a mark takes 16 bytes, a memo key that
// no pickler would reach about 80.
constexpr std::size_t kMaxMarks = std::size_t{1} << 26;
constexpr std::size_t kMaxSparseKeys = std::size_t{1} << 23;
constexpr std::size_t kNameWidth = 10;
// Where notes begin; they follow the longest line before them, up to a column.
constexpr std::uint64_t kNoteColumn = 30;
constexpr std::uint64_t kMaxNoteColumn = 50;
constexpr std::uint8_t kHighestProtocol = 5;

// What an instruction does to stack and memo, as far as its line and what follows it tell.
struct Effect {
  std::string complaint;  // of pickletools, after the line
  const char* broken = nullptr;
  std::optional<std::uint64_t> closed_mark;
  bool misses_mark = false;
  std::optional<std::uint64_t> memo_index;  // MEMOIZE

  void complain(std::string text) {
    if (complaint.empty()) complaint = std::move(text);
  }
};

bool is_memo_put(Op op) {
  return op == Op::kPut || op == Op::kBinPut || op == Op::kLongBinPut || op == Op::kMemoize;
}
bool is_memo_get(Op op) {
  return op == Op::kGet || op == Op::kBinGet || op == Op::kLongBinGet;
}

class Disassembler {
 public:
  Disassembler(ByteSpan stream, const DisasmOptions& options, const DisasmSink& sink)
      : stream_(stream),
        options_(options),
        out_(sink),
        state_(stream.size()),
        fast_(stream, out_, state_) {}

  DisasmResult execute();

 private:
  // False: there is no way to go on.
  bool pickle();
  bool instruction();
  bool undecodable(const Error& error);
  bool within_budget(std::uint64_t offset);
  void finish();

  // Notes: lines that pickletools does not print.
  void note(std::initializer_list<std::string_view> parts);
  void complain(std::string_view message);
  void broken(const char* why, std::uint64_t offset, ErrorCode code = ErrorCode::kMalformed);

  // What an instruction does.
  void apply(const Instruction& instruction);
  const char* stack_fault(const OpcodeInfo& info) const;
  const char* argument_fault(const Instruction& instruction) const;
  std::uint64_t take_mark(const OpcodeInfo& info);
  void use_memo(const Instruction& instruction);
  template <typename Key>
  void put(const Instruction& instruction, Key key);
  template <typename Key>
  void get(const Instruction& instruction, Key key);
  std::string shown_key(const Instruction& instruction) const;
  void remarks(const Instruction& instruction);
  void remark_on_frame(const Instruction& instruction);

  // Its line.
  void line(const Instruction& instruction, std::uint64_t level);
  void head(const OpcodeInfo& info, std::uint64_t level);
  void argument(const Instruction& instruction);
  void number(const Instruction& instruction);
  void mark_message();
  void opcode_note(const OpcodeInfo& info);

  ByteSpan stream_;
  const DisasmOptions& options_;
  TextSink out_;
  DisasmState state_;
  FastLines fast_;
  DisasmResult result_;
  Reading reading_;
  Effect effect_;
  std::uint64_t at_ = 0;
  std::uint64_t note_column_ = kNoteColumn;
  // In this pickle:
  bool stopped_ = false;  // pickletools has stopped
  bool is_broken_ = false;
  bool capped_ = false;  // lines are indented less than by pickletools
};

DisasmResult Disassembler::execute() {
  while (pickle() && at_ < stream_.size() && !out_.refused()) {
    note({"taken as another pickle: all from byte ", std::to_string(at_), " on"});
    state_.reset();
    note_column_ = kNoteColumn;
    stopped_ = is_broken_ = capped_ = false;
  }
  out_.flush();
  result_.cancelled = out_.refused();
  return result_;
}

bool Disassembler::pickle() {
  while (!out_.refused()) {
    if (!options_.notes) at_ = fast_.run(at_);
    const std::uint64_t offset = at_;
    if (!instruction()) return false;
    if (stream_[offset] == static_cast<std::byte>(Op::kStop)) {
      finish();
      return true;
    }
  }
  return false;
}

bool Disassembler::instruction() {
  const auto decoded = decode(stream_, at_);
  if (!decoded) return undecodable(decoded.error());
  read_argument(*decoded, reading_);
  if (!reading_.pickletools_fails.empty()) complain(reading_.pickletools_fails);
  const std::uint64_t level = state_.stack.open_marks();
  effect_ = {};
  apply(*decoded);
  line(*decoded, level);
  remarks(*decoded);
  at_ = decoded->next;
  return within_budget(decoded->offset);
}

bool Disassembler::within_budget(std::uint64_t offset) {
  if (state_.stack.open_marks() <= kMaxMarks && state_.memo.sparse_count() <= kMaxSparseKeys) {
    return true;
  }
  const char* const why = "the stream sets more marks or memo keys than the budget allows";
  note({"limit: ", why});
  if (!result_.broken) result_.broken = Error{ErrorCode::kLimit, 0, offset, why};
  return false;
}

bool Disassembler::undecodable(const Error& error) {
  complain(pickletools_message(stream_, error));
  const ByteSpan rest = stream_.subspan(error.offset);
  const OpcodeInfo* info =
      rest.empty() ? nullptr : opcode_info(std::to_integer<std::uint8_t>(rest.front()));
  if (info != nullptr && info->argument == Argument::kTwoLines) {
    const auto name = as_text(rest).find('\n');
    if (name != std::string_view::npos && rest.size() - name > 2) {
      note({"differs: ", oddity_text(OddityKind::kPickleCut)});
    }
  }
  broken(error.what, error.offset, error.code);
  if (!rest.empty()) note({"not shown: all from byte ", std::to_string(error.offset), " on"});
  return false;
}

// Behind STOP.
void Disassembler::finish() {
  ++result_.pickle_count;
  fast_.note_protocols();
  out_.append("highest protocol among opcodes = ");
  out_.append_number(static_cast<std::uint64_t>(std::bit_width(state_.protocols)) - 1);
  out_.append('\n');
  if (state_.stack.depth() > 0) {
    complain("stack not empty after STOP: " + std::to_string(state_.stack.depth()) + " left");
  }
}

// ---- notes

void Disassembler::note(std::initializer_list<std::string_view> parts) {
  out_.append("# ");
  for (const std::string_view part : parts) out_.append(part);
  out_.append('\n');
}

void Disassembler::complain(std::string_view message) {
  note({stopped_ ? "pickletools would stop here, too: " : "pickletools stops here: ", message});
  stopped_ = true;
}

// Said once for each pickle: what an unpickler would do behind the first break, none does.
void Disassembler::broken(const char* why, std::uint64_t offset, ErrorCode code) {
  if (!result_.broken) result_.broken = Error{code, 0, offset, why};
  if (!is_broken_) note({"broken: ", why, " at byte ", std::to_string(offset)});
  is_broken_ = true;
}

// ---- effects

void Disassembler::apply(const Instruction& instruction) {
  const OpcodeInfo& info = *instruction.info;
  StackShape& stack = state_.stack;
  effect_.broken = reading_.broken != nullptr ? reading_.broken : stack_fault(info);
  if (effect_.broken == nullptr) effect_.broken = argument_fault(instruction);
  const std::uint64_t pops = take_mark(info);
  use_memo(instruction);
  if (stack.depth() < pops) {
    effect_.complain("tries to pop " + std::to_string(pops) + " items from stack with only " +
                     std::to_string(stack.depth()) + " items");
  }
  stack.pop(pops);
  if (info.op == Op::kMark) {
    stack.push_mark(instruction.offset);
  } else {
    stack.push(static_cast<std::uint64_t>(info.pushes));
  }
  state_.protocols |= 1U << info.protocol;
}

// Why the stack makes every unpickler fail, if it does.
const char* Disassembler::stack_fault(const OpcodeInfo& info) const {
  const StackShape& stack = state_.stack;
  const char* const underflow = stack.mark_on_top() ? "a value is needed where the stack has a mark"
                                                    : "a value is needed and the stack is empty";
  if (info.op == Op::kPop && stack.mark_on_top()) return nullptr;
  if (info.pops >= 0) {
    const auto needed = std::max<std::int8_t>(info.pops, is_memo_put(info.op) ? 1 : 0);
    return stack.reachable() < static_cast<std::uint64_t>(needed) ? underflow : nullptr;
  }
  if (!stack.has_mark()) return "a mark is needed and there is none";
  if (info.op == Op::kObj && stack.reachable() == 0) return underflow;
  const bool nothing_below = stack.fence() - 1 == stack.fence(1);
  return info.pops == kMarkAndOne && nothing_below ? underflow : nullptr;
}

const char* Disassembler::argument_fault(const Instruction& instruction) const {
  switch (instruction.info->op) {
    case Op::kProto:
      return instruction.number > kHighestProtocol ? "a protocol above 5" : nullptr;
    case Op::kFrame:
      return instruction.number > INT64_MAX ? "a frame of negative length" : nullptr;
    case Op::kExt1:
    case Op::kExt2:
    case Op::kExt4:
      return instruction.signed_number() <= 0 ? "an extension code below 1" : nullptr;
    default:
      return nullptr;
  }
}

// Closes a mark if the instruction does, and returns how many values it takes besides.
std::uint64_t Disassembler::take_mark(const OpcodeInfo& info) {
  StackShape& stack = state_.stack;
  const bool pops_mark = info.op == Op::kPop && stack.mark_on_top();
  if (info.pops >= 0 && !pops_mark) return static_cast<std::uint64_t>(info.pops);
  const std::uint64_t below = info.pops == kMarkAndOne ? 1 : 0;
  if (stack.open_marks() == 0) {
    effect_.misses_mark = true;
    effect_.complain("no MARK exists on stack");
    return std::min(below, stack.depth());
  }
  std::uint64_t offset = 0;
  const bool found = stack.close_mark(offset);
  effect_.closed_mark = offset;
  // If the mark was taken for a value, pickletools looks for it until the stack is empty.
  if (!found) effect_.complain("list index out of range");
  return found ? below : 0;
}

void Disassembler::use_memo(const Instruction& instruction) {
  const Op op = instruction.info->op;
  if (op == Op::kMemoize) {
    effect_.memo_index = state_.memo.size();
    put(instruction, state_.memo.size());
  } else if (op == Op::kPut) {
    if (reading_.text.starts_with('-')) effect_.broken = "a negative memo index";
    if (reading_.form == Form::kAsIs) put(instruction, reading_.text);
  } else if (op == Op::kGet) {
    if (reading_.form == Form::kAsIs) get(instruction, reading_.text);
  } else if (is_memo_put(op)) {
    put(instruction, instruction.number);
  } else if (is_memo_get(op)) {
    get(instruction, instruction.number);
  }
}

template <typename Key>
void Disassembler::put(const Instruction& instruction, Key key) {
  const StackShape& stack = state_.stack;
  if (state_.memo.contains(key)) {
    effect_.complain("memo key " + shown_key(instruction) + " already defined");
  } else if (stack.depth() == 0) {
    effect_.complain("stack is empty -- can't store into memo");
  } else if (stack.mark_on_top()) {
    effect_.complain("can't store markobject in the memo");
  } else {
    state_.memo.add(key);
  }
}

template <typename Key>
void Disassembler::get(const Instruction& instruction, Key key) {
  if (state_.memo.contains(key)) return;
  effect_.complain("memo key " + shown_key(instruction) + " has never been stored into");
  if (effect_.broken == nullptr) {
    effect_.broken = "a memo entry is read that was never written";
  }
}

std::string Disassembler::shown_key(const Instruction& instruction) const {
  if (instruction.info->op == Op::kMemoize) return "None";
  return reading_.form == Form::kAsIs ? std::string(reading_.text)
                                      : std::to_string(instruction.number);
}

void Disassembler::remarks(const Instruction& instruction) {
  if (!effect_.complaint.empty()) complain(effect_.complaint);
  if (reading_.reader != nullptr) note({"differs: ", reading_.reader, reading_.real});
  if (reading_.differs != nullptr) note({"differs: ", reading_.differs});
  if (effect_.broken != nullptr) broken(effect_.broken, instruction.offset);
  remark_on_frame(instruction);
}

void Disassembler::remark_on_frame(const Instruction& instruction) {
  const auto odd = [this](OddityKind kind) { note({"differs: ", oddity_text(kind)}); };
  std::uint64_t& end = state_.frame_end;
  if (instruction.info->op == Op::kFrame) {
    if (end != DisasmState::kNoFrame) odd(OddityKind::kFrameOverlap);
    const std::uint64_t remaining = stream_.size() - instruction.next;
    if (instruction.number > remaining) odd(OddityKind::kFrameTooLong);
    end = instruction.next + std::min(instruction.number, remaining);
  } else if (end != DisasmState::kNoFrame && instruction.next > end) {
    odd(OddityKind::kFrameCrossed);
  }
  if (instruction.next >= end) end = DisasmState::kNoFrame;
}

// ---- lines

void Disassembler::line(const Instruction& instruction, std::uint64_t level) {
  const OpcodeInfo& info = *instruction.info;
  if (level > kMaxIndentedMarks && !capped_) {
    note({"more than 1024 marks are open: lines are not indented further"});
    capped_ = true;
  }
  head(info, level);
  const bool has_argument = info.argument != Argument::kNone;
  const bool has_message = effect_.closed_mark || effect_.misses_mark || effect_.memo_index;
  if (has_argument || has_message) {
    out_.append_spaces(kNameWidth - std::min(kNameWidth, info.name.size()));
  }
  if (has_argument) {
    out_.append(' ');
    argument(instruction);
  }
  if (has_message) mark_message();
  if (options_.notes) opcode_note(info);
  out_.append('\n');
}

void Disassembler::head(const OpcodeInfo& info, std::uint64_t level) {
  for (std::uint64_t least = 10000; least > 1 && at_ < least; least /= 10) out_.append(' ');
  out_.append_number(at_);
  out_.append(": ");
  out_.begin_columns();
  const char byte = static_cast<char>(info.op);
  if ((byte & 0x80) == 0) {
    out_.append(byte);
    out_.append("    ");
  } else {
    constexpr char kHex[] = "0123456789abcdef";
    out_.append("\\x");
    out_.append(kHex[byte >> 4 & 15]);
    out_.append(kHex[byte & 15]);
    out_.append(' ');
  }
  out_.append_spaces(4 * std::min(level, kMaxIndentedMarks));
  out_.append(info.name);
}

void Disassembler::argument(const Instruction& instruction) {
  switch (reading_.form) {
    case Form::kNothing:
      return number(instruction);
    case Form::kAsIs:
      return out_.append(reading_.text);
    case Form::kString:
      return append_str_repr(out_, reading_.text);
    case Form::kLatin1:
      return append_latin1_repr(out_, reading_.text);
    case Form::kBytes:
      return append_bytes_repr(out_, reading_.text);
    case Form::kByteArray:
      return append_bytearray_repr(out_, reading_.text);
    case Form::kLong:
      break;
  }
  if (append_int_repr(out_, instruction.argument) == IntForm::kHex) {
    effect_.complain(
        "Exceeds the limit (4300 digits) for integer string conversion; use "
        "sys.set_int_max_str_digits() to increase the limit");
  }
}

void Disassembler::number(const Instruction& instruction) {
  switch (instruction.info->argument) {
    case Argument::kInt4:
      if (instruction.signed_number() < 0) out_.append('-');
      return out_.append_number(static_cast<std::uint64_t>(std::abs(instruction.signed_number())));
    case Argument::kFloat8: {
      char* const start = out_.room(kMaxFloatRepr);
      return out_.used_to(write_float_repr(start, std::bit_cast<double>(instruction.number)));
    }
    default:
      return out_.append_number(instruction.number);
  }
}

void Disassembler::mark_message() {
  if (effect_.misses_mark) return out_.append(" no MARK exists on stack");
  out_.append(effect_.memo_index ? " (as " : " (MARK at ");
  out_.append_number(effect_.memo_index ? *effect_.memo_index : *effect_.closed_mark);
  out_.append(')');
}

void Disassembler::opcode_note(const OpcodeInfo& info) {
  const std::uint64_t columns = out_.columns();
  if (columns < note_column_) out_.append_spaces(note_column_ - columns);
  note_column_ = std::max(columns, note_column_);
  if (note_column_ > kMaxNoteColumn) note_column_ = kNoteColumn;
  out_.append(' ');
  out_.append(info.note);
}

}  // namespace

DisasmResult disassemble(ByteSpan stream, const DisasmOptions& options, const DisasmSink& sink) {
  return Disassembler(stream, options, sink).execute();
}

}  // namespace tare::pickle
