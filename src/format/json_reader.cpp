#include "format/json_reader.hpp"

#include "io/checked.hpp"
#include "io/utf8.hpp"

namespace tare::format {

void JsonReader::skip_space() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
    ++at_;
  }
}

bool JsonReader::at_end() {
  skip_space();
  return at_ == text_.size();
}

bool JsonReader::consume(char c) {
  skip_space();
  if (at_ >= text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

Result<void> JsonReader::expect(char c, const char* what) {
  if (!consume(c)) return error(what);
  return {};
}

Result<std::string> JsonReader::read_string() {
  if (!consume('"')) return error("invalid JSON in the header: a string is expected");
  std::string out;
  for (;;) {
    const std::size_t start = at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
           static_cast<unsigned char>(text_[at_]) >= 0x20) {
      ++at_;
    }
    out += text_.substr(start, at_ - start);
    if (at_ >= text_.size()) return error("invalid JSON in the header: a string has no end");
    if (text_[at_] == '"') {
      ++at_;
      return out;
    }
    if (text_[at_] != '\\') {
      return error("invalid JSON in the header: a control byte in a string");
    }
    if (auto escape = read_escape(out); !escape) return std::unexpected(escape.error());
  }
}

std::optional<std::uint32_t> JsonReader::read_hex4() {
  if (text_.size() - at_ < 4) return std::nullopt;
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = text_[at_ + static_cast<std::size_t>(i)];
    std::uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint32_t>(c - 'A' + 10);
    } else {
      return std::nullopt;
    }
    value = value << 4 | digit;
  }
  at_ += 4;
  return value;
}

Result<void> JsonReader::read_escape(std::string& out) {
  ++at_;  // the backslash
  if (at_ >= text_.size()) return error("invalid JSON in the header: a string has no end");
  const char c = text_[at_++];
  switch (c) {
    case '"':
    case '\\':
    case '/':
      out += c;
      return {};
    case 'b':
      out += '\b';
      return {};
    case 'f':
      out += '\f';
      return {};
    case 'n':
      out += '\n';
      return {};
    case 'r':
      out += '\r';
      return {};
    case 't':
      out += '\t';
      return {};
    case 'u':
      break;
    default:
      return error("invalid JSON in the header: an unknown escape");
  }
  const auto unit = read_hex4();
  if (!unit) return error("invalid JSON in the header: a broken \\u escape");
  std::uint32_t code_point = *unit;
  if (code_point >= 0xD800 && code_point <= 0xDFFF) {
    const bool pair = code_point < 0xDC00 && text_.substr(at_).starts_with("\\u");
    if (pair) at_ += 2;
    const auto low = pair ? read_hex4() : std::nullopt;
    if (!low || *low < 0xDC00 || *low > 0xDFFF) {
      return error("invalid JSON in the header: a lone surrogate");
    }
    code_point = 0x10000 + ((code_point - 0xD800) << 10) + (*low - 0xDC00);
  }
  append_utf8(out, code_point);
  return {};
}

Result<std::uint64_t> JsonReader::read_u64() {
  skip_space();
  const std::size_t start = at_;
  std::uint64_t value = 0;
  while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
    const auto shifted = checked_mul(value, 10);
    const auto sum = shifted ? checked_add(*shifted, static_cast<std::uint64_t>(text_[at_] - '0'))
                             : std::nullopt;
    if (!sum) return error("invalid header: a number above 2^64-1");
    value = *sum;
    ++at_;
  }
  const std::size_t digits = at_ - start;
  if (digits == 0) return error("invalid header: a non-negative integer is expected");
  if (digits > 1 && text_[start] == '0')
    return error("invalid header: a number with leading zeros");
  if (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E')) {
    return error("invalid header: a number that is no integer");
  }
  return value;
}

}  // namespace tare::format
