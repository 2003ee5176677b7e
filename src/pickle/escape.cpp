#include "pickle/escape.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>

#include "io/utf8.hpp"

namespace tare::pickle {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void append_hex(std::string& out, std::uint32_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kHex[value >> shift & 15];
}

// Escapes of one byte below 0x80; true if it was written.
bool append_ascii(std::string& out, char c, char quote) {
  switch (c) {
    case '\\':
      out += "\\\\";
      return true;
    case '\n':
      out += "\\n";
      return true;
    case '\r':
      out += "\\r";
      return true;
    case '\t':
      out += "\\t";
      return true;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  if (byte < 0x20 || byte >= 0x7f) return false;
  if (c == quote) out += '\\';
  out += c;
  return true;
}

// Whether repr() writes the text as it is, in single quotes: most texts.
bool is_plain(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '\'' || c == '\\') return false;
  }
  return true;
}

// The quote that repr() takes: the one that needs no escape, the single one if both or none do.
char quote_for(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  return single && text.find('"') == std::string_view::npos ? '"' : '\'';
}

void close_quote(std::string& out, char quote, bool cut) {
  out += quote;
  if (cut) out += "...";
}

}  // namespace

void append_python_string(std::string& out, std::string_view text, std::size_t max_length) {
  if (text.size() < max_length && is_plain(text)) {
    out.append("'").append(text).append("'");
    return;
  }
  const char quote = quote_for(text);
  out += quote;
  const std::size_t limit = out.size() + max_length;
  for (std::size_t i = 0; i < text.size();) {
    if (out.size() >= limit) return close_quote(out, quote, true);
    const std::uint32_t code_point = next_code_point(text, i);
    if (code_point < 0x80 && append_ascii(out, static_cast<char>(code_point), quote)) continue;
    if (code_point < 0x100) {
      out += "\\x";
      append_hex(out, code_point, 2);
    } else if (code_point < 0x10000) {
      out += "\\u";
      append_hex(out, code_point, 4);
    } else {
      out += "\\U";
      append_hex(out, code_point, 8);
    }
  }
  close_quote(out, quote, false);
}

void append_python_bytes(std::string& out, std::string_view bytes, std::size_t max_length) {
  if (bytes.size() < max_length && is_plain(bytes)) {
    out.append("b'").append(bytes).append("'");
    return;
  }
  const char quote = quote_for(bytes);
  out += 'b';
  out += quote;
  const std::size_t limit = out.size() + max_length;
  for (const char c : bytes) {
    if (out.size() >= limit) return close_quote(out, quote, true);
    if (append_ascii(out, c, quote)) continue;
    out += "\\x";
    append_hex(out, static_cast<unsigned char>(c), 2);
  }
  close_quote(out, quote, false);
}

void append_python_float(std::string& out, double value) {
  if (std::isnan(value)) {
    out += std::signbit(value) ? "-float('nan')" : "float('nan')";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "float('-inf')" : "float('inf')";
    return;
  }
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  out += text;
  // 1 would be an int.
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_printable(std::string& out, std::string_view text, std::size_t max_length) {
  const std::size_t limit = out.size() + max_length;
  for (const char c : text) {
    if (out.size() >= limit) {
      out += "...";
      return;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      append_hex(out, byte, 2);
    }
  }
}

}  // namespace tare::pickle
