#include "io/regular_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace tare {
namespace {

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

RegularFile::Status read_status(const struct stat& status) {
  return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
          nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

}  // namespace

// O_NONBLOCK: opening a FIFO must not wait for a writer. It has no effect on regular files.
Result<RegularFile> RegularFile::open(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return std::unexpected(system_error(errno, "cannot open"));
  return adopt(std::move(fd));
}

Result<RegularFile> RegularFile::adopt(UniqueFd fd) {
  RegularFile file;
  file.fd_ = std::move(fd);
  struct stat status{};
  if (::fstat(file.fd(), &status) != 0) return std::unexpected(system_error(errno, "cannot stat"));
  if (S_ISDIR(status.st_mode)) return fail(ErrorCode::kNotAFile, "is a directory");
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::kNotAFile, "is not a regular file (device, pipe or socket)");
  }
  if (status.st_size == 0) return fail(ErrorCode::kEmpty, "the file is empty (0 bytes)");
  file.status_ = read_status(status);
  return file;
}

std::optional<RegularFile::Status> RegularFile::status_of(int folder, const char* name) {
  struct stat status{};
  if (::fstatat(folder, name, &status, 0) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  if (status.st_size == 0) return std::nullopt;
  return read_status(status);
}

bool RegularFile::has_changed() const {
  struct stat status{};
  if (::fstat(fd(), &status) != 0) return true;
  const Status now = read_status(status);
  return now.size != size() || now.modified != status_.modified;
}

bool RegularFile::is_as_opened() const {
  struct stat status{};
  return ::fstat(fd(), &status) == 0 && read_status(status) == status_;
}

Result<RegularFile> RegularFile::open_direct(const std::filesystem::path& path) const {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_DIRECT));
  if (!fd && errno == EINVAL) {
    return fail(ErrorCode::kUnsupported, "the file system has no O_DIRECT");
  }
  if (!fd) return std::unexpected(system_error(errno, "cannot open"));
  auto file = adopt(std::move(fd));
  if (!file) return file;
  if (file->device() != device() || file->inode() != inode()) {
    return fail(ErrorCode::kMismatch, "the file was replaced while it was open");
  }
  file->status_.size = size();
  return file;
}

Result<void> RegularFile::read_at(std::uint64_t offset, std::span<std::byte> out,
                                  std::uint64_t enough) const {
  for (std::uint64_t done = 0; done < enough;) {
    const auto rest = out.subspan(done);
    const ssize_t got = ::pread(fd(), rest.data(), rest.size(), static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(system_error(errno, "cannot read"));
    if (got == 0) return fail(ErrorCode::kTruncated, "the file became shorter", offset + done);
    done += static_cast<std::uint64_t>(got);
  }
  return {};
}

}  // namespace tare
