// What the header of a 7z archive says, before anything is made of it.
//
// Format: docs/formats/7z.md. Every count is held against the bytes that are left before anything
// is allocated for it, so that memory is bounded by the size of the header.
#pragma once

#include <optional>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare::sevenzip {

inline constexpr std::size_t kSignatureBytes = 32;  // with the start header

struct Coder {
  std::uint64_t method = 0;
  ByteSpan properties;  // a view of the header
  std::uint64_t inputs = 1;
  std::uint64_t outputs = 1;
};

struct Bond {
  std::uint64_t input;
  std::uint64_t output;
};

// What is compressed together.
struct Folder {
  std::vector<Coder> coders;
  std::vector<Bond> bonds;
  std::vector<std::uint64_t> packed_inputs;  // inputs that packed streams go to
  std::vector<std::uint64_t> sizes;          // of the outputs of all coders, in bytes
  std::optional<std::uint32_t> crc32;
  std::size_t first_packed = 0;  // index of its first packed stream
  std::size_t first_file = 0;    // of its first substream
  std::uint64_t files = 1;       // substreams

  // The output that no input takes: the content. Nothing if there is not exactly one.
  std::optional<std::uint64_t> main_output() const;
  // Bytes of the content; 0 without one.
  std::uint64_t size() const;
};

struct Substream {
  std::uint64_t size = 0;
  std::optional<std::uint32_t> crc32;
};

struct Streams {
  std::uint64_t packed_offset = 0;         // from byte 32
  std::vector<std::uint64_t> packed_size;  // of each, one behind the other
  std::vector<Folder> folders;
  std::vector<Substream> files;  // by folder
};

struct FileInfo {
  ByteSpan name;  // UTF-16, little-endian, without the zero at the end
  bool has_stream = true;
  bool is_empty_file = false;
  bool is_anti = false;
  std::optional<std::uint32_t> attributes;
};

struct Header {
  Streams streams;
  std::vector<FileInfo> files;
  bool is_packed = false;  // the streams hold the header itself, in their first folder
};

struct HeaderLimits {
  std::uint64_t max_entries = 1'000'000;
  std::uint64_t max_folders = 1 << 18;  // four times as many packed streams
  std::uint64_t max_coders = 32;        // of one folder
};

// Views of `bytes`. Errors, without an offset: kMalformed, kUnsupported (what stands outside of the
// header), kLimit.
Result<Header> parse_header(ByteSpan bytes, const HeaderLimits& limits = {});

}  // namespace tare::sevenzip
