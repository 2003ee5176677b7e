// Errors of libtare.
//
// A function that cannot go on returns Result<T>. Its Error is small and trivially copyable: what
// kind of failure, the byte offset it was found at, and a literal that finishes the sentence
// "FILE: ...". What is odd but readable is not an Error: it is a Finding (scan.hpp).
// The library never throws on purpose, never prints and never ends the process.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>

namespace tare {

enum class ErrorCode : std::uint8_t {
  kNotFound,      // no such file, or no such entry in a container
  kNoPermission,  // the system refused
  kNotAFile,      // a directory, device, socket or FIFO where a file is needed
  kEmpty,         // zero bytes
  kIo,            // the system failed: see Error::sys_errno
  kNoSpace,       // the disk, a quota or a size limit is full
  kExists,        // the output exists and was not to be replaced
  kTruncated,     // the input ends before what it declares
  kMalformed,     // the input breaks the rules of its format
  kUnsupported,   // legal, but this version does not read it
  kLimit,         // a budget (bytes, entries, nodes) is used up
  kOverflow,      // a size computed from the input does not fit
  kWrongFormat,   // the input is something else than asked for
  kRefused,       // a policy says no (hostile content, ambiguous reading)
  kMismatch,      // two things that must be equal are not
  kInvalidArgument,
};

// The stable lower-case name of a code ("not_found"), for reports.
const char* error_code_name(ErrorCode code);

struct Error {
  // No position is known or none makes sense.
  static constexpr std::uint64_t kNoOffset = UINT64_MAX;

  ErrorCode code = ErrorCode::kIo;
  int sys_errno = 0;                 // errno of the failed call, 0 if no call failed
  std::uint64_t offset = kNoOffset;  // bytes from the start of the container
  const char* what = "";             // a literal; never text from the input
  // kTruncated: bytes that there should be, and are. Both 0 if that is not known.
  std::uint64_t expected = 0;
  std::uint64_t actual = 0;
  // kWrongFormat: what a file of no known format begins with.
  std::array<std::byte, 8> beginning{};
  std::uint8_t beginning_size = 0;

  bool has_offset() const { return offset != kNoOffset; }
  bool has_sizes() const { return expected != actual; }
};

// "cannot open: Permission denied", "the file is cut off (expected 10 bytes, have 9)": all that an
// Error says, but for what it is about.
std::string error_text(const Error& error);

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorCode code, const char* what,
                                   std::uint64_t offset = Error::kNoOffset) {
  return std::unexpected(Error{code, 0, offset, what});
}

// The Error of a failed system call; `err` is its errno. Maps ENOENT, EACCES, ENOSPC and their
// kind to codes of their own.
Error system_error(int err, const char* what);

}  // namespace tare
