#include "pickle/reading.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "io/cursor.hpp"
#include "io/utf8.hpp"
#include "pickle/escape.hpp"
#include "pickle/python_repr.hpp"
#include "pickle/text_codec.hpp"

namespace tare::pickle {
namespace {

// What is quoted in a message is cut there.
constexpr std::size_t kMaxQuoted = 200;

std::string quoted(std::string_view bytes) {
  std::string out;
  append_python_bytes(out, bytes, kMaxQuoted);
  return out;
}

void show(Reading& reading, Form form, std::string_view text) {
  reading.form = form;
  reading.text = text;
}

void show_owned(Reading& reading, Form form, std::string text) {
  reading.owned = std::move(text);
  show(reading, form, reading.owned);
}

// Nobody reads it: the bytes as they are.
void show_broken(Reading& reading, std::string_view bytes, const char* why) {
  show(reading, Form::kBytes, bytes);
  reading.broken = why;
}

std::string_view before_nul(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

// ---- integers as text

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool take_sign(std::string_view& text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  return negative;
}

bool is_digit_of(char c, int base) {
  if (is_digit(c)) return c - '0' < base;
  const auto lower = static_cast<char>(c | 0x20);
  return base == 16 && lower >= 'a' && lower <= 'f';
}

// Takes "0x", "0o" or "0b" and returns the base that it stands for; 10 if there is no such prefix.
int take_prefix(std::string_view& text) {
  if (text.size() < 2 || text[0] != '0') return 10;
  const auto letter = static_cast<char>(text[1] | 0x20);
  const int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
  if (base == 10) return base;
  text.remove_prefix(2);
  if (text.starts_with('_')) text.remove_prefix(1);
  return base;
}

// Without the single underscores that Python allows between digits; nothing if anything else stands
// between them.
std::optional<std::string> digits_of(std::string_view text, int base) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_digit_of(text[i], base)) {
      digits += text[i];
    } else if (text[i] != '_' || i == 0 || i + 1 == text.size() || text[i + 1] == '_') {
      return std::nullopt;
    }
  }
  return digits.empty() ? std::nullopt : std::optional(digits);
}

struct IntText {
  std::string repr;
  std::size_t decimal_digits = 0;  // as written, which is what Python limits; 0 in other bases
  bool too_long() const { return decimal_digits > kMaxIntDigits; }
};

// Digits without leading zeros; in another base than 10, and if 64 bits are not enough, a literal.
std::string integer_repr(std::string_view digits, int base, bool negative) {
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.empty()) return "0";
  const std::string sign = negative ? "-" : "";
  if (base == 10) return sign + std::string(digits);
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error == std::errc{}) return sign + std::to_string(value);
  return sign + (base == 16 ? "0x" : base == 8 ? "0o" : "0b") + std::string(digits);
}

enum class Base : bool { kTen, kByPrefix };  // int(text, 10), int(text, 0)

// int() of Python.
std::optional<IntText> python_int(std::string_view text, Base rule) {
  text = without_blanks(text);
  const bool negative = take_sign(text);
  const bool may_be_octal = rule == Base::kByPrefix && text.starts_with('0');
  const int base = rule == Base::kByPrefix ? take_prefix(text) : 10;
  const auto digits = digits_of(text, base);
  if (!digits) return std::nullopt;
  // With base 0, a leading zero is for zero alone.
  if (may_be_octal && base == 10 && digits->find_first_not_of('0') != std::string::npos) {
    return std::nullopt;
  }
  return IntText{integer_repr(*digits, base, negative), base == 10 ? digits->size() : 0};
}

