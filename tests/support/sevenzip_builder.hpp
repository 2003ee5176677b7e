// Archives of 7z byte by byte, true or lying.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/zip_builder.hpp"

namespace tare::test {

// A number as 7z writes it: the shortest form.
inline std::string sz_number(std::uint64_t value) {
  unsigned bytes = 0;
  while (bytes < 8 && value >> (7 * (bytes + 1)) != 0) ++bytes;
  if (bytes == 8) return "\xFF" + u64(value);
  const unsigned mark = 0xFFU << (8 - bytes) & 0xFFU;
  return u8(mark | value >> (8 * bytes)) + little(value, bytes);
}

// One file. What is not set is told as it is.
struct SevenZipFile {
  std::string name;  // ASCII
  std::string content = {};
  std::optional<std::uint32_t> attributes = {};
  bool is_directory = false;
  bool is_anti = false;
  std::optional<std::u16string> raw_name = {};
  std::optional<std::uint32_t> crc = {};
  bool has_crc = true;

  bool has_stream() const { return !content.empty(); }
};

// Files that are compressed together.
struct SevenZipFolder {
  std::vector<SevenZipFile> files;
  // How many coders, the coders, and what of their inputs and outputs belongs together.
  std::string coders = std::string("\1\1\0", 3);
  std::vector<std::string> packed = {};     // instead of the content
  std::vector<std::uint64_t> sizes = {};    // of the outputs, instead of that of the content
  std::optional<std::uint64_t> count = {};  // of files

  std::string content() const {
    std::string all;
    for (const SevenZipFile& file : files) all += file.content;
    return all;
  }
};

// A coder with one input and one output: its id, and its properties.
inline std::string sz_coder(std::string_view id, std::string_view properties = "") {
  std::string out = u8(id.size() | (properties.empty() ? 0U : 0x20U)) + std::string(id);
  if (!properties.empty()) out += sz_number(properties.size()) + std::string(properties);
  return out;
}

class SevenZipBuilder {
 public:
  std::vector<SevenZipFolder> folders;
  std::vector<SevenZipFile> without_data;  // behind the others
  unsigned packings = 0;                   // of the header, each stored
  std::string gap;                         // in front of the packed streams
  std::string before_header;
  std::string suffix;
  // Lies.
  std::optional<std::string> header;
  std::optional<std::uint32_t> start_crc;
  std::optional<std::uint32_t> header_crc;
  std::optional<std::uint64_t> header_offset;
  std::optional<std::uint64_t> packed_offset;
  unsigned version = 0;

  SevenZipBuilder& add(std::string name, std::string content) {
    return add(SevenZipFile{std::move(name), std::move(content)});
  }
  SevenZipBuilder& add(SevenZipFile file) {
    folders.push_back({{std::move(file)}});
    return *this;
  }

  std::string build() const {
    std::string body = gap;
    for (const SevenZipFolder& folder : folders) {
      for (const std::string& stream : packed_of(folder)) body += stream;
    }
    body += before_header;
    std::string head = header.value_or(header_of());
    for (unsigned i = 0; i < packings; ++i) {
      const std::string streams = packed_header(body.size(), head);
      body += head;
      head = streams;
    }
    const std::string start = u64(header_offset.value_or(body.size())) + u64(head.size()) +
                              u32(header_crc.value_or(crc_of(head)));
    return std::string("7z\xBC\xAF\x27\x1C") + u8(version) + u8(4) +
           u32(start_crc.value_or(crc_of(start))) + start + body + head + suffix;
  }

 private:
  static std::vector<std::string> packed_of(const SevenZipFolder& folder) {
    return folder.packed.empty() ? std::vector{folder.content()} : folder.packed;
  }

  static std::string packed_header(std::uint64_t offset, const std::string& head) {
    return "\x17\x06" + sz_number(offset) + "\x01\x09" + sz_number(head.size()) + u8(0) +
           "\x07\x0B\x01" + std::string("\0\1\1\0", 4) + "\x0C" + sz_number(head.size()) +
           "\x0A\x01" + u32(crc_of(head)) + std::string(2, '\0');
  }

  static std::string bits(const std::vector<bool>& values) {
    std::string out((values.size() + 7) / 8, '\0');
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i]) out[i / 8] = static_cast<char>(out[i / 8] | 0x80 >> i % 8);
    }
    return out;
  }
  static std::string property(char id, const std::string& content) {
    return id + sz_number(content.size()) + content;
  }

  std::string header_of() const {
    const std::string streams = folders.empty() ? "" : "\x04" + streams_of();
    return "\x01" + streams + files_of() + u8(0);
  }

  std::string streams_of() const {
    std::string sizes;
    std::size_t packed = 0;
    std::string coders;
    std::string unpacked;
    std::string counts = "\x0D";
    std::string substreams = "\x09";
    std::vector<bool> has_crc;
    std::string sums;
    for (const SevenZipFolder& folder : folders) {
      for (const std::string& stream : packed_of(folder)) {
        sizes += sz_number(stream.size());
        ++packed;
      }
      coders += folder.coders;
      if (folder.sizes.empty()) unpacked += sz_number(folder.content().size());
      for (const std::uint64_t size : folder.sizes) unpacked += sz_number(size);
      counts += sz_number(folder.count.value_or(folder.files.size()));
      for (std::size_t i = 0; i < folder.files.size(); ++i) {
        const SevenZipFile& file = folder.files[i];
        if (i + 1 < folder.files.size()) substreams += sz_number(file.content.size());
        has_crc.push_back(file.has_crc);
        if (file.has_crc) sums += u32(file.crc.value_or(crc_of(file.content)));
      }
    }
    return "\x06" + sz_number(packed_offset.value_or(gap.size())) + sz_number(packed) + "\x09" +
           sizes + u8(0) + "\x07\x0B" + sz_number(folders.size()) + u8(0) + coders + "\x0C" +
           unpacked + u8(0) + "\x08" + counts + substreams + "\x0A" + u8(0) + bits(has_crc) + sums +
           std::string(2, '\0');
  }

  std::string files_of() const {
    std::vector<SevenZipFile> files;
    for (const SevenZipFolder& folder : folders) {
      files.insert(files.end(), folder.files.begin(), folder.files.end());
    }
    files.insert(files.end(), without_data.begin(), without_data.end());
    std::vector<bool> empty;
    std::vector<bool> empty_file;
    std::vector<bool> anti;
    std::vector<bool> has_attributes;
    std::string names(1, '\0');
    std::string attributes;
    for (const SevenZipFile& file : files) {
      empty.push_back(!file.has_stream());
      if (!file.has_stream()) {
        empty_file.push_back(!file.is_directory);
        anti.push_back(file.is_anti);
      }
      const std::u16string plain(file.name.begin(), file.name.end());
      for (const char16_t unit : file.raw_name.value_or(plain)) names += u16(unit);
      names += u16(0);
      has_attributes.push_back(file.attributes.has_value());
      if (file.attributes) attributes += u32(*file.attributes);
    }
    return "\x05" + sz_number(files.size()) + property('\x0E', bits(empty)) +
           property('\x0F', bits(empty_file)) + property('\x10', bits(anti)) +
           property('\x11', names) +
           property('\x15', u8(0) + bits(has_attributes) + u8(0) + attributes) +
           property('\x19', std::string(3, '\0')) + u8(0);
  }
};

}  // namespace tare::test
