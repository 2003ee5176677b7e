#include "tare/error.hpp"

#include <cerrno>
#include <cstring>

#include "io/hex.hpp"
#include "tare/bytes.hpp"

namespace tare {

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kNoPermission:
      return "no_permission";
    case ErrorCode::kNotAFile:
      return "not_a_file";
    case ErrorCode::kEmpty:
      return "empty";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kNoSpace:
      return "no_space";
    case ErrorCode::kExists:
      return "exists";
    case ErrorCode::kTruncated:
      return "truncated";
    case ErrorCode::kMalformed:
      return "malformed";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kLimit:
      return "limit";
    case ErrorCode::kOverflow:
      return "overflow";
    case ErrorCode::kWrongFormat:
      return "wrong_format";
    case ErrorCode::kRefused:
      return "refused";
    case ErrorCode::kMismatch:
      return "mismatch";
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
  }
  return "unknown";
}

namespace {

// "68 65 6c 6c 6f 'hello'", with a dot for what is not printable ASCII.
std::string bytes_text(ByteSpan bytes) {
  std::string hex;
  std::string text;
  for (const std::byte& byte : bytes) {
    const auto value = std::to_integer<unsigned char>(byte);
    hex += hex_text({&byte, 1}) + ' ';
    text += value >= ' ' && value <= '~' ? static_cast<char>(value) : '.';
  }
  return hex + "'" + text + "'";
}

}  // namespace

std::string error_text(const Error& error) {
  std::string out = error.what;
  if (error.beginning_size > 0) {
    out += "; it begins with " + bytes_text(ByteSpan(error.beginning).first(error.beginning_size));
  }
  if (error.sys_errno != 0) out.append(": ").append(std::strerror(error.sys_errno));
  if (error.has_sizes()) {
    out += " (expected " + std::to_string(error.expected) + " bytes, have " +
           std::to_string(error.actual) + ")";
  } else if (error.has_offset()) {
    out += " (at byte " + std::to_string(error.offset) + ")";
  }
  return out;
}

Error system_error(int err, const char* what) {
  ErrorCode code = ErrorCode::kIo;
  switch (err) {
    case ENOENT:
    case ENOTDIR:
      code = ErrorCode::kNotFound;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = ErrorCode::kNoPermission;
      break;
    case EISDIR:
    case ENXIO:
      code = ErrorCode::kNotAFile;
      break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      code = ErrorCode::kNoSpace;
      break;
    case EEXIST:
      code = ErrorCode::kExists;
      break;
    default:
      break;
  }
  return Error{code, err, Error::kNoOffset, what};
}

}  // namespace tare
