// Tar archives block by block, true or lying.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "support/binary.hpp"

namespace tare::test {

inline constexpr std::string_view kUstar{
    "ustar\0"
    "00",
    8};
inline constexpr std::string_view kGnu{"ustar  \0", 8};
inline constexpr std::string_view kV7{"\0\0\0\0\0\0\0\0", 8};

// `text` cut or filled up with NULs.
inline std::string field(std::string_view text, std::size_t length) {
  std::string out(text.substr(0, length));
  out.resize(length, '\0');
  return out;
}

inline std::string octal(std::uint64_t value, std::size_t length) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*lo", static_cast<int>(length - 1), value);
  return field(text, length);
}

// The binary form of a number.
inline std::string base256(std::uint64_t value, std::size_t length) {
  const std::string bytes = u64(value);
  return "\x80" + std::string(length - 9, '\0') + std::string(bytes.rbegin(), bytes.rend());
}

inline std::string padded(std::string data) {
  data.resize((data.size() + 511) / 512 * 512, '\0');
  return data;
}

// A header and its data. What is not set is told as it is.
struct TarMember {
  std::string name;
  std::string content = {};
  char type = '0';
  std::string link_target = {};
  std::string_view magic = kUstar;
  std::string prefix = {};
  std::optional<std::string> size = {};  // the field
  std::string mtime = octal(0, 12);
  std::optional<std::string> checksum = {};  // the field
  std::optional<std::string> tail = {};      // from 345 on, instead of the prefix

  std::string header() const {
    std::string block = field(name, 100) + octal(0644, 8) + octal(0, 8) + octal(0, 8);
    block += size.value_or(octal(content.size(), 12)) + mtime + std::string(8, ' ') + type;
    block += field(link_target, 100) + std::string(magic) + field("root", 32) + field("root", 32);
    block += octal(0, 8) + octal(0, 8) + tail.value_or(field(prefix, 155));
    block.resize(512, '\0');
    std::uint64_t sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    block.replace(148, 8, checksum.value_or(octal(sum, 7) + " "));
    return block;
  }
  std::string build() const { return header() + padded(content); }
};

inline std::string pax_record(std::string_view key, std::string_view value) {
  const std::string body = " " + std::string(key) + "=" + std::string(value) + "\n";
  std::size_t length = body.size();
  while (std::to_string(length).size() + body.size() != length) {
    length = std::to_string(length).size() + body.size();
  }
  return std::to_string(length) + body;
}

// type: 'x' for the next member, 'g' for all.
inline std::string pax_header(std::string records, char type = 'x') {
  return TarMember{"PaxHeaders/x", std::move(records), type}.build();
}

// type: 'L' for the name of the next member, 'K' for its link target.
inline std::string gnu_long(std::string_view text, char type = 'L') {
  return TarMember{"././@LongLink", std::string(text) + '\0', type, "", kGnu}.build();
}

inline std::string tar_end() {
  return std::string(1024, '\0');
}

}  // namespace tare::test
