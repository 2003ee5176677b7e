// Opcodes and their arguments, told apart without interpreting them: where an instruction ends and
// which bytes are its argument. The table is tare/pickle_opcodes.def.
#pragma once

#include "tare/bytes.hpp"
#include "tare/error.hpp"
#include "tare/pickle.hpp"

namespace tare::pickle {

// What follows an opcode. Numbers are little-endian, except for floats.
enum class Argument : std::uint8_t {
  kNone,
  kUint1,
  kUint2,
  kUint4,
  kUint8,
  kInt4,
  kFloat8,           // big-endian
  kLong1,            // two's complement after a length of 1 byte
  kLong4,            // after a signed length of 4 bytes
  kBytes1,           // bytes after a length of 1 byte
  kBytes4,           // of 4 bytes
  kBytes4Signed,     // of 4 bytes, signed
  kBytes8,           // of 8 bytes
  kUtf8_1,           // UTF-8 after a length of 1 byte
  kUtf8_4,           // of 4 bytes
  kUtf8_8,           // of 8 bytes
  kDecimalLine,      // a line: an integer, or a bool as 00 and 01
  kDecimalLineLong,  // a line: an integer, usually with an L behind it
  kFloatLine,        // a line: a float
  kQuotedLine,       // a line: a quoted string with the escapes of a bytes literal
  kUnicodeLine,      // a line: raw-unicode-escape
  kLine,             // a line as it is
  kTwoLines,         // two of them
};

// OpcodeInfo::pops of opcodes that take everything down to the topmost mark, and the mark; and of
// those that take one value below it as well.
inline constexpr std::int8_t kToMark = -1;
inline constexpr std::int8_t kMarkAndOne = -2;

struct OpcodeInfo {
  Op op;
  std::string_view name;
  Argument argument;
  std::int8_t pops;
  std::int8_t pushes;
  std::uint8_t protocol;
  std::string_view note;
};

inline constexpr OpcodeInfo kOpcodes[] = {
#define TARE_OPCODE(identifier, name, byte, argument, pops, pushes, protocol, note) \
  {Op::identifier, name, Argument::argument, pops, pushes, protocol, note},
#include "tare/pickle_opcodes.def"
#undef TARE_OPCODE
};

// The entry of kOpcodes for a byte, or nothing if the byte is no opcode.
const OpcodeInfo* opcode_info(std::uint8_t byte);

struct Instruction {
  const OpcodeInfo* info;
  std::uint64_t offset;  // of the opcode
  std::uint64_t next;    // of the first byte behind the argument
  ByteSpan argument;     // without a length in front of it and the last newline behind it
  std::uint64_t number;  // numbers of fixed size, signed ones extended; the bits of a float

  std::int64_t signed_number() const { return static_cast<std::int64_t>(number); }
};

// The instruction at `offset`. Errors: kTruncated (the stream ends before it or inside it),
// kMalformed (no opcode; a negative length).
Result<Instruction> decode(ByteSpan stream, std::uint64_t offset);

}  // namespace tare::pickle
