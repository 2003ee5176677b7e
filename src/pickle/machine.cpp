// The pickle machine. What each opcode does follows CPython's Modules/_pickle.c and Lib/pickle.py;
// where they differ, the machine takes the reading that goes on (docs/pickle.md lists them all).
#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <memory>
#include <utility>

#include "io/utf8.hpp"
#include "pickle/builder.hpp"
#include "pickle/framed_cursor.hpp"
#include "pickle/memo.hpp"
#include "pickle/number_text.hpp"
#include "pickle/observer.hpp"
#include "pickle/plain_steps.hpp"
#include "pickle/py2_names.hpp"
#include "pickle/text_codec.hpp"
#include "tare/pickle.hpp"

namespace tare::pickle {
namespace {

constexpr std::uint8_t kHighestProtocol = 5;

// Kinds whose nature is fully known: nothing but a plain value, so that what cannot be done with
// such a value fails in every unpickler.
bool is_plain(Kind kind) {
  return kind < Kind::kGlobal;
}

bool is_iterable(Kind kind) {
  switch (kind) {
    case Kind::kNone:
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kBigInt:
    case Kind::kFloat:
      return false;
    default:
      return true;
  }
}

class Machine {
 public:
  Machine(ByteSpan stream, const Limits& limits, Crossing crossing, Run& run,
          StepObserver* observer = nullptr)
      : stream_(stream),
        limits_(limits),
        run_(run),
        build_(run.graph, stream),
        cursor_(stream, crossing),
        observer_(observer),
        fast_(limits.fast && crossing == Crossing::kReadsOn && observer == nullptr),
        memo_(stream.size()) {}

  void execute();

 private:
  using Clock = std::chrono::steady_clock;

  void take_plain_steps();
  // Looks at the clock once in a while: asking it takes longer than a step.
  bool is_late() {
    return ++rounds_ % 1024 == 0 && limits_.deadline != Clock::time_point::max() &&
           Clock::now() > limits_.deadline;
  }
  // Every handler returns false to end the run: at STOP, or because break_at() was called.
  bool step(Op op);

  MachineView view() const {
    return {run_, {stack_.begin(), stack_.end()}, {marks_.begin(), marks_.end()}, memo_.size()};
  }

  bool break_at(std::uint64_t offset, const char* why, ErrorCode code = ErrorCode::kMalformed) {
    run_.end = End::kBroken;
    run_.error = Error{code, 0, offset, why};
    return false;
  }
  std::uint64_t offset_of(ByteSpan bytes) const {
    return static_cast<std::uint64_t>(bytes.data() - stream_.data());
  }
  // A text of the input as a value of the graph.
  Value text_value(std::string_view text) {
    if (text.empty()) return build_.text_in_input(Kind::kString, 0, 0);
    return build_.text_in_input(Kind::kString, offset_of(as_bytes(text)), text.size());
  }
  bool cut() { return break_at(at_, "the stream ends inside an argument", ErrorCode::kTruncated); }
  bool underflow() {
    return break_at(at_, stack_.size() == fence() && !marks_.empty()
                             ? "a value is needed where the stack has a mark"
                             : "a value is needed and the stack is empty");
  }

  void odd(OddityKind kind) { run_.oddities.push_back({kind, at_}); }
  void event(EventKind kind, Value subject, Value argument = Builder::none()) {
    const auto position = static_cast<std::uint32_t>(build_.edge_count());
    run_.events.push_back({kind, op_, subject, argument, position, at_});
  }

  // The stack. Values below the topmost mark are out of reach.
  std::size_t fence() const { return marks_.empty() ? 0 : marks_.back(); }
  std::size_t reachable() const { return stack_.size() - fence(); }
  bool push(Value value) {
    stack_.push_back(value);
    return true;
  }
  Value pop() {
    const Value value = stack_.back();
    stack_.pop_back();
    return value;
  }
  // Ends the group of values above the topmost mark; they stay at stack_[*start...].
  std::optional<std::size_t> close_mark() {
    if (marks_.empty()) {
      break_at(at_, "a mark is needed and there is none");
      return std::nullopt;
    }
    const std::size_t start = marks_.back();
    marks_.pop_back();
    return start;
  }
  // Every step-th value from `start` on; tuples are not looked into.
  bool all_hashable(std::size_t start, std::size_t step) const {
    for (std::size_t i = start; i < stack_.size(); i += step) {
      if (is_unhashable(run_.graph.kind(stack_[i]))) return false;
    }
    return true;
  }
  Value take_tuple(std::size_t start) {
    const Value tuple = build_.tuple(stack_.data() + start, stack_.size() - start);
    stack_.truncate(start);
    return tuple;
  }