// strtol() with base 0, on a whole line. Nothing if it stops before the end or if 64 bits are not
// enough.
std::optional<std::int64_t> c_strtol(std::string_view text) {
  if (text.empty()) return 0;
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  const bool negative = take_sign(text);
  int base = 10;
  if (text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == 'x') {
    base = 16;
    text.remove_prefix(2);
  } else if (text.starts_with('0')) {
    base = 8;
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (value > std::uint64_t{INT64_MAX} + (negative ? 1 : 0)) return std::nullopt;
  return static_cast<std::int64_t>(negative ? 0 - value : value);
}

// INT of the C unpickler: strtol(), and int() if that does not like it. Two characters that make 0
// or 1 are a bool, whatever they are.
std::optional<IntText> c_int(std::string_view line) {
  if (line.empty()) return std::nullopt;
  const std::string_view text = before_nul(line);
  // strtol reads nothing of a line that starts with a NUL, and C does not look whether it did.
  const auto value = text.empty() ? std::optional<std::int64_t>(0) : c_strtol(text);
  if (!value) return python_int(text, Base::kByPrefix);
  if (line.size() == 2 && (*value == 0 || *value == 1))
    return IntText{*value == 1 ? "True" : "False"};
  return IntText{std::to_string(*value)};
}

std::optional<IntText> c_long(std::string_view line) {
  if (line.empty()) return std::nullopt;
  if (line.ends_with('L')) line.remove_suffix(1);
  return python_int(before_nul(line), Base::kByPrefix);
}

std::optional<IntText> c_memo_index(std::string_view line) {
  if (line.empty()) return std::nullopt;
  return python_int(before_nul(line), Base::kTen);
}

// INT, GET and PUT of pickletools.
std::optional<IntText> shown_int(std::string_view line) {
  if (line == "00") return IntText{"False"};
  if (line == "01") return IntText{"True"};
  return python_int(line, Base::kTen);
}

std::string refusal(std::string_view text, const std::optional<IntText>& shown) {
  if (!shown) return "invalid literal for int() with base 10: " + quoted(text);
  return "Exceeds the limit (4300 digits) for integer string conversion: value has " +
         std::to_string(shown->decimal_digits) +
         " digits; use sys.set_int_max_str_digits() to increase the limit";
}

// `text`: the line, or what pickletools takes of it.
void read_integer(Reading& reading, std::string_view text, const std::optional<IntText>& shown,
                  const std::optional<IntText>& real) {
  if (!shown || shown->too_long()) reading.pickletools_fails = refusal(text, shown);
  const auto& value = shown ? shown : real;
  if (!value) return show_broken(reading, text, "text that is no integer");
  show_owned(reading, Form::kAsIs, value->repr);
  if (!real) reading.broken = "text that no unpickler takes for an integer";
  if (real && real->repr != value->repr) {
    reading.reader = "the C unpickler reads ";
    reading.real = real->repr;
  }
  if (value->too_long()) reading.differs = "only Pythons without a limit on digits take this";
}

// As picklers write it, so that everybody reads the same: no sign but a minus, no leading zero, and
// few enough digits.
bool is_canonical(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || text.size() > kMaxIntDigits || text.front() == '0') return false;
  return std::ranges::all_of(text, is_digit);
}

void read_int_line(Reading& reading, std::string_view line) {
  if (is_canonical(line)) return show(reading, Form::kAsIs, line);
  read_integer(reading, line, shown_int(line), c_int(line));
}

void read_long_line(Reading& reading, std::string_view line) {
  const std::string_view text = line.ends_with('L') ? line.substr(0, line.size() - 1) : line;
  if (is_canonical(text)) return show(reading, Form::kAsIs, text);
  read_integer(reading, text, python_int(text, Base::kTen), c_long(line));
}

void read_memo_line(Reading& reading, std::string_view line) {
  if (is_canonical(line)) return show(reading, Form::kAsIs, line);
  const auto shown = shown_int(line);
  // False is the same key as 0.
  const bool is_bool = line == "00" || line == "01";
  read_integer(reading, line, shown, is_bool ? shown : c_memo_index(line));
}

// ---- floats as text

// Without the single underscores that Python allows between digits.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || i + 1 == text.size() || !is_digit(text[i - 1]) || !is_digit(text[i + 1])) {
      return std::nullopt;
    }
  }
  return out;
}

// Whether a number that does not fit a double is too large, not too small: by the power of ten of
// its first digit that is not zero.
bool is_huge(std::string_view text) {
  const auto e = std::min(text.find_first_of("eE"), text.size());
  const std::string_view mantissa = text.substr(0, e);
  const auto first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) return false;
  const auto point = static_cast<std::int64_t>(std::min(mantissa.find('.'), mantissa.size()));
  std::string_view digits = text.substr(std::min(e + 1, text.size()));
  const bool negative = take_sign(digits);
  std::int64_t exponent = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  if (result.ec == std::errc::result_out_of_range) return !negative;
  return point - static_cast<std::int64_t>(first) > (negative ? exponent : -exponent);
}

