// Jinja templates: what a template could reach when a program renders it.
//
// transformers renders chat templates in a sandbox; other programs have not (llama-cpp-python up to
// 0.2.71, CVE-2024-34359), and there an attribute walk runs code. The analyzer reads the tokens of
// the template as Jinja does and holds them against a list of what real chat templates use: tags,
// filters, tests, functions and methods. What is not on it is suspicious; a walk is dangerous.
// Whatever an attribute walk finds must be called to do harm: every call is by a name on the list,
// and one whose name the template itself gives to something else is suspicious as well.
// What the text of a template tells the model to do is not judged.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tare/error.hpp"

namespace tare::scan_template {

enum class TokenKind : std::uint8_t {
  kName,
  kText,  // a literal; `text` without quotes, escapes decoded
  kNumber,
  kOperator,   // one byte
  kOpenTag,    // "{%"
  kOpenValue,  // "{{"
  kClose,      // "%}" or "}}"
};

struct Token {
  TokenKind kind;
  std::string text;
  std::uint64_t offset;
};

// The tokens of all tags and expressions; text around them and comments are left out. Errors:
// kMalformed with the offset where Jinja, or this reader, does not go on.
Result<std::vector<Token>> tokens_of(std::string_view source);

}  // namespace tare::scan_template
