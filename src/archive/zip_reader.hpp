// Reads zip archives the way the loaders of models do, and says where loaders would disagree.
//
// Format: docs/formats/zip.md. The reader takes the central directory of the last end record that
// fits, and compares it with the local headers. What one reader would see and another would not is
// an Anomaly, never silently repaired. Entries are views of the input; nothing is copied.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare::zip {

inline constexpr std::uint16_t kStored = 0;
inline constexpr std::uint16_t kDeflated = 8;

struct Limits {
  std::uint64_t max_entries = 1'000'000;
  std::uint64_t max_inflated_bytes = std::uint64_t{1} << 30;  // of one entry
  // Deflate cannot do better than about 1032:1; what claims more lies.
  std::uint64_t max_ratio = 1032;
  // Only entries() as the directory has them: nothing else is looked at.
  bool only_directory = false;
};

struct Entry {
  std::string name;                  // as in the central directory, any bytes
  std::uint16_t flags = 0;           // central
  std::uint16_t method = 0;          // central
  std::uint32_t crc32 = 0;           // central
  std::uint64_t stored_size = 0;     // bytes in the archive
  std::uint64_t size = 0;            // bytes after decompression
  std::uint64_t header_offset = 0;   // of the local header
  std::uint64_t central_offset = 0;  // of the central header
  std::uint64_t data_offset = 0;     // of the stored bytes; 0 if the local header is unreadable
  bool readable = false;             // the stored bytes lie inside the archive
  bool disputed = false;             // readers differ about its name, its size or its bytes

  bool is_directory() const { return !name.empty() && name.back() == '/'; }
};

enum class AnomalyKind : std::uint8_t {
  kDuplicateName,
  kCaseCollision,
  kLocalNameDiffers,
  kLocalMethodDiffers,
  kLocalSizeDiffers,
  kLocalFlagsDiffer,
  kCrcMismatch,
  kEncrypted,
  kUnknownMethod,
  kSizeOutOfBounds,
  kBadLocalHeader,
  kOverlap,
  kPrefixBytes,
  kSuffixBytes,
  kHiddenBytes,
  kSecondDirectory,
  kDirectoryTruncated,
  kControlInName,
  kCompressedTensor,
  kEndRecordsDiffer,
  kUnicodeNameDiffers,
  kDescriptorDiffers,
};

struct Anomaly {
  AnomalyKind kind;
  std::uint64_t offset;  // bytes from the start of the archive
  std::size_t entry;     // index in entries(), or Reader::kNoEntry
};

// What an anomaly means, as a sentence without a full stop.
const char* anomaly_text(AnomalyKind kind);

class Reader {
 public:
  static constexpr std::size_t kNoEntry = SIZE_MAX;

  // Parses the directory. `bytes` must outlive the reader. Errors: kWrongFormat if there is no end
  // record, kTruncated if the file starts like a zip but the end record is missing, kMalformed,
  // kLimit.
  static Result<Reader> open(ByteSpan bytes, const Limits& limits = {});

  const std::vector<Entry>& entries() const { return entries_; }
  // Sorted by offset.
  const std::vector<Anomaly>& anomalies() const { return anomalies_; }

  // ---- what other readers see

  // The same archive by its other central directories, 8 at most.
  std::vector<Reader> others() const;
  // Whether there are more of them.
  bool has_more_others() const { return others_.size() > kMaxOthers; }
  // What local headers say that differs from the directory: other methods, sizes and names, and
  // entries that no directory lists (looked for in the first 64 MiB of each gap). Of the latter,
  // those whose size stands behind the data reach to the end of the gap.
  const std::vector<Entry>& local_entries() const { return local_entries_; }
  // The bytes that belong to no entry and no directory, in order: in front of, between and behind
  // what the directory lists, and the comment.
  struct Gap {
    std::uint64_t offset;
    std::uint64_t length;
  };
  const std::vector<Gap>& gaps() const { return gaps_; }
  // As much as there is of the bytes of an entry that content() refuses; empty if nothing is. The
  // stream is inflated as far as it goes, to `limit` bytes at most, whatever its declared size.
  ByteSpan what_is_there(const Entry& entry, std::uint64_t limit,
                         std::vector<std::byte>& inflated) const;

  // The bytes of a stored entry, in place; kUnsupported for other methods.
  Result<ByteSpan> stored_bytes(const Entry& entry) const;
  // The bytes as they stand in the archive, compressed or not.
  Result<ByteSpan> raw_bytes(const Entry& entry) const;
  // Decompressed bytes. Errors: kUnsupported (method), kLimit (declared size or ratio), kMalformed
  // (damaged stream), kMismatch (the stream is longer or shorter than declared).
  Result<std::vector<std::byte>> inflate(const Entry& entry) const;
  // The content of an entry: in place if it is stored, else decompressed into `inflated`. Errors:
  // those of stored_bytes() and inflate().
  Result<ByteSpan> content(const Entry& entry, std::vector<std::byte>& inflated) const;
  // True if the CRC-32 in the directory is that of `content`.
  static bool crc_matches(const Entry& entry, ByteSpan content);

 private:
  struct Directory {
    std::uint64_t base;        // what offsets count from: above 0 if the archive was appended
    std::uint64_t offset;      // of the first central header, from the start of the file
    std::uint64_t size;        // bytes
    std::uint64_t count;       // entries, as declared
    std::uint64_t end_offset;  // of the EOCD
    std::uint64_t end;         // first byte behind the EOCD and its comment
    std::uint64_t records;     // of the first end record: zip64, or the EOCD
    bool agrees;               // the zip64 end record says what the EOCD says
  };

  Reader(ByteSpan bytes, const Limits& limits) : bytes_(bytes), limits_(limits) {}
  static constexpr std::size_t kMaxOthers = 8;

  Result<void> find_directory();
  void directory_at(std::uint64_t end_record);
  void add_directory(const Directory& directory);
  bool is_directory_start(std::uint64_t offset, const Directory& directory) const;
  Result<void> read_directory(const Directory& directory);
  void read_zip64_extra(Entry& entry, ByteSpan extra, std::uint32_t size32, std::uint32_t stored32,
                        std::uint32_t offset32);
  void check_unicode_name(ByteSpan extra, std::size_t index);
  void check_local_header(std::size_t index);
  bool is_descriptor(const Entry& entry, ByteSpan gap) const;
  void check_names();
  void check_layout(const Directory& directory);
  void add_gap(std::uint64_t begin, std::uint64_t end);
  void read_gap(Gap gap);
  void note_other_reading(const Entry& entry, std::uint16_t flags, std::uint16_t method,
                          std::uint64_t stored, std::uint64_t size, std::string_view name);
  void mark_disputed();
  void drop_inner_directories();
  void note(AnomalyKind kind, std::uint64_t offset, std::size_t entry = kNoEntry) {
    anomalies_.push_back({kind, offset, entry});
  }

  ByteSpan bytes_;
  Limits limits_;
  std::uint64_t base_ = 0;
  std::vector<Entry> entries_;
  std::vector<Anomaly> anomalies_;
  std::optional<Directory> directory_;
  std::vector<Directory> others_;
  std::vector<Entry> local_entries_;
  std::uint64_t local_name_bytes_ = 0;
  std::vector<Gap> gaps_;
};

}  // namespace tare::zip
