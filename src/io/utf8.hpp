// UTF-8: validation, encoding and decoding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tare {

// True if `text` is UTF-8; with `surrogates`, three-byte forms of U+D800..DFFF count as valid
// (Python's "surrogatepass"). Overlong forms never do.
bool is_utf8(std::string_view text, bool surrogates = false);

bool is_ascii(std::string_view text);

// True if a NUL stands in the first 4 KiB, as in most files that are no text: the rest need not be
// read to know that.
bool has_nul_in_front(std::string_view text);

// `code_point` must be below 0x110000.
void append_utf8(std::string& out, std::uint32_t code_point);

// The code point at `i` of text that is known to be UTF-8, surrogates allowed; moves `i` behind it.
std::uint32_t next_code_point(std::string_view text, std::size_t& i);

}  // namespace tare