// PyOS_string_to_double(): no blanks, no underscores.
std::optional<double> plain_double(std::string_view text) {
  const bool negative = take_sign(text);
  // from_chars() takes a sign of its own, and nan(...).
  if (text.empty() || text.front() == '-' || text.find('(') != std::string_view::npos) {
    return std::nullopt;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) value = is_huge(text) ? HUGE_VAL : 0.0;
  return negative ? -value : value;
}

std::optional<double> python_double(std::string_view text) {
  const auto plain = without_underscores(without_blanks(text));
  return plain ? plain_double(*plain) : std::nullopt;
}

// FLOAT of the C unpickler, which takes no number that is too large.
std::optional<double> c_double(std::string_view line) {
  const std::string_view text = before_nul(line);
  const auto value = plain_double(text);
  const bool overflows = value && std::isinf(*value) && text.find_first_of("nN") == text.npos;
  return overflows ? std::nullopt : value;
}

void read_float_line(Reading& reading, std::string_view line) {
  const auto shown = python_double(line);
  const auto in_c = c_double(line);
  if (!shown) reading.pickletools_fails = "could not convert string to float: " + quoted(line);
  if (!shown && !in_c) return show_broken(reading, line, "text that is no float");
  char repr[kMaxFloatRepr];
  const char* const end = write_float_repr(repr, shown ? *shown : *in_c);
  show_owned(reading, Form::kAsIs, std::string(static_cast<const char*>(repr), end));
  if (!in_c) reading.differs = "the C unpickler fails here, the Python one goes on";
}

// ---- strings

std::string ascii_refusal(std::string_view text) {
  const auto found = std::ranges::find_if(text, [](char c) { return (c & 0x80) != 0; });
  constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(*found);
  return std::string("'ascii' codec can't decode byte 0x") + kHex[byte >> 4] + kHex[byte & 15] +
         " in position " + std::to_string(found - text.begin()) + ": ordinal not in range(128)";
}

constexpr const char* kEscapeRefusal = "an escape that is cut or unknown";

// Quotes that pickletools accepts are not quite those that unpicklers do: a single one is both
// ends of its line.
std::string quote_refusal(std::string_view line) {
  if (!line.starts_with('"') && !line.starts_with('\'')) {
    return "no string quotes around " + quoted(line);
  }
  if (line.ends_with(line.front())) return "";
  return "strinq quote " + quoted(line.substr(0, 1)) + " not found at both ends of " + quoted(line);
}

void read_quoted_line(Reading& reading, std::string_view line) {
  reading.pickletools_fails = quote_refusal(line);
  if (!reading.pickletools_fails.empty()) {
    return show_broken(reading, line, "a STRING without quotes");
  }
  if (line.size() < 2) {
    show(reading, Form::kString, "");
    reading.broken = "a STRING without quotes";
    return;
  }
  show(reading, Form::kString, line.substr(1, line.size() - 2));
  if (reading.text.find('\\') != std::string_view::npos) {
    auto decoded = decode_string_escape(reading.text);
    if (!decoded) {
      reading.pickletools_fails = kEscapeRefusal;
      return show_broken(reading, reading.text, "a STRING with a broken escape");
    }
    show_owned(reading, Form::kString, std::move(*decoded));
  }
  // What such text means depends on the encoding that the loader asks for.
  if (!is_ascii(reading.text)) {
    reading.pickletools_fails = ascii_refusal(reading.text);
    reading.form = Form::kBytes;
  }
}

void read_unicode_line(Reading& reading, std::string_view line) {
  if (is_ascii(line) && line.find('\\') == std::string_view::npos) {
    return show(reading, Form::kString, line);
  }
  auto decoded = decode_raw_unicode_escape(line);
  if (decoded) return show_owned(reading, Form::kString, std::move(*decoded));
  reading.pickletools_fails = "'rawunicodeescape' codec can't decode the line";
  show_broken(reading, line, "a UNICODE with a broken escape");
}

