#include <algorithm>
#include <string>

#include "capi/boundary.hpp"
#include "tare/version.hpp"

namespace tare::capi {
namespace {

constexpr tare_error kNoError = {TARE_OK, 0, TARE_NO_OFFSET, 0, 0, "", {"", 0}};

// Of a thread. No strings: what has a destructor must be registered for each thread, for which
// glibc ends the process if there is no memory.
struct LastError {
  tare_error error = kNoError;
  char message[512] = "";
  char subject[TARE_MAX_SUBJECT + 1] = "";
};

constinit thread_local LastError last;

// As much of a text as a buffer takes, and no part of a character. Returns how much that is.
template <std::size_t kSize>
std::size_t copy_to(char (&buffer)[kSize], std::string_view text) {
  std::size_t size = std::min(text.size(), kSize - 1);
  const auto is_inside = [&] { return (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80; };
  while (size > 0 && size < text.size() && is_inside()) --size;
  std::copy_n(text.begin(), size, buffer);
  buffer[size] = '\0';
  return size;
}

// The whole sentence; without memory for that, the literal that it begins with.
const char* message_of(const Failure& failure) noexcept {
  try {
    copy_to(last.message, error_text(failure));
    return last.message;
  } catch (const std::bad_alloc&) {
    return failure.what;
  }
}

}  // namespace

tare_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return TARE_NOT_FOUND;
    case ErrorCode::kNoPermission:
      return TARE_NO_PERMISSION;
    case ErrorCode::kNotAFile:
      return TARE_NOT_A_FILE;
    case ErrorCode::kEmpty:
      return TARE_EMPTY;
    case ErrorCode::kIo:
      return TARE_IO;
    case ErrorCode::kNoSpace:
      return TARE_NO_SPACE;
    case ErrorCode::kExists:
      return TARE_EXISTS;
    case ErrorCode::kTruncated:
      return TARE_TRUNCATED;
    case ErrorCode::kMalformed:
      return TARE_MALFORMED;
    case ErrorCode::kUnsupported:
      return TARE_UNSUPPORTED;
    case ErrorCode::kLimit:
      return TARE_LIMIT;
    case ErrorCode::kOverflow:
      return TARE_OVERFLOW;
    case ErrorCode::kWrongFormat:
      return TARE_WRONG_FORMAT;
    case ErrorCode::kRefused:
      return TARE_REFUSED;
    case ErrorCode::kMismatch:
      return TARE_MISMATCH;
    case ErrorCode::kInvalidArgument:
      return TARE_INVALID_ARGUMENT;
  }
  return TARE_INTERNAL;
}

tare_error error_of(const Error& error, const char* message, std::string_view subject) {
  return {status_of(error.code), error.sys_errno, error.offset,    error.expected,
          error.actual,          message,         text_of(subject)};
}

tare_status note(const Failure& failure) noexcept {
  const std::size_t size = copy_to(last.subject, failure.subject);
  last.error = error_of(failure, message_of(failure), {last.subject, size});
  return last.error.status;
}

tare_status note(tare_status status, const char* message) noexcept {
  last.error = kNoError;
  last.error.status = status;
  last.error.message = message;
  return status;
}

}  // namespace tare::capi

const char* tare_version(void) {
  return tare::version();
}

tare_text tare_text_of(const char* text) {
  return {text, text == nullptr ? 0 : std::strlen(text)};
}

const tare_error* tare_last_error(void) {
  return &tare::capi::last.error;
}

const char* tare_status_name(tare_status status) {
  if (status == TARE_OK) return "ok";
  if (status == TARE_NO_MEMORY) return "no_memory";
  if (status == TARE_INTERNAL) return "internal";
  for (int code = 0; code <= static_cast<int>(tare::ErrorCode::kInvalidArgument); ++code) {
    const auto one = static_cast<tare::ErrorCode>(code);
    if (tare::capi::status_of(one) == status) return tare::error_code_name(one);
  }
  return "unknown";
}
