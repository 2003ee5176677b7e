#include "cli/highlight.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tare::cli {
namespace {

constexpr std::string_view kKeywords[] = {
    "False", "None",   "True", "and", "as",  "def", "else",  "for",    "from",
    "if",    "import", "in",   "is",  "not", "or",  "raise", "return",
};

constexpr std::string_view kKeywordColour = "\x1b[35m";
constexpr std::string_view kNumberColour = "\x1b[36m";
constexpr std::string_view kStringColour = "\x1b[32m";
constexpr std::string_view kCommentColour = "\x1b[90m";
constexpr std::string_view kReset = "\x1b[0m";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Of a name or a number, which may have a dot and digits behind it.
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

}  // namespace

std::string Highlighter::add(std::string_view source) {
  for (const char c : source) take(c);
  return std::exchange(out_, {});
}

std::string Highlighter::finish() {
  if (state_ == State::kWord) end_word();
  if (state_ != State::kCode) out_ += kReset;
  state_ = State::kCode;
  return std::exchange(out_, {});
}

void Highlighter::end_word() {
  const bool keyword = std::ranges::find(kKeywords, word_) != std::end(kKeywords);
  const std::string_view colour = is_digit(word_.front()) ? kNumberColour
                                  : keyword               ? kKeywordColour
                                                          : std::string_view();
  out_.append(colour).append(word_).append(colour.empty() ? colour : kReset);
  word_.clear();
  state_ = State::kCode;
}

void Highlighter::take_code(char c) {
  if (is_word(c)) {
    state_ = State::kWord;
    word_ = c;
    return;
  }
  if (c == '\'' || c == '"') {
    state_ = State::kString;
    quote_ = c;
    out_ += kStringColour;
  } else if (c == '#') {
    state_ = State::kComment;
    out_ += kCommentColour;
  }
  out_ += c;
}

void Highlighter::take(char c) {
  switch (state_) {
    case State::kCode:
      take_code(c);
      break;
    case State::kWord:
      // 1.5 and 1e-5 are one number.
      if (is_word(c) ||
          (is_digit(word_.front()) && (c == '.' || (c == '-' && word_.back() == 'e')))) {
        word_ += c;
        break;
      }
      end_word();
      take_code(c);
      break;
    case State::kString:
      out_ += c;
      if (c == '\\') state_ = State::kEscape;
      if (c != quote_) break;
      out_ += kReset;
      state_ = State::kCode;
      break;
    case State::kEscape:
      out_ += c;
      state_ = State::kString;
      break;
    case State::kComment:
      if (c == '\n') {
        out_ += kReset;
        state_ = State::kCode;
      }
      out_ += c;
      break;
  }
}

}  // namespace tare::cli