  // Arguments.
  std::optional<std::uint64_t> length_prefix(unsigned width);
  bool push_counted(Kind kind, unsigned width);
  bool push_text(Kind kind, std::uint64_t offset, std::uint64_t length);
  bool push_integer_line(bool is_long);
  bool push_float_line();
  bool push_string_line();
  bool push_unicode_line();
  bool push_long(unsigned width);
  std::optional<std::string_view> line();
  std::string_view line_or_rest();
  std::string_view before_nul(std::string_view text);

  // Opcodes.
  bool get(std::uint64_t index);
  bool put(std::uint64_t index);
  bool memo_line(bool is_put);
  bool pop_one();
  bool dup();
  bool make_tuple(std::size_t count);
  bool make_container(Kind kind);
  bool append(std::size_t start);
  bool set_items(std::size_t start);
  bool add_items(std::size_t start);
  bool proto();
  bool frame();
  bool global();
  bool stack_global();
  Value import(Value module, Value name);
  bool reduce();
  bool inst();
  bool obj();
  bool new_obj(bool with_keywords);
  bool call(Value callable, Value arguments, Value keywords);
  void note_registration(Value callable, Value arguments);
  bool is_falsy(Value value) const;
  bool build();
  bool find_inline_bytes(Value object);
  bool skip_inline_bytes();
  bool persistent(bool as_line);
  bool extension(unsigned width);
  bool readonly_buffer();
  bool stop();

