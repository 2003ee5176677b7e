// Writes the body of a large file past the page cache (O_DIRECT), in aligned blocks.
//
// While some blocks are on their way to the disk, each in a thread of its own, the caller fills the
// next one: the copy into the block, and what the caller does to get the bytes, cost no time of the
// disk, and the disk has its next work before it is done with the last. Past the page cache,
// because a file of gigabytes only drives out what others need there, and because its pages have to
// be made and cleaned at a cost above that of the disk.
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
  // `fd` is open for writing and stays open until finish() or the end of the object; the file is
  // written from offset 0 on. A file system that has no O_DIRECT gets ordinary writes of the same
  // blocks.
  explicit DirectWriter(int fd);

  DirectWriter(DirectWriter&&) noexcept = default;
  DirectWriter& operator=(DirectWriter&&) = delete;
  ~DirectWriter() = default;  // waits for the blocks on their way

  // Appends. An error may be that of an earlier write.
  Result<void> write(ByteSpan bytes);
  // Writes what is left, which fills no block, the ordinary way; the file is in order then, and not
  // yet flushed. Nothing may be written after that.
  Result<void> finish();

 private:
  struct Free {
    void operator()(std::byte* block) const;
  };
  struct Block {
    std::unique_ptr<std::byte, Free> bytes;
    std::future<Result<void>> pending;  // behind `bytes`, which it uses: it is waited for first

    // Waits until the block is free again, and says how its write went.
    Result<void> wait() { return pending.valid() ? pending.get() : Result<void>(); }
  };

  // Sends the full block on its way and turns to the next one.
  Result<void> send();

  int fd_;
  std::array<Block, 3> blocks_;
  std::size_t current_ = 0;   // the block being filled
  std::size_t filled_ = 0;    // bytes in it
  std::uint64_t offset_ = 0;  // in the file, of its first byte
};

}  // namespace tare
