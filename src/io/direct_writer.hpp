// Writes the body of a large file past the page cache (O_DIRECT), in aligned blocks.
//
// While one block is on its way to the disk, in a thread of its own, the caller fills the other:
// the copy into the block, and what the caller does to get the bytes, cost no time of the disk.
// Past the page cache, because a file of gigabytes only drives out what others need there, and
// because its pages have to be made and cleaned at a cost above that of the disk.
#pragma once

#include <array>
#include <future>
#include <memory>
#include <new>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

class DirectWriter {
 public:
  // `fd` is open for writing, at offset 0, and stays open until finish() or the end of the object.
  // A file system that has no O_DIRECT gets ordinary writes of the same blocks.
  explicit DirectWriter(int fd);

  DirectWriter(DirectWriter&&) noexcept = default;
  DirectWriter& operator=(DirectWriter&&) = delete;
  ~DirectWriter() = default;  // waits for the block on its way

  // Appends. An error may be that of an earlier write.
  Result<void> write(ByteSpan bytes);
  // Writes what is left, which fills no block, the ordinary way; the file is in order then, and not
  // yet flushed. Nothing may be written after that.
  Result<void> finish();

 private:
  struct Free {
    void operator()(std::byte* block) const;
  };
  using Block = std::unique_ptr<std::byte, Free>;

  // Waits for the block on its way and says how it went.
  Result<void> wait();
  // Sends the full block on its way and turns to the other one.
  Result<void> send();

  int fd_;
  std::array<Block, 2> blocks_;
  std::size_t current_ = 0;            // the block being filled
  std::size_t filled_ = 0;             // bytes in it
  std::future<Result<void>> pending_;  // behind blocks_: it is waited for before they go
};

// Writes all of `bytes` at the position of `fd`. Errors: those of the system.
Result<void> write_all(int fd, ByteSpan bytes);

}  // namespace tare
