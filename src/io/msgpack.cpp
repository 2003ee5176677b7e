#include "io/msgpack.hpp"

namespace tare {
namespace {

std::unexpected<Error> cut(std::uint64_t offset) {
  return fail(ErrorCode::kTruncated, "an item of MessagePack is cut off", offset);
}

MsgpackItem scalar(MsgpackItem item, MsgpackKind kind, std::uint64_t value) {
  item.kind = kind;
  item.value = value;
  return item;
}

// A two's complement of `width` bytes.
MsgpackItem signed_number(MsgpackItem item, std::uint64_t value, unsigned width) {
  const unsigned shift = 64 - 8 * width;
  const auto number = static_cast<std::int64_t>(value << shift) >> shift;
  return scalar(item, number < 0 ? MsgpackKind::kSigned : MsgpackKind::kUnsigned,
                static_cast<std::uint64_t>(number));
}

}  // namespace

// Big-endian.
Result<std::uint64_t> MsgpackReader::number(unsigned width) {
  const auto digits = in_.take(width);
  if (!digits) return cut(offset());
  std::uint64_t value = 0;
  for (const std::byte digit : *digits) value = value << 8 | std::to_integer<std::uint64_t>(digit);
  return value;
}

Result<MsgpackItem> MsgpackReader::counted(MsgpackItem item, MsgpackKind kind,
                                           std::uint64_t count) {
  item = scalar(item, kind, count);
  // Each takes at least a byte.
  if (item.inner() > in_.remaining()) return cut(item.offset);
  return item;
}

Result<MsgpackItem> MsgpackReader::sized(MsgpackItem item, MsgpackKind kind, std::uint64_t size) {
  item.kind = kind;
  if (kind == MsgpackKind::kExtension) {
    const auto type = in_.read<std::uint8_t>();
    if (!type) return cut(item.offset);
    item.extension = *type;
  }
  item.content = offset();
  const auto bytes = in_.take(size);
  if (!bytes) return cut(item.offset);
  item.bytes = *bytes;
  return item;
}

Result<MsgpackItem> MsgpackReader::next() {
  MsgpackItem item;
  item.offset = offset();
  const auto byte = in_.read<std::uint8_t>();
  if (!byte) return cut(item.offset);
  const std::uint8_t b = *byte;
  if (b <= 0x7F) return scalar(item, MsgpackKind::kUnsigned, b);
  if (b <= 0x8F) return counted(item, MsgpackKind::kMap, b & 0xFU);
  if (b <= 0x9F) return counted(item, MsgpackKind::kArray, b & 0xFU);
  if (b <= 0xBF) return sized(item, MsgpackKind::kText, b & 0x1FU);
  if (b >= 0xE0) return signed_number(item, b, 1);
  return b == 0xC0 || b == 0xC2 || b == 0xC3 || (b >= 0xCA && b <= 0xD8) ? fixed(item, b)
                                                                         : prefixed(item, b);
}

// C0 nil, C2 C3 booleans, CA CB floats, CC to D3 integers, D4 to D8 extensions of 1 to 16 bytes.
Result<MsgpackItem> MsgpackReader::fixed(MsgpackItem item, std::uint8_t byte) {
  if (byte == 0xC0) return item;
  if (byte <= 0xC3) return scalar(item, MsgpackKind::kBool, byte & 1U);
  if (byte >= 0xD4) return sized(item, MsgpackKind::kExtension, 1ULL << (byte - 0xD4));
  const unsigned width = byte <= 0xCB ? 4U << (byte - 0xCA) : 1U << ((byte - 0xCC) % 4);
  const auto value = number(width);
  if (!value) return std::unexpected(value.error());
  if (byte == 0xCA) {
    const auto single = std::bit_cast<float>(static_cast<std::uint32_t>(*value));
    return scalar(item, MsgpackKind::kFloat, std::bit_cast<std::uint64_t>(double{single}));
  }
  if (byte == 0xCB) return scalar(item, MsgpackKind::kFloat, *value);
  if (byte <= 0xCF) return scalar(item, MsgpackKind::kUnsigned, *value);
  return signed_number(item, *value, width);
}

// What has its size in front, of 1, 2 or 4 bytes.
Result<MsgpackItem> MsgpackReader::prefixed(MsgpackItem item, std::uint8_t byte) {
  struct Family {
    std::uint8_t first;
    std::uint8_t last;
    unsigned width;  // of the first
    MsgpackKind kind;
  };
  constexpr Family kFamilies[] = {{0xC4, 0xC6, 1, MsgpackKind::kBytes},
                                  {0xC7, 0xC9, 1, MsgpackKind::kExtension},
                                  {0xD9, 0xDB, 1, MsgpackKind::kText},
                                  {0xDC, 0xDD, 2, MsgpackKind::kArray},
                                  {0xDE, 0xDF, 2, MsgpackKind::kMap}};
  for (const Family& family : kFamilies) {
    if (byte < family.first || byte > family.last) continue;
    const auto size = number(family.width << (byte - family.first));
    if (!size) return std::unexpected(size.error());
    const bool holds_items = family.kind == MsgpackKind::kArray || family.kind == MsgpackKind::kMap;
    return holds_items ? counted(item, family.kind, *size) : sized(item, family.kind, *size);
  }
  return fail(ErrorCode::kMalformed, "no item of MessagePack begins with C1", item.offset);
}

}  // namespace tare
