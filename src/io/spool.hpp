// A Spool takes bytes whose number is not known before the last one is there, and becomes an Input.
//
// They stay in memory while they are few. Beyond that they go to a file that has no name: nobody
// else can open it, and it is gone with the process, however that ends. The Input maps the file, so
// that what it takes of memory is page cache, which the system can have back.
// The folder is /var/tmp, which is on a disk where /tmp is memory; /tmp if that does not do. The
// environment (TMPDIR) is not asked: the library never reads it.
#pragma once

#include <vector>

#include "io/unique_fd.hpp"
#include "tare/input.hpp"

namespace tare {

// An empty file without a name, to write and read. Errors: those of the system.
Result<UniqueFd> open_temporary();

class Spool {
 public:
  // Up to `memory` bytes stay in memory.
  explicit Spool(std::uint64_t memory = std::uint64_t{32} << 20) : memory_(memory) {}

  // Appends. Errors: kNoSpace, kNoPermission, kIo of the file.
  Result<void> write(ByteSpan bytes);
  // Bytes so far.
  std::uint64_t size() const { return size_; }
  // What was written; it may be nothing. The spool is spent. Errors: kIo.
  Result<Input> finish() &&;

 private:
  // Opens the file and moves what is in memory there.
  Result<void> spill();

  std::uint64_t memory_;
  std::uint64_t size_ = 0;
  std::vector<std::byte> buffer_;
  UniqueFd fd_;  // once the bytes are in a file
};

}  // namespace tare
