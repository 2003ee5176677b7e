// Writes pickle streams opcode by opcode, for files that tare makes itself: torch-layout
// checkpoints, and hostile files for the demo and for tests of scanners and loaders.
//
// There are two layers. The upper one picks opcodes as CPython's pickler does and keeps the memo
// like it (BINPUT behind everything that can be shared, BINGET when it comes again), so that plain
// objects come out byte for byte the same. The lower one is the instruction set: a function for
// each opcode that has an argument, named after it, and op() for the others. It leaves the memo of
// the upper layer alone.
//
// The writer does not check that the stream makes sense: it is meant to be able to write odd ones.
// A length or number that its field cannot hold is written without the bits that do not fit.
// Source: PEP 307, PEP 3154, PEP 574. Allocation may throw; nothing else fails.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/pickle.hpp"

namespace tare::pickle {

class Writer {
 public:
  // ---- values, as CPython's pickler writes them from protocol 2 on

  // The shortest of BININT1, BININT2, BININT, LONG1.
  Writer& integer(std::int64_t value);
  Writer& boolean(bool value) { return op(value ? Op::kNewTrue : Op::kNewFalse); }
  // BINUNICODE, and the memo: the second time the same text is a BINGET.
  Writer& text(std::string_view text);
  // GLOBAL, and the memo, likewise.
  Writer& global(std::string_view module, std::string_view name);
  // BINPUT or LONG_BINPUT with the next free index; returns it.
  std::uint32_t put();
  // BINGET or LONG_BINGET.
  Writer& get(std::uint32_t index);

  // ---- the instruction set

  // An opcode without argument, or several. One that has an argument is written without it: follow
  // with raw().
  Writer& op(Op op);
  template <typename... More>
  Writer& op(Op first, Op second, More... more) {
    return op(first).op(second, more...);
  }

  // PROTO, FRAME: `length` bytes follow in one frame.
  Writer& proto(std::uint8_t version);
  Writer& frame(std::uint64_t length);

  // Numbers. INT, LONG and FLOAT are lines: the text is written as it is and a newline behind it,
  // so that "0x10", "01" and "1\0zz" can be had; pickle.py ends the text of LONG with an L.
  Writer& int_line(std::string_view text);
  Writer& long_line(std::string_view text);
  Writer& float_line(std::string_view text);
  Writer& binint(std::int32_t value);
  Writer& binint1(std::uint8_t value);
  Writer& binint2(std::uint16_t value);
  // LONG1 and LONG4: two's complement, little-endian.
  Writer& long1(ByteSpan twos_complement);
  Writer& long4(ByteSpan twos_complement);
  Writer& binfloat(double value);

  // Python 2 strings. STRING is a line: with its quotes and escapes, as they are to stand there.
  Writer& string_line(std::string_view quoted);
  Writer& binstring(std::string_view bytes);
  Writer& short_binstring(std::string_view bytes);

  // Bytes.
  Writer& binbytes(ByteSpan bytes);
  Writer& short_binbytes(ByteSpan bytes);
  Writer& binbytes8(ByteSpan bytes);
  Writer& bytearray8(ByteSpan bytes);

  // Strings. UNICODE is a line in raw-unicode-escape, written as it is; the others are UTF-8.
  Writer& unicode_line(std::string_view escaped);
  Writer& short_binunicode(std::string_view utf8);
  Writer& binunicode(std::string_view utf8);
  Writer& binunicode8(std::string_view utf8);

  // The memo. GET and PUT are lines: the text of the index, as it is.
  Writer& get_line(std::string_view index);
  Writer& put_line(std::string_view index);
  Writer& binget(std::uint8_t index);
  Writer& binput(std::uint8_t index);
  Writer& long_binget(std::uint32_t index);
  Writer& long_binput(std::uint32_t index);

  // Imports and calls. GLOBAL and INST are two lines; INST calls with all that is above the mark.
  Writer& global_line(std::string_view module, std::string_view name);
  Writer& inst(std::string_view module, std::string_view name);
  Writer& ext1(std::uint8_t code);
  Writer& ext2(std::uint16_t code);
  Writer& ext4(std::int32_t code);
  // PERSID: the id as a line.
  Writer& persid(std::string_view id);

  // Bytes as they are.
  Writer& raw(ByteSpan bytes);

  ByteSpan view() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  void byte(std::uint8_t value) { bytes_.push_back(static_cast<std::byte>(value)); }
  void little_endian(std::uint64_t value, unsigned width);
  Writer& number(Op op, std::uint64_t value, unsigned width);
  Writer& line(Op op, std::string_view text);
  Writer& two_lines(Op op, std::string_view first, std::string_view second);
  Writer& counted(Op op, ByteSpan bytes, unsigned width);

  std::vector<std::byte> bytes_;
  std::map<std::string, std::uint32_t, std::less<>> memo_;  // by kind and text
  std::uint32_t next_ = 0;
};

}  // namespace tare::pickle
