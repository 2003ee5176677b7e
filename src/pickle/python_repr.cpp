#include "pickle/python_repr.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <vector>

namespace tare::pickle {
namespace {

constexpr char kHex[] = "0123456789abcdef";

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

constexpr Range kUnprintable[] = {
#include "pickle/unprintable.inc"
};

// The basic plane as a bitmap: nearly all text is in it.
constexpr std::uint32_t kPlane = 0x10000;
constexpr auto kUnprintableInPlane = [] {
  std::array<std::uint64_t, kPlane / 64> bits{};
  for (const Range range : kUnprintable) {
    for (std::uint32_t c = range.first; c <= range.last && c < kPlane; ++c) {
      bits[c / 64] |= std::uint64_t{1} << (c % 64);
    }
  }
  return bits;
}();

bool is_printable(std::uint32_t code_point) {
  if (code_point < kPlane)
    return (kUnprintableInPlane[code_point / 64] >> (code_point % 64) & 1) == 0;
  const auto* const found = std::ranges::lower_bound(kUnprintable, code_point, {},
                                                     [](Range range) { return range.last; });
  return found == std::end(kUnprintable) || code_point < found->first;
}

void append_escape(TextSink& out, char letter, std::uint32_t value, int digits) {
  char* end = out.room(10);
  *end++ = '\\';
  *end++ = letter;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) *end++ = kHex[value >> shift & 15];
  out.used_to(end);
}

void append_code_point_escape(TextSink& out, std::uint32_t code_point) {
  if (code_point < 0x100) return append_escape(out, 'x', code_point, 2);
  if (code_point < 0x10000) return append_escape(out, 'u', code_point, 4);
  append_escape(out, 'U', code_point, 8);
}

bool is_graphic(char c) {
  return c >= 0x20 && c < 0x7f;
}

// An ASCII character that does not stand for itself.
void append_ascii_escape(TextSink& out, char c) {
  switch (c) {
    case '\t':
      return out.append("\\t");
    case '\n':
      return out.append("\\n");
    case '\r':
      return out.append("\\r");
    default:
      break;
  }
  if (is_graphic(c)) {
    out.append('\\');
    return out.append(c);
  }
  append_escape(out, 'x', static_cast<unsigned char>(c), 2);
}

// The quote that needs no escape; the single one if both or none need it.
char quote_for(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  return single && text.find('"') == std::string_view::npos ? '"' : '\'';
}

bool stands_for_itself(char c, char quote) {
  return is_graphic(c) && c != quote && c != '\\';
}

std::size_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// The code point at the front of UTF-8 text.
std::uint32_t first_code_point(std::string_view text) {
  const std::size_t length = utf8_length(text.front());
  const auto at = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::uint32_t value = length == 1 ? at(0) : at(0) & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) value = value << 6 | (at(i) & 0x3FU);
  return value;
}

// How much at the front of UTF-8 text stands for itself; `continued` counts the bytes of it that
// begin no character.
std::size_t plain_utf8(std::string_view text, char quote, std::size_t& continued) {
  std::size_t i = 0;
  while (i < text.size()) {
    if (stands_for_itself(text[i], quote)) {
      ++i;
      continue;
    }
    const std::size_t length = utf8_length(text[i]);
    if (length == 1 || !is_printable(first_code_point(text.substr(i)))) break;
    i += length;
    continued += length - 1;
  }
  return i;
}

// Latin-1 above ASCII, which is two bytes of UTF-8.
void append_latin1_letter(TextSink& out, std::uint32_t code_point) {
  if (!is_printable(code_point)) return append_code_point_escape(out, code_point);
  out.append(static_cast<char>(0xC0 | code_point >> 6));
  out.append(static_cast<char>(0x80 | (code_point & 0x3F)));
  out.continued(1);
}

struct ByteText {
  char text[4];
  std::uint32_t length;
};
using ByteTexts = std::array<ByteText, 256>;

ByteText text_of_byte(unsigned byte, char quote) {
  const char c = static_cast<char>(byte);
  if (c == '\t') return {{'\\', 't'}, 2};
  if (c == '\n') return {{'\\', 'n'}, 2};
  if (c == '\r') return {{'\\', 'r'}, 2};
  if (c == '\\' || c == quote) return {{'\\', c}, 2};
  if (is_graphic(c)) return {{c}, 1};
  return {{'\\', 'x', kHex[byte >> 4], kHex[byte & 15]}, 4};
}

