#include "cli/scan_source.hpp"

#include <sys/stat.h>

#include "cli/cli.hpp"
#include "cli/remote.hpp"

namespace tare::cli {
namespace {

bool is_folder(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

FoundFile failed(std::string path, const Error& error) {
  FoundFile file;
  file.path = std::move(path);
  file.named = true;
  file.error = error;
  return file;
}

}  // namespace

std::optional<FoundFile> ScanSource::next() {
  for (;;) {
    if (walk_) {
      if (auto file = walk_->next()) return file;
      walk_.reset();
    }
    if (!repository_.empty()) {
      if (auto file = next_of_repository()) return file;
      continue;
    }
    const bool more = !matches_.empty() || !paths_.empty();
    if (!more && !list_) return std::nullopt;
    if (auto file = more ? next_named() : next_listed()) return file;
  }
}

std::optional<FoundFile> ScanSource::next_named() {
  std::deque<std::string>& from = matches_.empty() ? paths_ : matches_;
  std::string path = std::move(from.front());
  from.pop_front();
  if (&from == &paths_ && remote::is_remote(path)) return begin_remote(std::move(path));
  if (&from == &matches_ || !is_pattern(path)) return begin(std::move(path), true);
  for (const auto& match : files_of(path)) matches_.push_back(match.string());
  if (!matches_.empty()) return std::nullopt;
  return failed(std::move(path),
                {ErrorCode::kNotFound, 0, Error::kNoOffset, "no file has such a name"});
}

std::optional<FoundFile> ScanSource::begin_remote(std::string spec) {
  if (is_repository(spec)) return list_repository(spec);
  FoundFile file;
  file.path = remote::display_name(spec);
  file.remote = std::move(spec);
  file.named = true;
  return filter_.shard.has(file.path) ? std::optional(std::move(file)) : std::nullopt;
}

std::optional<FoundFile> ScanSource::list_repository(const std::string& spec) {
  auto files = Remote::list(spec);
  if (!files) return failed(spec, files.error());
  repository_.assign(files->begin(), files->end());
  repository_name_ = remote::HubSpec::parse(spec)->file("");
  return std::nullopt;
}

// As what is found in a folder: patterns are held against the path below it.
std::optional<FoundFile> ScanSource::next_of_repository() {
  FoundFile file;
  file.path = file.remote = std::move(repository_.front());
  repository_.pop_front();
  const std::string below = file.path.substr(repository_name_.size());
  if (filter_.excludes(below) || !filter_.includes(below)) {
    ++counts_.excluded;
    return std::nullopt;
  }
  return filter_.shard.has(below) ? std::optional(std::move(file)) : std::nullopt;
}

std::optional<FoundFile> ScanSource::next_listed() {
  auto path = list_->next();
  if (path && *path) return begin(std::move(**path), false);
  const bool ends = path || path.error().code != ErrorCode::kLimit;
  if (ends) list_.reset();
  return path ? std::nullopt : std::optional(failed(list_name_, path.error()));
}

std::optional<FoundFile> ScanSource::begin(std::string path, bool named) {
  const bool is_stdin = named && path == "-";
  if (!is_stdin && is_folder(path)) {
    walk_.emplace(std::move(path), filter_, counts_);
    return std::nullopt;
  }
  if (!filter_.shard.has(path)) return std::nullopt;
  if (!named && (filter_.excludes(path) || !filter_.includes(path))) {
    ++counts_.excluded;
    return std::nullopt;
  }
  FoundFile file;
  file.path = std::move(path);
  file.named = named;
  file.is_stdin = is_stdin;
  return file;
}

}  // namespace tare::cli
