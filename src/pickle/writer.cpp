#include "tare/pickle_writer.hpp"

namespace tare::pickle {

void Writer::little_endian(std::uint64_t value, unsigned width) {
  for (unsigned i = 0; i < width; ++i) byte(static_cast<std::uint8_t>(value >> (8 * i) & 0xFF));
}

Writer& Writer::op(Op op) {
  byte(static_cast<std::uint8_t>(op));
  return *this;
}

Writer& Writer::proto(std::uint8_t version) {
  op(Op::kProto);
  byte(version);
  return *this;
}

Writer& Writer::integer(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value >= 0 && value <= 0xFF) {
    op(Op::kBinInt1).little_endian(bits, 1);
  } else if (value >= 0 && value <= 0xFFFF) {
    op(Op::kBinInt2).little_endian(bits, 2);
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    op(Op::kBinInt).little_endian(bits, 4);
  } else {
    unsigned width = 8;  // two's complement, as short as the sign allows
    while (width > 1 &&
           (value >> (8 * (width - 1) - 1) == 0 || value >> (8 * (width - 1) - 1) == -1)) {
      --width;
    }
    op(Op::kLong1);
    byte(static_cast<std::uint8_t>(width));
    little_endian(bits, width);
  }
  return *this;
}

Writer& Writer::text(std::string_view text) {
  const std::string key = "s" + std::string(text);
  if (const auto found = memo_.find(key); found != memo_.end()) return get(found->second);
  op(Op::kBinUnicode);
  little_endian(text.size(), 4);
  raw(as_bytes(text));
  memo_.emplace(key, put());
  return *this;
}

Writer& Writer::global(std::string_view module, std::string_view name) {
  const std::string key = "g" + std::string(module) + '\n' + std::string(name);
  if (const auto found = memo_.find(key); found != memo_.end()) return get(found->second);
  op(Op::kGlobal);
  raw(as_bytes(module)).byte('\n');
  raw(as_bytes(name)).byte('\n');
  memo_.emplace(key, put());
  return *this;
}

std::uint32_t Writer::put() {
  const std::uint32_t index = next_++;
  if (index <= 0xFF) {
    op(Op::kBinPut).little_endian(index, 1);
  } else {
    op(Op::kLongBinPut).little_endian(index, 4);
  }
  return index;
}

Writer& Writer::get(std::uint32_t index) {
  if (index <= 0xFF) {
    op(Op::kBinGet).little_endian(index, 1);
  } else {
    op(Op::kLongBinGet).little_endian(index, 4);
  }
  return *this;
}

Writer& Writer::raw(ByteSpan bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

}  // namespace tare::pickle
