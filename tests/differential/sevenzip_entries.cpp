// Reads 7z archives from standard input, each with its length in front (u64, little-endian), and
// says what tare finds in each: a line for each entry, with the checksum of what it read and
// whether that is all and as the archive has it; one for each anomaly; then "end"; "no" for what it
// refuses.
#include <zlib.h>

#include <cstdio>
#include <string>
#include <vector>

#include "archive/sevenzip_reader.hpp"

namespace {

using namespace tare;
using sevenzip::Entry;
using sevenzip::Reader;

bool read_exactly(void* place, std::size_t count) {
  return std::fread(place, 1, count, stdin) == count;
}

std::string hex_of(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "=";
  for (const char c : text) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

void print(const Reader& reader) {
  constexpr const char* kKinds[] = {"file", "directory", "link", "special", "anti", "hidden"};
  constexpr std::uint64_t kMost = std::uint64_t{64} << 20;
  std::size_t folder = Entry::kNoFolder;
  Result<sevenzip::Content> content;
  for (const Entry& entry : reader.entries()) {
    if (entry.folder != Entry::kNoFolder && entry.folder != folder) {
      folder = entry.folder;
      content = reader.unpack(folder, kMost);
    }
    ByteSpan bytes;
    if (entry.folder != Entry::kNoFolder && content) bytes = Reader::bytes_of(entry, *content);
    const bool is_whole = bytes.size() == entry.size && Reader::crc_matches(entry, bytes);
    const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    std::printf("entry %s %s %llu %lu %d\n", kKinds[static_cast<int>(entry.kind)],
                hex_of(entry.name).c_str(), static_cast<unsigned long long>(entry.size), crc,
                is_whole ? 1 : 0);
  }
  for (const auto& anomaly : reader.anomalies()) {
    std::printf("anomaly %s\n", sevenzip::anomaly_text(anomaly.kind));
  }
  std::puts("end");
}

}  // namespace

int main() {
  std::uint64_t length = 0;
  while (read_exactly(&length, sizeof length)) {
    std::vector<std::byte> file(length);
    if (!read_exactly(file.data(), length)) return 2;
    const auto reader = Reader::open(file);
    if (reader) {
      print(*reader);
    } else {
      std::puts("no");
    }
  }
  return 0;
}
