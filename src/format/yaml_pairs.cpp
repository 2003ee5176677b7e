#include "format/yaml_pairs.hpp"

#include <algorithm>
#include <charconv>

#include "io/utf8.hpp"

namespace tare::format {
namespace {

using namespace std::string_view_literals;

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool is_break(char c) {
  return c == '\n' || c == '\r';
}
bool is_space(char c) {
  return is_blank(c) || is_break(c);
}
bool is_flow_mark(char c) {
  return c == ',' || c == '[' || c == ']' || c == '{' || c == '}';
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  YamlPairs run();

 private:
  char at(std::size_t offset) const { return offset < text_.size() ? text_[offset] : '\n'; }
  char next() const { return at(pos_); }
  bool at_end() const { return pos_ >= text_.size(); }
  bool ends_token(std::size_t offset) const {
    return offset >= text_.size() || is_space(text_[offset]) ||
           (flow_ > 0 && is_flow_mark(text_[offset]));
  }
  bool is_line_start() const { return pos_ == 0 || is_break(text_[pos_ - 1]); }
  void fail() {
    if (!pairs_.broken) pairs_.broken = pos_;
  }
  void skip_line() {
    while (!at_end() && !is_break(next())) ++pos_;
  }
  std::string_view word() {
    const std::size_t start = pos_;
    while (!at_end() && !ends_token(pos_)) ++pos_;
    return text_.substr(start, pos_ - start);
  }

  void step();
  void marker();
  void scalar(std::string value, std::size_t start);
  std::string plain();
  std::string single_quoted();
  std::string double_quoted();
  void escape(std::string& out);
  void fold(std::string& out);
  void block_scalar();
  std::size_t block_indent() const;
  std::size_t column_of(std::size_t offset) const;

  std::string_view text_;
  std::size_t pos_ = 0;
  unsigned flow_ = 0;
  std::string key_;
  std::size_t outer_ = 0;  // the column of the last key or item of a list
  YamlPairs pairs_;
};

YamlPairs Scanner::run() {
  if (text_.starts_with("\xEF\xBB\xBF")) pos_ = 3;
  // Line breaks of which a reader of lines knows nothing.
  const bool has_others = text_.find("\xC2\x85") != text_.npos ||
                          text_.find("\xE2\x80\xA8") != text_.npos ||
                          text_.find("\xE2\x80\xA9") != text_.npos;
  if (has_others || !is_utf8(text_)) fail();
  while (!at_end()) step();
  if (flow_ != 0) fail();
  return std::move(pairs_);
}

void Scanner::step() {
  const char c = next();
  const bool alone = ends_token(pos_ + 1);
  if (is_space(c) || ((c == '-' || c == ':') && alone)) {
    if (c == '-' && flow_ == 0) outer_ = column_of(pos_);
    ++pos_;
  } else if (c == '#' && (is_line_start() || is_space(text_[pos_ - 1]))) {
    skip_line();
  } else if (is_line_start() &&
             (text_.substr(pos_).starts_with("---"sv) || text_.substr(pos_).starts_with("..."sv))) {
    pos_ += 3;
    if (!ends_token(pos_)) fail();
  } else if ((c == '{' || c == '[') || (flow_ > 0 && is_flow_mark(c))) {
    if (c == '{' || c == '[') ++flow_;
    if (c == '}' || c == ']') --flow_;
    ++pos_;
  } else if (c == '"' || c == '\'') {
    const std::size_t start = pos_++;
    scalar(c == '"' ? double_quoted() : single_quoted(), start);
  } else if ((c == '|' || c == '>') && flow_ == 0) {
    block_scalar();
  } else if (c == '&' || c == '*') {
    marker();
  } else if ((c == '?' && alone) || "!%@`"sv.find(c) != std::string_view::npos) {
    fail();
    word();
    if (!at_end() && !is_space(next())) ++pos_;
  } else {
    const std::size_t start = pos_;
    scalar(plain(), start);
  }
}

// An anchor says nothing about what it marks; an alias stands for it.
void Scanner::marker() {
  const std::size_t start = pos_;
  const bool is_alias = text_[pos_++] == '*';
  const std::string name(word());
  if (name.empty()) fail();
  if (!is_alias) return;
  while (!at_end() && is_blank(next())) ++pos_;
  if (next() == ':') fail();
  pairs_.scalars.push_back({key_, name, start, true});
}

// A key if a colon follows.
void Scanner::scalar(std::string value, std::size_t start) {
  std::size_t behind = pos_;
  while (is_blank(at(behind)) && behind < text_.size()) ++behind;
  const bool is_quoted = text_[start] == '"' || text_[start] == '\'';
  const bool is_key = behind < text_.size() && text_[behind] == ':' &&
                      (ends_token(behind + 1) || (flow_ > 0 && is_quoted));
  if (is_key) {
    key_ = std::move(value);
    if (flow_ == 0) outer_ = column_of(start);
    pos_ = behind + 1;
    return;
  }
  pairs_.scalars.push_back({key_, std::move(value), start, false});
}

// To the end of the line at most: what is folded into it from further lines is a scalar of its own.
std::string Scanner::plain() {
  const std::size_t start = pos_;
  while (!at_end() && !is_break(next())) {
    const char c = next();
    if (c == ':' && ends_token(pos_ + 1)) break;
    if (c == '#' && pos_ > start && is_blank(text_[pos_ - 1])) break;
    if (flow_ > 0 && is_flow_mark(c)) break;
    ++pos_;
  }
  if (pos_ == start) ++pos_;
  std::string_view value = text_.substr(start, pos_ - start);
  while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
  return std::string(value);
}

std::string Scanner::single_quoted() {
  std::string out;
  while (!at_end()) {
    const char c = text_[pos_++];
    if (c != '\'') {
      out += c;
    } else if (next() == '\'' && !at_end()) {
      out += c;
      ++pos_;
    } else {
      return out;
    }
  }
  fail();
  return out;
}

std::string Scanner::double_quoted() {
  std::string out;
  while (!at_end()) {
    const char c = text_[pos_++];
    if (c == '"') return out;
    if (c == '\\') {
      escape(out);
    } else if (is_break(c)) {
      fold(out);
    } else {
      out += c;
    }
  }
  fail();
  return out;
}

// A line break inside of quotes is a space.
void Scanner::fold(std::string& out) {
  while (!out.empty() && is_blank(out.back())) out.pop_back();
  while (!at_end() && is_space(next())) ++pos_;
  out += ' ';
}

void Scanner::escape(std::string& out) {
  if (at_end()) return;
  const char c = text_[pos_++];
  const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits != 0) {
    std::uint32_t point = 0;
    const std::string_view hex = text_.substr(pos_, digits);
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), point, 16);
    if (error != std::errc{} || end != hex.data() + digits || point >= 0x110000) return fail();
    append_utf8(out, point);
    pos_ += digits;
    return;
  }
  if (is_break(c)) {
    while (!at_end() && is_space(next())) ++pos_;
    return;
  }
  constexpr std::string_view kNames = "0abtnvfre\"/\\ \t";
  constexpr std::string_view kMeanings = "\0\a\b\t\n\v\f\r\x1B\"/\\ \t"sv;
  const std::size_t known = kNames.find(c);
  if (known == std::string_view::npos) return fail();
  out += kMeanings[known];
}

