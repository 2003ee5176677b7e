#include "io/direct_writer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace tare {
namespace {

// Enough for the disk to work at its full speed: 1 to 16 MiB measured alike.
constexpr std::size_t kBlockBytes = std::size_t{4} << 20;
// No disk asks for more than the size of a page.
constexpr std::align_val_t kAlignment{4096};

bool set_direct(int fd, bool on) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

Result<void> write_all_at(int fd, ByteSpan bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    // EINVAL is what O_DIRECT gives if the file system, or the alignment that a short write left,
    // does not suit it. Anything else that has this cause fails again.
    if (written < 0 && errno == EINVAL && (::fcntl(fd, F_GETFL) & O_DIRECT) != 0 &&
        set_direct(fd, false)) {
      continue;
    }
    if (written < 0) return std::unexpected(system_error(errno, "cannot write the output"));
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

}  // namespace

void DirectWriter::Free::operator()(std::byte* block) const {
  ::operator delete(block, kAlignment);
}

DirectWriter::DirectWriter(int fd) : fd_(fd) {
  for (Block& block : blocks_) {
    block.bytes.reset(static_cast<std::byte*>(::operator new(kBlockBytes, kAlignment)));
  }
  set_direct(fd, true);
}

Result<void> DirectWriter::write(ByteSpan bytes) {
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), kBlockBytes - filled_);
    std::memcpy(blocks_[current_].bytes.get() + filled_, bytes.data(), count);
    filled_ += count;
    bytes = bytes.subspan(count);
    if (filled_ == kBlockBytes) {
      if (auto sent = send(); !sent) return sent;
    }
  }
  return {};
}

Result<void> DirectWriter::send() {
  Block& block = blocks_[current_];
  const ByteSpan bytes(block.bytes.get(), filled_);
  try {
    block.pending = std::async(std::launch::async, write_all_at, fd_, bytes, offset_);
  } catch (const std::system_error&) {  // no more threads for us
    if (auto written = write_all_at(fd_, bytes, offset_); !written) return written;
  }
  offset_ += filled_;
  filled_ = 0;
  current_ = (current_ + 1) % blocks_.size();
  return blocks_[current_].wait();
}

Result<void> DirectWriter::finish() {
  for (Block& block : blocks_) {
    if (auto written = block.wait(); !written) return written;
  }
  if (!set_direct(fd_, false) ||
      ::lseek(fd_, static_cast<off_t>(offset_ + filled_), SEEK_SET) < 0) {
    return std::unexpected(system_error(errno, "cannot write the output"));
  }
  const ByteSpan rest(blocks_[current_].bytes.get(), std::exchange(filled_, 0));
  return write_all_at(fd_, rest, offset_);
}

}  // namespace tare
