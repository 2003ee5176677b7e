#include "format/python_literal.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "io/checked.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

using Kind = PyLiteral::Kind;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_name_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// The value of a digit in any base up to 16; 16 for what is none.
unsigned digit_value(char c) {
  if (is_digit(c)) return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : 16;
}

// A container whose end has not come yet.
struct Open {
  PyLiteral literal;
  char end;
  bool has_comma = false;
};

class Parser {
 public:
  Parser(std::string_view text, const PyLiteralOptions& options) : text_(text), options_(options) {}

  Result<PyLiteral> parse();

 private:
  using Status = Result<void>;

  std::unexpected<Error> failure(const char* what, ErrorCode code = ErrorCode::kMalformed) const {
    return fail(code, what, at_);
  }
  // The next character; NUL, which Python has in no source, at the end.
  char peek(std::size_t ahead = 0) const {
    return ahead < text_.size() - at_ ? text_[at_ + ahead] : '\0';
  }
  bool consume(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool consume(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void skip(std::string_view characters) {
    at_ = std::min(text_.find_first_not_of(characters, at_), text_.size());
  }
  void skip_space();
  void skip_comment();
  void skip_to_begin();
  Status check_end();
  bool open_container();
  bool may_close() const;
  PyLiteral close_container();
  std::size_t prefix_of_string() const;
  Result<PyLiteral> scalar();
  Result<PyLiteral> name();
  Result<PyLiteral> number();
  unsigned consume_base();
  Status digits(unsigned base, std::uint64_t& value);
  Result<PyLiteral> strings();
  Status one_string(std::string& out);
  Status character(std::string& out, bool raw);
  Status escape(std::string& out);
  Status hex_escape(std::size_t digits, std::string& out);

  std::string_view text_;
  PyLiteralOptions options_;
  std::size_t at_ = 0;
  std::vector<Open> open_;
};

// Inside of brackets lines do not matter.
void Parser::skip_space() {
  for (;;) {
    skip(" \t\f\r\n");
    if (peek() == '#') {
      skip_comment();
    } else if (!consume("\\\n")) {
      return;
    }
  }
}

void Parser::skip_comment() {
  if (peek() == '#') at_ = std::min(text_.find('\n', at_), text_.size());
}

// Outside of brackets, what begins with a space is part of another statement, and an error.
void Parser::skip_to_begin() {
  skip(" \t");
  std::size_t before = 0;
  do {
    before = at_;
    skip_comment();
    skip("\f\n");
  } while (at_ != before);
}

Result<void> Parser::check_end() {
  const std::size_t start = at_;
  std::size_t before = 0;
  do {
    before = at_;
    skip_comment();
    skip(" \t\f\r\n");
  } while (at_ != before);
  const std::string_view behind = text_.substr(start, at_ - start);
  const bool has_lines = behind.find_first_of("\r\n") != std::string_view::npos;
  const bool indented = has_lines && (behind.ends_with(' ') || behind.ends_with('\t'));
  if (at_ == text_.size() && !indented) return {};
  return failure("the literal goes on behind its end");
}

bool Parser::open_container() {
  const std::size_t start = at_;
  const auto open = [&](Kind kind, char end) {
    open_.push_back({PyLiteral{.kind = kind, .offset = start}, end});
    return true;
  };
  if (consume('(')) return open(Kind::kTuple, ')');
  if (consume('[')) return open(Kind::kList, ']');
  if (consume('{')) return open(Kind::kDict, '}');
  return false;
}

// Not between a key and its value.
bool Parser::may_close() const {
  if (open_.empty() || peek() != open_.back().end) return false;
  const PyLiteral& literal = open_.back().literal;
  return literal.kind != Kind::kDict || literal.items.size() % 2 == 0;
}

// Brackets around one value, without a comma, are no tuple.
PyLiteral Parser::close_container() {
  Open closed = std::move(open_.back());
  open_.pop_back();
  ++at_;
  PyLiteral& literal = closed.literal;
  const bool grouping =
      literal.kind == Kind::kTuple && literal.items.size() == 1 && !closed.has_comma;
  if (!grouping) return std::move(literal);
  PyLiteral inner = std::move(literal.items.front());
  return inner;
}

Result<PyLiteral> Parser::parse() {
  skip_to_begin();
  for (;;) {
    if (!open_.empty()) skip_space();
    Result<PyLiteral> value{};
    if (may_close()) {
      value = close_container();
    } else if (open_container()) {
      if (open_.size() > PyLiteral::kMaxDepth) {
        return failure("the literal is nested too deeply", ErrorCode::kLimit);
      }
      continue;
    } else {
      value = scalar();
    }
    if (!value) return value;
    // Behind a value: the next one, or the end of what it stands in.
    for (;;) {
      if (open_.empty()) {
        if (auto end = check_end(); !end) return std::unexpected(end.error());
        return value;
      }
      Open& open = open_.back();
      open.literal.items.push_back(std::move(*value));
      skip_space();
      const bool is_key = open.literal.kind == Kind::kDict && open.literal.items.size() % 2 == 1;
      if (consume(is_key ? ':' : ',')) {
        open.has_comma = true;
        break;
      }
      if (is_key) return failure("a ':' is expected in the literal");
      if (!may_close()) return failure("a ',' or the end of a bracket is expected in the literal");
      value = close_container();
    }
  }
}

Result<PyLiteral> Parser::scalar() {
  if (prefix_of_string() != std::string_view::npos) return strings();
  const char first = peek();
  if (is_digit(first) || first == '-' || first == '+') return number();
  return name();
}

Result<PyLiteral> Parser::name() {
  PyLiteral literal{.offset = at_};
  std::size_t length = 0;
  while (is_name_char(peek(length))) ++length;
  const std::string_view word = text_.substr(at_, length);
  if (word == "True" || word == "False") {
    literal.kind = Kind::kBool;
    literal.number = word == "True" ? 1 : 0;
  } else if (word != "None") {
    return failure("the literal has something that is no string, number, tuple, list or dict");
  }
  at_ += length;
  return literal;
}

// Moves behind "0x" and its like.
unsigned Parser::consume_base() {
  constexpr std::string_view kLetters = "xob";
  constexpr unsigned kBases[] = {16, 8, 2};
  const auto found = kLetters.find(static_cast<char>(peek(1) | 0x20));
  if (peek() != '0' || found == std::string_view::npos) return 10;
  at_ += 2;
  consume('_');
  return kBases[found];
}

Result<PyLiteral> Parser::number() {
  PyLiteral literal{.kind = Kind::kInteger, .offset = at_};
  literal.negative = consume('-');
  if (literal.negative || consume('+')) skip_space();
  const unsigned base = consume_base();
  const bool zero_first = base == 10 && peek() == '0';
  if (auto read = digits(base, literal.number); !read) return std::unexpected(read.error());
  if (zero_first && literal.number != 0) return failure("a number with a leading zero");
  if (options_.python2_longs) {
    const std::size_t behind = std::min(text_.find_first_not_of(" \t", at_), text_.size());
    if (behind < text_.size() && text_[behind] == 'L') at_ = behind + 1;
  }
  if (is_name_char(peek()) || peek() == '.') return failure("a number that is no integer");
  return literal;
}

// Digits, single underscores between them.
Result<void> Parser::digits(unsigned base, std::uint64_t& value) {
  const auto is_here = [&](std::size_t ahead) { return digit_value(peek(ahead)) < base; };
  if (!is_here(0)) return failure("a number without digits");
  while (is_here(0) || (peek() == '_' && is_here(1))) {
    consume('_');
    const auto shifted = checked_mul(value, base);
    const auto sum = shifted ? checked_add(*shifted, digit_value(peek())) : std::nullopt;
    if (!sum) return failure("a number of more than 64 bits", ErrorCode::kOverflow);
    value = *sum;
    ++at_;
  }
  return {};
}

// The length of what stands before the quote of a string; npos if no string begins here.
std::size_t Parser::prefix_of_string() const {
  const auto is_quote = [](char c) { return c == '\'' || c == '"'; };
  if (is_quote(peek())) return 0;
  const char letter = static_cast<char>(peek() | 0x20);
  const bool has_prefix = (letter == 'r' || letter == 'u') && is_quote(peek(1));
  return has_prefix ? 1 : std::string_view::npos;
}

// Strings that follow each other are one.
Result<PyLiteral> Parser::strings() {
  PyLiteral literal{.kind = Kind::kString, .offset = at_};
  do {
    if (auto read = one_string(literal.text); !read) return std::unexpected(read.error());
    if (!open_.empty()) skip_space();
  } while (prefix_of_string() != std::string_view::npos);
  return literal;
}

Result<void> Parser::one_string(std::string& out) {
  const std::size_t prefix = prefix_of_string();
  const bool raw = prefix == 1 && (peek() | 0x20) == 'r';
  at_ += prefix;
  const std::string triple(3, peek());
  const bool is_long = consume(triple);
  const std::string_view end = is_long ? std::string_view(triple) : text_.substr(at_, 1);
  if (!is_long) ++at_;
  while (!consume(end)) {
    if (at_ == text_.size()) return failure("a string without an end");
    if (peek() == '\0' || (!is_long && (peek() == '\n' || peek() == '\r'))) {
      return failure("a string with a character that it must not have");
    }
    if (auto read = character(out, raw); !read) return read;
  }
  return {};
}

Result<void> Parser::character(std::string& out, bool raw) {
  const char c = text_[at_++];
  if (c == '\\' && !raw) return escape(out);
  if (c == '\\') {
    out += c;
    // A quote behind it is no end, and stands for itself as well.
    if (peek() == '\\' || peek() == '\'' || peek() == '"') out += text_[at_++];
  } else if (options_.latin1) {
    append_utf8(out, static_cast<unsigned char>(c));
  } else {
    out += c;
  }
  return {};
}

// Behind the backslash.
Result<void> Parser::escape(std::string& out) {
  constexpr std::string_view kLetters = "\\'\"abfnrtv";
  constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
  const char letter = peek();
  if (const auto found = kLetters.find(letter); letter != '\0' && found != std::string_view::npos) {
    ++at_;
    out += kMeanings[found];
    return {};
  }
  if (letter >= '0' && letter <= '7') {
    std::uint32_t value = 0;
    for (int i = 0; i < 3 && peek() >= '0' && peek() <= '7'; ++i) {
      value = value * 8 + digit_value(text_[at_++]);
    }
    append_utf8(out, value);
    return {};
  }
  if (consume('\n')) return {};
  if (consume('x')) return hex_escape(2, out);
  if (consume('u')) return hex_escape(4, out);
  if (consume('U')) return hex_escape(8, out);
  if (letter == 'N') return failure("a character by its name", ErrorCode::kUnsupported);
  out += '\\';  // it stands for itself
  return {};
}

Result<void> Parser::hex_escape(std::size_t digits, std::string& out) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const unsigned digit = digit_value(peek());
    if (digit == 16) return failure("a broken escape in a string");
    value = value << 4 | digit;
    ++at_;
  }
  if (value > 0x10FFFF) return failure("an escape for no character");
  append_utf8(out, value);
  return {};
}

}  // namespace

Result<PyLiteral> parse_python_literal(std::string_view text, const PyLiteralOptions& options) {
  if (!options.latin1 && !is_utf8(text)) {
    return fail(ErrorCode::kMalformed, "the literal is not UTF-8", 0);
  }
  return Parser(text, options).parse();
}

}  // namespace tare::format
