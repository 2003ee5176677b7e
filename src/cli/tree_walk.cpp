#include "cli/tree_walk.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cli/mapping_guard.hpp"
#include "format/distributed_metadata.hpp"
#include "io/regular_file.hpp"

namespace tare::cli {
namespace {

constexpr std::size_t kMaxOpen = 32;
constexpr std::size_t kMaxDepth = std::size_t{1} << 20;
constexpr std::size_t kMaxNames = std::size_t{1} << 25;
constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK;

using Listing = std::unique_ptr<DIR, int (*)(DIR*)>;

bool is_dot(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

// The type of an entry, of a link that of what it leads to. `is_link` says whether it is one.
Result<mode_t> type_of(int folder, const char* name, unsigned char listed, bool& is_link) {
  if (listed == DT_REG || listed == DT_DIR) return DTTOIF(listed);
  struct stat status{};
  if (::fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::unexpected(system_error(errno, "cannot open"));
  }
  is_link = S_ISLNK(status.st_mode);
  if (is_link && ::fstatat(folder, name, &status, 0) != 0) {
    return std::unexpected(system_error(errno, "cannot open what the link leads to"));
  }
  return status.st_mode & S_IFMT;
}

CheckpointParts read_parts(int folder, const char* name, unsigned char listed) {
  bool is_link = false;
  const auto type = type_of(folder, name, listed, is_link);
  if (!type || *type != S_IFREG) return {};
  UniqueFd fd(::openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return {};
  const auto file = RegularFile::adopt(std::move(fd));
  if (!file) return {};
  const auto input = Input::map_file(*file);
  if (!input) return {};
  const MappingGuard guard(input->bytes());
  return checkpoint_parts(input->bytes());
}

}  // namespace

TreeWalk::TreeWalk(std::string folder, const PathFilter& filter, WalkCounts& counts)
    : filter_(filter), counts_(counts), path_(std::move(folder)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
}

std::optional<FoundFile> TreeWalk::next() {
  if (!started_) {
    started_ = true;
    root_length_ = path_.size() + (path_.back() == '/' ? 0 : 1);
    if (auto failed = enter(AT_FDCWD, path_.c_str(), 0)) return failed;
  }
  while (!levels_.empty()) {
    Level& level = levels_.back();
    auto result = level.next < level.names.size() ? visit(level.names[level.next++]) : leave();
    if (result) return result;
  }
  return std::nullopt;
}

FoundFile TreeWalk::found() const {
  FoundFile file;
  file.path = path_;
  if (!levels_.empty()) {
    file.name_at = levels_.back().path_length;
    file.folder = levels_.back().folder;
  }
  return file;
}

FoundFile TreeWalk::failure(const Error& error) const {
  FoundFile file;
  file.path = path_;
  file.error = error;
  return file;
}

std::optional<FoundFile> TreeWalk::visit(Name entry) {
  Level& level = levels_.back();
  const char* const name = level.name(entry);
  path_.resize(level.path_length);
  path_ += name;
  const std::string path = below();
  if (filter_.excludes(path)) {
    ++counts_.excluded;
    return std::nullopt;
  }
  bool is_link = false;
  const int folder = level.folder->get();
  const auto type = type_of(folder, name, entry.type(), is_link);
  if (type && *type == S_IFDIR) {
    if (!is_link) return enter(folder, name, O_NOFOLLOW);
    ++counts_.folder_links;
    return std::nullopt;
  }
  if (!filter_.includes(path)) {
    ++counts_.excluded;
    return std::nullopt;
  }
  if (!filter_.shard.has(path)) return std::nullopt;
  if (!type) return failure(type.error());
  if (*type != S_IFREG) {
    return failure({ErrorCode::kNotAFile, 0, Error::kNoOffset,
                    "is not a regular file (device, pipe or socket)"});
  }
  FoundFile file = found();
  if (const auto parts = level.parts.find(name); parts != level.parts.end()) {
    file.parts = std::move(parts->second);
  }
  return file;
}

Result<TreeWalk::Level> TreeWalk::open_level(int parent, const char* name, int flags) const {
  if (levels_.size() == kMaxDepth) {
    return fail(ErrorCode::kLimit, "folders stand in folders more than 1,048,576 deep");
  }
  UniqueFd fd(::openat(parent, name, kOpenFolder | flags));
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    return std::unexpected(system_error(errno, "cannot open the folder"));
  }
  Level level;
  level.id = {status.st_dev, status.st_ino};
  if (open_ids_.contains(level.id)) {
    return fail(ErrorCode::kRefused, "the folder contains itself");
  }
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  const Listing listing(::fdopendir(copy.get()), ::closedir);
  if (!listing) return std::unexpected(system_error(errno, "cannot list the folder"));
  copy.release();  // the listing closes it
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(listing.get());
    if (entry == nullptr) break;
    if (is_dot(entry->d_name)) continue;
    if (level.names.size() == kMaxNames)
      return fail(ErrorCode::kLimit, "a folder of too many files");
    level.names.emplace_back(level.text.size(), entry->d_type);
    level.text.append(entry->d_name).push_back('\0');
  }
  if (errno != 0) return std::unexpected(system_error(errno, "cannot list the folder"));
  level.folder = std::make_shared<const UniqueFd>(std::move(fd));
  return level;
}

// Of a distributed checkpoint, the files that there should be as well.
std::optional<FoundFile> TreeWalk::enter(int parent, const char* name, int flags) {
  auto opened = open_level(parent, name, flags);
  if (!opened) return failure(opened.error());
  Level& level = *opened;
  const auto name_of = [&level](Name entry) { return std::string_view(level.name(entry)); };
  std::ranges::sort(level.names, {}, name_of);
  const auto metadata =
      std::ranges::lower_bound(level.names, std::string_view(format::kMetadataName), {}, name_of);
  if (metadata != level.names.end() && name_of(*metadata) == format::kMetadataName) {
    level.parts = read_parts(level.folder->get(), format::kMetadataName, metadata->type());
    const std::size_t listed = level.names.size();
    for (const auto& [file, ranges] : level.parts) {
      if (std::ranges::binary_search(level.names.begin(),
                                     level.names.begin() + static_cast<std::ptrdiff_t>(listed),
                                     std::string_view(file), {}, name_of)) {
        continue;
      }
      level.names.emplace_back(level.text.size(), DT_REG);
      level.text.append(file).push_back('\0');
    }
    std::ranges::sort(level.names, {}, name_of);
  }
  if (path_.back() != '/') path_ += '/';
  level.path_length = path_.size();
  open_ids_.insert(level.id);
  levels_.push_back(std::move(level));
  if (levels_.size() > kMaxOpen) levels_[levels_.size() - 1 - kMaxOpen].folder = nullptr;
  return std::nullopt;
}

// Back to the folder around this one, which is opened again if it was closed.
std::optional<FoundFile> TreeWalk::leave() {
  const Level left = std::move(levels_.back());
  levels_.pop_back();
  open_ids_.erase(left.id);
  if (levels_.empty() || levels_.back().folder != nullptr) return std::nullopt;
  Level& level = levels_.back();
  UniqueFd fd(left.folder == nullptr ? -1 : ::openat(left.folder->get(), "..", kOpenFolder));
  struct stat status{};
  if (fd && ::fstat(fd.get(), &status) == 0 && FileId{status.st_dev, status.st_ino} == level.id) {
    level.folder = std::make_shared<const UniqueFd>(std::move(fd));
    return std::nullopt;
  }
  path_.resize(level.path_length);
  level.next = level.names.size();
  return failure({ErrorCode::kNotFound, 0, Error::kNoOffset,
                  "the folder was moved while what is below it was read"});
}

}  // namespace tare::cli
