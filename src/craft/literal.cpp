// Arguments of payloads, as people write them on a command line.
#include <charconv>

#include "io/utf8.hpp"
#include "tare/craft.hpp"

namespace tare::craft {
namespace {

bool is_quoted(std::string_view text) {
  return text.size() >= 2 && (text.front() == '\'' || text.front() == '"') &&
         text.back() == text.front();
}

// The code point that `digits` hexadecimal digits at `at` stand for; moves behind them.
std::optional<std::uint32_t> take_hex(std::string_view text, std::size_t& at, std::size_t digits) {
  if (digits > text.size() - at) return std::nullopt;
  std::uint32_t value = 0;
  const char* const begin = text.data() + at;
  const auto [end, error] = std::from_chars(begin, begin + digits, value, 16);
  if (error != std::errc() || end != begin + digits) return std::nullopt;
  at += digits;
  return value;
}

// What follows a backslash at `at`; moves behind it.
std::optional<std::uint32_t> take_escape(std::string_view text, std::size_t& at) {
  if (at == text.size()) return std::nullopt;
  const char c = text[at++];
  switch (c) {
    case '\\':
    case '\'':
    case '"':
      return static_cast<unsigned char>(c);
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'x':
      return take_hex(text, at, 2);
    case 'u':
      return take_hex(text, at, 4);
    default:
      return std::nullopt;
  }
}

Result<Literal> unquoted(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '\\') {
      out += text[i++];
      continue;
    }
    const auto character = take_escape(text, ++i);
    if (!character) return fail(ErrorCode::kMalformed, "a string with an unknown escape");
    append_utf8(out, *character);
  }
  return out;
}

// Whether all of `text` is a number of type T; the error of from_chars otherwise.
template <typename T>
std::errc read_number(std::string_view text, T& value) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return error;
  return end == text.data() + text.size() ? error : std::errc::invalid_argument;
}

bool is_integer(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// from_chars would also take words: "inf", "nan". Here they are text.
bool is_float(std::string_view text) {
  return text.find_first_of("0123456789") != std::string_view::npos &&
         text.find_first_not_of("+-.eE0123456789") == std::string_view::npos;
}

}  // namespace

Result<Literal> parse_literal(std::string_view text) {
  if (!is_utf8(text)) return fail(ErrorCode::kInvalidArgument, "an argument that is not UTF-8");
  if (text == "None") return None{};
  if (text == "True") return true;
  if (text == "False") return false;
  if (is_quoted(text)) return unquoted(text.substr(1, text.size() - 2));
  if (is_integer(text)) {
    std::int64_t value = 0;
    if (read_number(text, value) == std::errc()) return value;
    return fail(ErrorCode::kOverflow, "an integer of more than 64 bits");
  }
  double value = 0;
  if (is_float(text) && read_number(text, value) == std::errc()) return value;
  return std::string(text);
}

Call default_call() {
  return {"os", "system", {std::string("echo tare-craft: this code ran")}};
}

Call exec_call(std::string_view source) {
  return {"builtins", "exec", {std::string(source)}};
}

Result<Call> parse_callable(std::string_view text) {
  if (!is_utf8(text)) return fail(ErrorCode::kInvalidArgument, "a name that is not UTF-8");
  if (text.find('\n') != std::string_view::npos) {
    return fail(ErrorCode::kInvalidArgument, "a name with a newline in it");
  }
  auto at = text.find(':');
  if (at == std::string_view::npos) at = text.rfind('.');
  const auto module = at == std::string_view::npos ? "builtins" : text.substr(0, at);
  const auto name = at == std::string_view::npos ? text : text.substr(at + 1);
  if (module.empty() || name.empty()) {
    return fail(ErrorCode::kInvalidArgument, "a callable is MODULE.NAME or MODULE:NAME");
  }
  return Call{std::string(module), std::string(name), {}};
}

}  // namespace tare::craft
