// Zip archives byte by byte, true or lying.
//
// An entry that is left alone comes out as an ordinary archive has it. Every field of the local
// header and of the central directory can be set on its own to something else.
#pragma once

#include <zlib.h>

#include <optional>
#include <string>
#include <vector>

#include "support/binary.hpp"

namespace tare::test {

inline std::uint32_t crc_of(std::string_view content) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
}

// A raw deflate stream, as zip archives hold it.
inline std::string deflate(std::string_view content) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string out(::deflateBound(&stream, content.size()), '\0');
  std::string input(content);
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

struct ZipEntry {
  std::string name;
  std::string content;
  std::uint16_t method = 0;  // 8 deflates the content
  std::uint16_t flags = 0;
  bool descriptor = false;  // bit 3: zeros in the local header, the sizes behind the data
  bool zip64 = false;       // sizes and offset in the extra field of the central header

  // Lies. What is not set is told as it is.
  std::optional<std::string> raw;  // the bytes in the archive, instead of the content
  std::optional<std::string> local_name;
  std::optional<std::uint16_t> local_flags;
  std::optional<std::uint16_t> local_method;
  std::optional<std::uint32_t> local_crc;
  std::optional<std::uint32_t> local_stored_size;
  std::optional<std::uint32_t> local_size;
  std::optional<std::string> descriptor_bytes;
  std::optional<std::uint16_t> central_method;
  std::optional<std::uint32_t> central_crc;
  std::optional<std::uint64_t> central_stored_size;
  std::optional<std::uint64_t> central_size;
  std::optional<std::uint64_t> central_offset;
  std::string local_extra;
  std::string central_extra;
  std::string before;       // bytes in front of the local header
  bool no_local = false;    // only in the directory
  bool no_central = false;  // hidden: only a local header and data
};

class ZipBuilder {
 public:
  ZipBuilder& add(ZipEntry entry) {
    entries_.push_back(std::move(entry));
    return *this;
  }
  ZipBuilder& add(std::string name, std::string content) {
    ZipEntry entry;
    entry.name = std::move(name);
    entry.content = std::move(content);
    return add(std::move(entry));
  }

  std::string prefix;             // before everything; offsets count from the start of the file
  bool prefix_uncounted = false;  // offsets count from the end of the prefix instead
  std::string before_directory;
  std::string after_directory;  // between the directory and the end record
  std::string comment;
  std::string suffix;      // behind the end record and its comment
  bool zip64_end = false;  // with a zip64 end record and locator
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> directory_size;
  std::optional<std::uint64_t> directory_offset;
  // What the 32-bit end record says when the zip64 one tells the truth.
  std::optional<std::uint16_t> end_count;
  std::optional<std::uint32_t> end_directory_size;
  std::optional<std::uint32_t> end_directory_offset;

  std::string build();

  // Positions in the archive that was built last, by entry.
  std::uint64_t local_offset(std::size_t entry) const { return local_offsets_[entry]; }
  std::uint64_t data_offset(std::size_t entry) const { return data_offsets_[entry]; }
  std::uint64_t central_offset(std::size_t entry) const { return central_offsets_[entry]; }
  std::uint64_t directory_start() const { return directory_start_; }
  std::uint64_t end_record() const { return end_record_; }

 private:
  static std::string raw_of(const ZipEntry& entry) {
    if (entry.raw) return *entry.raw;
    return entry.method == 8 ? deflate(entry.content) : entry.content;
  }
  static std::uint16_t flags_of(const ZipEntry& entry) {
    return static_cast<std::uint16_t>(entry.flags | (entry.descriptor ? 0x0008 : 0));
  }
  static std::string local_part(const ZipEntry& entry);
  static std::string central_part(const ZipEntry& entry, std::uint64_t offset);
  std::string end_part(std::uint64_t start, std::uint64_t size, std::uint64_t entries,
                       std::uint64_t at) const;

  std::vector<ZipEntry> entries_;
  std::vector<std::uint64_t> local_offsets_;
  std::vector<std::uint64_t> data_offsets_;
  std::vector<std::uint64_t> central_offsets_;
  std::uint64_t directory_start_ = 0;
  std::uint64_t end_record_ = 0;
};

