// Zip archives whose headers may lie, laid out as Python's zipfile writes them.
//
// zip::Writer writes what torch.save writes, and only that. Here each name, flag and checksum can
// be set apart for the local header and the central directory.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/byte_buffer.hpp"
#include "tare/craft.hpp"

namespace tare::craft {

struct ForgedEntry {
  std::string name;
  Bytes content;

  // Lies. What is not set is told as it is.
  std::optional<std::string> local_name;
  std::optional<std::uint32_t> crc32;  // in both headers
  std::uint16_t local_flags = 0;
  std::uint16_t central_flags = 0;
  bool listed = true;  // in the central directory
};

struct ForgedZip {
  Bytes prefix;  // in front of the archive, whose offsets do not count it
  std::vector<ForgedEntry> entries;
  Bytes comment;  // cut off at 65535 bytes
};

Bytes forge_zip(const ForgedZip& zip);

inline Bytes bytes_of(std::string_view text) {
  const ByteSpan bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

}  // namespace tare::craft
