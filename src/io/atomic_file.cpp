#include "io/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "io/write_all.hpp"

namespace tare {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;
// Files from this size on are written past the page cache. Smaller ones are soon read again, and
// are flushed in little time.
constexpr std::uint64_t kLargeBytes = std::uint64_t{64} << 20;

// Errors of copy_file_range() and fallocate() that mean "not here": another file system, a kernel
// or a sandbox that does not know the call, a kind of file without it.
bool is_not_possible(int err) {
  return err == EXDEV || err == EINVAL || err == ENOSYS || err == EOPNOTSUPP || err == EPERM;
}

// The directory part that open() accepts: "" means the current one.
std::filesystem::path directory_of(const std::filesystem::path& path) {
  const auto parent = path.parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

// What umask lets a new file have. umask can only be read by setting it, which races with other
// threads, so ask the kernel for a file made the ordinary way: /proc has it.
mode_t permitted_mode() {
  mode_t mask = 022;
  if (std::FILE* status = std::fopen("/proc/self/status", "re")) {
    char line[256];
    while (std::fgets(line, sizeof line, status) != nullptr) {
      const std::string_view text(line);
      if (text.starts_with("Umask:")) {
        mask = static_cast<mode_t>(std::strtoul(line + 6, nullptr, 8));
        break;
      }
    }
    std::fclose(status);
  }
  return 0666 & ~mask;
}

// How the system calls an open file that has no name of its own.
std::string descriptor_name(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

// A file in the folder that goes with its last descriptor, however the process ends; nothing where
// the file system has no such files, or where there is no /proc, by which it gets a name.
UniqueFd open_nameless(const std::filesystem::path& folder) {
  UniqueFd fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd && ::access(descriptor_name(fd.get()).c_str(), F_OK) != 0) return {};
  return fd;
}

std::string random_suffix() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  static std::random_device device;
  std::string suffix;
  for (int i = 0; i < 8; ++i) suffix += kLetters[device() % kLetters.size()];
  return suffix;
}

}  // namespace

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path, Replace replace) {
  if (path.filename().empty()) return fail(ErrorCode::kInvalidArgument, "no output file name");
  std::filesystem::path target = path;
  std::error_code error;
  if (std::filesystem::is_symlink(path, error)) {
    // What the link points to is written, as every program that opens it would.
    target = std::filesystem::canonical(path, error);
    if (error) return fail(ErrorCode::kExists, "the output exists; it is a link to nothing");
  }
  struct stat existing{};
  const bool exists = ::stat(target.c_str(), &existing) == 0;
  if (exists && S_ISDIR(existing.st_mode)) {
    return fail(ErrorCode::kNotAFile, "the output is a directory");
  }
  if (exists && !S_ISREG(existing.st_mode)) {
    return fail(ErrorCode::kNotAFile, "the output is not a regular file (device, pipe or socket)");
  }
  if (exists && replace == Replace::kNo) {
    return fail(ErrorCode::kExists, "the output exists; --overwrite replaces it");
  }

  AtomicFile file;
  file.path_ = target;
  file.replace_ = replace;
  file.fd_ = open_nameless(directory_of(target));
  if (!file.fd_) {
    std::string name = directory_of(target) / ".tare-XXXXXX";
    file.fd_ = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
    if (!file.fd_) return std::unexpected(system_error(errno, "cannot create the output"));
    file.temporary_ = std::move(name);  // nothing throws from here on that would leave it behind
  }
  const mode_t mode = exists ? existing.st_mode & 07777 : permitted_mode();
  if (::fchmod(file.fd_.get(), mode) != 0) {
    return std::unexpected(system_error(errno, "cannot set the permissions of the output"));
  }
  return file;
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<void> AtomicFile::reserve(std::uint64_t bytes, Cache cache) {
  reserved_ = bytes;
  if (bytes < kLargeBytes) return {};
  early_ = cache == Cache::kThrough;
  if (early_) return {};
  int done = 0;
  do {
    done = ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(bytes));
  } while (done != 0 && errno == EINTR);
  if (done != 0 && !is_not_possible(errno)) {
    return std::unexpected(system_error(errno, "cannot write the output"));
  }
  direct_.emplace(fd_.get());
  return {};
}

