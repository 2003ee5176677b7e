// The text encodings of pickle's line arguments.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tare::pickle {

// UNICODE: Latin-1 with \uXXXX and \UXXXXXXXX escapes, to UTF-8. Nothing if an escape is cut or
// out of range, as in Python.
std::optional<std::string> decode_raw_unicode_escape(std::string_view text);

// STRING, between its quotes: the escapes of a Python bytes literal. Nothing if Python refuses.
std::optional<std::string> decode_string_escape(std::string_view text);

}  // namespace tare::pickle
