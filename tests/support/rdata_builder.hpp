// Serialized objects of R, big-endian (XDR).
#pragma once

#include <bit>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/binary.hpp"

namespace tare::test {

inline std::string r_number(std::uint64_t value) {
  const std::string bytes = little(value, 4);
  return {bytes.rbegin(), bytes.rend()};
}
inline std::string r_file(std::string_view object) {
  return "X\n" + r_number(2) + r_number(0x040202) + r_number(0x020300) + std::string(object);
}
inline const std::string r_nil = r_number(254);
inline std::string r_chars(std::string_view text) {
  return r_number(9) + r_number(text.size()) + std::string(text);
}
inline std::string r_symbol(std::string_view name) {
  return r_number(1) + r_chars(name);
}
inline std::string r_texts(const std::vector<std::string>& texts) {
  std::string out = r_number(16) + r_number(texts.size());
  for (const std::string& text : texts) out += r_chars(text);
  return out;
}
inline std::string r_integers(const std::vector<std::uint64_t>& values, unsigned flags = 0) {
  std::string out = r_number(13 | flags) + r_number(values.size());
  for (const std::uint64_t value : values) out += r_number(value);
  return out;
}
inline std::string r_doubles(const std::vector<double>& values, unsigned flags = 0) {
  std::string out = r_number(14 | flags) + r_number(values.size());
  for (const double value : values) {
    const std::string bytes = u64(std::bit_cast<std::uint64_t>(value));
    out.append(bytes.rbegin(), bytes.rend());
  }
  return out;
}
// A list with tags: of attributes, of an environment, of what save() has saved.
inline std::string r_pairs(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string out;
  for (const auto& [tag, value] : items) out += r_number(2 | 1 << 10) + r_symbol(tag) + value;
  return out + r_nil;
}
inline constexpr unsigned kWithAttributes = 1 << 9;
inline std::string r_list(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string out = r_number(19 | kWithAttributes) + r_number(items.size());
  std::vector<std::string> names;
  for (const auto& [name, value] : items) {
    out += value;
    names.push_back(name);
  }
  return out + r_pairs({{"names", r_texts(names)}});
}
inline std::string r_call(std::string_view function, std::string_view argument) {
  return r_number(6) + r_symbol(function) + r_number(2) + std::string(argument) + r_nil;
}
inline std::string r_promise(std::string_view value, std::string_view expression) {
  return r_number(5) + std::string(value) + std::string(expression);
}

}  // namespace tare::test
