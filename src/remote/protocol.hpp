// What tare and tare-fetch say to each other: messages of a fixed size over a socket pair.
//
// tare asks, one request at a time; a text (a URL, or what stands for one) may follow. The answer
// to kOpen is an Opened, and data if that is kOk. Data are frames, each with its bytes behind it,
// up to one that is not kOk: kEnd if all that was asked for has been sent, else why there is no
// more. No text of a server crosses the line: an error is a number, and its words stand here. Both
// programs are of one build, so that structs are sent as they are.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "io/sha256.hpp"
#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare::remote {

enum class Status : std::uint32_t {
  kOk,
  kEnd,       // of the data
  kPage,      // of a list that comes in several documents: one ends here
  kNotUrl,    // what is asked for cannot be read
  kNotHttps,  // http to another machine
  kDowngrade,
  kInward,  // a redirect to this machine
  kRedirects,
  kResolve,
  kConnect,
  kTls,
  kCertificate,
  kLost,  // the connection, again and again
  kSlow,
  kHeaders,
  kNotFound,
  kDenied,
  kBusy,         // 429 and 503 until the patience ended
  kServerError,  // 5xx
  kHttp,         // any other status
  kContentRange,
  kTooLong,  // more bytes than there are to be
  kEncoded,
  kChanged,
  kNoLength,
  kTooLarge,
  kNoCredentials,  // half of a pair
  kEmpty,
  kMemory,
  kProtocol,  // the other program is gone, or does not keep to this
};
inline constexpr std::uint32_t kStatusCount = static_cast<std::uint32_t>(Status::kProtocol) + 1;

// What a status that ends something says to people. Not for kOk, kEnd and kPage.
Error error_of(Status status);

enum class Op : std::uint32_t {
  kOpen = 1,   // `text`: what to open as `file`; data: the first `length` bytes, or fewer
  kRange,      // `length` bytes from `offset` on of `file`, which has ranges
  kWhole,      // all of `file`, at most `length` bytes
  kScattered,  // `text`: Pieces of `file`, which has ranges; data: each, in any order
  kList,       // `text`: a repository of the hub; data: JSON documents, kPage between them
};

struct Request {
  Op op{};
  std::uint32_t file = 0;  // number of an open file, chosen by tare: from 0 on
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint32_t text_length = 0;  // bytes of text behind the request
  std::uint32_t reserved = 0;
};

struct Piece {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // at most kMaxFrame
};

struct Opened {
  static constexpr std::uint64_t kUnknownSize = UINT64_MAX;

  Status status{};
  bool has_ranges = false;
  bool has_sha256 = false;
  std::uint64_t size = 0;   // bytes; kUnknownSize only without ranges
  Sha256::Digest sha256{};  // of the whole file, as the server tells it
};

struct Frame {
  Status status{};
  std::uint32_t length = 0;  // bytes behind it
  std::uint64_t offset = 0;  // kScattered: of the piece
};

inline constexpr std::uint32_t kMaxText = 16384;
inline constexpr std::size_t kMaxPieces = kMaxText / sizeof(Piece);
inline constexpr std::uint32_t kMaxFrame = std::uint32_t{1} << 20;
inline constexpr std::uint32_t kMaxFiles = 16384;

// All bytes of `out` from a socket; false at its end and on errors.
bool receive(int socket, std::span<std::byte> out);
// Two pieces, of which the second may be empty, in one go. False on errors; no signal.
bool send_both(int socket, ByteSpan first, ByteSpan second);

template <typename Message>
bool receive_message(int socket, Message& message) {
  return receive(socket, std::as_writable_bytes(std::span(&message, 1)));
}
template <typename Message>
bool send_message(int socket, const Message& message, ByteSpan behind = {}) {
  return send_both(socket, std::as_bytes(std::span(&message, 1)), behind);
}

}  // namespace tare::remote
