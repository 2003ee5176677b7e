// Which files of a walk are wanted: by patterns, and by the share of this run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tare::cli {

// One of `count` shares of all files, numbered from 0. By a hash of the path below the folder that
// was named: the shares cover all files, each once, wherever the folder is.
struct Shard {
  std::uint64_t index = 0;
  std::uint64_t count = 1;

  bool has(std::string_view path) const;
};

// "2/8": the second of eight. Nothing for anything else.
std::optional<Shard> parse_shard(std::string_view text);

// Patterns of the shell, in which `*` stands for any text, `/` included. One without a slash is
// held against the last name of a path, any other against the path below the folder that was named.
struct PathFilter {
  std::vector<std::string> include;  // files; empty: all
  std::vector<std::string> exclude;  // files, and folders with all that is below
  Shard shard;

  bool excludes(const std::string& path) const;
  bool includes(const std::string& path) const;
};

}  // namespace tare::cli
