#include "scan/source_tokens.hpp"

#include <algorithm>
#include <array>

namespace tare {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word(char c) {
  return is_letter(c) || is_digit(c);
}

// Words of the language: what follows in parentheses is no argument of theirs.
bool is_keyword(std::string_view word) {
  constexpr std::array kWords = {"return", "if",  "elif", "else", "while",  "for",   "in",
                                 "not",    "and", "or",   "is",   "assert", "raise", "yield",
                                 "lambda", "del", "pass", "with", "except", "await", "from"};
  return std::ranges::find(kWords, word) != kWords.end();
}

// Deeper strings in strings are read as text.
constexpr unsigned kMaxNesting = 4;

class Lexer {
 public:
  Lexer(std::string_view source, TokenList& list) : source_(source), list_(list) {}
  void run(std::size_t begin, std::size_t end, unsigned nesting);

 private:
  void add(TokenKind kind, std::size_t begin, std::size_t end) {
    list_.tokens.push_back({kind, source_.substr(begin, end - begin), begin});
  }
  std::size_t name_or_string(std::size_t at, std::size_t end, unsigned nesting);
  std::size_t string(std::size_t at, std::size_t end, std::string_view prefix, unsigned nesting);
  std::size_t comment(std::size_t at, std::size_t end) const;
  std::size_t number(std::size_t at, std::size_t end) const;

  std::string_view source_;
  TokenList& list_;
};

// Python ends a comment at a carriage return as well.
std::size_t Lexer::comment(std::size_t at, std::size_t end) const {
  while (at < end && source_[at] != '\n' && source_[at] != '\r') ++at;
  return at;
}

std::size_t Lexer::number(std::size_t at, std::size_t end) const {
  while (at < end && (is_word(source_[at]) || source_[at] == '.')) ++at;
  return at;
}

std::size_t Lexer::string(std::size_t at, std::size_t end, std::string_view prefix,
                          unsigned nesting) {
  const char quote = source_[at];
  const std::string mark(source_.substr(at, 3) == std::string(3, quote) && at + 3 <= end ? 3 : 1,
                         quote);
  const std::size_t begin = at + mark.size();
  std::size_t close = begin;
  while (close < end && source_.substr(close, mark.size()) != mark) {
    if (mark.size() == 1 && source_[close] == '\n') list_.is_plain = false;
    close += source_[close] == '\\' ? 2 : 1;
  }
  if (close >= end) {
    list_.is_plain = false;
    close = end;
  }
  add(TokenKind::kString, begin, close);
  const bool has_code = prefix.find_first_of("fFtT") != std::string_view::npos;
  // All of an f-string counts as code: what is none refers to nothing that matters.
  if (has_code && nesting < kMaxNesting) run(begin, close, nesting + 1);
  return std::min(close + mark.size(), end);
}

std::size_t Lexer::name_or_string(std::size_t at, std::size_t end, unsigned nesting) {
  std::size_t close = at;
  while (close < end && is_word(source_[close])) ++close;
  const std::string_view word = source_.substr(at, close - at);
  const bool is_quoted = close < end && (source_[close] == '"' || source_[close] == '\'');
  if (is_quoted && word.size() <= 2) return string(close, end, word, nesting);
  for (const char c : word) {
    if (static_cast<unsigned char>(c) >= 0x80) list_.is_plain = false;
  }
  add(TokenKind::kName, at, close);
  return close;
}

void Lexer::run(std::size_t begin, std::size_t end, unsigned nesting) {
  for (std::size_t at = begin; at < end;) {
    const char c = source_[at];
    if (c == '#' && nesting == 0) {
      at = comment(at, end);
    } else if (c == '\n' || c == '\r') {
      if (c == '\r' && source_.substr(at, 2) != "\r\n") list_.is_plain = false;
      add(TokenKind::kLineEnd, at, at + 1);
      ++at;
    } else if (c == '\\' && at + 1 < end && source_[at + 1] == '\n') {
      at += 2;
    } else if (c == ' ' || c == '\t' || c == '\f') {
      ++at;
    } else if (is_letter(c)) {
      at = name_or_string(at, end, nesting);
    } else if (is_digit(c)) {
      const std::size_t close = number(at, end);
      add(TokenKind::kNumber, at, close);
      at = close;
    } else if ((c == '"' || c == '\'') && nesting < kMaxNesting) {
      at = string(at, end, "", nesting);
    } else {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) list_.is_plain = false;
      add(TokenKind::kSymbol, at, at + 1);
      ++at;
    }
  }
}

