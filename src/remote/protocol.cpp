#include "remote/protocol.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace tare::remote {
namespace {

struct Words {
  ErrorCode code;
  const char* what;
};

Words words_of(Status status) {
  switch (status) {
    case Status::kOk:
    case Status::kEnd:
    case Status::kPage:
    case Status::kProtocol:
      return {ErrorCode::kIo, "tare-fetch ended, or said what makes no sense"};
    case Status::kNotUrl:
      return {ErrorCode::kInvalidArgument,
              "is no URL that tare reads: https://, hf://ORG/MODEL or s3://BUCKET/KEY"};
    case Status::kNotHttps:
      return {ErrorCode::kRefused, "http is for this machine only: use https"};
    case Status::kDowngrade:
      return {ErrorCode::kRefused, "the server redirects from https to http"};
    case Status::kInward:
      return {ErrorCode::kRefused, "the server redirects to this machine"};
    case Status::kRedirects:
      return {ErrorCode::kLimit, "the server redirects again and again"};
    case Status::kResolve:
      return {ErrorCode::kIo, "the host has no address"};
    case Status::kConnect:
      return {ErrorCode::kIo, "cannot connect to the server"};
    case Status::kTls:
      return {ErrorCode::kIo, "no TLS connection to the server"};
    case Status::kCertificate:
      return {ErrorCode::kRefused, "the certificate of the server is not trusted"};
    case Status::kLost:
      return {ErrorCode::kIo, "the connection broke again and again"};
    case Status::kSlow:
      return {ErrorCode::kIo, "the server is too slow"};
    case Status::kHeaders:
      return {ErrorCode::kLimit, "the headers of the server are too large"};
    case Status::kNotFound:
      return {ErrorCode::kNotFound, "the server has no such file (404)"};
    case Status::kDenied:
      return {ErrorCode::kNoPermission, "the server gives no access (401 or 403)"};
    case Status::kBusy:
      return {ErrorCode::kIo, "the server asks to come back later (429 or 503)"};
    case Status::kServerError:
      return {ErrorCode::kIo, "the server fails (5xx)"};
    case Status::kHttp:
      return {ErrorCode::kIo, "the server answers with a status that is none of a file"};
    case Status::kContentRange:
      return {ErrorCode::kMismatch, "the server sends another range than it was asked for"};
    case Status::kTooLong:
      return {ErrorCode::kMismatch, "the server sends more bytes than it was asked for"};
    case Status::kEncoded:
      return {ErrorCode::kUnsupported, "the server sends the file encoded (Content-Encoding)"};
    case Status::kChanged:
      return {ErrorCode::kMismatch, "the file changed on the server while it was read"};
    case Status::kNoLength:
      return {ErrorCode::kUnsupported,
              "the server has no ranges and does not say how the file ends"};
    case Status::kTooLarge:
      return {ErrorCode::kLimit,
              "the server has no ranges, and the file is too large to be fetched whole"};
    case Status::kNoCredentials:
      return {ErrorCode::kInvalidArgument,
              "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is not set"};
    case Status::kEmpty:
      return {ErrorCode::kEmpty, "the file is empty (0 bytes)"};
    case Status::kMemory:
      return {ErrorCode::kIo, "tare-fetch has not enough memory"};
  }
  return words_of(Status::kProtocol);
}

// What is left of two pieces after `done` bytes of them.
void skip(std::span<iovec> pieces, std::size_t done) {
  for (iovec& piece : pieces) {
    const std::size_t taken = std::min(done, piece.iov_len);
    piece.iov_base = static_cast<std::byte*>(piece.iov_base) + taken;
    piece.iov_len -= taken;
    done -= taken;
  }
}

// sendmsg() wants pointers to what it does not change.
iovec piece_of(ByteSpan bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};  // NOLINT
}

}  // namespace

Error error_of(Status status) {
  const Words words = words_of(status);
  return {words.code, 0, Error::kNoOffset, words.what};
}

bool receive(int socket, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = ::recv(socket, out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

bool send_both(int socket, ByteSpan first, ByteSpan second) {
  std::array<iovec, 2> pieces{piece_of(first), piece_of(second)};
  while (pieces[0].iov_len + pieces[1].iov_len > 0) {
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = pieces.size();
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    skip(pieces, static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace tare::remote
