#include "format/sstable.hpp"

#include <algorithm>

#include "archive/snappy.hpp"
#include "io/crc32c.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

constexpr std::uint64_t kMagic = 0xDB4775248B80FB57;
constexpr std::uint64_t kFooterBytes = 48;
constexpr std::uint64_t kTrailerBytes = 5;  // compression, checksum
constexpr std::uint8_t kSnappy = 1;

std::optional<std::uint64_t> varint(Cursor& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = in.read<std::uint8_t>();
    if (!byte) return std::nullopt;
    value |= (*byte & 0x7FULL) << shift;
    if (*byte < 0x80) return value;
  }
  return std::nullopt;
}

struct Handle {
  std::uint64_t offset;
  std::uint64_t size;
};

std::optional<Handle> handle_of(Cursor& in) {
  const auto offset = varint(in);
  const auto size = varint(in);
  if (!offset || !size) return std::nullopt;
  return Handle{*offset, *size};
}

struct Block {
  ByteSpan bytes;            // without the trailer
  std::uint64_t offset = 0;  // in the file
  bool is_inflated = false;
};

class TableReader {
 public:
  explicit TableReader(ByteSpan file)
      : file_(file),
        budget_(std::max<std::uint64_t>(std::uint64_t{64} << 20, 20 * std::uint64_t{file.size()})) {
  }
  Result<Table> read();

 private:
  Result<void> charge(std::uint64_t bytes);
  Result<Block> block(const Handle& handle);
  Result<std::vector<TableEntry>> entries_of(const Block& block);
  Result<ByteSpan> without_restarts(const Block& block) const;
  void cover(const Handle& handle);

  ByteSpan file_;
  std::uint64_t budget_;
  Table table_;
  std::uint64_t covered_ = 0;  // the blocks up to here were read
};

std::unexpected<Error> broken(const char* what, std::uint64_t offset) {
  return fail(ErrorCode::kMalformed, what, offset);
}

Result<void> TableReader::charge(std::uint64_t bytes) {
  if (bytes > budget_)
    return fail(ErrorCode::kLimit, "a table larger than tare is willing to read");
  budget_ -= bytes;
  return {};
}

Result<Block> TableReader::block(const Handle& handle) {
  const std::uint64_t end = file_.size() - kFooterBytes;
  if (handle.offset > end || handle.size > end - handle.offset ||
      kTrailerBytes > end - handle.offset - handle.size) {
    return fail(ErrorCode::kTruncated, "a block of the table lies behind its end");
  }
  const ByteSpan bytes = file_.subspan(handle.offset, handle.size);
  Cursor trailer(file_.subspan(handle.offset + handle.size, kTrailerBytes));
  const std::uint8_t compression = *trailer.read<std::uint8_t>();
  const std::uint32_t checksum = *trailer.read<std::uint32_t>();
  if (masked_crc32c(file_.subspan(handle.offset, handle.size + 1)) != checksum) {
    return broken("a block of the table does not have its checksum", handle.offset);
  }
  if (compression == 0) return Block{bytes, handle.offset};
  if (compression != kSnappy) {
    return fail(ErrorCode::kUnsupported, "a block of the table is compressed", handle.offset);
  }
  auto inflated = decode_snappy(bytes, budget_);
  if (!inflated) return std::unexpected(inflated.error());
  if (auto paid = charge(inflated->size()); !paid) return std::unexpected(paid.error());
  return Block{table_.inflated.emplace_back(std::move(*inflated)), handle.offset, true};
}

// A block ends with the places of keys that are written whole, and how many there are.
Result<ByteSpan> TableReader::without_restarts(const Block& block) const {
  const ByteSpan bytes = block.bytes;
  if (bytes.size() < 4) return broken("a block of the table is too short", block.offset);
  const std::uint64_t count = *Cursor(bytes, bytes.size() - 4).read<std::uint32_t>();
  if (count > (bytes.size() - 4) / 4) {
    return broken("a block of the table is too short", block.offset);
  }
  return bytes.first(bytes.size() - 4 - 4 * count);
}

// Keys are written without what they share with the one before.
Result<std::vector<TableEntry>> TableReader::entries_of(const Block& block) {
  const auto bytes = without_restarts(block);
  if (!bytes) return std::unexpected(bytes.error());
  std::vector<TableEntry> entries;
  std::string key;
  Cursor in(*bytes);
  while (!in.at_end()) {
    const std::uint64_t at = block.is_inflated ? block.offset : block.offset + in.offset();
    const auto shared = varint(in);
    const auto rest = varint(in);
    const auto length = varint(in);
    const auto tail = rest && length ? in.take(*rest) : std::nullopt;
    const auto value = tail ? in.take(*length) : std::nullopt;
    if (!value || *shared > key.size()) return broken("an entry of the table is broken", at);
    key.resize(*shared);
    key += as_text(*tail);
    if (auto paid = charge(key.size() + sizeof(TableEntry)); !paid)
      return std::unexpected(paid.error());
    const std::uint64_t value_at = block.offset + in.offset() - value->size();
    entries.push_back({key, *value, block.is_inflated ? block.offset : value_at});
  }
  return entries;
}

// Blocks stand one behind the other; what lies between belongs to nobody.
void TableReader::cover(const Handle& handle) {
  if (handle.offset > covered_) {
    if (table_.gap_bytes == 0) table_.gap_offset = covered_;
    table_.gap_bytes = handle.offset - table_.gap_offset;
  }
  covered_ = handle.offset + handle.size + kTrailerBytes;
}

Result<Table> TableReader::read() {
  if (!is_table(file_)) return fail(ErrorCode::kWrongFormat, "no table of LevelDB");
  Cursor footer(file_.last(kFooterBytes));
  const auto meta = handle_of(footer);
  const auto index = handle_of(footer);
  if (!meta || !index) return broken("the footer of the table is broken", file_.size());
  const auto index_block = block(*index);
  if (!index_block) return std::unexpected(index_block.error());
  const auto handles = entries_of(*index_block);
  if (!handles) return std::unexpected(handles.error());
  for (const TableEntry& entry : *handles) {
    Cursor value(entry.value);
    const auto handle = handle_of(value);
    if (!handle || handle->offset < covered_) {
      return broken("the index of the table is broken", entry.offset);
    }
    const auto data = block(*handle);
    if (!data) return std::unexpected(data.error());
    cover(*handle);
    auto entries = entries_of(*data);
    if (!entries) return std::unexpected(entries.error());
    std::ranges::move(*entries, std::back_inserter(table_.entries));
  }
  for (const Handle& handle : {*meta, *index}) {
    const auto found = block(handle);
    if (!found) return std::unexpected(found.error());
    if (handle.offset < covered_) return broken("blocks of the table overlap", handle.offset);
    cover(handle);
  }
  cover({file_.size() - kFooterBytes, 0});
  const auto bad = std::ranges::adjacent_find(
      table_.entries, [](const TableEntry& a, const TableEntry& b) { return a.key >= b.key; });
  if (bad != table_.entries.end()) {
    return broken("the keys of the table are out of order", bad->offset);
  }
  return std::move(table_);
}

}  // namespace

bool is_table(ByteSpan bytes) {
  return bytes.size() >= kFooterBytes &&
         *Cursor(bytes, bytes.size() - 8).read<std::uint64_t>() == kMagic;
}

Result<Table> read_table(ByteSpan bytes) {
  return TableReader(bytes).read();
}

}  // namespace tare::format