std::size_t Scanner::column_of(std::size_t offset) const {
  std::size_t start = offset;
  while (start > 0 && !is_break(text_[start - 1])) --start;
  return offset - start;
}

// How far the lines of a block scalar are indented, by its header ("|2-") or its first line; no
// further than what it stands in if it is empty.
std::size_t Scanner::block_indent() const {
  const std::string_view header = text_.substr(pos_ + 1, 2);
  for (const char c : header) {
    if (c >= '1' && c <= '9') return outer_ + static_cast<std::size_t>(c - '0');
    if (c != '+' && c != '-') break;
  }
  std::size_t line = std::min(text_.find_first_of("\r\n", pos_), text_.size());
  while (line < text_.size()) {
    const std::size_t first = std::min(text_.find_first_not_of(' ', ++line), text_.size());
    if (first < text_.size() && !is_break(text_[first])) return first - line;
    line = first;
  }
  return 0;
}

void Scanner::block_scalar() {
  const std::size_t start = pos_;
  const std::size_t indent = block_indent();
  skip_line();
  std::string value;
  while (!at_end() && indent > outer_) {
    const std::size_t line = pos_ + 1;
    const std::size_t first = std::min(text_.find_first_not_of(' ', line), text_.size());
    const bool is_empty = first == text_.size() || is_break(text_[first]);
    if (!is_empty && first - line < indent) break;
    pos_ = std::min(is_empty ? first : line + indent, text_.size());
    const std::size_t from = pos_;
    skip_line();
    if (!value.empty()) value += '\n';
    value += text_.substr(from, pos_ - from);
  }
  while (!value.empty() && value.back() == '\n') value.pop_back();
  pairs_.scalars.push_back({key_, std::move(value), start, false});
}

}  // namespace

YamlPairs read_yaml_pairs(std::string_view text) {
  return Scanner(text).run();
}

}  // namespace tare::format