ByteTexts texts_of_bytes(char quote) {
  ByteTexts texts{};
  for (unsigned byte = 0; byte < texts.size(); ++byte) texts[byte] = text_of_byte(byte, quote);
  return texts;
}

// Bytes, with `escaped` as the quote that takes a backslash.
void append_escaped_bytes(TextSink& out, std::string_view bytes, char escaped) {
  static const ByteTexts kSingle = texts_of_bytes('\'');
  static const ByteTexts kDouble = texts_of_bytes('"');
  const ByteTexts& texts = escaped == '\'' ? kSingle : kDouble;
  constexpr std::size_t kPiece = TextSink::kMaxRoom / sizeof(ByteText::text);
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kPiece);
    char* end = out.room(TextSink::kMaxRoom);
    for (const char c : piece) {
      const ByteText& text = texts[static_cast<unsigned char>(c)];
      std::memcpy(end, text.text, sizeof text.text);
      end += text.length;
    }
    out.used_to(end);
    bytes.remove_prefix(piece.size());
  }
}

// ---- integers

bool is_negative(ByteSpan bytes) {
  return !bytes.empty() && (bytes.back() & std::byte{0x80}) != std::byte{0};
}

// Without the bytes on top that only repeat the sign.
ByteSpan significant(ByteSpan bytes) {
  const std::byte sign = is_negative(bytes) ? std::byte{0xFF} : std::byte{0};
  while (!bytes.empty() && bytes.back() == sign) bytes = bytes.first(bytes.size() - 1);
  return bytes;
}

// The bytes of the absolute value. Negation turns all bits over above the lowest one that is set.
class Magnitude {
 public:
  Magnitude(ByteSpan bytes, bool negative) : bytes_(bytes), negative_(negative) {
    while (lowest_ < bytes.size() && bytes[lowest_] == std::byte{0}) ++lowest_;
  }
  // A negative power of 256 has one byte more than it has significant ones.
  std::size_t size() const { return bytes_.size() + (negative_ ? 1 : 0); }
  std::uint32_t operator[](std::size_t i) const {
    if (i >= bytes_.size()) return lowest_ == bytes_.size() ? 1 : 0;
    const auto byte = std::to_integer<std::uint32_t>(bytes_[i]);
    if (!negative_ || i < lowest_) return byte;
    return (i == lowest_ ? 0 - byte : ~byte) & 0xFFU;
  }

 private:
  ByteSpan bytes_;
  bool negative_;
  std::size_t lowest_ = 0;
};

constexpr std::uint32_t kDecimalLimb = 1'000'000'000;

// Divides little-endian limbs of 32 bits and returns the rest.
std::uint32_t divide_by_decimal_limb(std::vector<std::uint32_t>& limbs) {
  std::uint64_t rest = 0;
  for (std::size_t i = limbs.size(); i-- > 0;) {
    const std::uint64_t value = rest << 32 | limbs[i];
    limbs[i] = static_cast<std::uint32_t>(value / kDecimalLimb);
    rest = value % kDecimalLimb;
  }
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
  return static_cast<std::uint32_t>(rest);
}

// Quadratic, which the limit on digits bounds.
std::string decimal_of(const Magnitude& magnitude) {
  std::vector<std::uint32_t> limbs((magnitude.size() + 3) / 4);
  for (std::size_t i = 0; i < magnitude.size(); ++i) limbs[i / 4] |= magnitude[i] << (8 * (i % 4));
  std::string reversed;
  while (!limbs.empty()) {
    std::uint32_t digits = divide_by_decimal_limb(limbs);
    for (int i = 0; i < 9; ++i, digits /= 10) reversed += static_cast<char>('0' + digits % 10);
  }
  while (!reversed.empty() && reversed.back() == '0') reversed.pop_back();
  if (reversed.empty()) return "0";
  return {reversed.rbegin(), reversed.rend()};
}

void append_hex_of(TextSink& out, const Magnitude& magnitude) {
  out.append("0x");
  bool started = false;
  for (std::size_t i = 2 * magnitude.size(); i-- > 0;) {
    const char digit = kHex[magnitude[i / 2] >> (4 * (i % 2)) & 15];
    started = started || digit != '0';
    if (started) out.append(digit);
  }
}