Result<void> AtomicFile::write(ByteSpan bytes) {
  size_ += bytes.size();
  if (direct_) return direct_->write(bytes);
  if (buffer_.size() + bytes.size() < kBufferBytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return {};
  }
  if (auto flushed = flush(); !flushed) return flushed;
  return write_through(bytes);
}

Result<void> AtomicFile::write_through(ByteSpan bytes) {
  while (!bytes.empty()) {
    const ByteSpan piece = bytes.first(std::min<std::size_t>(bytes.size(), piece_bytes()));
    if (auto written = write_all(fd_.get(), piece, "cannot write the output"); !written) {
      return written;
    }
    start_write_back(piece.size());
    bytes = bytes.subspan(piece.size());
  }
  return {};
}

Result<std::uint64_t> AtomicFile::copy_range(int fd, std::uint64_t offset, std::uint64_t length) {
  if (direct_) return 0;
  if (auto flushed = flush(); !flushed) return std::unexpected(flushed.error());
  auto from = static_cast<off_t>(offset);
  std::uint64_t copied = 0;
  while (copied < length) {
    const auto piece = static_cast<std::size_t>(std::min(length - copied, piece_bytes()));
    const ssize_t count = ::copy_file_range(fd, &from, fd_.get(), nullptr, piece, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && !is_not_possible(errno)) {
      return std::unexpected(system_error(errno, "cannot write the output"));
    }
    if (count <= 0) break;
    copied += static_cast<std::uint64_t>(count);
    start_write_back(static_cast<std::uint64_t>(count));
  }
  size_ += copied;
  return copied;
}

void AtomicFile::start_write_back(std::uint64_t bytes) {
  if (!early_) return;
  in_cache_ += bytes;
  if (in_cache_ - written_back_ < kWriteBackBytes) return;
  ::sync_file_range(fd_.get(), static_cast<off_t>(written_back_),
                    static_cast<off_t>(in_cache_ - written_back_), SYNC_FILE_RANGE_WRITE);
  written_back_ = in_cache_;
}

Result<void> AtomicFile::flush() {
  if (direct_) {
    auto finished = direct_->finish();
    direct_.reset();
    return finished;
  }
  auto written = write_through(buffer_);
  buffer_.clear();
  return written;
}

std::filesystem::path AtomicFile::temporary() const {
  return temporary_.empty() ? descriptor_name(fd_.get()) : temporary_;
}

Result<void> AtomicFile::give_name() {
  const std::string from = descriptor_name(fd_.get());
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    std::string name = directory_of(path_) / (".tare-" + random_suffix());
    if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      temporary_ = std::move(name);
      return {};
    }
    if (errno != EEXIST) break;
  }
  return std::unexpected(system_error(errno, "cannot give the output a name"));
}

Result<void> AtomicFile::commit() {
  if (reserved_ && *reserved_ != size_) {
    return fail(ErrorCode::kInvalidArgument, "the output has another size than it was to have");
  }
  const std::filesystem::path folder = directory_of(path_);  // before there is anything to undo
  if (auto flushed = flush(); !flushed) return flushed;
  if (::fsync(fd_.get()) != 0) return std::unexpected(system_error(errno, "cannot flush to disk"));
  if (temporary_.empty()) {
    if (auto named = give_name(); !named) return named;
  }
  // Some network file systems tell of a failed write only here.
  if (::close(fd_.release()) != 0 && errno != EINTR) {
    return std::unexpected(system_error(errno, "cannot close the output"));
  }
  if (replace_ == Replace::kYes) {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
      return std::unexpected(system_error(errno, "cannot move the output to its name"));
    }
  } else if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) !=
             0) {
    // Some file systems know no RENAME_NOREPLACE; link() refuses an existing name as well.
    if (errno != EINVAL) {
      return std::unexpected(system_error(errno, "cannot move the output to its name"));
    }
    if (::link(temporary_.c_str(), path_.c_str()) != 0) {
      return std::unexpected(system_error(errno, "cannot move the output to its name"));
    }
    ::unlink(temporary_.c_str());
  }
  temporary_.clear();
  // The name itself is safe only once the directory is on disk.
  const UniqueFd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory && ::fsync(directory.get()) != 0 && errno != EINVAL && errno != EBADF) {
    return std::unexpected(system_error(errno, "cannot flush the directory to disk"));
  }
  return {};
}

}  // namespace tare
