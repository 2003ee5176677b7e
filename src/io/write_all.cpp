#include "io/write_all.hpp"

#include <unistd.h>

#include <cerrno>

namespace tare {

Result<void> write_all(int fd, ByteSpan bytes, const char* what) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EFAULT) {
      // Part of a paged Input that is not there yet: touching it brings it.
      [[maybe_unused]] const volatile std::byte first = bytes.front();
      continue;
    }
    if (written < 0) return std::unexpected(system_error(errno, what));
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace tare
