#include <bit>

#include "tare/pickle_writer.hpp"

namespace tare::pickle {

void Writer::little_endian(std::uint64_t value, unsigned width) {
  for (unsigned i = 0; i < width; ++i) byte(static_cast<std::uint8_t>(value >> (8 * i) & 0xFF));
}

Writer& Writer::number(Op op, std::uint64_t value, unsigned width) {
  this->op(op).little_endian(value, width);
  return *this;
}

Writer& Writer::line(Op op, std::string_view text) {
  this->op(op).raw(as_bytes(text)).byte('\n');
  return *this;
}

Writer& Writer::two_lines(Op op, std::string_view first, std::string_view second) {
  line(op, first).raw(as_bytes(second)).byte('\n');
  return *this;
}

// The bytes behind their length.
Writer& Writer::counted(Op op, ByteSpan bytes, unsigned width) {
  return number(op, bytes.size(), width).raw(bytes);
}

// ---- values

Writer& Writer::integer(std::int64_t value) {
  if (value >= 0 && value <= 0xFF) return binint1(static_cast<std::uint8_t>(value));
  if (value >= 0 && value <= 0xFFFF) return binint2(static_cast<std::uint16_t>(value));
  if (value >= INT32_MIN && value <= INT32_MAX) return binint(static_cast<std::int32_t>(value));
  unsigned width = 8;  // two's complement, as short as the sign allows
  while (width > 1 &&
         (value >> (8 * (width - 1) - 1) == 0 || value >> (8 * (width - 1) - 1) == -1)) {
    --width;
  }
  op(Op::kLong1).byte(static_cast<std::uint8_t>(width));
  little_endian(static_cast<std::uint64_t>(value), width);
  return *this;
}

Writer& Writer::text(std::string_view text) {
  const std::string key = "s" + std::string(text);
  if (const auto found = memo_.find(key); found != memo_.end()) return get(found->second);
  binunicode(text);
  memo_.emplace(key, put());
  return *this;
}

Writer& Writer::global(std::string_view module, std::string_view name) {
  const std::string key = "g" + std::string(module) + '\n' + std::string(name);
  if (const auto found = memo_.find(key); found != memo_.end()) return get(found->second);
  global_line(module, name);
  memo_.emplace(key, put());
  return *this;
}

std::uint32_t Writer::put() {
  const std::uint32_t index = next_++;
  if (index <= 0xFF) {
    binput(static_cast<std::uint8_t>(index));
  } else {
    long_binput(index);
  }
  return index;
}

Writer& Writer::get(std::uint32_t index) {
  return index <= 0xFF ? binget(static_cast<std::uint8_t>(index)) : long_binget(index);
}

// ---- the instruction set

Writer& Writer::op(Op op) {
  byte(static_cast<std::uint8_t>(op));
  return *this;
}

Writer& Writer::proto(std::uint8_t version) {
  return number(Op::kProto, version, 1);
}
Writer& Writer::frame(std::uint64_t length) {
  return number(Op::kFrame, length, 8);
}

Writer& Writer::int_line(std::string_view text) {
  return line(Op::kInt, text);
}
Writer& Writer::long_line(std::string_view text) {
  return line(Op::kLong, text);
}
Writer& Writer::float_line(std::string_view text) {
  return line(Op::kFloat, text);
}
Writer& Writer::binint(std::int32_t value) {
  return number(Op::kBinInt, static_cast<std::uint32_t>(value), 4);
}
Writer& Writer::binint1(std::uint8_t value) {
  return number(Op::kBinInt1, value, 1);
}
Writer& Writer::binint2(std::uint16_t value) {
  return number(Op::kBinInt2, value, 2);
}
Writer& Writer::long1(ByteSpan twos_complement) {
  return counted(Op::kLong1, twos_complement, 1);
}
Writer& Writer::long4(ByteSpan twos_complement) {
  return counted(Op::kLong4, twos_complement, 4);
}
Writer& Writer::binfloat(double value) {
  // The one number of a pickle that is big-endian.
  return number(Op::kBinFloat, __builtin_bswap64(std::bit_cast<std::uint64_t>(value)), 8);
}

Writer& Writer::string_line(std::string_view quoted) {
  return line(Op::kString, quoted);
}
Writer& Writer::binstring(std::string_view bytes) {
  return counted(Op::kBinString, as_bytes(bytes), 4);
}
Writer& Writer::short_binstring(std::string_view bytes) {
  return counted(Op::kShortBinString, as_bytes(bytes), 1);
}

Writer& Writer::binbytes(ByteSpan bytes) {
  return counted(Op::kBinBytes, bytes, 4);
}
Writer& Writer::short_binbytes(ByteSpan bytes) {
  return counted(Op::kShortBinBytes, bytes, 1);
}
Writer& Writer::binbytes8(ByteSpan bytes) {
  return counted(Op::kBinBytes8, bytes, 8);
}
Writer& Writer::bytearray8(ByteSpan bytes) {
  return counted(Op::kByteArray8, bytes, 8);
}

Writer& Writer::unicode_line(std::string_view escaped) {
  return line(Op::kUnicode, escaped);
}
Writer& Writer::short_binunicode(std::string_view utf8) {
  return counted(Op::kShortBinUnicode, as_bytes(utf8), 1);
}
Writer& Writer::binunicode(std::string_view utf8) {
  return counted(Op::kBinUnicode, as_bytes(utf8), 4);
}
Writer& Writer::binunicode8(std::string_view utf8) {
  return counted(Op::kBinUnicode8, as_bytes(utf8), 8);
}

Writer& Writer::get_line(std::string_view index) {
  return line(Op::kGet, index);
}
Writer& Writer::put_line(std::string_view index) {
  return line(Op::kPut, index);
}
Writer& Writer::binget(std::uint8_t index) {
  return number(Op::kBinGet, index, 1);
}
Writer& Writer::binput(std::uint8_t index) {
  return number(Op::kBinPut, index, 1);
}
Writer& Writer::long_binget(std::uint32_t index) {
  return number(Op::kLongBinGet, index, 4);
}
Writer& Writer::long_binput(std::uint32_t index) {
  return number(Op::kLongBinPut, index, 4);
}

Writer& Writer::global_line(std::string_view module, std::string_view name) {
  return two_lines(Op::kGlobal, module, name);
}
Writer& Writer::inst(std::string_view module, std::string_view name) {
  return two_lines(Op::kInst, module, name);
}
Writer& Writer::ext1(std::uint8_t code) {
  return number(Op::kExt1, code, 1);
}
Writer& Writer::ext2(std::uint16_t code) {
  return number(Op::kExt2, code, 2);
}
Writer& Writer::ext4(std::int32_t code) {
  return number(Op::kExt4, static_cast<std::uint32_t>(code), 4);
}
Writer& Writer::persid(std::string_view id) {
  return line(Op::kPersId, id);
}

Writer& Writer::raw(ByteSpan bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

}  // namespace tare::pickle
