#include <bit>
#include <cstring>

#include "tare/pickle.hpp"

namespace tare::pickle {

std::string_view op_name(Op op) {
  switch (op) {
#define TARE_OPCODE(identifier, name, ...) \
  case Op::identifier:                     \
    return name;
#include "tare/pickle_opcodes.def"
#undef TARE_OPCODE
  }
  return "?";
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kBigInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
    case Kind::kPy2String:
      return "str";
    case Kind::kBytes:
      return "bytes";
    case Kind::kByteArray:
      return "bytearray";
    case Kind::kTuple:
      return "tuple";
    case Kind::kList:
      return "list";
    case Kind::kDict:
      return "dict";
    case Kind::kSet:
      return "set";
    case Kind::kFrozenSet:
      return "frozenset";
    case Kind::kGlobal:
      return "global";
    case Kind::kCall:
      return "object";
    case Kind::kPersistent:
      return "persistent object";
    case Kind::kExtension:
      return "extension object";
    case Kind::kBuffer:
      return "buffer";
  }
  return "?";
}

const char* oddity_text(OddityKind kind) {
  switch (kind) {
    case OddityKind::kNumberText:
      return "a number is written in a way that no pickler writes";
    case OddityKind::kNulInLine:
      return "a NUL inside a line: the C unpickler stops there, the Python one fails";
    case OddityKind::kNonAsciiString:
      return "a Python 2 string that is not ASCII: what it means depends on the loader";
    case OddityKind::kFrameOverlap:
      return "a frame begins inside another one";
    case OddityKind::kFrameCrossed:
      return "an argument reaches past the end of its frame";
    case OddityKind::kFrameTooLong:
      return "a frame is longer than the input: the C unpickler fails, the Python one goes on";
    case OddityKind::kProtocolLate:
      return "PROTO stands in the middle of the stream";
    case OddityKind::kMemoOverwritten:
      return "a memo slot is written twice";
    case OddityKind::kMemoSparse:
      return "a memo index that no pickler would reach";
    case OddityKind::kPickleCut:
      return "the last line has no end: the C unpickler fails, the Python one goes on";
    case OddityKind::kArgumentsNoTuple:
      return "call arguments that are no tuple: the C unpickler fails, Python ones go on";
    case OddityKind::kComputedName:
      return "the name to import is computed by the stream";
    case OddityKind::kExtensionUnknown:
      return "an extension code: what it stands for depends on the loading program";
    case OddityKind::kSelfRegistered:
      return "an extension code that the stream itself registers";
    case OddityKind::kOutOfBand:
      return "data from outside the stream is used";
    case OddityKind::kStateOnLiteral:
      return "state is given to a plain value";
  }
  return "";
}

double Graph::real(Value value) const {
  const Node& number = node(value);
  if ((number.flags() & kInStream) == 0) return std::bit_cast<double>(wide(number.edge()));
  std::uint64_t bits = 0;
  std::memcpy(&bits, input_.data() + number.payload(), sizeof bits);
  return std::bit_cast<double>(__builtin_bswap64(bits));
}

bool Graph::is_decimal_text(Value value) const {
  return (node(value).flags() & kDecimal) != 0;
}

std::uint64_t Graph::length(Value value) const {
  std::uint64_t count = 0;
  for (const Update update : updates(value)) {
    count += update.kind == UpdateKind::kSetItems ? update.items.size() / 2 : update.items.size();
  }
  return count;
}

Op Graph::made_by(Value value) const {
  return static_cast<Op>(record(value, 5).bits() & 0xFF);
}

std::uint8_t Graph::protocol(Value global) const {
  return static_cast<std::uint8_t>(record(global, 5).bits() >> 8);
}

std::uint64_t Graph::made_at(Value value) const {
  return wide(node(value).edge() + 6);
}

}  // namespace tare::pickle
