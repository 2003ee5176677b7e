#include "scan/excerpt.hpp"

#include <algorithm>

namespace tare {

std::string excerpt(std::string_view text, std::size_t most) {
  std::string out;
  for (const char c : text.substr(0, most)) {
    out += c >= 0x20 && c < 0x7f ? c : c == '\n' || c == '\t' || c == '\r' ? ' ' : '?';
  }
  if (text.size() > most) out += "...";
  return out;
}

std::string shown(std::string_view name) {
  std::string out(name.substr(0, 200));
  std::ranges::replace_if(out, [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return out;
}

std::string line_around(std::string_view text, std::size_t position) {
  constexpr std::size_t kBefore = 80;
  position = std::min(position, text.size());
  const std::size_t line = text.substr(0, position).rfind('\n') + 1;  // npos + 1 is 0
  const std::size_t start = std::max(line, position - std::min(position, kBefore));
  const std::size_t end = std::min(text.find('\n', position), text.size());
  std::string_view found = text.substr(start, end - start);
  while (found.starts_with(' ') || found.starts_with('\t')) found.remove_prefix(1);
  return excerpt(found);
}

}  // namespace tare
