// A regular file that is read by position: what shrinks meanwhile is an error, not a signal.
#pragma once

#include <filesystem>

#include "io/unique_fd.hpp"
#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

class RegularFile {
 public:
  // Errors: kNotFound, kNoPermission, kNotAFile (directories, devices, FIFOs and sockets are never
  // opened for reading), kEmpty, kIo.
  static Result<RegularFile> open(const std::filesystem::path& path);
  // A file that is open already. Errors: those of open() for what is no such file.
  static Result<RegularFile> adopt(UniqueFd fd);
  // The same file once more, past the page cache (O_DIRECT). Errors: those of open(), kUnsupported
  // if the file system has no such thing, kMismatch if `path` is another file by now.
  Result<RegularFile> open_direct(const std::filesystem::path& path) const;

  int fd() const { return fd_.get(); }
  // When it was opened, in bytes.
  std::uint64_t size() const { return size_; }
  // Whether it has another size or time of modification by now.
  bool has_changed() const;
  // Together they tell it from any other file of the system.
  std::uint64_t device() const { return device_; }
  std::uint64_t inode() const { return inode_; }
  // Fills `out` from `offset` on. Errors: kTruncated if the file ends before, kIo.
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) const {
    return read_at(offset, out, out.size());
  }
  // The same, content with the first `enough` bytes of `out`.
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out, std::uint64_t enough) const;

 private:
  RegularFile() = default;

  UniqueFd fd_;
  std::uint64_t size_ = 0;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
  std::int64_t modified_ = 0;  // nanoseconds
};

}  // namespace tare
