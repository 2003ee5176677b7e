#include "pickle/disasm_fast.hpp"

#include <bit>

#include "io/cursor.hpp"
#include "pickle/decimal.hpp"
#include "pickle/python_repr.hpp"

namespace tare::pickle {
namespace {

using Way = FastLines::Way;
using Template = FastLines::Template;

Way way_of(const OpcodeInfo& info) {
  switch (info.op) {
    case Op::kStop:
    case Op::kProto:
    case Op::kObj:
    case Op::kPop:
    case Op::kExt1:
    case Op::kExt2:
    case Op::kExt4:
      return Way::kLeave;
    case Op::kMark:
      return Way::kMark;
    case Op::kMemoize:
      return Way::kMemoize;
    case Op::kBinPut:
      return Way::kPut1;
    case Op::kLongBinPut:
      return Way::kPut4;
    case Op::kBinGet:
      return Way::kGet1;
    case Op::kLongBinGet:
      return Way::kGet4;
    default:
      break;
  }
  switch (info.argument) {
    case Argument::kNone:
      return info.pops < 0 ? Way::kCloseMark : Way::kPlain;
    case Argument::kUint1:
    case Argument::kUint2:
      return Way::kSmallInteger;
    case Argument::kInt4:
      return Way::kInt4;
    case Argument::kFloat8:
      return Way::kFloat;
    case Argument::kUtf8_1:
      return Way::kText1;
    case Argument::kUtf8_4:
      return Way::kText4;
    default:
      return Way::kLeave;
  }
}

// The longest instruction with an argument of fixed size.
constexpr std::uint64_t kMaxFixed = 9;
// Text is read in words, which may reach past its end.
constexpr std::uint64_t kWord = 8;

// The last three digits of an offset.
struct Digits {
  std::array<std::array<char, 4>, 1000> zeros;   // "007:"
  std::array<std::array<char, 4>, 1000> blanks;  // "  7:"
};

constexpr Digits kDigits = [] {
  Digits digits{};
  for (unsigned n = 0; n < 1000; ++n) {
    const std::array<char, 3>& text = kDecimals.rests[1000 + n].text;
    digits.zeros[n] = {text[0], text[1], text[2], ':'};
    digits.blanks[n] = {n < 100 ? ' ' : text[0], n < 10 ? ' ' : text[1], text[2], ':'};
  }
  return digits;
}();

// Offsets are written by thousands: only the last three digits change from line to line.
constexpr std::uint64_t kStep = 1000;

class Offsets {
 public:
  explicit Offsets(std::uint64_t thousands)
      : tail_(thousands > 0 ? &kDigits.zeros : &kDigits.blanks) {
    // As "%5d:". The head has 15 digits at most: no input is longer.
    char text[kDecimalRoom];
    const auto count = static_cast<std::size_t>(put_number(text, thousands) - text);
    length_ = std::max<std::size_t>(count, 2);
    head_.fill(' ');
    if (thousands > 0) std::memcpy(head_.data() + length_ - count, text, count);
  }
  char* put(char* out, std::uint64_t rest) const {
    std::memcpy(out, head_.data(), head_.size());
    std::memcpy(out + length_, (*tail_)[rest].data(), 4);
    return out + length_ + 4;
  }

