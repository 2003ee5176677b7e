#include "cli/path_filter.hpp"

#include <fnmatch.h>

#include <algorithm>

#include "io/parse_number.hpp"

namespace tare::cli {
namespace {

bool matches(const std::string& pattern, const std::string& path) {
  const bool whole = pattern.find('/') != std::string::npos;
  const std::size_t slash = whole ? std::string::npos : path.rfind('/');
  const char* const subject = path.c_str() + (slash == std::string::npos ? 0 : slash + 1);
  return ::fnmatch(pattern.c_str(), subject, 0) == 0;
}

bool matches_any(const std::vector<std::string>& patterns, const std::string& path) {
  return std::ranges::any_of(patterns,
                             [&](const std::string& pattern) { return matches(pattern, path); });
}

}  // namespace

// FNV-1a, 64 bits: the same on every machine.
bool Shard::has(std::string_view path) const {
  if (count == 1) return true;
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return (hash ^ hash >> 32) % count == index;
}

std::optional<Shard> parse_shard(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto index = parse_number(text.substr(0, slash));
  const auto count = parse_number(text.substr(slash + 1));
  if (!index || !count || *index == 0 || *index > *count) return std::nullopt;
  return Shard{*index - 1, *count};
}

bool PathFilter::excludes(const std::string& path) const {
  return matches_any(exclude, path);
}

bool PathFilter::includes(const std::string& path) const {
  return include.empty() || matches_any(include, path);
}

}  // namespace tare::cli
