// A Python literal, as ast.literal_eval reads it: strings, integers, True, False, None, tuples,
// lists, dicts. No name is looked up and nothing is called. What literal_eval also takes and no
// header needs (floats, bytes, sets) is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tare/error.hpp"

namespace tare::format {

struct PyLiteral {
  enum class Kind : std::uint8_t { kNone, kBool, kInteger, kString, kTuple, kList, kDict };

  static constexpr std::size_t kMaxDepth = 64;  // of containers in each other

  Kind kind = Kind::kNone;
  bool negative = false;              // of a number
  std::uint64_t number = 0;           // its magnitude; 1 for True
  std::string text = {};              // UTF-8; a lone surrogate as its three bytes
  std::vector<PyLiteral> items = {};  // of a dict: key, value, key, value
  std::uint64_t offset = 0;           // in the source

  bool is_sequence() const { return kind == Kind::kTuple || kind == Kind::kList; }
};

struct PyLiteralOptions {
  bool latin1 = false;         // bytes above 0x7F are characters of Latin-1; else the text is UTF-8
  bool python2_longs = false;  // an L may stand behind a number
};

// The literal that `text` is. Errors, with the offset in `text`: kMalformed, kOverflow (a number of
// more than 64 bits), kLimit (nested too deeply), kUnsupported (\N{...}).
Result<PyLiteral> parse_python_literal(std::string_view text, const PyLiteralOptions& options = {});

}  // namespace tare::format
