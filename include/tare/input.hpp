// An Input: the bytes of one file, mapped read-only.
//
// The mapping is private and never written. What it promises: the bytes are those of the file as
// long as nobody changes the file. What it cannot promise: if another process truncates the file
// meanwhile, touching a page that is gone raises SIGBUS, which ends the process. A caller that
// reads files it does not trust to stay put copies them first (Input::copy_of).
// Movable, not copyable; safe to read from several threads.
#pragma once

#include <filesystem>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

class RegularFile;

class Input {
 public:
  // Maps `path`. Errors: kNotFound, kNoPermission, kNotAFile (directories, devices, FIFOs and
  // sockets are never opened for reading), kEmpty, kIo.
  static Result<Input> map(const std::filesystem::path& path);

  // Maps a file that is open. Internal to libtare.
  static Result<Input> map_file(const RegularFile& file);

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

 private:
  Input() = default;
  void release();

  std::vector<std::byte> owned_;
  ByteSpan bytes_;
  bool mapped_ = false;
};

}  // namespace tare
