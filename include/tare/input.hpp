// An Input: the bytes of one file, mapped read-only.
//
// The mapping is private and never written. What it promises: the bytes are those of the file as
// long as nobody changes the file. What it cannot promise: if another process truncates the file
// meanwhile, touching a page that is gone raises SIGBUS, which ends the process. A caller that
// reads files it does not trust to stay put copies them first (Input::copy_of).
// Movable, not copyable; safe to read from several threads.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

class RegularFile;

// Bytes that are brought when they are touched, by whoever made the mapping: tare's files on
// servers (docs/remote.md). What cannot be brought never reads as something else to a caller that
// asks the owner of the mapping in the end.
class Pager {
 public:
  virtual ~Pager() = default;
  virtual ByteSpan bytes() const = 0;
  // Gives back memory and disk of part of it; touched again, it is brought again. Any thread.
  virtual void drop(ByteSpan part) = 0;
  // All of the part is about to be read, from front to back. Any thread.
  virtual void expect(ByteSpan part) = 0;
};

class Input {
 public:
  // Maps `path`. Errors: kNotFound, kNoPermission, kNotAFile (directories, devices, FIFOs and
  // sockets are never opened for reading), kEmpty, kIo.
  static Result<Input> map(const std::filesystem::path& path);

  // Maps a file that is open. Internal to libtare.
  static Result<Input> map_file(const RegularFile& file);

  // The file that was mapped by map(): its name then, and what tells it from another file that has
  // the name now.
  struct Origin {
    std::filesystem::path path;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
  };

  // Bytes that come when they are touched. `path` is for reports; no file has it.
  static Input paged(std::shared_ptr<Pager> pager, const std::filesystem::path& path);

  // The same bytes as something that reports call `path`.
  void set_name(const std::filesystem::path& path) { origin_ = Origin{path, 0, 0}; }

  // Reads `path` into memory, at most `max_bytes`. Errors: those of map(), and kLimit.
  static Result<Input> copy_of(const std::filesystem::path& path, std::uint64_t max_bytes);

  // Takes a buffer.
  static Input from_bytes(std::vector<std::byte> bytes);

  Input(Input&& other) noexcept;
  Input& operator=(Input&& other) noexcept;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input();

  ByteSpan bytes() const { return bytes_; }
  std::uint64_t size() const { return bytes_.size(); }
  bool is_mapped() const { return mapped_; }
  // Each byte is costly to get and to get again: read it once, in order, and drop() it.
  bool is_paged() const { return pager_ != nullptr; }
  // Gives back the memory of part of a mapping, until it is touched again. No effect on a buffer.
  // `part` lies inside bytes().
  void drop(ByteSpan part) const;
  // All of `part` is about to be read, from front to back. Matters if is_paged().
  void expect(ByteSpan part) const {
    if (pager_) pager_->expect(part);
  }
  // Nothing for a buffer and for a file without a name.
  const std::optional<Origin>& origin() const { return origin_; }

 private:
  Input() = default;
  void release();

  std::vector<std::byte> owned_;
  ByteSpan bytes_;
  bool mapped_ = false;
  std::shared_ptr<Pager> pager_;
  std::optional<Origin> origin_;
};

}  // namespace tare
