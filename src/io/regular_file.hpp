// A regular file that is read by position: what shrinks meanwhile is an error, not a signal.
#pragma once

#include <filesystem>
#include <optional>

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

  // What the system says of a file. A file that is written to gets other times.
  struct Status {
    // Together they tell it from any other file of the system.
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;     // bytes
    std::int64_t modified = 0;  // nanoseconds since 1970, as the next: when its bytes changed
    std::int64_t changed = 0;   // when its bytes or anything about it changed; nobody can set it
    friend bool operator==(const Status&, const Status&) = default;
  };

  // Of the file that the name, in an open folder, leads to; nothing if it is no regular file, or
  // empty, or cannot be found.
  static std::optional<Status> status_of(int folder, const char* name);

  int fd() const { return fd_.get(); }
  // Of when it was opened.
  const Status& status() const { return status_; }
  std::uint64_t size() const { return status_.size; }
  std::uint64_t device() const { return status_.device; }
  std::uint64_t inode() const { return status_.inode; }
  // Whether it has another size or time of modification by now.
  bool has_changed() const;
  // Whether anything at all is said of it that was not said when it was opened.
  bool is_as_opened() const;
  // Fills `out` from `offset` on. Errors: kTruncated if the file ends before, kIo.
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) const {
    return read_at(offset, out, out.size());
  }
  // The same, content with the first `enough` bytes of `out`.
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out, std::uint64_t enough) const;

 private:
  RegularFile() = default;

  UniqueFd fd_;
  Status status_;
};

}  // namespace tare
