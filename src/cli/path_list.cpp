#include "cli/path_list.hpp"

#include <cerrno>

namespace tare::cli {
namespace {

constexpr std::size_t kMaxPath = std::size_t{64} << 10;

int keep_open(std::FILE*) {
  return 0;
}

}  // namespace

Result<PathList> PathList::open(const std::string& path, char separator) {
  if (path == "-") return PathList(File(stdin, keep_open), separator);
  File file(std::fopen(path.c_str(), "re"), std::fclose);
  if (!file) return std::unexpected(system_error(errno, "cannot open the list of files"));
  return PathList(std::move(file), separator);
}

Result<std::optional<std::string>> PathList::next() {
  std::string path;
  std::size_t length = 0;
  for (;;) {
    const int c = ::getc_unlocked(file_.get());
    if (c == EOF && std::ferror(file_.get()) != 0) {
      return std::unexpected(system_error(errno, "cannot read the list of files"));
    }
    if (c == EOF && length == 0) return std::nullopt;
    if (c != EOF && c != separator_) {
      if (++length <= kMaxPath) path += static_cast<char>(c);
      continue;
    }
    if (length > kMaxPath) return fail(ErrorCode::kLimit, "holds a path of more than 64 KiB");
    if (length > 0) return path;
  }
}

}  // namespace tare::cli