  ByteSpan stream_;
  const Limits& limits_;
  Run& run_;
  Builder build_;
  FramedCursor cursor_;
  StepObserver* observer_;
  bool fast_;
  Memo memo_;
  std::uint64_t inline_bytes_ = 0;  // behind the current opcode, and no opcodes
  detail::PodVector<Value> stack_;
  detail::PodVector<std::size_t> marks_;
  std::map<std::int64_t, Value> registered_;  // extension codes of this stream
  std::uint64_t at_ = 0;                      // offset of the current opcode
  Op op_ = Op::kStop;
  std::uint64_t rounds_ = 0;
};

void Machine::execute() {
  for (;;) {
    if (fast_) take_plain_steps();
    at_ = cursor_.offset();
    const std::uint64_t frame_end = cursor_.frame_end();
    const auto byte = cursor_.read<std::uint8_t>();
    if (!byte) {
      break_at(at_, "the stream ends without STOP", ErrorCode::kTruncated);
      break;
    }
    ++run_.opcode_count;
    op_ = static_cast<Op>(*byte);
    if (observer_ != nullptr) [[unlikely]]
      observer_->before(*byte, at_, view());
    bool goes_on = step(op_);
    // An argument that crosses its frame: C reads on, Python fails.
    if (cursor_.offset() > frame_end && at_ < frame_end) [[unlikely]] {
      odd(OddityKind::kFrameCrossed);
    }
    if (goes_on && inline_bytes_ > 0) [[unlikely]]
      goes_on = skip_inline_bytes();
    if (observer_ != nullptr && !observer_->after(cursor_.offset(), view())) [[unlikely]]
      goes_on = false;
    if (!goes_on) break;
    if (build_.node_count() > limits_.max_nodes || build_.edge_count() > limits_.max_edges)
        [[unlikely]] {
      break_at(at_, "the stream builds more values than the budget allows", ErrorCode::kLimit);
      run_.end = End::kLimit;
      break;
    }
    if (is_late()) [[unlikely]] {
      break_at(at_, "there was no time to read the stream to its end", ErrorCode::kLimit);
      run_.end = End::kLimit;
      break;
    }
  }
  // Behind STOP, or the opcode at which it broke.
  run_.end_offset = run_.end == End::kStop ? cursor_.offset() : at_;
}

void Machine::take_plain_steps() {
  // Up to the end of the frame, so that an argument that crosses it is left to step().
  const std::uint64_t window =
      cursor_.offset() < cursor_.frame_end() ? cursor_.frame_end() : std::uint64_t{stream_.size()};
  const std::uint64_t budget =
      limits_.max_nodes - std::min<std::uint64_t>(limits_.max_nodes, build_.node_count());
  const PlainProgress progress =
      run_plain(stream_.first(window), cursor_.offset(), budget, {stack_, marks_, memo_, build_});
  run_.opcode_count += progress.opcode_count;
  cursor_.move_to(progress.offset);
}

bool Machine::step(Op op) {
  switch (op) {
    case Op::kBinInt1: {
      const auto value = cursor_.read<std::uint8_t>();
      return value ? push(build_.integer(*value)) : cut();
    }
    case Op::kBinInt2: {
      const auto value = cursor_.read<std::uint16_t>();
      return value ? push(build_.integer(*value)) : cut();
    }
    case Op::kBinInt: {
      const auto value = cursor_.read<std::int32_t>();
      return value ? push(build_.integer(*value)) : cut();
    }
    case Op::kBinFloat: {
      const auto bits = cursor_.read<std::uint64_t>();
      return bits ? push(build_.real_in_input(cursor_.offset() - 8)) : cut();
    }
    case Op::kBinGet: {
      const auto index = cursor_.read<std::uint8_t>();
      return index ? get(*index) : cut();
    }
    case Op::kLongBinGet: {
      const auto index = cursor_.read<std::uint32_t>();
      return index ? get(*index) : cut();
    }
    case Op::kBinPut: {
      const auto index = cursor_.read<std::uint8_t>();
      return index ? put(*index) : cut();
    }
    case Op::kLongBinPut: {
      const auto index = cursor_.read<std::uint32_t>();
      return index ? put(*index) : cut();
    }
    case Op::kMemoize:
      return put(memo_.size());
    case Op::kMark:
      marks_.push_back(stack_.size());
      return true;
    case Op::kNone:
      return push(Builder::none());
    case Op::kNewTrue:
      return push(Builder::boolean(true));
    case Op::kNewFalse:
      return push(Builder::boolean(false));
    case Op::kEmptyTuple:
      return push(Builder::empty_tuple());
    case Op::kEmptyList:
      return push(build_.container(Kind::kList));
    case Op::kEmptyDict:
      return push(build_.container(Kind::kDict));
    case Op::kEmptySet:
      return push(build_.container(Kind::kSet));
    case Op::kShortBinUnicode:
      return push_counted(Kind::kString, 1);
    case Op::kBinUnicode:
      return push_counted(Kind::kString, 4);
    case Op::kBinUnicode8:
      return push_counted(Kind::kString, 8);
    case Op::kShortBinString:
      return push_counted(Kind::kPy2String, 1);
    case Op::kBinString:
      return push_counted(Kind::kPy2String, 4);
    case Op::kShortBinBytes:
      return push_counted(Kind::kBytes, 1);
    case Op::kBinBytes:
      return push_counted(Kind::kBytes, 4);
    case Op::kBinBytes8:
      return push_counted(Kind::kBytes, 8);
    case Op::kByteArray8:
      return push_counted(Kind::kByteArray, 8);
    case Op::kLong1:
      return push_long(1);
    case Op::kLong4:
      return push_long(4);
    case Op::kTuple1:
      return make_tuple(1);
    case Op::kTuple2:
      return make_tuple(2);
    case Op::kTuple3:
      return make_tuple(3);
    case Op::kTuple: {
      const auto start = close_mark();
      return start && push(take_tuple(*start));
    }
    case Op::kList:
      return make_container(Kind::kList);
    case Op::kDict:
      return make_container(Kind::kDict);
    case Op::kFrozenSet:
      return make_container(Kind::kFrozenSet);
    case Op::kAppend:
      return reachable() < 2 ? underflow() : append(stack_.size() - 1);
    case Op::kAppends: {
      const auto start = close_mark();
      return start && append(*start);
    }
    case Op::kSetItem:
      return reachable() < 3 ? underflow() : set_items(stack_.size() - 2);
    case Op::kSetItems: {
      const auto start = close_mark();
      return start && set_items(*start);
    }
    case Op::kAddItems: {
      const auto start = close_mark();
      return start && add_items(*start);
    }
    case Op::kPop:
      return pop_one();
    case Op::kDup:
      return dup();
    case Op::kPopMark: {
      const auto start = close_mark();
      if (!start) return false;
      stack_.truncate(*start);
      return true;
    }
    case Op::kGlobal:
      return global();
    case Op::kStackGlobal:
      return stack_global();
    case Op::kReduce:
      return reduce();
    case Op::kBuild:
      return build();
    case Op::kInst:
      return inst();
    case Op::kObj:
      return obj();
    case Op::kNewObj:
      return new_obj(false);
    case Op::kNewObjEx:
      return new_obj(true);
    case Op::kBinPersId:
      return persistent(false);
    case Op::kPersId:
      return persistent(true);
    case Op::kProto:
      return proto();
    case Op::kFrame:
      return frame();
    case Op::kStop:
      return stop();
    case Op::kInt:
      return push_integer_line(false);
    case Op::kLong:
      return push_integer_line(true);
    case Op::kFloat:
      return push_float_line();
    case Op::kString:
      return push_string_line();
    case Op::kUnicode:
      return push_unicode_line();
    case Op::kGet:
      return memo_line(false);
    case Op::kPut:
      return memo_line(true);
    case Op::kExt1:
      return extension(1);
    case Op::kExt2:
      return extension(2);
    case Op::kExt4:
      return extension(4);
    case Op::kNextBuffer: {
      odd(OddityKind::kOutOfBand);
      const Value buffer = build_.opaque(Kind::kBuffer, op, at_, Builder::none());
      event(EventKind::kBuffer, buffer);
      return push(buffer);
    }
    case Op::kReadonlyBuffer:
      return readonly_buffer();
  }
  return break_at(at_, "a byte that is no opcode");
}

// ---- arguments

std::optional<std::uint64_t> Machine::length_prefix(unsigned width) {
  switch (width) {
    case 1:
      return cursor_.read<std::uint8_t>();
    case 4:
      return cursor_.read<std::uint32_t>();
    default:
      return cursor_.read<std::uint64_t>();
  }
}

bool Machine::push_counted(Kind kind, unsigned width) {
  const auto length = length_prefix(width);
  if (!length) return cut();
  if (op_ == Op::kBinString && *length > INT32_MAX) {
    return break_at(at_, "a string of negative length");
  }
  const bool is_bytes = kind == Kind::kBytes || kind == Kind::kByteArray;
  const auto bytes = is_bytes ? cursor_.take_across(*length) : cursor_.take(*length);
  if (!bytes) return cut();
  return push_text(kind, offset_of(*bytes), *length);
}

bool Machine::push_text(Kind kind, std::uint64_t offset, std::uint64_t length) {
  const std::string_view text = as_text(stream_.subspan(offset, length));
  if (kind == Kind::kString && !is_utf8(text, true)) {
    return break_at(at_, "a string that is not UTF-8");
  }
  if (kind == Kind::kPy2String && !is_ascii(text)) odd(OddityKind::kNonAsciiString);
  return push(build_.text_in_input(kind, offset, length));
}

// A line without its end. C's unpickler needs the newline.
std::optional<std::string_view> Machine::line() {
  const auto bytes = cursor_.take_line();
  if (!bytes) {
    cut();
    return std::nullopt;
  }
  return as_text(*bytes);
}

// A line that something is done with at once. pickle.py takes readline()[:-1], so at the end of the
// input it goes on with what is there less one byte, and imports, calls (INST) or asks the loader
// (PERSID) before it notices the end.
std::string_view Machine::line_or_rest() {
  if (const auto bytes = cursor_.take_line()) return as_text(*bytes);
  const ByteSpan rest = cursor_.take(cursor_.remaining()).value_or(ByteSpan());
  odd(OddityKind::kPickleCut);
  return as_text(rest.first(rest.empty() ? 0 : rest.size() - 1));
}

std::string_view Machine::before_nul(std::string_view text) {
  const auto nul = text.find('\0');
  if (nul == std::string_view::npos) return text;
  odd(OddityKind::kNulInLine);
  return text.substr(0, nul);
}

bool Machine::push_integer_line(bool is_long) {
  const auto whole = line();
  if (!whole) return false;
  if (whole->empty()) return break_at(at_, "an integer without digits");
  if (!is_long && (*whole == "00" || *whole == "01")) {
    return push(Builder::boolean(*whole == "01"));
  }
  std::string_view text = *whole;
  if (is_long && text.ends_with('L')) text.remove_suffix(1);
  const std::string_view digits_text = before_nul(text);
  // INT that starts with a NUL: strtol reads nothing, and C does not look whether it did.
  if (!is_long && digits_text.empty()) return push(build_.integer(0));
  const auto number = parse_integer(digits_text);
  if (!number) return break_at(at_, "text that is no integer");
  if (!number->canonical) odd(OddityKind::kNumberText);
  if (number->fits) return push(build_.integer(number->value));
  const auto digits = as_bytes(number->digits);
  return push(
      build_.decimal(static_cast<std::uint64_t>(digits.data() - stream_.data()), digits.size()));
}

bool Machine::push_float_line() {
  const auto whole = line();
  if (!whole) return false;
  const auto number = parse_float(before_nul(*whole));
  if (!number) return break_at(at_, "text that is no float");
  if (!number->canonical) odd(OddityKind::kNumberText);
  return push(build_.real(number->value));
}

bool Machine::push_string_line() {
  const auto whole = line();
  if (!whole) return false;
  const std::string_view text = *whole;
  if (text.size() < 2 || text.front() != text.back() ||
      (text.front() != '\'' && text.front() != '"')) {
    return break_at(at_, "a STRING without quotes");
  }
  const std::string_view body = text.substr(1, text.size() - 2);
  if (body.find('\\') == std::string_view::npos) {
    return push_text(Kind::kPy2String, offset_of(as_bytes(body)), body.size());
  }
  const auto decoded = decode_string_escape(body);
  if (!decoded) return break_at(at_, "a STRING with a broken escape");
  if (!is_ascii(*decoded)) odd(OddityKind::kNonAsciiString);
  return push(build_.text_in_arena(Kind::kPy2String, *decoded));
}

bool Machine::push_unicode_line() {
  const auto text = line();
  if (!text) return false;
  if (is_ascii(*text) && text->find('\\') == std::string_view::npos) {
    return push(text_value(*text));
  }
  const auto decoded = decode_raw_unicode_escape(*text);
  if (!decoded) return break_at(at_, "a UNICODE with a broken escape");
  return push(build_.text_in_arena(Kind::kString, *decoded));
}

bool Machine::push_long(unsigned width) {
  const auto length = length_prefix(width);
  if (!length) return cut();
  if (*length > INT32_MAX) return break_at(at_, "an integer of negative length");
  const auto bytes = cursor_.take(*length);
  if (!bytes) return cut();
  if (bytes->size() > sizeof(std::int64_t)) {
    return push(build_.text_in_input(Kind::kBigInt, offset_of(*bytes), bytes->size()));
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes->size(); ++i) {
    value |= std::to_integer<std::uint64_t>((*bytes)[i]) << (8 * i);
  }
  // The highest bit given is the sign.
  if (!bytes->empty() && (bytes->back() & std::byte{0x80}) != std::byte{0} && bytes->size() < 8) {
    value |= ~std::uint64_t{0} << (8 * bytes->size());
  }
  return push(build_.integer(static_cast<std::int64_t>(value)));
}

// ---- memo and stack

bool Machine::get(std::uint64_t index) {
  const auto value = memo_.get(index);
  return value ? push(*value) : break_at(at_, "a memo entry is read that was never written");
}

bool Machine::put(std::uint64_t index) {
  if (reachable() == 0) return underflow();
  if (memo_.is_sparse(index)) odd(OddityKind::kMemoSparse);
  if (!memo_.put(index, stack_.back())) odd(OddityKind::kMemoOverwritten);
  return true;
}

bool Machine::memo_line(bool is_put) {
  const auto whole = line();
  if (!whole) return false;
  const auto number = parse_memo_index(before_nul(*whole));
  if (!number) return break_at(at_, "text that is no memo index");
  if (!number->canonical) odd(OddityKind::kNumberText);
  const auto index = number->fits ? static_cast<std::uint64_t>(number->value) : UINT64_MAX;
  return is_put ? put(index) : get(index);
}

bool Machine::pop_one() {
  if (!marks_.empty() && marks_.back() == stack_.size()) {
    marks_.pop_back();
    return true;
  }
  if (stack_.empty()) return underflow();
  stack_.pop_back();
  return true;
}

bool Machine::dup() {
  return reachable() == 0 ? underflow() : push(stack_.back());
}

bool Machine::make_tuple(std::size_t count) {
  if (reachable() < count) return underflow();
  const std::size_t start = stack_.size() - count;
  return push(take_tuple(start));
}

bool Machine::make_container(Kind kind) {
  const auto start = close_mark();
  if (!start) return false;
  const std::size_t count = stack_.size() - *start;
  const Value container = build_.container(kind);
  if (kind == Kind::kDict && count % 2 != 0) return break_at(at_, "a dict key without a value");
  if (kind == Kind::kDict && !all_hashable(*start, 2)) {
    return break_at(at_, "a dict key that cannot be one");
  }
  if (kind == Kind::kFrozenSet && !all_hashable(*start, 1)) {
    return break_at(at_, "a set element that cannot be one");
  }
  if (count > 0) {
    const UpdateKind update = kind == Kind::kList   ? UpdateKind::kAppend
                              : kind == Kind::kDict ? UpdateKind::kSetItems
                                                    : UpdateKind::kAddItems;
    build_.update(container, update, stack_.data() + *start, count);
  }
  stack_.truncate(*start);
  return push(container);
}

bool Machine::append(std::size_t start) {
  if (start == 0 || start <= fence()) return underflow();
  const Value object = stack_[start - 1];
  const std::size_t count = stack_.size() - start;
  const Kind kind = run_.graph.kind(object);
  if (count > 0) {
    if (is_plain(kind) && kind != Kind::kList && kind != Kind::kByteArray) {
      return break_at(at_, "items are appended to a value that has no append");
    }
    if (kind != Kind::kByteArray) {
      build_.update(object, UpdateKind::kAppend, stack_.data() + start, count);
    }
    if (kind != Kind::kList) {
      event(EventKind::kAppend, object, build_.tuple(stack_.data() + start, count));
    }
  }
  stack_.truncate(start);
  return true;
}

bool Machine::set_items(std::size_t start) {
  if (start == 0 || start <= fence()) return underflow();
  const Value object = stack_[start - 1];
  const std::size_t count = stack_.size() - start;
  const Kind kind = run_.graph.kind(object);
  if (count % 2 != 0) return break_at(at_, "a dict key without a value");
  if (count > 0) {
    if (kind == Kind::kDict) {
      if (!all_hashable(start, 2)) return break_at(at_, "a dict key that cannot be one");
    } else if (is_plain(kind) && kind != Kind::kList && kind != Kind::kByteArray) {
      return break_at(at_, "items are stored in a value that takes none");
    }
    if (kind != Kind::kByteArray) {
      build_.update(object, UpdateKind::kSetItems, stack_.data() + start, count);
    }
    if (kind != Kind::kDict) {
      event(EventKind::kSetItems, object, build_.tuple(stack_.data() + start, count));
    }
  }
  stack_.truncate(start);
  return true;
}

bool Machine::add_items(std::size_t start) {
  if (start == 0 || start <= fence()) return underflow();
  const Value object = stack_[start - 1];
  const std::size_t count = stack_.size() - start;
  const Kind kind = run_.graph.kind(object);
  if (count > 0) {
    if (is_plain(kind) && kind != Kind::kSet) {
      return break_at(at_, "elements are added to a value that is no set");
    }
    if (kind == Kind::kSet && !all_hashable(start, 1)) {
      return break_at(at_, "a set element that cannot be one");
    }
    build_.update(object, UpdateKind::kAddItems, stack_.data() + start, count);
    if (kind != Kind::kSet) {
      event(EventKind::kAddItems, object, build_.tuple(stack_.data() + start, count));
    }
  }
  stack_.truncate(start);
  return true;
}

// ---- protocol and frames

bool Machine::proto() {
  const auto version = cursor_.read<std::uint8_t>();
  if (!version) return cut();
  if (at_ != 0) odd(OddityKind::kProtocolLate);
  if (*version > kHighestProtocol) {
    return break_at(at_, "a protocol above 5", ErrorCode::kUnsupported);
  }
  run_.protocol = *version;
  return true;
}

bool Machine::frame() {
  const auto length = cursor_.read<std::uint64_t>();
  if (!length) return cut();
  if (*length > INT64_MAX) return break_at(at_, "a frame of negative length");
  if (cursor_.offset() < cursor_.frame_end()) odd(OddityKind::kFrameOverlap);
  if (*length > cursor_.remaining()) odd(OddityKind::kFrameTooLong);
  cursor_.begin_frame(*length);
  return true;
}

bool Machine::stop() {
  if (reachable() == 0) return underflow();
  run_.result = pop();
  run_.end = End::kStop;
  return false;
}

// ---- imports and calls

Value Machine::import(Value module, Value name) {
  Value module3 = module;
  Value name3 = name;
  const Graph& graph = run_.graph;
  if (run_.protocol < 3 && graph.is_text(module) && graph.is_text(name)) {
    const std::string_view old_module = graph.text(module);
    const std::string_view old_name = graph.text(name);
    const auto mapped = py3_name(old_module, old_name);
    const bool same_module = mapped.module == old_module;
    const bool same_name = mapped.name == old_name;
    if (!same_module) module3 = build_.text_in_arena(Kind::kString, mapped.module);
    if (!same_name) name3 = build_.text_in_arena(Kind::kString, mapped.name);
  }
  const Value global = build_.opaque(Kind::kGlobal, op_, at_, module3, name3, module, name);
  build_.note_protocol(global, run_.protocol);
  event(EventKind::kImport, global);
  return global;
}

bool Machine::global() {
  const std::string_view module = line_or_rest();
  const std::string_view name = line_or_rest();
  // An empty name fails in the C unpickler; pickle.py imports the module first.
  if (!is_utf8(module, false) || !is_utf8(name, false)) {
    return break_at(at_, "an import whose name is not UTF-8");
  }
  return push(import(text_value(module), text_value(name)));
}

bool Machine::stack_global() {
  if (reachable() < 2) return underflow();
  const Value name = pop();
  const Value module = pop();
  const auto usable = [this](Value operand) {
    return run_.graph.is_text(operand) || !is_plain(run_.graph.kind(operand));
  };
  if (!usable(name) || !usable(module)) return break_at(at_, "an import by a value that is no str");
  if (!run_.graph.is_text(name) || !run_.graph.is_text(module)) odd(OddityKind::kComputedName);
  return push(import(module, name));
}

bool Machine::call(Value callable, Value arguments, Value keywords) {
  if (is_plain(run_.graph.kind(callable))) return break_at(at_, "a plain value is called");
  const Value result = build_.opaque(Kind::kCall, op_, at_, callable, arguments, keywords);
  event(EventKind::kCall, result);
  note_registration(callable, arguments);
  return push(result);
}

// copyreg.add_extension('os', 'system', 240) makes EXT1 240 mean os.system.
void Machine::note_registration(Value callable, Value arguments) {
  const Graph& graph = run_.graph;
  if (graph.kind(callable) != Kind::kGlobal || graph.module_text(callable) != "copyreg" ||
      graph.name_text(callable) != "add_extension" || graph.kind(arguments) != Kind::kTuple) {
    return;
  }
  const auto items = graph.tuple_items(arguments);
  if (items.size() != 3 || graph.kind(items[2]) != Kind::kInt) return;
  const std::int64_t code = graph.integer(items[2]);
  registered_[code] = build_.tuple(std::array{items[0], items[1]}.data(), 2);
}

bool Machine::reduce() {
  if (reachable() < 2) return underflow();
  const Value arguments = pop();
  const Value callable = pop();
  const Kind kind = run_.graph.kind(arguments);
  if (!is_iterable(kind)) return break_at(at_, "call arguments that are no tuple");
  if (kind != Kind::kTuple) odd(OddityKind::kArgumentsNoTuple);
  return call(callable, arguments, Builder::none());
}

bool Machine::inst() {
  const std::string_view module = line_or_rest();
  const std::string_view name = line_or_rest();
  // GLOBAL takes UTF-8, INST only ASCII.
  if (!is_ascii(module) || !is_ascii(name)) {
    return break_at(at_, "an import by INST whose name is not ASCII");
  }
  // pickle.py imports before it looks for the mark.
  const Value cls = import(text_value(module), text_value(name));
  const auto start = close_mark();
  return start && call(cls, take_tuple(*start), Builder::none());
}

bool Machine::obj() {
  const auto start = close_mark();
  if (!start) return false;
  if (stack_.size() == *start) return underflow();
  const Value arguments = take_tuple(*start + 1);
  return call(pop(), arguments, Builder::none());
}

bool Machine::new_obj(bool with_keywords) {
  if (reachable() < (with_keywords ? 3U : 2U)) return underflow();
  const Value keywords = with_keywords ? pop() : Builder::none();
  const Value arguments = pop();
  const Value cls = pop();
  if (!is_iterable(run_.graph.kind(arguments))) {
    return break_at(at_, "call arguments that are no tuple");
  }
  if (with_keywords && is_plain(run_.graph.kind(keywords)) &&
      run_.graph.kind(keywords) != Kind::kDict) {
    return break_at(at_, "keyword arguments that are no dict");
  }
  if (run_.graph.kind(arguments) != Kind::kTuple) odd(OddityKind::kArgumentsNoTuple);
  return call(cls, arguments, keywords);
}

// Whether Python could take the value for false.
bool Machine::is_falsy(Value value) const {
  const Graph& graph = run_.graph;
  switch (graph.kind(value)) {
    case Kind::kNone:
      return true;
    case Kind::kBool:
      return !graph.boolean(value);
    case Kind::kInt:
      return graph.integer(value) == 0;
    case Kind::kFloat:
      return graph.real(value) == 0;
    case Kind::kString:
    case Kind::kPy2String:
    case Kind::kBytes:
    case Kind::kByteArray:
      return graph.text(value).empty();
    case Kind::kTuple:
      return graph.tuple_items(value).empty();
    case Kind::kList:
    case Kind::kDict:
    case Kind::kSet:
    case Kind::kFrozenSet:
      return graph.length(value) == 0;
    case Kind::kBuffer:
      return true;  // it may be empty
    default:
      return false;
  }
}

bool Machine::build() {
  if (reachable() < 2) return underflow();
  const Value state = pop();
  const Value object = stack_.back();
  const Kind kind = run_.graph.kind(object);
  if (!is_plain(kind)) {
    build_.update(object, UpdateKind::kBuild, &state, 1);
    event(EventKind::kBuild, object, state);
    return limits_.inline_data == nullptr || find_inline_bytes(object);
  }
  // A plain value has neither __setstate__ nor attributes: only a state that says nothing passes.
  // pickle.py asks for the truth of the state, and of both halves of a pair.
  bool harmless = is_falsy(state);
  if (run_.graph.kind(state) == Kind::kTuple && run_.graph.tuple_items(state).size() == 2) {
    harmless = std::ranges::all_of(run_.graph.tuple_items(state),
                                   [this](Value half) { return is_falsy(half); });
  }
  if (!harmless) return break_at(at_, "state is given to a value that has no attributes");
  odd(OddityKind::kStateOnLiteral);
  return true;
}

bool Machine::find_inline_bytes(Value object) {
  const std::uint64_t offset = cursor_.offset();
  const auto length = limits_.inline_data->length(run_.graph, object, offset);
  if (!length) return break_at(offset, length.error().what, length.error().code);
  inline_bytes_ = *length;
  return true;
}

bool Machine::skip_inline_bytes() {
  if (cursor_.skip(std::exchange(inline_bytes_, 0))) return true;
  return break_at(cursor_.offset(), "the data of an array does not stand between frames");
}

bool Machine::persistent(bool as_line) {
  Value id = Builder::none();
  if (as_line) {
    const std::string_view text = line_or_rest();
    if (!is_ascii(text)) return break_at(at_, "a persistent id that is not ASCII");
    id = text_value(text);
  } else {
    if (reachable() == 0) return underflow();
    id = pop();
  }
  const Value object = build_.opaque(Kind::kPersistent, op_, at_, id);
  event(EventKind::kPersistentLoad, object, id);
  return push(object);
}

bool Machine::extension(unsigned width) {
  std::optional<std::int64_t> code;
  switch (width) {
    case 1:
      code = cursor_.read<std::uint8_t>();
      break;
    case 2:
      code = cursor_.read<std::uint16_t>();
      break;
    default:
      code = cursor_.read<std::int32_t>();
      break;
  }
  if (!code) return cut();
  if (*code <= 0) return break_at(at_, "an extension code below 1");
  const Value code_value = build_.integer(*code);
  if (const auto found = registered_.find(*code); found != registered_.end()) {
    odd(OddityKind::kSelfRegistered);
    const auto names = run_.graph.tuple_items(found->second);
    return push(import(names[0], names[1]));
  }
  odd(OddityKind::kExtensionUnknown);
  const Value object = build_.opaque(Kind::kExtension, op_, at_, code_value);
  event(EventKind::kExtension, object, code_value);
  return push(object);
}

bool Machine::readonly_buffer() {
  if (reachable() == 0) return underflow();
  const Kind kind = run_.graph.kind(stack_.back());
  if (is_plain(kind) && kind != Kind::kBytes && kind != Kind::kByteArray) {
    return break_at(at_, "a value that is no buffer is made read-only");
  }
  // What the stream itself holds stays what it is; a view of it has the same bytes.
  if (is_plain(kind)) return true;
  stack_.back() = build_.opaque(Kind::kBuffer, op_, at_, stack_.back());
  return true;
}

}  // namespace

Run run(ByteSpan stream, const Limits& limits) {
  Run result;
  Machine(stream, limits, Crossing::kReadsOn, result).execute();
  const bool crossed = std::ranges::any_of(result.oddities, [](const Oddity& oddity) {
    return oddity.kind == OddityKind::kFrameCrossed || oddity.kind == OddityKind::kFrameOverlap;
  });
  if (crossed) {
    auto other = std::make_unique<Run>();
    Machine(stream, limits, Crossing::kDropsRest, *other).execute();
    result.other_reading = std::move(other);
  }
  return result;
}

Run run_observed(ByteSpan stream, const Limits& limits, Crossing crossing, StepObserver& observer) {
  Run result;
  Machine(stream, limits, crossing, result, &observer).execute();
  return result;
}

}  // namespace tare::pickle
