// Objects of Torch7, binary.
#pragma once

#include <bit>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/binary.hpp"

namespace tare::test {

inline std::string t7_number(double value) {
  return u32(1) + u64(std::bit_cast<std::uint64_t>(value));
}
inline std::string t7_bytes(std::string_view bytes) {
  return u32(bytes.size()) + std::string(bytes);
}
inline std::string t7_text(std::string_view text) {
  return u32(2) + t7_bytes(text);
}
inline std::string t7_table(std::uint64_t index,
                            const std::vector<std::pair<std::string, std::string>>& items) {
  std::string out = u32(3) + u32(index) + u32(items.size());
  for (const auto& [key, value] : items) out += key + value;
  return out;
}
inline std::string t7_object(std::uint64_t index, std::string_view name, std::string_view content) {
  return u32(4) + u32(index) + t7_bytes("V 1") + t7_bytes(name) + std::string(content);
}
inline std::string t7_reference(std::uint64_t index) {
  return u32(4) + u32(index);
}
// `type`: "Float"; `count` elements.
inline std::string t7_storage(std::uint64_t index, std::string_view type, std::uint64_t count,
                              std::string_view elements) {
  return t7_object(index, "torch." + std::string(type) + "Storage",
                   u64(count) + std::string(elements));
}
// `start` counts from 1.
inline std::string t7_tensor(std::uint64_t index, std::string_view type,
                             const std::vector<std::uint64_t>& shape,
                             const std::vector<std::uint64_t>& strides, std::uint64_t start,
                             std::string_view storage) {
  std::string content = u32(shape.size());
  for (const std::uint64_t size : shape) content += u64(size);
  for (const std::uint64_t stride : strides) content += u64(stride);
  return t7_object(index, "torch." + std::string(type) + "Tensor",
                   content + u64(start) + std::string(storage));
}
inline std::string t7_function(std::uint64_t index, std::string_view code,
                               std::string_view upvalues) {
  return u32(8) + u32(index) + t7_bytes(code) + std::string(upvalues);
}

}  // namespace tare::test
