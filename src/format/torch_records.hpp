// The records of one of torch's zip archives. Format: docs/formats/torch.md.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "archive/zip_reader.hpp"

namespace tare::format {

// The records of an archive, each decompressed once.
class Records {
 public:
  // `inflate_left`: bytes that may be decompressed.
  Records(zip::Reader archive, std::uint64_t inflate_left);

  const zip::Reader& archive() const { return archive_; }
  const std::string& folder() const { return folder_; }
  std::uint64_t inflate_left() const { return inflate_left_; }
  bool big_endian() const { return big_endian_; }

  // Without the folder; nullptr if there is none.
  const zip::Entry* find(std::string_view name) const {
    const auto found = by_name_.find(folder_ + std::string(name));
    return found == by_name_.end() ? nullptr : found->second;
  }
  // Errors: kRefused (loaders would take different records of this name), kLimit, and those of the
  // archive.
  Result<ByteSpan> content(const zip::Entry& entry);
  // What big_endian() says. Errors: kUnsupported, and those of content().
  Result<void> read_byte_order();

 private:
  zip::Reader archive_;
  std::string folder_;
  std::unordered_map<std::string_view, const zip::Entry*> by_name_;
  std::unordered_set<std::string> ambiguous_;  // in lower case
  std::uint64_t inflate_left_;
  bool big_endian_ = false;
  std::unordered_map<const zip::Entry*, std::vector<std::byte>> inflated_;
};

}  // namespace tare::format
