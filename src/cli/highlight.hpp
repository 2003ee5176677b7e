// Colours for Python source on a terminal: keywords, strings, numbers and comments.
#pragma once

#include <string>
#include <string_view>

namespace tare::cli {

// Takes the source piece by piece; a piece may end anywhere. Understands what tare itself writes:
// strings in one pair of quotes, on one line.
class Highlighter {
 public:
  // The piece with colours; what is not finished yet comes with the next one.
  std::string add(std::string_view source);
  // What is left.
  std::string finish();

 private:
  enum class State { kCode, kWord, kString, kEscape, kComment };

  void take(char c);
  void take_code(char c);
  void end_word();

  State state_ = State::kCode;
  char quote_ = '\'';
  std::string word_;
  std::string out_;
};

}  // namespace tare::cli