// PERSID, GLOBAL and INST: pickletools undoes escapes, unpicklers know none. Appends what
// pickletools shows.
void undo_escapes(Reading& reading, std::string& out, std::string_view line) {
  if (!reading.pickletools_fails.empty()) return;
  auto decoded = decode_string_escape(line);
  if (!decoded) {
    reading.pickletools_fails = kEscapeRefusal;
  } else if (!is_ascii(*decoded)) {
    reading.pickletools_fails = ascii_refusal(*decoded);
  } else {
    out += *decoded;
  }
}

// `real`: what unpicklers read.
void show_names(Reading& reading, std::string shown, std::string real) {
  if (!reading.pickletools_fails.empty()) {
    const Form form = is_utf8(real) ? Form::kString : Form::kBytes;
    return show_owned(reading, form, std::move(real));
  }
  if (shown != real) {
    reading.reader = "unpicklers read ";
    append_python_string(reading.real, real, kMaxQuoted);
  }
  show_owned(reading, Form::kString, std::move(shown));
}

void read_line(Reading& reading, std::string_view line) {
  std::string shown;
  undo_escapes(reading, shown, line);
  show_names(reading, std::move(shown), std::string(line));
  if (!is_ascii(line)) reading.broken = "a persistent id that is not ASCII";
}

void read_two_lines(Reading& reading, std::string_view lines, bool ascii_only) {
  const auto end = lines.find('\n');
  const std::string_view module = lines.substr(0, end);
  const std::string_view name = lines.substr(end + 1);
  std::string shown;
  undo_escapes(reading, shown, module);
  shown += ' ';
  undo_escapes(reading, shown, name);
  show_names(reading, std::move(shown), std::string(module).append(" ").append(name));
  if (module.empty() || name.empty()) {
    reading.broken = "an import without a name";
  } else if (ascii_only ? !is_ascii(lines) : !is_utf8(lines)) {
    reading.broken = "an import whose name does not decode";
  }
}

void read_utf8(Reading& reading, std::string_view text) {
  if (is_utf8(text, true)) return show(reading, Form::kString, text);
  reading.pickletools_fails = "'utf-8' codec can't decode the text";
  show_broken(reading, text, "a string that is not UTF-8");
}

Form form_of_bytes(Op op) {
  switch (op) {
    case Op::kBinString:
    case Op::kShortBinString:
      return Form::kLatin1;
    case Op::kByteArray8:
      return Form::kByteArray;
    default:
      return Form::kBytes;
  }
}

// ---- what pickletools says of an instruction that is cut

// Its names of the kinds of arguments.
std::string_view reader_name(const OpcodeInfo& info) {
  switch (info.argument) {
    case Argument::kNone:
      return "";
    case Argument::kUint1:
      return "uint1";
    case Argument::kUint2:
      return "uint2";
    case Argument::kUint4:
      return "uint4";
    case Argument::kUint8:
      return "uint8";
    case Argument::kInt4:
      return "int4";
    case Argument::kFloat8:
      return "float8";
    case Argument::kLong1:
      return "long1";
    case Argument::kLong4:
      return "long4";
    case Argument::kBytes1:
      return info.op == Op::kShortBinString ? "string1" : "bytes1";
    case Argument::kBytes4:
      return "bytes4";
    case Argument::kBytes4Signed:
      return "string4";
    case Argument::kBytes8:
      return info.op == Op::kByteArray8 ? "bytearray8" : "bytes8";
    case Argument::kUtf8_1:
      return "unicodestring1";
    case Argument::kUtf8_4:
      return "unicodestring4";
    case Argument::kUtf8_8:
      return "unicodestring8";
    case Argument::kUnicodeLine:
      return "unicodestringnl";
    case Argument::kDecimalLine:
    case Argument::kDecimalLineLong:
    case Argument::kFloatLine:
    case Argument::kQuotedLine:
    case Argument::kLine:
    case Argument::kTwoLines:
      return "stringnl";
  }
  return "";
}

struct Length {
  std::string_view name;  // of the kind of number
  std::uint64_t width;    // in bytes
  std::optional<std::uint64_t> value;
  bool negative = false;
};

