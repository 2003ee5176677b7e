#include "cli/size_text.hpp"

#include <cctype>
#include <charconv>
#include <map>

namespace tare::cli {

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number == 0) return std::nullopt;
  std::string unit;
  for (const char c : std::string_view(end, text.data() + text.size())) {
    if (c != ' ') unit += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  const std::map<std::string, std::uint64_t> units = {{"", 1},
                                                      {"B", 1},
                                                      {"KB", 1000},
                                                      {"MB", 1'000'000},
                                                      {"GB", 1'000'000'000},
                                                      {"TB", 1'000'000'000'000},
                                                      {"KIB", 1ULL << 10},
                                                      {"MIB", 1ULL << 20},
                                                      {"GIB", 1ULL << 30},
                                                      {"TIB", 1ULL << 40}};
  const auto found = units.find(unit);
  if (found == units.end() || number > UINT64_MAX / found->second) return std::nullopt;
  return number * found->second;
}

std::string size_fault(const std::string& text) {
  return parse_size(text) ? "" : "a size is a number with KB, MB, GB, KiB, MiB or GiB: 5GB";
}

}  // namespace tare::cli
