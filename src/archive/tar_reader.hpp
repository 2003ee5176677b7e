// Lists what is in a tar archive, the way Python's tarfile does, and says where readers would
// disagree or an extraction would do harm. It extracts nothing.
//
// Format: docs/formats/tar.md (v7, ustar, pax, GNU). The data of members are views of the input.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare::tar {

struct Limits {
  std::uint64_t max_members = 1'000'000;
  std::uint64_t max_header_bytes = std::uint64_t{64} << 20;  // long names and pax headers, together
};

enum class MemberKind : std::uint8_t {
  kFile,
  kHardLink,
  kSymlink,
  kDirectory,
  kDevice,
  kFifo,
  kSparse,   // a file with holes; its map is not applied
  kUnknown,  // Python reads it as a file
};

struct Member {
  std::string name;  // any bytes, without the slashes at the end of a directory
  MemberKind kind = MemberKind::kUnknown;
  std::uint64_t size = 0;           // as declared; of a sparse file, what is in the archive
  std::uint64_t header_offset = 0;  // of the first header that is about the member
  std::uint64_t data_offset = 0;
  bool readable = false;  // the data lies inside of the archive
  std::string link_target;

  // The others have no data, whatever size they declare.
  bool has_data() const {
    return kind == MemberKind::kFile || kind == MemberKind::kSparse || kind == MemberKind::kUnknown;
  }
};

enum class AnomalyKind : std::uint8_t {
  kAbsoluteName,
  kParentInName,
  kDuplicateName,
  kControlInName,
  kLink,
  kSpecialFile,
  kSparseFile,
  kUnknownType,
  kSizeWithoutData,
  kNameDiffers,
  kSizeDiffers,
  kGlobalOverride,
  kForeignPrefix,
  kOddNumber,
  kBadHeader,
  kBadPaxRecord,
  kLoneExtension,
  kLongExtension,
  kSizeOutOfBounds,
  kNoEnd,
  kTrailingBytes,
};

struct Anomaly {
  AnomalyKind kind;
  std::uint64_t offset;  // bytes from the start of the archive
  std::size_t member;    // index in members(), or Reader::kNoMember
};

// What an anomaly means, as a sentence without a full stop.
const char* anomaly_text(AnomalyKind kind);

// True if the first block is the header of a member.
bool is_tar(ByteSpan bytes);

class Reader {
 public:
  static constexpr std::size_t kNoMember = SIZE_MAX;

  // Lists the members. `bytes` must outlive the reader. Errors: kWrongFormat if the first block is
  // no header, kLimit. What is broken behind that ends the list, with an anomaly.
  static Result<Reader> open(ByteSpan bytes, const Limits& limits = {});

  const std::vector<Member>& members() const { return members_; }
  // Sorted by offset.
  const std::vector<Anomaly>& anomalies() const { return anomalies_; }

  // The data of a file, in place. Errors: kUnsupported for what is no file and for sparse files,
  // kTruncated if it is not inside of the archive.
  Result<ByteSpan> content(const Member& member) const;

 private:
  friend class Listing;
  explicit Reader(ByteSpan bytes) : bytes_(bytes) {}

  ByteSpan bytes_;
  std::vector<Member> members_;
  std::vector<Anomaly> anomalies_;
};

}  // namespace tare::tar
