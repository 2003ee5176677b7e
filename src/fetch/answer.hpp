// The headers of an answer, as far as they matter, and what they have to be.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "io/sha256.hpp"
#include "remote/protocol.hpp"

namespace tare::fetch {

// "bytes 0-99/1000", or "bytes */1000" of a range that there is none of.
struct ContentRange {
  std::optional<std::uint64_t> first;
  std::uint64_t last = 0;
  std::uint64_t total = 0;

  // Nothing for anything else, an unknown total among it.
  static std::optional<ContentRange> parse(std::string_view value);
};

using Digest = Sha256::Digest;

// 64 hexadecimal digits, in quotes or not.
std::optional<Digest> parse_hex_digest(std::string_view text);
// Base64 of 32 bytes; nothing for "...-3", which is that of a list of digests.
std::optional<Digest> parse_base64_digest(std::string_view text);
// The target of rel="next" in a Link header; empty if there is none.
std::string next_link(std::string_view value);

// What is known about a file by the headers of one answer, or by several that agree.
class Answer {
 public:
  // A line of headers, with its end. A status line begins a new answer.
  void add_line(std::string_view line);

  long status = 0;
  std::string etag;
  std::string last_modified;
  std::string range;  // Content-Range, as it is
  std::optional<std::uint64_t> length;
  bool is_encoded = false;
  bool is_chunked = false;
  std::string location;
  std::string next;
  std::optional<Digest> linked_sha256;  // of the hub, for what it redirects to
  std::optional<std::uint64_t> linked_size;
  std::optional<Digest> checksum;  // of S3
};

// What tells one state of a file from another.
struct Validator {
  std::string etag;
  std::string last_modified;
  std::uint64_t size = 0;

  // Not "W/...": two states may share that.
  bool is_strong() const { return !etag.empty() && !etag.starts_with("W/"); }
  friend bool operator==(const Validator&, const Validator&) = default;
};

}  // namespace tare::fetch
