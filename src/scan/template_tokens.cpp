#include <algorithm>

#include "io/utf8.hpp"
#include "scan/template_analyzer.hpp"

namespace tare::scan_template {
namespace {

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run();

 private:
  bool at(std::string_view text) const { return source_.substr(next_).starts_with(text); }
  bool fail_here() {
    failed_ = true;
    return false;
  }
  void add(TokenKind kind, std::string_view text, std::size_t offset) {
    tokens_.push_back({kind, std::string(text), offset});
  }
  bool skip_comment();
  bool read_block(TokenKind open, std::string_view close);
  bool read_token();
  bool read_literal();
  bool read_escape(std::string& out);
  std::string_view take_while(bool (*wanted)(char));
  bool ends_raw();

  std::string_view source_;
  std::size_t next_ = 0;
  bool failed_ = false;
  std::vector<Token> tokens_;
};

std::string_view Lexer::take_while(bool (*wanted)(char)) {
  const std::size_t start = next_;
  while (next_ < source_.size() && wanted(source_[next_])) ++next_;
  return source_.substr(start, next_ - start);
}

bool Lexer::skip_comment() {
  const std::size_t end = source_.find("#}", next_ + 2);
  if (end == std::string_view::npos) return fail_here();
  next_ = end + 2;
  return true;
}

// An escape as Python has it: that is how Jinja decodes them.
bool Lexer::read_escape(std::string& out) {
  ++next_;  // the backslash
  if (next_ >= source_.size()) return fail_here();
  const char letter = source_[next_++];
  constexpr std::string_view kLetters = "\\'\"abfnrtv\n";
  constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
  if (const auto found = kLetters.find(letter); found != std::string_view::npos) {
    if (found < kMeanings.size()) out += kMeanings[found];
    return true;
  }
  const bool octal = letter >= '0' && letter <= '7';
  const std::size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
  if (!octal && digits == 0) {
    // A name of a character is not looked up here.
    if (letter == 'N') return fail_here();
    out += '\\';
    out += letter;
    return true;
  }
  std::uint32_t code_point = octal ? static_cast<std::uint32_t>(letter - '0') : 0;
  for (std::size_t i = octal ? 1 : 0; i < (octal ? 3 : digits); ++i) {
    const char c = next_ < source_.size() ? source_[next_] : ' ';
    const char lower = static_cast<char>(c | 0x20);
    const bool is_hex = is_digit(c) || (lower >= 'a' && lower <= 'f');
    if (octal ? c < '0' || c > '7' : !is_hex) {
      if (octal) break;
      return fail_here();
    }
    const int value = is_digit(c) ? c - '0' : lower - 'a' + 10;
    code_point = code_point * (octal ? 8 : 16) + static_cast<std::uint32_t>(value);
    ++next_;
  }
  if (code_point >= 0x110000) return fail_here();
  append_utf8(out, code_point);
  return true;
}

bool Lexer::read_literal() {
  const std::size_t start = next_;
  const char quote = source_[next_++];
  std::string text;
  while (next_ < source_.size() && source_[next_] != quote) {
    if (source_[next_] == '\\') {
      if (!read_escape(text)) return false;
    } else {
      text += source_[next_++];
    }
  }
  if (next_ >= source_.size()) return fail_here();
  ++next_;
  add(TokenKind::kText, text, start);
  return true;
}

bool Lexer::read_token() {
  const std::size_t start = next_;
  const char c = source_[next_];
  if (is_space(c)) {
    ++next_;
    return true;
  }
  if (c == '"' || c == '\'') return read_literal();
  if (is_digit(c)) {
    add(TokenKind::kNumber, take_while([](char d) { return is_digit(d) || is_name_start(d); }),
        start);
    return true;
  }
  if (is_name_start(c)) {
    add(TokenKind::kName, take_while([](char d) { return is_name_start(d) || is_digit(d); }),
        start);
    return true;
  }
  constexpr std::string_view kOperators = "+-*/%~()[]{}<>=!.,:|;";
  if (kOperators.find(c) == std::string_view::npos) return fail_here();
  ++next_;
  add(TokenKind::kOperator, source_.substr(start, 1), start);
  return true;
}

// Up to its end, which does not count inside of brackets: "{{ {'a': {}} }}".
bool Lexer::read_block(TokenKind open, std::string_view close) {
  add(open, source_.substr(next_, 2), next_);
  next_ += 2;
  if (next_ < source_.size() && (source_[next_] == '-' || source_[next_] == '+')) ++next_;
  std::size_t depth = 0;
  while (next_ < source_.size()) {
    const bool trims = (at("-") || at("+")) && source_.substr(next_ + 1).starts_with(close);
    if (depth == 0 && (trims || at(close))) {
      next_ += trims ? 1 : 0;
      add(TokenKind::kClose, close, next_);
      next_ += 2;
      return true;
    }
    const char c = source_[next_];
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (c == ')' || c == ']' || c == '}') {
      if (depth == 0) return fail_here();
      --depth;
    }
    if (!read_token()) return false;
  }
  return fail_here();
}

// Behind `{% raw %}`: everything up to `{% endraw %}` is text.
bool Lexer::ends_raw() {
  const std::size_t count = tokens_.size();
  if (count < 3 || tokens_[count - 3].kind != TokenKind::kOpenTag ||
      tokens_[count - 2].text != "raw") {
    return true;
  }
  std::size_t from = next_;
  for (;;) {
    const std::size_t open = source_.find("{%", from);
    if (open == std::string_view::npos) return fail_here();
    std::string_view inside = source_.substr(open + 2);
    const std::size_t word = inside.find_first_not_of("-+ \t\r\n");
    if (word != std::string_view::npos && inside.substr(word).starts_with("endraw")) {
      next_ = open;
      return true;
    }
    from = open + 2;
  }
}

Result<std::vector<Token>> Lexer::run() {
  for (;;) {
    next_ = source_.find('{', next_);
    if (next_ == std::string_view::npos) return std::move(tokens_);
    bool good = true;
    if (at("{#")) {
      good = skip_comment();
    } else if (at("{%")) {
      good = read_block(TokenKind::kOpenTag, "%}") && ends_raw();
    } else if (at("{{")) {
      good = read_block(TokenKind::kOpenValue, "}}");
    } else {
      ++next_;
    }
    if (!good) return fail(ErrorCode::kMalformed, "this is no Jinja that tare reads", next_);
  }
}

}  // namespace

Result<std::vector<Token>> tokens_of(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace tare::scan_template
