// Protocol buffers on the wire: the fields of a message, one after the other, and messages inside
// of messages. Follows the encoding that protobuf.dev documents, as its C++ parser reads it: tags
// of 32 bits, varints of at most 10 bytes, no field 0, groups as deep as messages may be. Nothing
// here recurses; views point into the bytes.
#pragma once

#include <initializer_list>
#include <optional>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

enum class WireType : std::uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kGroup = 3,  // read as a whole and without a look inside
  kFixed32 = 5,
};

struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::kVarint;
  std::uint64_t value = 0;    // kVarint, kFixed64 and kFixed32
  ByteSpan bytes;             // kBytes
  std::uint64_t offset = 0;   // of the tag
  std::uint64_t content = 0;  // of what is behind it: the bytes or the number

  bool is_bytes() const { return type == WireType::kBytes; }
  std::string_view text() const { return as_text(bytes); }
};

// Sets of field numbers below 64, as bits; a number beyond is in no set.
constexpr std::uint64_t field_bit(std::uint32_t number) {
  return number < 64 ? std::uint64_t{1} << number : 0;
}
constexpr std::uint64_t field_bits(std::initializer_list<std::uint32_t> numbers) {
  std::uint64_t mask = 0;
  for (const std::uint32_t number : numbers) mask |= field_bit(number);
  return mask;
}

// As deep as parsers go.
inline constexpr std::size_t kMaxMessageDepth = 100;

class ProtobufReader {
 public:
  // `base` is added to all offsets.
  explicit ProtobufReader(ByteSpan bytes, std::uint64_t base = 0) : bytes_(bytes), base_(base) {}

  // The next field; nothing at the end and where the bytes are no message: see failed().
  std::optional<WireField> next();
  bool failed() const { return failed_; }
  // kMalformed, kTruncated or kLimit, with the offset.
  Error error() const { return error_; }

 private:
  std::optional<WireField> stop(ErrorCode code, const char* what);
  std::optional<std::uint64_t> varint();
  bool read_tag(WireField& field);
  bool read_value(WireField& field);
  bool skip_group(std::uint32_t number);

  ByteSpan bytes_;
  std::uint64_t base_;
  std::uint64_t at_ = 0;
  bool failed_ = false;
  Error error_{};
};

// Calls `take(value)` for each varint of a packed field. False if the last one is broken.
template <typename Take>
bool each_varint(ByteSpan packed, const Take& take) {
  std::uint64_t value = 0;
  unsigned shift = 0;
  for (const std::byte byte : packed) {
    if (shift > 63) return false;
    value |= (std::to_integer<std::uint64_t>(byte) & 0x7F) << shift;
    shift += 7;
    if ((byte & std::byte{0x80}) != std::byte{0}) continue;
    take(value);
    value = 0;
    shift = 0;
  }
  return shift == 0;
}

// Which field of a message holds messages of which kind. The kinds are numbers of the caller.
struct MessageField {
  unsigned message;
  std::uint32_t number;
  unsigned child;
};

// Walks a message and those inside of it that `fields` names, in the order of the file. `visitor`:
//   begin(kind, field)   a message, with the field that holds it; not for the outermost one
//   field(kind, field)   any other field of a message of this kind
//   end(kind)            the message is over; the outermost one as well
// A field that `fields` names, but that holds no bytes, comes as any other.
// Errors: those of ProtobufReader, and kLimit (deeper than kMaxMessageDepth).
template <typename Visitor>
Result<void> walk_messages(ByteSpan bytes, unsigned root, std::span<const MessageField> fields,
                           Visitor& visitor, std::uint64_t base = 0) {
  struct Level {
    ProtobufReader reader;
    unsigned kind;
  };
  std::vector<Level> levels{{ProtobufReader(bytes, base), root}};
  while (!levels.empty()) {
    Level& level = levels.back();
    const auto field = level.reader.next();
    if (!field) {
      if (level.reader.failed()) return std::unexpected(level.reader.error());
      visitor.end(level.kind);
      levels.pop_back();
      continue;
    }
    const MessageField* found = nullptr;
    for (const MessageField& known : fields) {
      if (known.message == level.kind && known.number == field->number) found = &known;
    }
    if (found == nullptr || !field->is_bytes()) {
      visitor.field(level.kind, *field);
      continue;
    }
    if (levels.size() == kMaxMessageDepth) {
      return fail(ErrorCode::kLimit, "messages stand in messages more than 100 deep",
                  field->offset);
    }
    visitor.begin(found->child, *field);
    levels.push_back({ProtobufReader(field->bytes, field->content), found->child});
  }
  return {};
}

}  // namespace tare
