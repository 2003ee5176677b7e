// All that a scan is to look at, one file after the other: what is named, what patterns and lists
// name, and what stands below folders.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "cli/path_list.hpp"
#include "cli/tree_walk.hpp"

namespace tare::cli {

class ScanSource {
 public:
  // `filter` and `counts` must outlive the source. What is named is wanted, whatever the filter's
  // patterns say; its shard counts for all.
  ScanSource(std::vector<std::string> paths, const PathFilter& filter, WalkCounts& counts)
      : paths_(std::move_iterator(paths.begin()), std::move_iterator(paths.end())),
        filter_(filter),
        counts_(counts) {}

  // Paths of a list come after those that are named.
  void add_list(std::string name, PathList list) {
    list_name_ = std::move(name);
    list_ = std::move(list);
  }

  // The next file, or what cannot be read; nothing at the end.
  std::optional<FoundFile> next();

 private:
  std::optional<FoundFile> next_named();
  std::optional<FoundFile> next_listed();
  std::optional<FoundFile> begin_remote(std::string spec);
  // The files of a repository on the hub; nothing, or why there are none.
  std::optional<FoundFile> list_repository(const std::string& spec);
  std::optional<FoundFile> next_of_repository();
  // A file, or the first one below a folder; nothing if the shard is another, or the folder empty.
  std::optional<FoundFile> begin(std::string path, bool named);

  std::deque<std::string> paths_;
  std::deque<std::string> matches_;     // of a pattern
  std::deque<std::string> repository_;  // specs of files
  std::string repository_name_;
  const PathFilter& filter_;
  WalkCounts& counts_;
  std::string list_name_;
  std::optional<PathList> list_;
  std::optional<TreeWalk> walk_;
};

}  // namespace tare::cli
