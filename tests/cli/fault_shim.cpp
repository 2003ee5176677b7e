// Makes one system call of a program fail, for tests: LD_PRELOAD this.
//
// TARE_FAULT is "N:WHAT". The N-th call, from 1, of those below does WHAT instead of its work:
// a number is the errno that it fails with, "short" writes half of the bytes and succeeds (another
// call than a write does its work), "kill" writes half of the bytes and kills the process. The name
// of that call goes to the file TARE_FAULT_LOG. Only open() of files without a name and close() of
// files that were written count, and fsync() after a rename is named apart.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kTrackedFds = 1024;
std::atomic<long> calls{0};
std::atomic<bool> renamed{false};
std::atomic<bool> written[kTrackedFds];

enum class Fault { kNone, kError, kShort, kKill };

void log_call(const char* name) {
  const char* path = std::getenv("TARE_FAULT_LOG");
  if (path == nullptr) return;
  const long fd = syscall(SYS_open, path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  syscall(SYS_write, fd, name, std::strlen(name));
  syscall(SYS_close, fd);
}

// Counts a call and says what is to become of it; sets errno for kError.
Fault next(const char* name) {
  const char* plan = std::getenv("TARE_FAULT");
  if (plan == nullptr) return Fault::kNone;
  char* what = nullptr;
  if (std::strtol(plan, &what, 10) != ++calls || *what != ':') return Fault::kNone;
  log_call(name);
  ++what;
  if (std::strcmp(what, "short") == 0) return Fault::kShort;
  if (std::strcmp(what, "kill") == 0) return Fault::kKill;
  errno = static_cast<int>(std::strtol(what, nullptr, 10));
  return Fault::kError;
}

[[noreturn]] void die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

void mark(int fd, bool is_written) {
  if (fd >= 0 && fd < kTrackedFds) written[fd] = is_written;
}

// A call without a length: fails, kills, or is done.
template <typename Call>
int simple(const char* name, const Call& call) {
  const Fault fault = next(name);
  if (fault == Fault::kError) return -1;
  if (fault == Fault::kKill) die();
  return call();
}

// A call that moves `size` bytes.
template <typename Call>
ssize_t sized(const char* name, size_t size, const Call& call) {
  const Fault fault = next(name);
  if (fault == Fault::kError) return -1;
  const bool half = fault != Fault::kNone && size > 1;
  const ssize_t done = call(half ? size / 2 : size);
  if (fault == Fault::kKill) die();
  return done;
}

bool is_nameless(int flags) {
  return (flags & O_TMPFILE) == O_TMPFILE;
}
bool takes_mode(int flags) {
  return (flags & O_CREAT) != 0 || is_nameless(flags);
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = takes_mode(flags) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  const auto call = [&] { return real<int(const char*, int, ...)>("open64")(path, flags, mode); };
  return is_nameless(flags) ? simple("open", call) : call();
}
int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = takes_mode(flags) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return open64(path, flags, mode);
}

ssize_t write(int fd, const void* data, size_t size) {
  mark(fd, true);
  return sized("write", size, [&](size_t n) {
    return real<ssize_t(int, const void*, size_t)>("write")(fd, data, n);
  });
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  mark(fd, true);
  return sized("pwrite", size, [&](size_t n) {
    return real<ssize_t(int, const void*, size_t, off64_t)>("pwrite64")(fd, data, n, offset);
  });
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return pwrite64(fd, data, size, offset);
}

ssize_t copy_file_range(int in, off64_t* from, int out, off64_t* to, size_t size, unsigned flags) {
  mark(out, true);
  return sized("copy_file_range", size, [&](size_t n) {
    return real<ssize_t(int, off64_t*, int, off64_t*, size_t, unsigned)>("copy_file_range")(
        in, from, out, to, n, flags);
  });
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  mark(fd, true);
  return simple("fallocate", [&] {
    return real<int(int, int, off64_t, off64_t)>("fallocate64")(fd, mode, offset, length);
  });
}
int fallocate(int fd, int mode, off_t offset, off_t length) {
  return fallocate64(fd, mode, offset, length);
}

int ftruncate64(int fd, off64_t length) {
  return simple("ftruncate", [&] { return real<int(int, off64_t)>("ftruncate64")(fd, length); });
}
int ftruncate(int fd, off_t length) {
  return ftruncate64(fd, length);
}

int fchmod(int fd, mode_t mode) {
  return simple("fchmod", [&] { return real<int(int, mode_t)>("fchmod")(fd, mode); });
}

int fsync(int fd) {
  return simple(renamed ? "fsync of the directory" : "fsync",
                [&] { return real<int(int)>("fsync")(fd); });
}
int fdatasync(int fd) {
  return simple("fdatasync", [&] { return real<int(int)>("fdatasync")(fd); });
}

// The descriptor is closed even if close() fails.
int close(int fd) {
  const bool counts = fd >= 0 && fd < kTrackedFds && written[fd];
  mark(fd, false);
  const Fault fault = counts ? next("close") : Fault::kNone;
  if (fault == Fault::kKill) die();
  const int err = errno;
  const int closed = real<int(int)>("close")(fd);
  if (fault != Fault::kError) return closed;
  errno = err;
  return -1;
}

int linkat(int from_dir, const char* from, int to_dir, const char* to, int flags) {
  return simple("linkat", [&] {
    return real<int(int, const char*, int, const char*, int)>("linkat")(from_dir, from, to_dir, to,
                                                                        flags);
  });
}
int rename(const char* from, const char* to) {
  return simple("rename", [&] {
    renamed = true;
    return real<int(const char*, const char*)>("rename")(from, to);
  });
}
int renameat2(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  return simple("rename", [&] {
    renamed = true;
    return real<int(int, const char*, int, const char*, unsigned)>("renameat2")(from_dir, from,
                                                                                to_dir, to, flags);
  });
}

}  // extern "C"
#pragma GCC visibility pop
