// Reads tar archives from standard input, each with its length in front (u64, little-endian), and
// says what tare finds in each: a line for each member, one for each anomaly, then "end"; "no" for
// what is no tar.
#include <cstdio>
#include <string>
#include <vector>

#include "archive/tar_reader.hpp"

namespace {

using namespace tare;

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

void print(const tar::Reader& reader) {
  constexpr const char* kKinds[] = {"file",   "hardlink", "symlink", "directory",
                                    "device", "fifo",     "sparse",  "unknown"};
  for (const tar::Member& member : reader.members()) {
    std::printf("member %s %s %llu %llu %d %s\n", kKinds[static_cast<int>(member.kind)],
                hex_of(member.name).c_str(), static_cast<unsigned long long>(member.size),
                static_cast<unsigned long long>(member.data_offset), member.readable ? 1 : 0,
                hex_of(member.link_target).c_str());
  }
  for (const tar::Anomaly& anomaly : reader.anomalies()) {
    std::printf("anomaly %s\n", tar::anomaly_text(anomaly.kind));
  }
  std::puts("end");
}

}  // namespace

int main() {
  std::uint64_t length = 0;
  while (read_exactly(&length, sizeof length)) {
    std::vector<std::byte> file(length);
    if (!read_exactly(file.data(), length)) return 2;
    const auto reader = tar::Reader::open(file);
    if (reader) {
      print(*reader);
    } else {
      std::puts("no");
    }
  }
  return 0;
}
