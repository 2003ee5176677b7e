// Source code as tokens, of Python and of TorchScript, which is written like it; and the names that
// it refers to. Comments and the text of strings are no code; what stands in the braces of an
// f-string is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tare {

enum class TokenKind : std::uint8_t { kName, kNumber, kString, kSymbol, kLineEnd };

struct Token {
  TokenKind kind;
  std::string_view text;  // one byte of a symbol; of a string without quotes
  std::uint64_t offset;   // bytes from the start of the source
};

struct TokenList {
  std::vector<Token> tokens;
  // False if a string has no end, or if bytes stand in the code that no writer puts there: control
  // bytes, or a byte above 0x7F outside of strings and comments.
  bool is_plain = true;
};
// Linear in the source. A string that never ends takes the rest of it.
TokenList tokenize(std::string_view source);

// A name with what follows of it by dots: `torch.nn.relu`, and whether it is called.
struct Reference {
  std::string path;
  std::uint64_t offset;
  bool called = false;
  bool is_method = false;    // of what an expression gives: `(x).save`
  bool is_assigned = false;  // `name = ...`, a parameter or a keyword argument
  bool is_defined = false;   // `def name`, `class name`
};

// What a statement imports: `import a.b as c`, `from a import b as c`.
struct ImportedName {
  std::string path;  // "a.b"; "a.*"
  std::string name;  // by which the code knows it: "c"
  std::uint64_t offset;
};

struct References {
  std::vector<Reference> names;
  std::vector<ImportedName> imports;
};
// References in the order of the source; those of import statements are imports only.
References references_in(const std::vector<Token>& tokens);

}  // namespace tare