// Any number with more bytes has too many digits: a byte is 2.4 of them.
constexpr std::size_t kMaxDecimalBytes = kMaxIntDigits * 10 / 24 + 1;

// ---- floats

struct Decimal {
  std::string_view digits;  // without a point
  int exponent;             // of the first digit
  std::string_view suffix;  // the exponent as text: "e+16"
};

// The fewest digits that give the same number. `value` must be positive and finite.
Decimal shortest_decimal(double value, char (&buffer)[32]) {
  // "d.ddde+NN" or "de+NN".
  const char* const end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const auto e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), end, exponent);
  if (e == 1) return {text.substr(0, 1), exponent, text.substr(e)};
  buffer[1] = buffer[0];  // over the point
  return {text.substr(1, e - 1), exponent, text.substr(e)};
}

char* put(char* out, std::string_view text) {
  return std::ranges::copy(text, out).out;
}
char* put_zeros(char* out, int count) {
  return std::fill_n(out, count, '0');
}

}  // namespace

void append_str_repr(TextSink& out, std::string_view utf8) {
  const char quote = quote_for(utf8);
  out.append(quote);
  for (;;) {
    std::size_t continued = 0;
    const std::size_t plain = plain_utf8(utf8, quote, continued);
    out.append(utf8.substr(0, plain));
    out.continued(continued);
    utf8.remove_prefix(plain);
    if (utf8.empty()) break;
    const std::uint32_t code_point = first_code_point(utf8);
    if (code_point < 0x80) {
      append_ascii_escape(out, static_cast<char>(code_point));
    } else {
      append_code_point_escape(out, code_point);
    }
    utf8.remove_prefix(utf8_length(utf8.front()));
  }
  out.append(quote);
}

void append_latin1_repr(TextSink& out, std::string_view latin1) {
  const char quote = quote_for(latin1);
  out.append(quote);
  for (const char c : latin1) {
    if (stands_for_itself(c, quote)) {
      out.append(c);
    } else if ((c & 0x80) == 0) {
      append_ascii_escape(out, c);
    } else {
      append_latin1_letter(out, static_cast<unsigned char>(c));
    }
  }
  out.append(quote);
}

void append_bytes_repr(TextSink& out, std::string_view bytes) {
  const char quote = quote_for(bytes);
  out.append('b');
  out.append(quote);
  append_escaped_bytes(out, bytes, quote);
  out.append(quote);
}

// A bytearray escapes single quotes even between double ones, and never double quotes.
void append_bytearray_repr(TextSink& out, std::string_view bytes) {
  const char quote = quote_for(bytes);
  out.append("bytearray(b");
  out.append(quote);
  append_escaped_bytes(out, bytes, '\'');
  out.append(quote);
  out.append(')');
}

char* write_float_repr(char* out, double value) {
  if (std::isnan(value)) return put(out, "nan");
  if (std::signbit(value)) *out++ = '-';
  if (std::isinf(value)) return put(out, "inf");
  if (value == 0) return put(out, "0.0");
  char buffer[32];
  const auto [digits, exponent, suffix] = shortest_decimal(std::abs(value), buffer);
  const int point = exponent + 1;
  if (exponent < -4 || exponent >= 16) {
    *out++ = digits.front();
    if (digits.size() > 1) out = put(put(out, "."), digits.substr(1));
    return put(out, suffix);
  }
  if (point <= 0) return put(put_zeros(put(out, "0."), -point), digits);
  const auto count = static_cast<int>(digits.size());
  if (count <= point) return put(put_zeros(put(out, digits), point - count), ".0");
  const auto whole = static_cast<std::size_t>(point);
  return put(put(put(out, digits.substr(0, whole)), "."), digits.substr(whole));
}

IntForm append_int_repr(TextSink& out, ByteSpan twos_complement) {
  const bool negative = is_negative(twos_complement);
  const Magnitude magnitude(significant(twos_complement), negative);
  if (negative) out.append('-');
  if (magnitude.size() <= kMaxDecimalBytes) {
    const std::string digits = decimal_of(magnitude);
    if (digits.size() <= kMaxIntDigits) {
      out.append(digits);
      return IntForm::kDecimal;
    }
  }
  append_hex_of(out, magnitude);
  return IntForm::kHex;
}

}  // namespace tare::pickle