 private:
  std::array<char, 16> head_{};
  std::size_t length_ = 0;
  const std::array<std::array<char, 4>, 1000>* tail_;
};

// Room for the lines of kStep bytes of input: the longest has an offset, FastLines::kMaxLevel
// marks, the longest name, two numbers, and what fixed-size copies write past its end.
constexpr std::size_t kMaxLine = 200;
static_assert((kStep + 1) * kMaxLine <= TextSink::kMaxRoom);

// ASCII that repr() leaves as it is, between single quotes. May also refuse other text.
constexpr std::uint64_t kOnes = 0x0101010101010101;

bool is_plain(std::uint64_t word) {
  constexpr std::uint64_t kHigh = 0x80 * kOnes;
  const auto has_zero = [](std::uint64_t w) { return (w - kOnes) & ~w; };
  return ((((word - 0x20 * kOnes) | (word + kOnes) | word) | has_zero(word ^ '\'' * kOnes) |
           has_zero(word ^ '\\' * kOnes)) &
          kHigh) == 0;
}

std::string_view code_of(Op op, char (&buffer)[4]) {
  constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<std::uint8_t>(op);
  buffer[0] = static_cast<char>(byte);
  if (byte < 0x80) return {buffer, 1};
  buffer[0] = '\\';
  buffer[1] = 'x';
  buffer[2] = kHex[byte >> 4];
  buffer[3] = kHex[byte & 15];
  return {buffer, 4};
}

std::string template_text(const OpcodeInfo& info, std::size_t level) {
  char buffer[4];
  std::string text = " ";
  text += code_of(info.op, buffer);
  text.resize(6 + 4 * level, ' ');
  text += info.name;
  const std::string_view message = info.op == Op::kMemoize ? "(as "
                                   : info.pops < 0         ? "(MARK at "
                                                           : "";
  if (info.argument == Argument::kNone && message.empty()) return text += '\n';
  text.append(info.name.size() < 10 ? 10 - info.name.size() : 0, ' ');
  return text.append(" ").append(message);
}

Template make_template(const OpcodeInfo& info, std::size_t level) {
  const std::string text = template_text(info, level);
  const int pops = info.pops >= 0 ? info.pops : info.pops == kMarkAndOne ? 1 : 0;
  Template line{};
  text.copy(line.text, sizeof line.text);
  line.length = static_cast<std::uint8_t>(text.size());
  line.way = way_of(info);
  line.pops = static_cast<std::uint8_t>(pops);
  line.change = static_cast<std::int8_t>(info.op == Op::kMark ? 0 : info.pushes - pops);
  return line;
}

std::unique_ptr<FastLines::Row> make_row(std::size_t level) {
  auto row = std::make_unique<FastLines::Row>();
  for (const OpcodeInfo& info : kOpcodes) {
    (*row)[static_cast<std::uint8_t>(info.op)] = make_template(info, level);
  }
  return row;
}

// step() has made sure that it is there.
template <typename T>
T load(ByteSpan input, std::uint64_t at) {
  T value{};
  std::memcpy(&value, input.subspan(at).data(), sizeof value);
  return value;
}

char* put_template(char* out, const Template& line) {
  std::memcpy(out, line.text, Template::kNarrow);
  if (line.length > Template::kNarrow) [[unlikely]] {
    std::memcpy(out, line.text, sizeof line.text);
  }
  return out + line.length;
}
char* put_end(char* out) {
  *out = '\n';
  return out + 1;
}
char* put_parenthesis_end(char* out) {
  *out = ')';
  return put_end(out + 1);
}
char* put_float(char* out, std::uint64_t big_endian_bits) {
  return write_float_repr(out, std::bit_cast<double>(__builtin_bswap64(big_endian_bits)));
}

// What was written of an instruction: the end of its line, and its length; 0 if it is nothing for
// the short cut.
struct Written {
  char* end;
  std::uint64_t length;
};
constexpr Written kLeft{nullptr, 0};

// Text that repr() leaves as it is. `start` is where it starts in the instruction.
Written put_text(char* out, ByteSpan input, std::uint64_t at, std::uint64_t start,
                 std::uint64_t count, std::uint64_t limit) {
  // No more than there is room for, and another word behind it.
  if (count > kStep || at + start + count + kWord > limit) return kLeft;
  *out++ = '\'';
  for (std::uint64_t i = 0; i < count; i += kWord) {
    auto word = load<std::uint64_t>(input, at + start + i);
    std::memcpy(out + i, &word, kWord);
    if (count - i < kWord) {
      const std::uint64_t mask = (std::uint64_t{1} << (8 * (count - i))) - 1;
      word = (word & mask) | ('a' * kOnes & ~mask);
    }
    if (!is_plain(word)) return kLeft;
  }
  out += count;
  *out++ = '\'';
  return {put_end(out), start + count};
}

Written put_new_key(char* out, MemoKeys& memo, std::uint64_t key, std::uint64_t length) {
  if (!memo.is_dense(key) || memo.contains_dense(key)) return kLeft;
  memo.add(key);
  return {put_end(put_number(out, key)), length};
}

Written put_known_key(char* out, const MemoKeys& memo, std::uint64_t key, std::uint64_t length) {
  if (!memo.contains_dense(key)) return kLeft;
  return {put_end(put_number(out, key)), length};
}

// The lines of several instructions.
struct Lines {
  char* end;
  std::uint64_t length;  // of the instructions
  std::uint64_t count;
};

// Small integers come in rows, which have a loop of their own: those from `at` on, where one is,
// that begin below `end`. Which of the two widths comes next cannot be foreseen: there is no branch
// for it.
[[gnu::noinline]] Lines put_small_integers(char* out, ByteSpan input, std::uint64_t at,
                                           std::uint64_t end, const Offsets& offsets,
                                           const Template* lines) {
  const Offsets here = offsets;
  const std::uint64_t start = at;
  std::uint64_t count = 0;
  do {
    const auto word = load<std::uint32_t>(input, at);
    const Template& line = lines[word & 0xFF];
    if (line.way != Way::kSmallInteger) break;
    const std::uint32_t high = (word & 0xFF) == static_cast<std::uint32_t>(Op::kBinInt2) ? 1 : 0;
    const std::uint32_t value = word >> 8 & (0xFF | (0xFF00 & -high));
    out = put_end(put_number(put_template(here.put(out, at), line), value));
    at += 2 + high;
    ++count;
  } while (at < end);
  return {out, at - start, count};
}

}  // namespace

FastLines::FastLines(ByteSpan stream, TextSink& out, DisasmState& state)
    : stream_(stream), out_(out), state_(state) {}

std::uint64_t FastLines::run(std::uint64_t at) {
  const std::uint64_t limit = std::min<std::uint64_t>(stream_.size(), state_.frame_end);
  // A mark that was taken for a value makes closing marks a puzzle.
  if (state_.stack.has_taken_marks()) return at;
  while (at + kMaxFixed <= limit && !out_.refused()) {
    const std::uint64_t base = at - at % kStep;
    const std::uint64_t end = std::min(kStep, limit - base - kMaxFixed + 1);
    at = base + step(base, at - base, end, limit - base);
    if (at < base + end) break;
  }
  if (at >= state_.frame_end) state_.frame_end = DisasmState::kNoFrame;
  return at;
}

void FastLines::note_protocols() {
  for (const OpcodeInfo& info : kOpcodes) {
    bool& seen = seen_[static_cast<std::uint8_t>(info.op)];
    if (seen) state_.protocols |= 1U << info.protocol;
    seen = false;
  }
}

// Makes the templates of the level of marks that is now reached, unless that is too deep.
bool FastLines::reach_level() {
  const std::size_t level = state_.stack.open_marks();
  if (level > kMaxLevel) return false;
  if (rows_[level] == nullptr) {
    rows_[level] = make_row(level);
    templates_[level] = rows_[level]->data();
  }
  return true;
}

// Writes the lines of instructions that start below `end` and do not reach past `limit`. Offsets
// count from `base`. This is the hot loop: everything it needs is in local variables, and what can
// be is one copy of fixed size.
std::uint64_t FastLines::step(std::uint64_t base, std::uint64_t at, std::uint64_t end,
                              std::uint64_t limit) {
  const ByteSpan input = stream_.subspan(base);
  const Offsets offsets(base / kStep);
  StackShape& stack = state_.stack;
  MemoKeys& memo = state_.memo;
  std::vector<StackShape::Mark>& marks = stack.marks();
  std::uint64_t fence = stack.fence();
  if (!reach_level()) return at;
  const Template* lines = templates_[marks.size()];
  std::uint64_t reachable = stack.reachable();
  char* out = out_.room(TextSink::kMaxRoom);
  while (at < end) {
    const auto byte = std::to_integer<std::uint8_t>(input[at]);
    const Template& line = lines[byte];
    char* const next = put_template(offsets.put(out, at), line);
    Written written = kLeft;
    switch (line.way) {
      case Way::kLeave:
        break;
      case Way::kPlain:
        if (reachable >= line.pops) written = {next, 1};
        break;
      case Way::kSmallInteger: {
        const Lines row = put_small_integers(out, input, at, end, offsets, lines);
        reachable += row.count - 1;
        written = {row.end, row.length};
        break;
      }
      case Way::kInt4:
        written = {put_end(put_signed_number(next, load<std::int32_t>(input, at + 1))), 5};
        break;
      case Way::kFloat:
        written = {put_end(put_float(next, load<std::uint64_t>(input, at + 1))), 9};
        break;
      case Way::kText1:
        written = put_text(next, input, at, 2, load<std::uint8_t>(input, at + 1), limit);
        break;
      case Way::kText4:
        written = put_text(next, input, at, 5, load<std::uint32_t>(input, at + 1), limit);
        break;
      case Way::kPut1:
        if (reachable == 0) break;
        written = put_new_key(next, memo, load<std::uint8_t>(input, at + 1), 2);
        break;
      case Way::kPut4:
        if (reachable == 0) break;
        written = put_new_key(next, memo, load<std::uint32_t>(input, at + 1), 5);
        break;
      case Way::kGet1:
        written = put_known_key(next, memo, load<std::uint8_t>(input, at + 1), 2);
        break;
      case Way::kGet4:
        written = put_known_key(next, memo, load<std::uint32_t>(input, at + 1), 5);
        break;
      case Way::kMemoize:
        if (reachable == 0 || !memo.has_next()) break;
        written = {put_parenthesis_end(put_number(next, memo.size())), 1};
        memo.add_next();
        break;
      case Way::kMark:
        marks.push_back({fence + reachable, base + at});
        fence += reachable + 1;
        reachable = 0;
        written = {next, 1};
        lines = marks.size() <= kMaxLevel ? templates_[marks.size()] : nullptr;
        if (lines == nullptr) end = at;  // the next step may make them
        break;
      case Way::kCloseMark: {
        if (marks.empty()) break;
        const StackShape::Mark mark = marks.back();
        const std::size_t outer = marks.size() - 1;
        const std::uint64_t outer_fence = outer == 0 ? 0 : marks[outer - 1].position + 1;
        if (mark.position - outer_fence < line.pops) break;
        marks.pop_back();
        fence = outer_fence;
        reachable = mark.position - fence;
        lines = templates_[outer];
        if (lines == nullptr) end = at;
        written = {put_parenthesis_end(put_number(next, mark.offset)), 1};
        break;
      }
      default:
        __builtin_unreachable();
    }
    if (written.length == 0) break;
    reachable += static_cast<std::uint64_t>(std::int64_t{line.change});
    seen_[byte] = true;
    at += written.length;
    out = written.end;
  }
  stack.set_reachable(reachable);
  out_.used_to(out);
  return at;
}

}  // namespace tare::pickle
