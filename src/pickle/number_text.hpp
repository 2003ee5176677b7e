// Numbers written as text, as the unpicklers of CPython read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tare::pickle {

struct ParsedInteger {
  bool fits = true;           // 64 bits are enough
  bool canonical = true;      // as a pickler writes it: -?(0|[1-9][0-9]*)
  std::int64_t value = 0;     // if it fits
  std::string_view digits{};  // the decimal digits with sign, if it does not fit
};

// The text of INT and LONG (without the 'L'): base 0 as in C's strtol, and what Python's int(text,
// 0) takes beyond that (blanks around it, underscores, 0o and 0b). Nothing if neither takes it.
std::optional<ParsedInteger> parse_integer(std::string_view text);

// The text of GET and PUT: base 10, not negative. Nothing if no unpickler takes it.
std::optional<ParsedInteger> parse_memo_index(std::string_view text);

struct ParsedFloat {
  double value = 0;
  bool canonical = true;
};

// The text of FLOAT. Nothing if no unpickler takes it.
std::optional<ParsedFloat> parse_float(std::string_view text);

}  // namespace tare::pickle
