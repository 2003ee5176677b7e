#include "io/regular_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace tare {
namespace {

std::int64_t modified(const struct stat& status) {
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
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
  file.size_ = static_cast<std::uint64_t>(status.st_size);
  file.device_ = status.st_dev;
  file.inode_ = status.st_ino;
  file.modified_ = modified(status);
  return file;
}

bool RegularFile::has_changed() const {
  struct stat status{};
  return ::fstat(fd(), &status) != 0 || static_cast<std::uint64_t>(status.st_size) != size_ ||
         modified(status) != modified_;
}

Result<RegularFile> RegularFile::open_direct(const std::filesystem::path& path) const {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_DIRECT));
  if (!fd && errno == EINVAL) {
    return fail(ErrorCode::kUnsupported, "the file system has no O_DIRECT");
  }
  if (!fd) return std::unexpected(system_error(errno, "cannot open"));
  auto file = adopt(std::move(fd));
  if (!file) return file;
  if (file->device_ != device_ || file->inode_ != inode_) {
    return fail(ErrorCode::kMismatch, "the file was replaced while it was open");
  }
  file->size_ = size_;
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
