// A list of paths from a file or from stdin, read as it comes.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "tare/error.hpp"

namespace tare::cli {

class PathList {
 public:
  // `path` may be "-"; `separator` stands behind each path, the last one may lack it. Errors: those
  // of opening the file.
  static Result<PathList> open(const std::string& path, char separator);

  // The next path, of empty ones none; nothing at the end. Errors: kLimit (a path of more than
  // 64 KiB, which is passed over), kIo, which ends the list.
  Result<std::optional<std::string>> next();

 private:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

  PathList(File file, char separator) : file_(std::move(file)), separator_(separator) {}

  File file_;
  char separator_;
};

}  // namespace tare::cli
