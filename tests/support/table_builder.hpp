// Tables of LevelDB, and the index of a TensorFlow checkpoint.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/crc32c.hpp"
#include "support/protobuf_builder.hpp"

namespace tare::test {

using TableItems = std::vector<std::pair<std::string, std::string>>;

// Entries in the order in which they are given, sharing what they have in common with the last one.
inline std::string table_block(const TableItems& items) {
  std::string out;
  std::string last;
  for (const auto& [key, value] : items) {
    std::size_t shared = 0;
    while (shared < std::min(key.size(), last.size()) && key[shared] == last[shared]) ++shared;
    out += varint(shared) + varint(key.size() - shared) + varint(value.size());
    out += key.substr(shared) + value;
    last = key;
  }
  return out + u32(0) + u32(1);
}

inline std::string with_trailer(std::string block, unsigned compression = 0) {
  block += u8(compression);
  return block + u32(masked_crc32c(as_bytes(block)));
}

// A table of blocks, as they are with their trailers.
inline std::string table_of(const std::vector<std::string>& blocks, std::string_view gap = "") {
  std::string file(gap);
  TableItems index;
  for (const std::string& block : blocks) {
    index.emplace_back("key" + std::to_string(index.size()),
                       varint(file.size()) + varint(block.size() - 5));
    file += block;
  }
  std::string footer;
  for (const std::string& block :
       {with_trailer(table_block({})), with_trailer(table_block(index))}) {
    footer += varint(file.size()) + varint(block.size() - 5);
    file += block;
  }
  footer.resize(40, '\0');
  return file + footer + u64(0xDB4775248B80FB57);
}

// BundleHeaderProto.
inline std::string bundle_header(std::uint64_t shards, std::uint64_t endianness = 0) {
  return pb_number(1, shards) + pb_number(2, endianness) + pb_bytes(3, pb_number(1, 1));
}

inline std::string bundle_shape(const std::vector<std::uint64_t>& shape) {
  std::string out;
  for (const std::uint64_t size : shape) out += pb_bytes(2, pb_number(1, size));
  return pb_bytes(2, out);
}

// BundleEntryProto.
inline std::string bundle_entry(std::uint64_t type, const std::vector<std::uint64_t>& shape,
                                std::uint64_t offset, std::uint64_t size, std::uint64_t shard = 0) {
  return pb_number(1, type) + bundle_shape(shape) + pb_number(3, shard) + pb_number(4, offset) +
         pb_number(5, size);
}

// (start, length) of each axis; a length of -1 is all of it.
inline std::string bundle_slice(const std::vector<std::pair<int, int>>& axes) {
  std::string out;
  for (const auto& [start, length] : axes) {
    out += pb_bytes(1, length < 0 ? ""
                                  : pb_number(1, static_cast<std::uint64_t>(start)) +
                                        pb_number(2, static_cast<std::uint64_t>(length)));
  }
  return pb_bytes(7, out);
}

inline std::string bundle_index(TableItems entries, std::uint64_t shards = 1,
                                std::uint64_t endianness = 0) {
  entries.insert(entries.begin(), {"", bundle_header(shards, endianness)});
  return table_of({with_trailer(table_block(entries))});
}

}  // namespace tare::test