inline std::string ZipBuilder::local_part(const ZipEntry& entry) {
  const std::string raw = raw_of(entry);
  const std::uint32_t crc = crc_of(entry.content);
  const auto stored = static_cast<std::uint32_t>(raw.size());
  const auto size = static_cast<std::uint32_t>(entry.content.size());
  const bool zeros = entry.descriptor;
  const std::string name = entry.local_name.value_or(entry.name);
  std::string out = "PK\x03\x04" + u16(20);
  out += u16(entry.local_flags.value_or(flags_of(entry)));
  out += u16(entry.local_method.value_or(entry.method)) + u32(0);
  out += u32(entry.local_crc.value_or(zeros ? 0 : crc));
  out += u32(entry.local_stored_size.value_or(zeros ? 0 : stored));
  out += u32(entry.local_size.value_or(zeros ? 0 : size));
  out += u16(name.size()) + u16(entry.local_extra.size()) + name + entry.local_extra + raw;
  if (entry.descriptor_bytes) {
    out += *entry.descriptor_bytes;
  } else if (entry.descriptor) {
    out += "PK\x07\x08" + u32(crc) + u32(stored) + u32(size);
  }
  return out;
}

inline std::string ZipBuilder::central_part(const ZipEntry& entry, std::uint64_t offset) {
  const std::uint64_t stored = entry.central_stored_size.value_or(raw_of(entry).size());
  const std::uint64_t size = entry.central_size.value_or(entry.content.size());
  const std::uint64_t local = entry.central_offset.value_or(offset);
  std::string extra = entry.central_extra;
  if (entry.zip64) extra = u16(0x0001) + u16(24) + u64(size) + u64(stored) + u64(local) + extra;
  std::string out = "PK\x01\x02" + u16(20) + u16(20) + u16(flags_of(entry));
  out += u16(entry.central_method.value_or(entry.method)) + u32(0);
  out += u32(entry.central_crc.value_or(crc_of(entry.content)));
  out += entry.zip64 ? u32(UINT32_MAX) + u32(UINT32_MAX) : u32(stored) + u32(size);
  out += u16(entry.name.size()) + u16(extra.size()) + u16(0) + u16(0) + u16(0) + u32(0);
  out += entry.zip64 ? u32(UINT32_MAX) : u32(local);
  return out + entry.name + extra;
}

inline std::string ZipBuilder::end_part(std::uint64_t start, std::uint64_t size,
                                        std::uint64_t entries, std::uint64_t at) const {
  std::string out;
  if (zip64_end) {
    out += "PK\x06\x06" + u64(44) + u16(45) + u16(45) + u32(0) + u32(0);
    out += u64(entries) + u64(entries) + u64(size) + u64(start);
    out += "PK\x06\x07" + u32(0) + u64(at) + u32(1);
  }
  out += "PK\x05\x06" + u32(0);
  out += repeat(u16(end_count.value_or(static_cast<std::uint16_t>(entries))), 2);
  out += u32(end_directory_size.value_or(static_cast<std::uint32_t>(size)));
  out += u32(end_directory_offset.value_or(static_cast<std::uint32_t>(start)));
  return out + u16(comment.size()) + comment;
}

inline std::string ZipBuilder::build() {
  std::string out = prefix;
  const std::uint64_t base = prefix_uncounted ? prefix.size() : 0;
  local_offsets_.clear();
  data_offsets_.clear();
  central_offsets_.clear();
  for (const ZipEntry& entry : entries_) {
    out += entry.before;
    local_offsets_.push_back(out.size());
    if (!entry.no_local) out += local_part(entry);
    data_offsets_.push_back(local_offsets_.back() + 30 +
                            entry.local_name.value_or(entry.name).size() +
                            entry.local_extra.size());
  }
  out += before_directory;
  directory_start_ = out.size();
  std::uint64_t listed = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    central_offsets_.push_back(out.size());
    if (entries_[i].no_central) continue;
    out += central_part(entries_[i], local_offsets_[i] - base);
    ++listed;
  }
  const std::uint64_t size = out.size() - directory_start_;
  out += after_directory;
  const std::uint64_t at = out.size();
  end_record_ = at + (zip64_end ? 76 : 0);
  out += end_part(directory_offset.value_or(directory_start_ - base), directory_size.value_or(size),
                  count.value_or(listed), at - base);
  return out + suffix;
}

}  // namespace tare::test
