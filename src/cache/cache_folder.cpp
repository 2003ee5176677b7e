#include "cache/cache_folder.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/parse_number.hpp"

namespace tare::cache {
namespace {

constexpr std::string_view kPrefix = "scan-";
constexpr std::string_view kInUse = ".db";
constexpr std::string_view kDamaged = ".damaged";

// The N of "scan-N" and the ending; 0 if the name is another.
std::uint64_t number_of(std::string_view name, std::string_view ending) {
  if (!name.starts_with(kPrefix) || !name.ends_with(ending)) return 0;
  name.remove_prefix(kPrefix.size());
  if (name.size() < ending.size()) return 0;
  name.remove_suffix(ending.size());
  return parse_number(name).value_or(0);
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    files.push_back(it->path());
  }
  std::ranges::sort(files);
  return files;
}

Result<void> make_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) return std::unexpected(system_error(error.value(), "cannot make the folder"));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return std::unexpected(system_error(errno, "cannot make the folder"));
  }
  return {};
}

Result<void> check_owner(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return std::unexpected(system_error(errno, "cannot stat"));
  }
  if (!S_ISDIR(status.st_mode)) return fail(ErrorCode::kNotAFile, "is no folder");
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(ErrorCode::kRefused, "others may write into the folder of the cache");
  }
  return {};
}

}  // namespace

Result<std::filesystem::path> CacheFolder::default_path(std::string_view xdg_cache_home,
                                                        std::string_view home) {
  if (xdg_cache_home.starts_with('/')) return std::filesystem::path(xdg_cache_home) / "tare";
  if (home.starts_with('/')) return std::filesystem::path(home) / ".cache" / "tare";
  return fail(ErrorCode::kInvalidArgument, "neither XDG_CACHE_HOME nor HOME says where it is");
}

Result<CacheFolder> CacheFolder::open(const std::filesystem::path& path) {
  if (auto made = make_folder(path); !made) return std::unexpected(made.error());
  if (auto checked = check_owner(path); !checked) return std::unexpected(checked.error());
  CacheFolder folder;
  std::error_code error;
  folder.path_ = std::filesystem::canonical(path, error);
  if (error) return std::unexpected(system_error(error.value(), "cannot find the folder"));
  return folder;
}

std::filesystem::path CacheFolder::current() const {
  std::uint64_t in_use = 0;
  std::uint64_t damaged = 0;
  for (const auto& file : files_in(path_)) {
    in_use = std::max(in_use, number_of(file.filename().native(), kInUse));
    damaged = std::max(damaged, number_of(file.filename().native(), kDamaged));
  }
  const std::uint64_t number = in_use > damaged ? in_use : damaged + 1;
  return path_ / (std::string(kPrefix) + std::to_string(number) + std::string(kInUse));
}

std::vector<std::filesystem::path> CacheFolder::damaged() const {
  auto files = files_in(path_);
  std::erase_if(files, [](const std::filesystem::path& file) {
    return number_of(file.filename().native(), kDamaged) == 0;
  });
  return files;
}

std::filesystem::path CacheFolder::set_aside(const std::filesystem::path& current) {
  std::filesystem::path aside = current;
  aside.replace_extension(kDamaged);
  if (::rename(current.c_str(), aside.c_str()) != 0) return {};
  // What is in its log belongs to it alone.
  for (const char* log : {"-wal", "-shm"}) ::unlink((current.native() + log).c_str());
  return aside;
}

}  // namespace tare::cache
