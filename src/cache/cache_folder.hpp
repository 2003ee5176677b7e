// The folder where the results of scans are kept, and the file in it that is in use.
//
// The file is called scan-N.db. A damaged one is set aside as scan-N.damaged, and the next one has
// the number N+1: a process that still has the old one open touches no file of the new one.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tare/error.hpp"

namespace tare::cache {

class CacheFolder {
 public:
  // The folder of this user: `xdg_cache_home`/tare, or `home`/.cache/tare if the first is empty or
  // relative. Errors: kInvalidArgument if neither says where.
  static Result<std::filesystem::path> default_path(std::string_view xdg_cache_home,
                                                    std::string_view home);

  // Opens the folder and makes it if need be, for nobody else to read. Errors: kRefused if others
  // may write into it: what they put there would be taken for results; those of the system.
  static Result<CacheFolder> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  // Whether there is one or not.
  std::filesystem::path current() const;
  // Files that were set aside.
  std::vector<std::filesystem::path> damaged() const;
  // Gives the file a name under which nobody uses it; returns that name, empty if somebody else was
  // faster or the system refused.
  static std::filesystem::path set_aside(const std::filesystem::path& current);

 private:
  std::filesystem::path path_;
};

}  // namespace tare::cache
