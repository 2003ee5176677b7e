#include "io/spool.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "io/regular_file.hpp"
#include "io/write_all.hpp"

namespace tare {
namespace {

constexpr const char* kCannotWrite = "cannot write a temporary file in /var/tmp or /tmp";

// Not every file system has O_TMPFILE: a name that goes at once does as well.
UniqueFd open_unnamed(const char* folder) {
  UniqueFd fd(::open(folder, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
  if (fd) return fd;
  std::string name = std::string(folder) + "/.tare-XXXXXX";
  fd = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
  if (fd) ::unlink(name.c_str());
  return fd;
}

}  // namespace

Result<UniqueFd> open_temporary() {
  UniqueFd fd = open_unnamed("/var/tmp");
  if (!fd) fd = open_unnamed("/tmp");
  if (!fd) return std::unexpected(system_error(errno, kCannotWrite));
  return fd;
}

Result<void> Spool::spill() {
  auto file = open_temporary();
  if (!file) return std::unexpected(file.error());
  fd_ = std::move(*file);
  auto written = write_all(fd_.get(), buffer_, kCannotWrite);
  buffer_ = {};
  return written;
}

Result<void> Spool::write(ByteSpan bytes) {
  if (!fd_ && bytes.size() > memory_ - buffer_.size()) {
    if (auto spilled = spill(); !spilled) return spilled;
  }
  size_ += bytes.size();
  if (fd_) return write_all(fd_.get(), bytes, kCannotWrite);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

Result<Input> Spool::finish() && {
  if (!fd_) return Input::from_bytes(std::move(buffer_));
  const auto file = RegularFile::adopt(std::move(fd_));
  if (!file) return std::unexpected(file.error());
  return Input::map_file(*file);
}

}  // namespace tare