// The length in front of the bytes; its name is empty if the argument has none.
Length read_length(Cursor cursor, Argument argument) {
  switch (argument) {
    case Argument::kLong1:
    case Argument::kBytes1:
    case Argument::kUtf8_1:
      return {"uint1", 1, cursor.read<std::uint8_t>()};
    case Argument::kBytes4:
    case Argument::kUtf8_4:
      return {"uint4", 4, cursor.read<std::uint32_t>()};
    case Argument::kBytes8:
    case Argument::kUtf8_8:
      return {"uint8", 8, cursor.read<std::uint64_t>()};
    case Argument::kLong4:
    case Argument::kBytes4Signed: {
      const auto value = cursor.read<std::uint32_t>();
      return {"int4", 4, value, value && *value > INT32_MAX};
    }
    default:
      return {"", 0, std::nullopt};
  }
}

std::string not_enough_for(std::string_view name) {
  return "not enough data in stream to read " + std::string(name);
}

// `remaining`: bytes behind the opcode.
std::string counted_refusal(const OpcodeInfo& info, const Length& length, std::uint64_t remaining) {
  if (!length.value) return not_enough_for(length.name);
  const std::string name(reader_name(info));
  if (length.negative) {
    return name + " byte count < 0: " + std::to_string(static_cast<std::int32_t>(*length.value));
  }
  if (*length.value > INT64_MAX) {
    return name + " byte count > sys.maxsize: " + std::to_string(*length.value);
  }
  if (name.starts_with("long")) return not_enough_for(name);
  return "expected " + std::to_string(*length.value) + " bytes in a " + name + ", but only " +
         std::to_string(remaining - length.width) + " remain";
}

}  // namespace

void Reading::clear() {
  form = Form::kNothing;
  text = {};
  pickletools_fails.clear();
  reader = nullptr;
  real.clear();
  differs = nullptr;
  broken = nullptr;
}

void read_argument(const Instruction& instruction, Reading& reading) {
  reading.clear();
  const std::string_view text = as_text(instruction.argument);
  switch (instruction.info->argument) {
    case Argument::kNone:
    case Argument::kUint1:
    case Argument::kUint2:
    case Argument::kUint4:
    case Argument::kUint8:
    case Argument::kInt4:
    case Argument::kFloat8:
      return;
    case Argument::kLong1:
    case Argument::kLong4:
      return show(reading, Form::kLong, text);
    case Argument::kBytes1:
    case Argument::kBytes4:
    case Argument::kBytes4Signed:
    case Argument::kBytes8:
      return show(reading, form_of_bytes(instruction.info->op), text);
    case Argument::kUtf8_1:
    case Argument::kUtf8_4:
    case Argument::kUtf8_8:
      return read_utf8(reading, text);
    case Argument::kDecimalLine:
      return instruction.info->op == Op::kInt ? read_int_line(reading, text)
                                              : read_memo_line(reading, text);
    case Argument::kDecimalLineLong:
      return read_long_line(reading, text);
    case Argument::kFloatLine:
      return read_float_line(reading, text);
    case Argument::kQuotedLine:
      return read_quoted_line(reading, text);
    case Argument::kUnicodeLine:
      return read_unicode_line(reading, text);
    case Argument::kLine:
      return read_line(reading, text);
    case Argument::kTwoLines:
      return read_two_lines(reading, text, instruction.info->op == Op::kInst);
  }
}

std::string pickletools_message(ByteSpan stream, const Error& error) {
  Cursor cursor(stream, error.offset);
  const auto byte = cursor.read<std::uint8_t>();
  if (!byte) return "pickle exhausted before seeing STOP";
  const OpcodeInfo* info = opcode_info(*byte);
  if (info == nullptr) {
    const char code = static_cast<char>(*byte);
    return "at position " + std::to_string(error.offset) + ", opcode " + quoted({&code, 1}) +
           " unknown";
  }
  const Length length = read_length(cursor, info->argument);
  if (!length.name.empty()) {
    return counted_refusal(*info, length, cursor.remaining());
  }
  const std::string name(reader_name(*info));
  return name.ends_with("nl") ? "no newline found when trying to read " + name
                              : not_enough_for(name);
}

}  // namespace tare::pickle
