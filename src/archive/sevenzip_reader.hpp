// Reads 7z archives: what is in them, and each folder of compressed data once.
//
// Format: docs/formats/7z.md. What readers would take differently, and what an extraction would do
// besides writing files, is an Anomaly. It extracts nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "archive/decoder.hpp"
#include "archive/sevenzip_header.hpp"

namespace tare::sevenzip {

struct Limits {
  HeaderLimits header;
  std::uint64_t max_header_bytes = std::uint64_t{64} << 20;  // decompressed
};

enum class EntryKind : std::uint8_t {
  kFile,
  kDirectory,
  kLink,     // its data is the target
  kSpecial,  // a device, a FIFO, a reparse point
  kAnti,
  kHidden,  // data that no entry is about
};

struct Entry {
  static constexpr std::size_t kNoFolder = SIZE_MAX;

  std::string name;  // UTF-8
  EntryKind kind = EntryKind::kFile;
  std::uint64_t size = 0;
  std::optional<std::uint32_t> crc32;
  std::size_t folder = kNoFolder;  // none: it has no data
  std::uint64_t offset = 0;        // in the content of the folder
};

enum class AnomalyKind : std::uint8_t {
  kAbsoluteName,
  kParentInName,
  kDuplicateName,
  kBackslashInName,
  kControlInName,
  kBadName,
  kNoName,
  kLink,
  kSpecialFile,
  kAntiItem,
  kHiddenStream,
  kNoChecksum,
  kOverlap,
  kHiddenBytes,
  kTrailingBytes,
};

struct Anomaly {
  AnomalyKind kind;
  std::uint64_t offset;  // bytes from the start of the archive; of the header for entries
  std::size_t entry;     // index in entries(), or Reader::kNoEntry
};

// What an anomaly means, as a sentence without a full stop.
const char* anomaly_text(AnomalyKind kind);

// True if the bytes begin like a 7z archive.
bool is_7z(ByteSpan bytes);

// The bytes of the archive that begins here, by its start header: nothing if that is not one, or if
// the archive is cut off.
std::optional<std::uint64_t> archive_size(ByteSpan bytes);

// What a folder holds, as far as it could be read.
struct Content {
  ByteSpan bytes;                           // a view of the archive, or of `unpacked`
  std::optional<Input> unpacked;            // if it had to be decompressed
  std::uint64_t offset = Error::kNoOffset;  // in the archive, if it is a view of that
  Result<void> complete;                    // why there is no more
};

class Reader {
 public:
  static constexpr std::size_t kNoEntry = SIZE_MAX;

  // Lists the entries; decompresses the header at most. `bytes` must outlive the reader. Errors:
  // kWrongFormat; kTruncated, kMalformed (a wrong checksum, a header that is not one), kUnsupported
  // (an encrypted header, a version), kLimit.
  static Result<Reader> open(ByteSpan bytes, const Limits& limits = {});

  // In the order of the archive; those of one folder stand together.
  const std::vector<Entry>& entries() const { return entries_; }
  // Sorted by offset.
  const std::vector<Anomaly>& anomalies() const { return anomalies_; }
  struct Range {
    std::uint64_t offset;
    std::uint64_t length;
  };
  // Where the compressed data of a folder is; nothing if it has none.
  std::optional<Range> packed_range(std::size_t folder) const;
  // Bytes that decompressing the folder takes, what stands between its coders included; none for
  // what is stored.
  std::uint64_t unpacked_size(std::size_t folder) const;

  // What belongs to no stream, in order: the last gap may be behind the header.
  const std::vector<Range>& gaps() const { return gaps_; }

  // Decompresses a folder, `max_output` bytes of it at most. Errors: those of the file without a
  // name that large content goes to. Anything else is Content::complete: kLimit, kUnsupported (the
  // method), kRefused (encrypted), kTruncated, kMalformed.
  Result<Content> unpack(std::size_t folder, std::uint64_t max_output) const;
  // The bytes of an entry in its folder's, as many as there are.
  static ByteSpan bytes_of(const Entry& entry, const Content& content);
  // False if there is a checksum and it is not that of the bytes.
  static bool crc_matches(const Entry& entry, ByteSpan bytes);

 private:
  friend class Opening;
  Reader() = default;

  ByteSpan bytes_;
  std::vector<std::byte> header_bytes_;  // if it was packed; `header_` has views of it
  Header header_;
  std::vector<Entry> entries_;
  std::vector<Anomaly> anomalies_;
  std::vector<Range> packed_;  // where the packed streams are
  std::vector<Range> gaps_;
};

}  // namespace tare::sevenzip
