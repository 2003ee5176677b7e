#include "format/json_reader.hpp"

#include <algorithm>
#include <bitset>
#include <charconv>

#include "io/checked.hpp"
#include "io/utf8.hpp"

namespace tare::format {

std::string_view TextArena::add(std::string_view text) {
  if (text.size() > left_) {
    const std::size_t size = std::max(text.size(), kChunkBytes);
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    next_ = chunks_.back().get();
    left_ = size;
  }
  char* const place = next_;
  if (!text.empty()) std::memcpy(place, text.data(), text.size());
  next_ += text.size();
  left_ -= text.size();
  return {place, text.size()};
}

bool JsonReader::fail_here(ErrorCode code, const char* what) {
  if (error_.what[0] == '\0') error_ = Error{code, 0, offset(), what};
  return false;
}

bool JsonReader::read_rest_of_string(const char* start, std::string_view& out) {
  scratch_.assign(start, next_);
  for (;;) {
    if (next_ == end_) return fail_here(ErrorCode::kMalformed, "invalid JSON: a string has no end");
    if (*next_ == '"') break;
    if (*next_ != '\\') {
      return fail_here(ErrorCode::kMalformed, "invalid JSON: a control byte in a string");
    }
    if (!read_escape(scratch_)) return false;
    const char* const plain = next_;
    next_ = plain_end(next_);
    scratch_.append(plain, next_);
  }
  ++next_;
  out = arena_->add(scratch_);
  escaped_ = true;
  return true;
}

bool JsonReader::read_hex4(std::uint32_t& value) {
  if (end_ - next_ < 4) return false;
  value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = next_[i];
    const bool is_digit = c >= '0' && c <= '9';
    const char lower = static_cast<char>(c | 0x20);
    if (!is_digit && (lower < 'a' || lower > 'f')) return false;
    value = value << 4 | static_cast<std::uint32_t>(is_digit ? c - '0' : lower - 'a' + 10);
  }
  next_ += 4;
  return true;
}

