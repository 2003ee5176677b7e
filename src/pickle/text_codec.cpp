#include "pickle/text_codec.hpp"

#include <cstdint>

#include "io/utf8.hpp"

namespace tare::pickle {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::uint32_t> hex_number(std::string_view text) {
  std::uint32_t value = 0;
  for (const char c : text) {
    const int digit = hex_value(c);
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint32_t>(digit);
  }
  return value;
}

}  // namespace

std::optional<std::string> decode_raw_unicode_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    // A backslash that follows a backslash is none: \\u0041 stays as it is.
    if (text[i] != '\\' || i + 1 >= text.size() || (text[i + 1] != 'u' && text[i + 1] != 'U')) {
      if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '\\') {
        out += "\\\\";
        i += 2;
        continue;
      }
      append_utf8(out, static_cast<unsigned char>(text[i++]));
      continue;
    }
    const std::size_t digits = text[i + 1] == 'u' ? 4 : 8;
    if (text.size() - i - 2 < digits) return std::nullopt;
    const auto code_point = hex_number(text.substr(i + 2, digits));
    if (!code_point || *code_point > 0x10FFFF) return std::nullopt;
    append_utf8(out, *code_point);
    i += 2 + digits;
  }
  return out;
}

std::optional<std::string> decode_string_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '\\') {
      out += text[i++];
      continue;
    }
    if (++i >= text.size()) return std::nullopt;
    const char c = text[i++];
    switch (c) {
      case '\n':
        break;
      case '\\':
      case '\'':
      case '"':
        out += c;
        break;
      case 'a':
        out += '\a';
        break;
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'v':
        out += '\v';
        break;
      case 'x': {
        const auto value = i + 2 <= text.size() ? hex_number(text.substr(i, 2)) : std::nullopt;
        if (!value) return std::nullopt;
        out += static_cast<char>(*value);
        i += 2;
        break;
      }
      default: {
        if (c < '0' || c > '7') {  // not an escape: both bytes stay
          out += '\\';
          out += c;
          break;
        }
        unsigned value = static_cast<unsigned>(c - '0');
        for (int n = 0; n < 2 && i < text.size() && text[i] >= '0' && text[i] <= '7'; ++n) {
          value = value * 8 + static_cast<unsigned>(text[i++] - '0');
        }
        out += static_cast<char>(value & 0xFF);
      }
    }
  }
  return out;
}

}  // namespace tare::pickle
