// Text from a file as Python literals or plain text: printable ASCII only, bounded.
#pragma once

#include <string>
#include <string_view>

namespace tare::pickle {

// 'text' with Python's escapes; `text` is UTF-8, possibly with lone surrogates. At most about
// `max_length` characters of it; what is cut shows as "'...".
void append_python_string(std::string& out, std::string_view text, std::size_t max_length);
// b'text'.
void append_python_bytes(std::string& out, std::string_view bytes, std::size_t max_length);
// 1.5, float('nan'): the shortest text that gives the same number.
void append_python_float(std::string& out, double value);
// Names: printable ASCII as it is, everything else as \xNN.
void append_printable(std::string& out, std::string_view text, std::size_t max_length);

}  // namespace tare::pickle
