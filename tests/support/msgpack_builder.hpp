// MessagePack, item by item, and what Flax makes of it.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/binary.hpp"

namespace tare::test {

// Big-endian.
inline std::string big(std::uint64_t value, unsigned width) {
  const std::string bytes = little(value, width);
  return {bytes.rbegin(), bytes.rend()};
}

inline std::string mp_number(std::uint64_t value) {
  return value < 0x80 ? u8(value) : u8(0xCF) + big(value, 8);
}
inline std::string mp_text(std::string_view text) {
  return u8(0xDB) + big(text.size(), 4) + std::string(text);
}
inline std::string mp_bytes(std::string_view bytes) {
  return u8(0xC6) + big(bytes.size(), 4) + std::string(bytes);
}
inline std::string mp_extension(std::uint8_t type, std::string_view bytes) {
  return u8(0xC9) + big(bytes.size(), 4) + u8(type) + std::string(bytes);
}
inline std::string mp_array(const std::vector<std::string>& items) {
  std::string out = u8(0xDD) + big(items.size(), 4);
  for (const std::string& item : items) out += item;
  return out;
}
// Keys are texts.
inline std::string mp_map(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string out = u8(0xDF) + big(items.size(), 4);
  for (const auto& [key, value] : items) out += mp_text(key) + value;
  return out;
}

// The content of an extension for an array.
inline std::string flax_content(const std::vector<std::uint64_t>& shape, std::string_view type,
                                std::string_view elements) {
  std::vector<std::string> sizes;
  for (const std::uint64_t size : shape) sizes.push_back(mp_number(size));
  return mp_array({mp_array(sizes), mp_text(type), mp_bytes(elements)});
}
inline std::string flax_array(const std::vector<std::uint64_t>& shape, std::string_view type,
                              std::string_view elements) {
  return mp_extension(1, flax_content(shape, type, elements));
}

// {"0": .., "1": ..}
inline std::string flax_numbered(const std::vector<std::string>& values) {
  std::vector<std::pair<std::string, std::string>> items;
  for (const std::string& value : values) items.emplace_back(std::to_string(items.size()), value);
  return mp_map(items);
}
inline std::string flax_chunked(const std::vector<std::uint64_t>& shape,
                                const std::vector<std::string>& chunks) {
  std::vector<std::string> sizes;
  for (const std::uint64_t size : shape) sizes.push_back(mp_number(size));
  return mp_map({{"__msgpack_chunked_array__", u8(0xC3)},
                 {"shape", flax_numbered(sizes)},
                 {"chunks", flax_numbered(chunks)}});
}

}  // namespace tare::test
