#include "craft/zip_forge.hpp"

#include <zlib.h>

#include <algorithm>

namespace tare::craft {
namespace {

constexpr std::uint16_t kVersion = 20;             // needed to extract: deflate and folders
constexpr std::uint16_t kMadeBy = 3 << 8 | 20;     // Unix
constexpr std::uint32_t kMode = 0600U << 16;       // rw------- in the external attributes
constexpr std::uint16_t kFirstOfJanuary1980 = 33;  // the first date that the format has

std::uint16_t short_of(std::size_t size) {
  return static_cast<std::uint16_t>(size);
}
std::uint32_t long_of(std::size_t size) {
  return static_cast<std::uint32_t>(size);
}

std::uint32_t crc_of(const ForgedEntry& entry) {
  if (entry.crc32) return *entry.crc32;
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(entry.content.data()), entry.content.size()));
}

// Version, flags, method, time, date, checksum, sizes: the same fields in both headers.
void add_fields(ByteBuffer& out, const ForgedEntry& entry, std::uint16_t flags) {
  out.u16(kVersion).u16(flags).u16(0).u16(0).u16(kFirstOfJanuary1980).u32(crc_of(entry));
  out.u32(long_of(entry.content.size())).u32(long_of(entry.content.size()));
}

void add_local(ByteBuffer& out, const ForgedEntry& entry) {
  const std::string& name = entry.local_name.value_or(entry.name);
  out.u32(0x04034b50);
  add_fields(out, entry, entry.local_flags);
  out.u16(short_of(name.size())).u16(0).text(name).bytes(entry.content);
}

void add_central(ByteBuffer& out, const ForgedEntry& entry, std::uint32_t offset) {
  out.u32(0x02014b50).u16(kMadeBy);
  add_fields(out, entry, entry.central_flags);
  out.u16(short_of(entry.name.size())).u16(0).u16(0).u16(0).u16(0).u32(kMode).u32(offset);
  out.text(entry.name);
}

}  // namespace

Bytes forge_zip(const ForgedZip& zip) {
  ByteBuffer out;
  out.bytes(zip.prefix);
  const auto here = [&] { return long_of(out.size() - zip.prefix.size()); };
  std::vector<std::uint32_t> offsets;
  for (const ForgedEntry& entry : zip.entries) {
    offsets.push_back(here());
    add_local(out, entry);
  }
  const std::uint32_t directory = here();
  std::uint16_t listed = 0;
  for (std::size_t i = 0; i < zip.entries.size(); ++i) {
    if (!zip.entries[i].listed) continue;
    add_central(out, zip.entries[i], offsets[i]);
    ++listed;
  }
  const std::uint32_t size = here() - directory;
  const ByteSpan comment =
      ByteSpan(zip.comment).first(std::min<std::size_t>(zip.comment.size(), UINT16_MAX));
  out.u32(0x06054b50).u16(0).u16(0).u16(listed).u16(listed).u32(size).u32(directory);
  out.u16(short_of(comment.size())).bytes(comment);
  return out.take();
}

}  // namespace tare::craft
