#include "pickle/plain_steps.hpp"

#include <algorithm>
#include <cstring>

#include "io/utf8.hpp"

namespace tare::pickle {
namespace {

// Opcodes between two looks at the budgets.
constexpr std::uint64_t kMaxOpcodes = 4096;
// As long as this many bytes are left, an opcode with its argument of fixed size, and three
// small integers, are read without a look at the end.
constexpr std::ptrdiff_t kSlack = 16;

template <typename T>
T load(const std::byte* place) {
  T value{};
  std::memcpy(&value, place, sizeof(T));
  return value;
}

// A BININT1 or a BININT2 in the low bytes of a word, without branches: which of the two comes next
// cannot be foreseen. 0 or 1 each.
constexpr std::uint64_t kOne = static_cast<std::uint64_t>(Op::kBinInt1);
constexpr std::uint64_t kTwo = static_cast<std::uint64_t>(Op::kBinInt2);
constexpr std::uint64_t is_small_integer(std::uint64_t word) {
  const std::uint64_t opcode = word & 0xFF;
  return static_cast<std::uint64_t>(opcode == kOne) | static_cast<std::uint64_t>(opcode == kTwo);
}
constexpr std::uint64_t is_wide(std::uint64_t word) {
  static_assert((kOne >> 2 & 1) == 0 && (kTwo >> 2 & 1) == 1);
  return word >> 2 & 1;
}
// The word from behind that integer on, short of its last bytes.
constexpr std::uint64_t behind_integer(std::uint64_t word) {
  const std::uint64_t narrow = word >> 16;
  const std::uint64_t wide = word >> 24;
  return __builtin_expect_with_probability(static_cast<long>(is_wide(word)), 1, 0.5) != 0 ? wide
                                                                                          : narrow;
}
constexpr Value small_integer(std::uint64_t word) {
  return Builder::small_integer(
      static_cast<std::uint32_t>(word >> 8 & (0xFF | (0xFF00 & -is_wide(word)))));
}

struct IntegerRun {
  const std::byte* next;
  std::uint64_t count;
};

// Small integers from `next` on, where one stands: at least that, at most `most`. They begin before
// `last`, behind which there are kSlack bytes. Not inlined, to leave the registers to the loop.
[[gnu::noinline]] IntegerRun take_small_integers(const std::byte* next, const std::byte* last,
                                                 Value* top, std::uint64_t most) {
  std::uint64_t count = 0;
  // Three at a time, because each has to wait for the length of the one before: their opcodes stand
  // in the same eight bytes, wherever they stand.
  for (; count + 3 <= most && next <= last; count += 3) {
    const auto word = load<std::uint64_t>(next);
    const std::uint64_t second = behind_integer(word);
    const std::uint64_t third = behind_integer(second);
    const std::uint64_t two = 4 + is_wide(word) + is_wide(second);
    if ((is_small_integer(word) & is_small_integer(second) & is_small_integer(third)) == 0) break;
    top[count] = small_integer(word);
    top[count + 1] = small_integer(second);
    top[count + 2] = small_integer(load<std::uint32_t>(next + two));  // `third` may be cut
    next += two + 2 + is_wide(third);
  }
  for (; count < most && next <= last; ++count) {
    const auto word = load<std::uint32_t>(next);
    if (is_small_integer(word) == 0) break;
    top[count] = small_integer(word);
    next += 2 + is_wide(word);
  }
  return {next, count};
}

// `left`: readable bytes from `text` on, at least `length`.
bool is_ascii(const std::byte* text, std::uint64_t length, std::uint64_t left) {
  if (length <= 8 && left >= 8) [[likely]] {
    constexpr std::uint64_t kHighBits = 0x8080808080808080;
    const std::uint64_t mask = length == 8 ? ~std::uint64_t{0} : ~(~std::uint64_t{0} << 8 * length);
    return (load<std::uint64_t>(text) & mask & kHighBits) == 0;
  }
  return tare::is_ascii({reinterpret_cast<const char*>(text), length});
}

bool has_unhashable_key(const Value* items, const Value* end, const Builder& build) {
  for (const Value* key = items; key < end; key += 2) {
    if (Builder::is_node(*key) && is_unhashable(build.kind_of_node(*key))) return true;
  }
  return false;
}

}  // namespace

PlainProgress run_plain(ByteSpan stream, std::uint64_t offset, std::uint64_t max_opcodes,
                        const PlainState& state) {
  const std::uint64_t most = std::min(kMaxOpcodes, max_opcodes);
  const auto& [stack, marks, memo, build] = state;
  Value* top = stack.extend(most);  // each opcode pushes one value at most
  Value* const base = stack.data();
  Value* fence = base + (marks.empty() ? 0 : marks.back());
  const std::byte* const begin = stream.data();
  const std::byte* const end = begin + stream.size();
  const std::byte* next = begin + offset;  // the first opcode that is not finished
  std::uint64_t done = 0;

  while (done < most && end - next >= kSlack) {
    const std::byte* const argument = next + 1;
    const std::byte* after = nullptr;  // the next opcode, if this one was plain
    const auto push = [&](Value value, const std::byte* behind) {
      *top++ = value;
      after = behind;
    };
    // An object that is new: picklers memoize it at once.
    const auto push_new = [&](Value value, const std::byte* behind) {
      push(value, behind);
      if (behind == end || static_cast<Op>(*behind) != Op::kMemoize) return;
      if (!memo.append(memo.size(), value)) return;
      after = behind + 1;
      ++done;
    };
    const auto push_text = [&](Kind kind, const std::byte* text, std::uint64_t length) {
      const auto left = static_cast<std::uint64_t>(end - text);
      if (length > left || (kind == Kind::kString && !is_ascii(text, length, left))) return;
      push_new(build.text_in_input(kind, static_cast<std::uint64_t>(text - begin), length),
               text + length);
    };
    const auto get = [&](std::uint64_t index, const std::byte* behind) {
      const Value value = memo.get_dense(index);
      if (value != Memo::kUnset) push(value, behind);
    };
    const auto put = [&](std::uint64_t index, const std::byte* behind) {
      if (top > fence && memo.append(index, top[-1])) after = behind;
    };
    // Stores what stands from `items` on in the container below; true if that was plain.
    const auto update = [&](Value* items, const Value* lowest, UpdateKind kind) {
      const Kind container = kind == UpdateKind::kAppend ? Kind::kList : Kind::kDict;
      if (items <= lowest || !build.is_node_of(items[-1], container)) return false;
      const auto count = static_cast<std::size_t>(top - items);
      if (kind == UpdateKind::kSetItems &&
          (count % 2 != 0 || has_unhashable_key(items, top, build))) {
        return false;
      }
      if (count > 0) build.update(items[-1], kind, items, count);
      top = items;
      after = argument;
      return true;
    };
    const auto update_to_mark = [&](UpdateKind kind) {
      if (marks.empty()) return;
      Value* const below = base + (marks.size() > 1 ? marks[marks.size() - 2] : 0);
      if (!update(fence, below, kind)) return;
      marks.pop_back();
      fence = below;
    };

    switch (static_cast<Op>(*next)) {
      case Op::kBinInt1:
      case Op::kBinInt2: {
        const IntegerRun run = take_small_integers(next, end - kSlack, top, most - done);
        after = run.next;
        top += run.count;
        done += run.count - 1;
        break;
      }
      case Op::kBinInt:
        push(build.integer(load<std::int32_t>(argument)), argument + 4);
        break;
      case Op::kLong1: {
        const auto length = load<std::uint8_t>(argument);
        if (length == 0 || length > sizeof(std::int64_t)) break;
        // The highest bit given is the sign.
        const auto bits = load<std::uint64_t>(argument + 1) << (64 - 8 * length);
        push(build.integer(static_cast<std::int64_t>(bits) >> (64 - 8 * length)),
             argument + 1 + length);
        break;
      }
      case Op::kBinFloat:
        push(build.real_in_input(static_cast<std::uint64_t>(argument - begin)), argument + 8);
        break;
      case Op::kNone:
        push(Builder::none(), argument);
        break;
      case Op::kNewTrue:
        push(Builder::boolean(true), argument);
        break;
      case Op::kNewFalse:
        push(Builder::boolean(false), argument);
        break;
      case Op::kEmptyTuple:
        push(Builder::empty_tuple(), argument);
        break;
      case Op::kEmptyList:
        push_new(build.container(Kind::kList), argument);
        break;
      case Op::kEmptyDict:
        push_new(build.container(Kind::kDict), argument);
        break;
      case Op::kMark:
        marks.push_back(static_cast<std::size_t>(top - base));
        fence = top;
        after = argument;
        break;
      case Op::kShortBinUnicode:
        push_text(Kind::kString, argument + 1, load<std::uint8_t>(argument));
        break;
      case Op::kBinUnicode:
        push_text(Kind::kString, argument + 4, load<std::uint32_t>(argument));
        break;
      case Op::kShortBinBytes:
        push_text(Kind::kBytes, argument + 1, load<std::uint8_t>(argument));
        break;
      case Op::kBinGet:
        get(load<std::uint8_t>(argument), argument + 1);
        break;
      case Op::kLongBinGet:
        get(load<std::uint32_t>(argument), argument + 4);
        break;
      case Op::kBinPut:
        put(load<std::uint8_t>(argument), argument + 1);
        break;
      case Op::kLongBinPut:
        put(load<std::uint32_t>(argument), argument + 4);
        break;
      case Op::kMemoize:
        put(memo.size(), argument);
        break;
      case Op::kTuple1:
      case Op::kTuple2:
      case Op::kTuple3: {
        static_assert(static_cast<int>(Op::kTuple3) == static_cast<int>(Op::kTuple1) + 2);
        const auto count =
            static_cast<std::ptrdiff_t>(*next) - static_cast<std::ptrdiff_t>(Op::kTuple1) + 1;
        if (top - fence < count) break;
        top -= count;
        push_new(build.tuple(top, static_cast<std::size_t>(count)), argument);
        break;
      }
      case Op::kAppend:
        if (top > fence) update(top - 1, fence, UpdateKind::kAppend);
        break;
      case Op::kSetItem:
        if (top - fence >= 2) update(top - 2, fence, UpdateKind::kSetItems);
        break;
      case Op::kAppends:
        update_to_mark(UpdateKind::kAppend);
        break;
      case Op::kSetItems:
        update_to_mark(UpdateKind::kSetItems);
        break;
      default:
        break;
    }
    if (after == nullptr) break;
    next = after;
    ++done;
  }
  stack.truncate(static_cast<std::size_t>(top - base));
  return {static_cast<std::uint64_t>(next - begin), done};
}

}  // namespace tare::pickle
