// Any bytes as the header of a 7z archive, and as an archive: whatever is listed lies inside of
// what was decompressed, and that is within the limit.
#include <zlib.h>

#include <cstdlib>
#include <cstring>

#include "archive/sevenzip_reader.hpp"

namespace {

using tare::sevenzip::Entry;
using tare::sevenzip::Reader;

constexpr std::uint64_t kMostOutput = 1 << 20;

void require(bool condition) {
  if (!condition) std::abort();
}

std::uint32_t crc_of(tare::ByteSpan bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

// With the checksums put right, which a fuzzer does not find by itself.
std::vector<std::byte> repaired(tare::ByteSpan input) {
  std::vector<std::byte> bytes(input.begin(), input.end());
  if (bytes.size() < 32) return bytes;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::memcpy(&offset, bytes.data() + 12, 8);
  std::memcpy(&size, bytes.data() + 20, 8);
  const std::uint64_t behind = bytes.size() - 32;
  if (offset <= behind && size <= behind - offset) {
    const std::uint32_t sum = crc_of(tare::ByteSpan(bytes).subspan(32 + offset, size));
    std::memcpy(bytes.data() + 28, &sum, 4);
  }
  const std::uint32_t sum = crc_of(tare::ByteSpan(bytes).subspan(12, 20));
  std::memcpy(bytes.data() + 8, &sum, 4);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = repaired(std::as_bytes(std::span(data, size)));
  const auto reader = Reader::open(bytes, {.header = {}, .max_header_bytes = kMostOutput});
  if (!reader) return 0;
  std::size_t unpacked = Entry::kNoFolder;
  for (const Entry& entry : reader->entries()) {
    if (entry.folder == Entry::kNoFolder || entry.folder == unpacked) continue;
    unpacked = entry.folder;
    const auto content = reader->unpack(entry.folder, kMostOutput);
    if (!content) continue;
    require(content->bytes.size() <= std::max<std::uint64_t>(kMostOutput, bytes.size()));
    require(Reader::bytes_of(entry, *content).size() <= entry.size);
    Reader::crc_matches(entry, Reader::bytes_of(entry, *content));
  }
  for (const auto& anomaly : reader->anomalies()) {
    require(anomaly.offset <= bytes.size());
    require(anomaly.entry == Reader::kNoEntry || anomaly.entry < reader->entries().size());
  }
  for (const Reader::Range gap : reader->gaps()) require(gap.offset + gap.length <= bytes.size());
  return 0;
}
