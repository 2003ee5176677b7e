// MessagePack: the items of a stream, one after the other. Follows the specification at
// github.com/msgpack/msgpack as the msgpack package of Python reads it. Arrays and maps come as
// items that say how many follow; whoever wants a tree keeps a stack. Nothing here recurses; views
// point into the bytes.
#pragma once

#include "io/cursor.hpp"
#include "tare/error.hpp"

namespace tare {

enum class MsgpackKind : std::uint8_t {
  kNil,
  kBool,
  kUnsigned,
  kSigned,  // below 0
  kFloat,
  kText,
  kBytes,
  kArray,
  kMap,
  kExtension,
};

struct MsgpackItem {
  MsgpackKind kind = MsgpackKind::kNil;
  // kBool, kUnsigned; kSigned in two's complement; kFloat: the bits of a double; kArray: elements;
  // kMap: pairs.
  std::uint64_t value = 0;
  std::uint8_t extension = 0;  // its type
  ByteSpan bytes;              // kText, kBytes, kExtension
  std::uint64_t offset = 0;    // of the first byte
  std::uint64_t content = 0;   // of `bytes`

  std::string_view text() const { return as_text(bytes); }
  // Items that follow and belong to this one.
  std::uint64_t inner() const {
    return kind == MsgpackKind::kMap ? 2 * value : kind == MsgpackKind::kArray ? value : 0;
  }
};

class MsgpackReader {
 public:
  // `base` is added to all offsets.
  explicit MsgpackReader(ByteSpan bytes, std::uint64_t base = 0) : in_(bytes), base_(base) {}

  // Errors: kTruncated, also for an array or map with more items than bytes are left; kMalformed
  // (the byte C1, which no writer uses). The reader is of no use after an error.
  Result<MsgpackItem> next();
  bool at_end() const { return in_.at_end(); }
  std::uint64_t offset() const { return base_ + in_.offset(); }

 private:
  Result<std::uint64_t> number(unsigned width);
  Result<MsgpackItem> counted(MsgpackItem item, MsgpackKind kind, std::uint64_t count);
  Result<MsgpackItem> sized(MsgpackItem item, MsgpackKind kind, std::uint64_t size);
  Result<MsgpackItem> prefixed(MsgpackItem item, std::uint8_t byte);
  Result<MsgpackItem> fixed(MsgpackItem item, std::uint8_t byte);

  Cursor in_;
  std::uint64_t base_;
};

}  // namespace tare
