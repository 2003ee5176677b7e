// Tables of LevelDB, as TensorFlow keeps the index of a checkpoint: sorted keys with values, in
// blocks with checksums, and a footer. Follows table_format.md of the leveldb repository.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare::format {

struct TableEntry {
  std::string key;
  ByteSpan value;            // in the file, or in Table::inflated
  std::uint64_t offset = 0;  // of the value in the file; of its block, if that is compressed
};

struct Table {
  std::vector<TableEntry> entries;  // by key, each once
  std::deque<std::vector<std::byte>> inflated;
  // Bytes of the file that belong to no block and not to the footer.
  std::uint64_t gap_offset = 0;
  std::uint64_t gap_bytes = 0;
};

// Whether the bytes end as a table does.
bool is_table(ByteSpan bytes);

// Errors: kWrongFormat, kTruncated, kMalformed (checksums, keys that are out of order, blocks that
// overlap), kUnsupported (a compression other than snappy), kLimit (keys, or what is compressed, of
// more than 64 MiB and 20 times the file).
Result<Table> read_table(ByteSpan bytes);

}  // namespace tare::format