bool JsonReader::read_escape(std::string& out) {
  ++next_;  // the backslash
  if (next_ == end_) return fail_here(ErrorCode::kMalformed, "invalid JSON: a string has no end");
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const char letter = *next_;
  if (const auto found = kLetters.find(letter); found != std::string_view::npos) {
    ++next_;
    out += kMeanings[found];
    return true;
  }
  if (letter != 'u') return fail_here(ErrorCode::kMalformed, "invalid JSON: an unknown escape");
  ++next_;
  std::uint32_t code_point = 0;
  if (!read_hex4(code_point)) {
    return fail_here(ErrorCode::kMalformed, "invalid JSON: a broken \\u escape");
  }
  if (code_point >= 0xD800 && code_point <= 0xDFFF) {
    std::uint32_t low = 0;
    bool pair = code_point < 0xDC00 && end_ - next_ >= 2 && next_[0] == '\\' && next_[1] == 'u';
    if (pair) {
      next_ += 2;
      pair = read_hex4(low);
    }
    if (!pair || low < 0xDC00 || low > 0xDFFF) {
      return fail_here(ErrorCode::kMalformed, "invalid JSON: a lone surrogate");
    }
    code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(out, code_point);
  return true;
}

bool JsonReader::read_u64(std::uint64_t& out) {
  skip_space();
  const char* const start = next_;
  out = 0;
  while (next_ != end_ && is_digit(*next_)) {
    out = 10 * out + static_cast<std::uint64_t>(*next_++ - '0');
  }
  const std::ptrdiff_t digits = next_ - start;
  if (digits == 0) {
    return fail_here(ErrorCode::kMalformed, "invalid header: a non-negative integer is expected");
  }
  if (*start == '0' && digits > 1) {
    return fail_here(ErrorCode::kMalformed, "invalid header: a number with leading zeros");
  }
  if (digits > kSafeDigits && std::from_chars(start, next_, out).ec != std::errc{}) {
    return fail_here(ErrorCode::kMalformed, "invalid header: a number above 2^64-1");
  }
  if (next_ != end_ && (*next_ == '.' || *next_ == 'e' || *next_ == 'E')) {
    return fail_here(ErrorCode::kMalformed, "invalid header: a number that is no integer");
  }
  return true;
}

bool JsonReader::read_null() {
  if (peek() == 'n') return skip_scalar('n');
  return fail_here(ErrorCode::kMalformed, "invalid JSON: null is expected");
}

// A number of any size, as far as it fits a double: serde_json refuses the others.
bool JsonReader::skip_number() {
  const char* const start = next_;
  const auto take_digits = [this] {
    const char* const first = next_;
    while (next_ != end_ && is_digit(*next_)) ++next_;
    return next_ - first;
  };
  if (next_ != end_ && *next_ == '-') ++next_;
  if (python_numbers_ && take("Infinity")) return true;
  const bool zero_first = next_ != end_ && *next_ == '0';
  const auto whole = take_digits();
  bool valid = whole > 0 && (!zero_first || whole == 1);
  if (valid && next_ != end_ && *next_ == '.') {
    ++next_;
    valid = take_digits() > 0;
  }
  if (valid && next_ != end_ && (*next_ == 'e' || *next_ == 'E')) {
    ++next_;
    if (next_ != end_ && (*next_ == '+' || *next_ == '-')) ++next_;
    valid = take_digits() > 0;
  }
  if (!valid) return fail_here(ErrorCode::kMalformed, "invalid JSON: a broken number");
  // Without an exponent it takes more than 300 digits.
  constexpr std::ptrdiff_t kSurelyFits = 300;
  const char* const exponent = std::find_if(start, next_, [](char c) { return (c | 0x20) == 'e'; });
  if (exponent == next_ && next_ - start < kSurelyFits) return true;
  double value = 0;
  const auto [end, problem] = std::from_chars(start, next_, value);
  if (problem != std::errc::result_out_of_range) return true;
  // Too large or too small? That is decided by where its first digit stands.
  const char* const point = std::find(start, exponent, '.');
  const char* const digit =
      std::find_if(start, exponent, [](char c) { return c >= '1' && c <= '9'; });
  std::int64_t power = 0;
  if (exponent != next_) {
    const char* const text = exponent + (exponent[1] == '+' ? 2 : 1);
    if (std::from_chars(text, next_, power).ec != std::errc{}) {
      power = *text == '-' ? -INT32_MAX : INT32_MAX;
    }
  }
  const bool is_large = (digit < point ? point - digit : point - digit + 1) + power > 0;
  if (!is_large) return true;
  return fail_here(ErrorCode::kMalformed, "invalid JSON: a number out of range");
}

bool JsonReader::skip_scalar(char first) {
  if (python_numbers_ && (take("NaN") || take("Infinity"))) return true;
  const std::string_view word = first == 't' ? "true" : first == 'f' ? "false" : "null";
  if (std::string_view(next_, static_cast<std::size_t>(end_ - next_)).starts_with(word)) {
    next_ += word.size();
    return true;
  }
  return fail_here(ErrorCode::kMalformed, "invalid JSON: a value is expected");
}

bool JsonReader::skip_value(std::size_t depth) {
  std::bitset<kMaxDepth + 1> is_object;  // by depth
  const std::size_t outside = depth;
  std::string_view text;
  const auto key = [&] {
    return read_string(text) && expect(':', "invalid JSON: ':' is expected");
  };
  for (;;) {
    const char first = peek();
    if (first == '{' || first == '[') {
      ++next_;
      if (++depth > kMaxDepth) {
        return fail_here(ErrorCode::kLimit, "invalid JSON: nested too deeply");
      }
      is_object[depth] = first == '{';
      if (!consume(first == '{' ? '}' : ']')) {
        if (first == '{' && !key()) return false;
        continue;
      }
      --depth;
    } else if (first == '"') {
      if (!read_string(text)) return false;
    } else if (first == '-' || (first >= '0' && first <= '9')) {
      if (!skip_number()) return false;
    } else if (!skip_scalar(first)) {
      return false;
    }
    // Behind a value: the next one, or the end of what it stands in.
    while (depth > outside && !consume(',')) {
      if (!expect(is_object[depth] ? '}' : ']', "invalid JSON: ',' or an end is expected")) {
        return false;
      }
      --depth;
    }
    if (depth == outside) return true;
    if (is_object[depth] && !key()) return false;
  }
}

}  // namespace tare::format
