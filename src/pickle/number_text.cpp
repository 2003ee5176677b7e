#include "pickle/number_text.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace tare::pickle {
namespace {

constexpr std::string_view kBlanks = " \t\r\v\f\n";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool is_canonical(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || !std::ranges::all_of(text, is_digit)) return false;
  return text.size() == 1 || text.front() != '0';
}

int base_of_prefix(char letter) {
  switch (letter) {
    case 'x':
    case 'X':
      return 16;
    case 'o':
    case 'O':
      return 8;
    case 'b':
    case 'B':
      return 2;
    default:
      return 0;
  }
}

// Python allows single underscores between digits.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string digits;
  digits.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits += text[i];
    } else if (i + 1 == text.size() || text[i + 1] == '_') {
      return std::nullopt;
    }
  }
  return digits;
}

std::optional<ParsedInteger> parse_in_base(std::string_view original, std::string_view digits,
                                           bool negative, int base, bool canonical) {
  std::uint64_t magnitude = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  if (digits.empty() || end != digits.data() + digits.size()) return std::nullopt;
  const std::uint64_t limit = std::uint64_t{INT64_MAX} + (negative ? 1 : 0);
  if (error == std::errc::result_out_of_range || magnitude > limit) {
    // Only plain decimals keep their text; a huge number in another base is nothing a pickler
    // writes, and its value decides nothing.
    return ParsedInteger{false, canonical && base == 10, 0, original};
  }
  const std::uint64_t bits = negative ? 0 - magnitude : magnitude;
  return ParsedInteger{true, canonical, static_cast<std::int64_t>(bits), {}};
}

}  // namespace

std::optional<ParsedInteger> parse_integer(std::string_view text) {
  const std::string_view original = trim(text);
  if (is_canonical(text)) {
    const bool negative = text.front() == '-';
    return parse_in_base(original, text.substr(negative ? 1 : 0), negative, 10, true);
  }
  std::string_view rest = original;
  bool negative = false;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  int base = 10;
  if (rest.size() > 2 && rest[0] == '0' && base_of_prefix(rest[1]) != 0) {
    base = base_of_prefix(rest[1]);
    rest.remove_prefix(2);
    if (rest.front() == '_') rest.remove_prefix(1);
  } else if (rest.size() > 1 && rest[0] == '0' && std::ranges::all_of(rest, is_digit)) {
    // strtol takes a leading zero as octal; what is no octal number goes to Python's int(), which
    // takes nothing but zeros.
    base = std::ranges::all_of(rest, [](char c) { return c == '0'; }) ? 10 : 8;
  }
  if (rest.empty() || rest.front() == '_') return std::nullopt;
  const auto digits = without_underscores(rest);
  if (!digits) return std::nullopt;
  return parse_in_base(original, *digits, negative, base, false);
}

std::optional<ParsedInteger> parse_memo_index(std::string_view text) {
  if (is_canonical(text)) return parse_in_base(text, text, false, 10, true);
  std::string_view rest = trim(text);
  if (rest.starts_with('+')) rest.remove_prefix(1);
  if (rest.empty() || rest.front() == '_' || rest.front() == '-') return std::nullopt;
  const auto digits = without_underscores(rest);
  if (!digits || !std::ranges::all_of(*digits, is_digit)) return std::nullopt;
  return parse_in_base(text, *digits, false, 10, false);
}

std::optional<ParsedFloat> parse_float(std::string_view text) {
  const auto plain = [](std::string_view number, bool canonical) -> std::optional<ParsedFloat> {
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (number.empty() || end != number.data() + number.size()) return std::nullopt;
    if (error == std::errc::result_out_of_range) {
      // from_chars leaves `value` alone; strtod gives infinity or zero. Which one decides nothing.
      return ParsedFloat{0, false};
    }
    return ParsedFloat{value, canonical};
  };
  if (auto value = plain(text, true)) return value;
  std::string_view rest = trim(text);
  if (rest.starts_with('+')) rest.remove_prefix(1);
  if (rest.empty() || rest.front() == '_') return std::nullopt;
  const auto digits = without_underscores(rest);
  return digits ? plain(*digits, false) : std::nullopt;
}

}  // namespace tare::pickle
