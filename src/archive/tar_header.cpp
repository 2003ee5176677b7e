#include "archive/tar_header.hpp"

#include <algorithm>
#include <array>

#include "io/checked.hpp"

namespace tare::tar {
namespace {

using namespace std::string_view_literals;

struct Field {
  std::size_t offset;
  std::size_t length;

  ByteSpan of(ByteSpan block) const { return block.subspan(offset, length); }
};

constexpr Field kName{0, 100};
constexpr Field kSize{124, 12};
constexpr Field kChecksum{148, 8};
constexpr std::size_t kType = 156;
constexpr Field kLinkTarget{157, 100};
constexpr Field kMagic{257, 6};
constexpr Field kPrefix{345, 155};
constexpr std::size_t kMoreHoles = 482;       // in a header
constexpr std::size_t kMoreHolesInMap = 504;  // in a block of the map
// mode, uid, gid, mtime, device numbers: of no use here, but Python insists that they are numbers.
constexpr std::array kOtherNumbers = {Field{100, 8},  Field{108, 8}, Field{116, 8},
                                      Field{136, 12}, Field{329, 8}, Field{337, 8}};

bool is_python_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1C' && c <= '\x1F');
}

// Moves `text` behind `c` if it begins with it.
bool consume(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// Without the spaces around it; true if they were other than spaces.
bool strip(std::string_view& text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const std::size_t plain = text.size();
  while (!text.empty() && is_python_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_python_space(text.back())) text.remove_suffix(1);
  return text.size() != plain;
}

// A byte that says whether it is negative, then big-endian two's complement.
Number binary_number(ByteSpan field) {
  const bool negative = field[0] == std::byte{0xFF};
  Number number{0, negative, false};
  bool fits = true;
  for (const std::byte byte : field.subspan(1)) {
    fits = fits && number.magnitude >> 56 == 0;
    number.magnitude = number.magnitude << 8 | std::to_integer<std::uint64_t>(byte);
  }
  if (!fits) number.magnitude = UINT64_MAX;
  return number;
}

std::optional<Number> number_field(ByteSpan field) {
  if (field[0] == std::byte{0x80} || field[0] == std::byte{0xFF}) return binary_number(field);
  std::string_view text = text_field(field);
  const bool odd = strip(text);
  if (text.empty()) return Number{0, false, odd};
  auto number = python_int(text, 8);
  if (number) number->odd |= odd;
  return number;
}

// As unsigned bytes, as signed ones in old writers.
bool checksum_matches(ByteSpan block) {
  const auto stated = number_field(kChecksum.of(block));
  if (!stated) return false;
  std::int64_t plain = 0;
  std::int64_t with_sign = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool is_own = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.length;
    const auto byte = is_own ? std::uint8_t{' '} : std::to_integer<std::uint8_t>(block[i]);
    plain += byte;
    with_sign += static_cast<std::int8_t>(byte);
  }
  const auto is = [&](std::int64_t sum) {
    return stated->negative == (sum < 0) &&
           stated->magnitude == static_cast<std::uint64_t>(sum < 0 ? -sum : sum);
  };
  return is(plain) || is(with_sign);
}

}  // namespace

std::optional<Number> python_int(std::string_view text, unsigned base) {
  Number number;
  number.odd = strip(text);
  number.negative = consume(text, '-');
  if (number.negative || consume(text, '+')) number.odd = true;
  if (base == 8 && (text.starts_with("0o") || text.starts_with("0O"))) {
    text.remove_prefix(2);
    number.odd = true;
    consume(text, '_');
  }
  if (text.empty()) return std::nullopt;
  bool after_digit = false;
  for (const char c : text) {
    if (c == '_' && after_digit) {
      after_digit = false;
      number.odd = true;
      continue;
    }
    if (c < '0' || c >= static_cast<char>('0' + base)) return std::nullopt;
    const auto shifted = checked_mul(number.magnitude, base);
    const auto digit = static_cast<std::uint64_t>(c - '0');
    const auto sum = shifted ? checked_add(*shifted, digit) : std::nullopt;
    number.magnitude = sum.value_or(UINT64_MAX);
    after_digit = true;
  }
  return after_digit ? std::optional(number) : std::nullopt;
}

std::string_view text_field(ByteSpan field) {
  const std::string_view text = as_text(field);
  return text.substr(0, text.find('\0'));
}

std::optional<HeaderView> parse_header(ByteSpan block) {
  const auto size = number_field(kSize.of(block));
  if (!size || !checksum_matches(block)) return std::nullopt;
  HeaderView header;
  header.has_odd_number = size->odd || size->negative;
  for (const Field& field : kOtherNumbers) {
    const auto number = number_field(field.of(block));
    if (!number) return std::nullopt;
    header.has_odd_number |= number->odd;
  }
  header.name = text_field(kName.of(block));
  header.link_target = text_field(kLinkTarget.of(block));
  header.prefix = text_field(kPrefix.of(block));
  header.size = size->negative ? 0 : size->magnitude;
  header.type = static_cast<char>(block[kType]);
  header.is_posix = as_text(kMagic.of(block)) == "ustar\0"sv;
  header.has_more_holes = block[kMoreHoles] != std::byte{0};
  return header;
}

bool has_more_holes(ByteSpan map_block) {
  return map_block[kMoreHolesInMap] != std::byte{0};
}

std::optional<PaxRecord> read_pax_record(Cursor& cursor) {
  const std::uint64_t start = cursor.offset();
  const auto digits = cursor.take_until(std::byte{' '});
  if (!digits || digits->empty() || digits->size() > 20) return std::nullopt;
  const auto length = python_int(as_text(*digits), 10);
  const std::uint64_t head = cursor.offset() - start;
  if (!length || length->odd || length->magnitude <= head) return std::nullopt;
  const auto body = cursor.take(length->magnitude - head);
  if (!body || as_text(*body).back() != '\n') return std::nullopt;
  const std::string_view text = as_text(*body).substr(0, body->size() - 1);
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos) return std::nullopt;
  return PaxRecord{text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace tare::tar
