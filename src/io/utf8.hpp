// UTF-8: validation and encoding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tare {

// True if `text` is UTF-8; with `surrogates`, three-byte forms of U+D800..DFFF count as valid
// (Python's "surrogatepass"). Overlong forms never do.
bool is_utf8(std::string_view text, bool surrogates = false);

bool is_ascii(std::string_view text);

// `code_point` must be below 0x110000.
void append_utf8(std::string& out, std::uint32_t code_point);

}  // namespace tare
