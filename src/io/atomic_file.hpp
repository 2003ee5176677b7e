// Writes a file so that it appears whole or not at all.
//
// The bytes go to a file without a name in the same directory; commit() flushes it to disk, gives
// it the permissions of the file it replaces (or those of the umask), and moves it to its name in
// one step. If the object dies without commit(), nothing has happened. A process killed at any
// moment leaves the old file, or the new one. Where the file system has no files without names
// (O_TMPFILE), the file is called `.tare-XXXXXX` until then, and a process that is killed leaves it
// behind.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/direct_writer.hpp"
#include "io/unique_fd.hpp"
#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

class AtomicFile {
 public:
  enum class Replace : bool { kNo, kYes };

  // Errors: kExists if `path` exists and is not to be replaced, kNotFound, kNoPermission, kNoSpace.
  static Result<AtomicFile> create(const std::filesystem::path& path, Replace replace);

  AtomicFile(AtomicFile&&) noexcept = default;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  // How a large file is written. Past the page cache from blocks of its own, its space reserved
  // first; or through the cache, with the disk at work from the start: what is copied from ranges
  // of other files, or is read again at once.
  enum class Cache : bool { kPast, kThrough };

  // Says how large the file will be, before anything is written; commit() refuses another size.
  // Errors: kNoSpace.
  Result<void> reserve(std::uint64_t bytes, Cache cache = Cache::kPast);
  // Appends. Small writes are collected, large ones go straight to the system. An error may be that
  // of an earlier write; after one, the file must not be committed.
  Result<void> write(ByteSpan bytes);
  // Appends from a range of another file without its bytes passing through this process. Returns
  // how many were copied: fewer than `length` where the kernel or the file systems cannot go on,
  // and none of a large file that is written past the cache; write() is for the rest.
  Result<std::uint64_t> copy_range(int fd, std::uint64_t offset, std::uint64_t length);
  // Bytes written so far.
  std::uint64_t size() const { return size_; }
  // Hands what was written to the system, so that a reader of temporary() sees it.
  Result<void> flush();
  // By what name a reader in this process opens it.
  std::filesystem::path temporary() const;
  // Errors: kExists if another process made `path` meanwhile and it is not to be replaced. If only
  // the flush of the directory fails, the error says so and the new file is in place.
  Result<void> commit();

 private:
  AtomicFile() = default;
  // Links a file without a name into its folder.
  Result<void> give_name();
  Result<void> write_through(ByteSpan bytes);
  // After `bytes` more have gone to the cache: sends what it holds to the disk, without waiting.
  void start_write_back(std::uint64_t bytes);
  // Handed to the system at a time.
  std::uint64_t piece_bytes() const { return early_ ? kWriteBackBytes : UINT64_MAX; }

  std::filesystem::path path_;
  std::string temporary_;  // empty while the file has no name, once committed or moved from
  UniqueFd fd_;
  std::vector<std::byte> buffer_;
  std::optional<DirectWriter> direct_;  // of a large file; behind fd_, which it uses
  std::uint64_t size_ = 0;
  static constexpr std::uint64_t kWriteBackBytes = std::uint64_t{4} << 20;

  bool early_ = false;              // a large file through the cache
  std::uint64_t in_cache_ = 0;      // of it, bytes that the system has
  std::uint64_t written_back_ = 0;  // and that are on their way to the disk
  std::optional<std::uint64_t> reserved_;
  Replace replace_ = Replace::kNo;
};

}  // namespace tare
