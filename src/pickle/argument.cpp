#include "pickle/argument.hpp"

#include <array>
#include <iterator>

#include "io/cursor.hpp"

namespace tare::pickle {
namespace {

constexpr std::uint8_t kNoOpcode = 0xFF;

// Byte to index of kOpcodes.
constexpr auto kIndex = [] {
  std::array<std::uint8_t, 256> index{};
  index.fill(kNoOpcode);
  for (std::size_t i = 0; i < std::size(kOpcodes); ++i) {
    index[static_cast<std::uint8_t>(kOpcodes[i].op)] = static_cast<std::uint8_t>(i);
  }
  return index;
}();

std::unexpected<Error> cut(const Instruction& instruction) {
  return fail(ErrorCode::kTruncated, "the stream ends inside an argument", instruction.offset);
}

template <typename T>
bool take_number(Cursor& cursor, Instruction& instruction) {
  const auto value = cursor.read<T>();
  if (value) instruction.number = static_cast<std::uint64_t>(static_cast<std::int64_t>(*value));
  return value.has_value();
}

bool take_float(Cursor& cursor, Instruction& instruction) {
  if (!take_number<std::uint64_t>(cursor, instruction)) return false;
  instruction.number = __builtin_bswap64(instruction.number);
  return true;
}

bool take_line(Cursor& cursor, Instruction& instruction) {
  const auto line = cursor.take_line();
  if (line) instruction.argument = *line;
  return line.has_value();
}

// Both lines and the newline between them.
bool take_two_lines(ByteSpan stream, Cursor& cursor, Instruction& instruction) {
  const std::uint64_t start = cursor.offset();
  if (!cursor.take_line() || !cursor.take_line()) return false;
  instruction.argument = stream.subspan(start, cursor.offset() - start - 1);
  return true;
}

// The length and that many bytes. T is the type of the length.
template <typename T>
bool take_counted(Cursor& cursor, Instruction& instruction) {
  const auto length = cursor.read<T>();
  if (!length) return false;
  const auto bytes = cursor.take(*length);
  if (bytes) instruction.argument = *bytes;
  return bytes.has_value();
}

bool has_negative_length(const Cursor& cursor, Argument argument) {
  if (argument != Argument::kLong4 && argument != Argument::kBytes4Signed) return false;
  Cursor ahead = cursor;
  const auto length = ahead.read<std::int32_t>();
  return length && *length < 0;
}

bool take_argument(ByteSpan stream, Cursor& cursor, Instruction& instruction) {
  switch (instruction.info->argument) {
    case Argument::kNone:
      return true;
    case Argument::kUint1:
      return take_number<std::uint8_t>(cursor, instruction);
    case Argument::kUint2:
      return take_number<std::uint16_t>(cursor, instruction);
    case Argument::kUint4:
      return take_number<std::uint32_t>(cursor, instruction);
    case Argument::kUint8:
      return take_number<std::uint64_t>(cursor, instruction);
    case Argument::kInt4:
      return take_number<std::int32_t>(cursor, instruction);
    case Argument::kFloat8:
      return take_float(cursor, instruction);
    case Argument::kLong1:
    case Argument::kBytes1:
    case Argument::kUtf8_1:
      return take_counted<std::uint8_t>(cursor, instruction);
    case Argument::kLong4:
    case Argument::kBytes4Signed:
    case Argument::kBytes4:
    case Argument::kUtf8_4:
      return take_counted<std::uint32_t>(cursor, instruction);
    case Argument::kBytes8:
    case Argument::kUtf8_8:
      return take_counted<std::uint64_t>(cursor, instruction);
    case Argument::kTwoLines:
      return take_two_lines(stream, cursor, instruction);
    case Argument::kDecimalLine:
    case Argument::kDecimalLineLong:
    case Argument::kFloatLine:
    case Argument::kQuotedLine:
    case Argument::kUnicodeLine:
    case Argument::kLine:
      return take_line(cursor, instruction);
  }
  return false;
}

}  // namespace

const OpcodeInfo* opcode_info(std::uint8_t byte) {
  const std::uint8_t index = kIndex[byte];
  return index == kNoOpcode ? nullptr : &kOpcodes[index];
}

Result<Instruction> decode(ByteSpan stream, std::uint64_t offset) {
  Cursor cursor(stream, offset);
  const auto byte = cursor.read<std::uint8_t>();
  if (!byte) return fail(ErrorCode::kTruncated, "the stream ends without STOP", offset);
  Instruction instruction{opcode_info(*byte), offset, 0, {}, 0};
  if (instruction.info == nullptr) {
    return fail(ErrorCode::kMalformed, "a byte that is no opcode", offset);
  }
  if (has_negative_length(cursor, instruction.info->argument)) {
    return fail(ErrorCode::kMalformed, "a negative length", offset);
  }
  if (!take_argument(stream, cursor, instruction)) return cut(instruction);
  instruction.next = cursor.offset();
  return instruction;
}

}  // namespace tare::pickle