class Parser {
 public:
  explicit Parser(const std::vector<Token>& tokens) : tokens_(tokens) {}
  References run();

 private:
  bool is(std::size_t at, std::string_view text) const {
    return at < tokens_.size() && tokens_[at].text == text &&
           (tokens_[at].kind == TokenKind::kSymbol || tokens_[at].kind == TokenKind::kName);
  }
  bool is_name(std::size_t at) const {
    return at < tokens_.size() && tokens_[at].kind == TokenKind::kName;
  }
  bool starts_statement(std::size_t at) const;
  std::size_t dotted(std::size_t at, std::string& path) const;
  std::size_t import(std::size_t at);
  std::size_t import_from(std::size_t at);
  std::size_t imported(std::size_t at, const std::string& module);
  std::size_t reference(std::size_t at);

  const std::vector<Token>& tokens_;
  References found_;
};

bool Parser::starts_statement(std::size_t at) const {
  return at == 0 || tokens_[at - 1].kind == TokenKind::kLineEnd || is(at - 1, ";") ||
         is(at - 1, ":");
}

// `a.b.c`; also `a . b`, which is the same.
std::size_t Parser::dotted(std::size_t at, std::string& path) const {
  path = tokens_[at].text;
  ++at;
  while (is(at, ".") && is_name(at + 1)) {
    path += '.';
    path += tokens_[at + 1].text;
    at += 2;
  }
  return at;
}

// One name of an import, `b as c` of `from a`.
std::size_t Parser::imported(std::size_t at, const std::string& module) {
  ImportedName name{"", "", tokens_[at].offset};
  if (is(at, "*")) {
    name.path = "*";
    ++at;
  } else {
    at = dotted(at, name.path);
  }
  name.name = name.path;
  if (module.empty() && !is(at, "as")) {
    // `import a.b` makes the name a; what it imports is noted as well.
    found_.imports.push_back(name);
    name.name = name.path.substr(0, name.path.find('.'));
  }
  if (!module.empty()) name.path = module + "." + name.path;
  if (is(at, "as") && is_name(at + 1)) {
    name.name = tokens_[at + 1].text;
    at += 2;
  } else if (module.empty()) {
    name.path = name.name;
  }
  found_.imports.push_back(std::move(name));
  return at;
}

std::size_t Parser::import(std::size_t at) {
  while (is_name(at)) {
    at = imported(at, "");
    if (!is(at, ",")) break;
    ++at;
  }
  return at;
}

std::size_t Parser::import_from(std::size_t at) {
  std::string module;
  while (is(at, ".")) {
    module += '.';
    ++at;
  }
  if (is_name(at) && !is(at, "import")) {
    std::string path;
    at = dotted(at, path);
    module += path;
  }
  if (!is(at, "import")) return at;
  ++at;
  const bool is_list = is(at, "(");
  if (is_list) ++at;
  while (at < tokens_.size()) {
    const bool is_between = is(at, ",") || (is_list && tokens_[at].kind == TokenKind::kLineEnd);
    if (!is_between && !is_name(at) && !is(at, "*")) break;
    at = is_between ? at + 1 : imported(at, module);
  }
  return at;
}

std::size_t Parser::reference(std::size_t at) {
  Reference found{"", tokens_[at].offset};
  found.is_method = at > 0 && is(at - 1, ".");
  found.is_defined = at > 0 && (is(at - 1, "def") || is(at - 1, "class"));
  const bool is_decorator = at > 0 && is(at - 1, "@");
  at = dotted(at, found.path);
  found.called = (is(at, "(") && !is_keyword(found.path)) || is_decorator;
  found.is_assigned = (is(at, "=") && !is(at + 1, "=")) || is(at, ":") || is(at, ",");
  found_.names.push_back(std::move(found));
  return at;
}

References Parser::run() {
  for (std::size_t at = 0; at < tokens_.size();) {
    if (starts_statement(at) && is(at, "import")) {
      at = import(at + 1);
    } else if (starts_statement(at) && is(at, "from")) {
      at = import_from(at + 1);
    } else if (is_name(at)) {
      at = reference(at);
    } else {
      ++at;
    }
  }
  return std::move(found_);
}

}  // namespace

TokenList tokenize(std::string_view source) {
  TokenList list;
  Lexer(source, list).run(0, source.size(), 0);
  return list;
}

References references_in(const std::vector<Token>& tokens) {
  return Parser(tokens).run();
}

}  // namespace tare
