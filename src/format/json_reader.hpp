// A pull reader for JSON (RFC 8259) in hostile headers: no recursion, no copy of what needs none,
// every error with its offset. It reads exactly the grammar that serde_json does: no comments, no
// trailing commas, no lone surrogates, no control bytes in strings.
//
// Every function returns false once something was wrong; error() then says what was first.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tare/error.hpp"

namespace tare::format {

// Texts that stay where they are until the arena goes.
class TextArena {
 public:
  std::string_view add(std::string_view text);

 private:
  static constexpr std::size_t kChunkBytes = std::size_t{64} << 10;

  std::vector<std::unique_ptr<char[]>> chunks_;
  std::size_t left_ = 0;  // in the last chunk
  char* next_ = nullptr;
};

class JsonReader {
 public:
  // serde_json refuses deeper nesting: containers inside each other, the outermost included.
  static constexpr std::size_t kMaxDepth = 127;

  // Offsets in errors count from `base`. `text` must be UTF-8 (check it first). Strings with
  // escapes are decoded into `arena`, the others are views of `text`.
  JsonReader(std::string_view text, std::uint64_t base, TextArena& arena)
      : begin_(text.data()),
        next_(text.data()),
        end_(text.data() + text.size()),
        base_(base),
        arena_(&arena) {}

  // Takes NaN, Infinity and -Infinity for numbers from here on, as Python's json module does.
  void allow_python_numbers() { python_numbers_ = true; }

  const Error& error() const { return error_; }
  // Of the next byte.
  std::uint64_t offset() const { return base_ + static_cast<std::uint64_t>(next_ - begin_); }
  // Notes an error at the next byte.
  bool fail_here(ErrorCode code, const char* what);

  bool at_end() {
    skip_space();
    return next_ == end_;
  }
  // The next character after white space; NUL, which no JSON has there, at the end.
  char peek() {
    skip_space();
    return next_ == end_ ? '\0' : *next_;
  }
  // Takes `c` if it is that one. Not finding it is no error.
  bool consume(char c) {
    // Most of the time there is no white space.
    const bool here = next_ != end_ && *next_ == c;
    if (!here && (peek() != c || next_ == end_)) return false;
    ++next_;
    return true;
  }
  // Takes `text` if it stands here, byte for byte. Not finding it is no error.
  template <std::size_t kSize>
  bool take(const char (&text)[kSize]) {
    constexpr std::size_t kLength = kSize - 1;
    if (static_cast<std::size_t>(end_ - next_) < kLength) return false;
    if (std::memcmp(next_, text, kLength) != 0) return false;
    next_ += kLength;
    return true;
  }
  // Takes a number as writers write it: up to 19 digits, no zeros in front. Anything else is no
  // error here, and part of it may be taken.
  bool take_u64(std::uint64_t& out) {
    const char* const start = next_;
    out = 0;
    for (; next_ != end_ && is_digit(*next_); ++next_) {
      out = 10 * out + static_cast<std::uint64_t>(*next_ - '0');
    }
    const std::ptrdiff_t digits = next_ - start;
    return digits > 0 && digits <= kSafeDigits && (*start != '0' || digits == 1);
  }
  // Takes a short text up to a quote, and the quote, whatever else it holds.
  bool take_to_quote(std::string_view& out) {
    constexpr std::ptrdiff_t kMost = 16;
    const char* const last = next_ + std::min(kMost, end_ - next_);
    const char* const quote = std::find(next_, last, '"');
    if (quote == last) return false;
    out = {next_, static_cast<std::size_t>(quote - next_)};
    next_ = quote + 1;
    return true;
  }
  // A place to go back to.
  const char* place() const { return next_; }
  void go_to(const char* place) { next_ = place; }

  bool expect(char c, const char* what) {
    return consume(c) || fail_here(ErrorCode::kMalformed, what);
  }
  // A string, and whether it was written with escapes.
  bool read_string(std::string_view& out) {
    if (!expect('"', "invalid JSON: a string is expected")) return false;
    const char* const start = next_;
    next_ = plain_end(next_);
    if (next_ == end_ || *next_ != '"') return read_rest_of_string(start, out);
    out = {start, static_cast<std::size_t>(next_ - start)};
    ++next_;
    escaped_ = false;
    return true;
  }
  bool was_escaped() const { return escaped_; }
  // A number without sign, fraction and exponent, at most 2^64-1.
  bool read_u64(std::uint64_t& out);
  bool read_null();
  // Any value. `depth`: the containers that it stands in.
  bool skip_value(std::size_t depth);

 private:
  static constexpr std::ptrdiff_t kSafeDigits = 19;  // of a number that fits 64 bits
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  void skip_space() {
    while (next_ != end_ && is_space(*next_)) ++next_;
  }
  // The first byte from `at` on that does not stand for itself in a string.
  const char* plain_end(const char* at) const {
    // A word at a time: a byte below 0x20, a quote or a backslash. Bytes above 0x7f stand for
    // themselves. What is found first is true; only behind it may be false alarms.
    constexpr std::uint64_t kOnes = 0x0101010101010101;
    while (end_ - at >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, sizeof word);
      const auto below = [](std::uint64_t w, std::uint64_t n) { return (w - kOnes * n) & ~w; };
      const std::uint64_t found =
          below(word, 0x20) | below(word ^ kOnes * '"', 1) | below(word ^ kOnes * '\\', 1);
      const std::uint64_t hits = found & 0x80 * kOnes;
      if (hits != 0) return at + std::countr_zero(hits) / 8;
      at += 8;
    }
    while (at != end_ && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
    return at;
  }
  bool read_rest_of_string(const char* start, std::string_view& out);
  bool read_escape(std::string& out);
  bool read_hex4(std::uint32_t& value);
  bool skip_number();
  bool skip_scalar(char first);

  const char* begin_;
  const char* next_;
  const char* end_;
  std::uint64_t base_;
  TextArena* arena_;
  std::string scratch_;
  bool escaped_ = false;
  bool python_numbers_ = false;
  Error error_{};
};

}  // namespace tare::format
