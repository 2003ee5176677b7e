#include "archive/sevenzip_reader.hpp"

#include <zlib.h>

#include <algorithm>

#include "archive/sevenzip_folder.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"
#include "io/utf8.hpp"

namespace tare::sevenzip {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSignature = "7z\xBC\xAF\x27\x1C"sv;
constexpr unsigned kMaxHeaders = 4;  // packed in each other

std::uint32_t crc_of(ByteSpan bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

using Range = Reader::Range;

// Where the packed streams are, in the archive. Nothing if one is not inside of it.
std::optional<std::vector<Range>> ranges_of(const Streams& streams, std::uint64_t archive_size) {
  std::vector<Range> ranges;
  ranges.reserve(streams.packed_size.size());
  std::optional<std::uint64_t> at = checked_add(streams.packed_offset, kSignatureBytes);
  for (const std::uint64_t size : streams.packed_size) {
    const auto end = at ? checked_add(*at, size) : std::nullopt;
    if (!end || *end > archive_size) return std::nullopt;
    ranges.push_back({*at, size});
    at = end;
  }
  return ranges;
}

std::vector<ByteSpan> packed_of(const Folder& folder, const std::vector<Range>& ranges,
                                ByteSpan bytes) {
  std::vector<ByteSpan> packed;
  for (std::size_t i = 0; i < folder.packed_inputs.size(); ++i) {
    const Range& range = ranges[folder.first_packed + i];
    packed.push_back(bytes.subspan(range.offset, range.length));
  }
  return packed;
}

// ---- names

struct Name {
  std::string text;  // UTF-8
  bool is_broken = false;
};

Name name_of(ByteSpan utf16) {
  Name name;
  Cursor in(utf16);
  while (const auto unit = in.read<std::uint16_t>()) {
    std::uint32_t point = *unit;
    if (point >= 0xD800 && point < 0xDC00) {
      Cursor ahead = in;
      const auto low = ahead.read<std::uint16_t>();
      if (low && *low >= 0xDC00 && *low < 0xE000) {
        point = 0x10000 + ((point - 0xD800) << 10) + (*low - 0xDC00U);
        in = ahead;
      }
    }
    if (point >= 0xD800 && point < 0xE000) {
      name.is_broken = true;
      point = 0xFFFD;
    }
    append_utf8(name.text, point);
  }
  return name;
}

bool is_separator(char c) {
  return c == '/' || c == '\\';
}

bool is_absolute(std::string_view name) {
  const bool has_drive = name.size() > 1 && name[1] == ':' &&
                         ((name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z'));
  return has_drive || (!name.empty() && is_separator(name[0]));
}

template <typename Visit>
void each_part(std::string_view path, const Visit& visit) {
  while (!path.empty()) {
    const auto end = std::ranges::find_if(path, is_separator);
    const auto length = static_cast<std::size_t>(end - path.begin());
    const std::string_view part = path.substr(0, length);
    if (!part.empty() && part != ".") visit(part);
    path.remove_prefix(std::min(length + 1, path.size()));
  }
}

bool has_parent(std::string_view path) {
  bool found = false;
  each_part(path, [&](std::string_view part) { found |= part == ".."; });
  return found;
}

std::string normal_path(std::string_view path) {
  std::string out;
  each_part(path, [&](std::string_view part) { out.append("/").append(part); });
  return out;
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7F'; });
}

// ---- attributes

EntryKind kind_of(const FileInfo& file) {
  constexpr std::uint32_t kWindowsDirectory = 0x10;
  constexpr std::uint32_t kReparsePoint = 0x400;
  constexpr std::uint32_t kHasUnixMode = 0x8000;
  constexpr std::uint32_t kTypeMask = 0xF000;
  if (file.is_anti) return EntryKind::kAnti;
  const std::uint32_t attributes = file.attributes.value_or(0);
  const std::uint32_t type = (attributes & kHasUnixMode) != 0 ? (attributes >> 16) & kTypeMask : 0;
  if (type == 0xA000) return EntryKind::kLink;
  if ((attributes & kReparsePoint) != 0) return EntryKind::kSpecial;
  const bool is_plain = type == 0 || type == 0x8000 || type == 0x4000;
  if (!is_plain) return EntryKind::kSpecial;
  if (file.has_stream) return EntryKind::kFile;
  const bool is_directory =
      !file.is_empty_file || type == 0x4000 || (attributes & kWindowsDirectory) != 0;
  return is_directory ? EntryKind::kDirectory : EntryKind::kFile;
}

struct AnomalyText {
  AnomalyKind kind;
  const char* text;
};
constexpr AnomalyText kTexts[] = {
    {AnomalyKind::kAbsoluteName, "the entry has an absolute name"},
    {AnomalyKind::kParentInName, "the name of the entry leads out of the folder"},
    {AnomalyKind::kDuplicateName, "two entries have one name"},
    {AnomalyKind::kBackslashInName, "a backslash in the name, which systems take differently"},
    {AnomalyKind::kControlInName, "control bytes in the name"},
    {AnomalyKind::kBadName, "a name that is no text"},
    {AnomalyKind::kNoName, "an entry without a name"},
    {AnomalyKind::kLink, "the entry is a link"},
    {AnomalyKind::kSpecialFile, "the entry is a device, a FIFO or a reparse point"},
    {AnomalyKind::kAntiItem, "an anti-item: extracting it deletes a file"},
    {AnomalyKind::kHiddenStream, "packed data that no entry is about"},
    {AnomalyKind::kNoChecksum, "data without a checksum"},
    {AnomalyKind::kOverlap, "packed streams or headers overlap"},
    {AnomalyKind::kHiddenBytes, "bytes that belong to no stream"},
    {AnomalyKind::kTrailingBytes, "bytes behind the archive"},
};

}  // namespace

const char* anomaly_text(AnomalyKind kind) {
  for (const AnomalyText& entry : kTexts) {
    if (entry.kind == kind) return entry.text;
  }
  return "";
}

bool is_7z(ByteSpan bytes) {
  return as_text(bytes).starts_with(kSignature);
}

std::optional<std::uint64_t> archive_size(ByteSpan bytes) {
  Cursor in(bytes, 8);
  const auto crc = in.read<std::uint32_t>();
  const auto offset = in.read<std::uint64_t>();
  const auto size = in.read<std::uint64_t>();
  if (!is_7z(bytes) || bytes.size() < kSignatureBytes || crc_of(bytes.subspan(12, 20)) != *crc) {
    return std::nullopt;
  }
  const std::uint64_t behind = bytes.size() - kSignatureBytes;
  if (*offset > behind || *size > behind - *offset) return std::nullopt;
  return kSignatureBytes + *offset + *size;
}

// One call of Reader::open().
class Opening {
 public:
  Opening(ByteSpan bytes, const Limits& limits) : limits_(limits) { reader_.bytes_ = bytes; }
  Result<Reader> open();

 private:
  Result<ByteSpan> next_header();
  Result<void> read_header(ByteSpan bytes);
  Result<std::vector<std::byte>> unpacked_header(const Streams& streams);
  Result<void> add_entries();
  void add_hidden(std::size_t folder, std::uint64_t first);
  void check(std::size_t index, bool is_broken);
  void check_names();
  void find_gaps();
  void note(AnomalyKind kind, std::uint64_t offset, std::size_t entry = Reader::kNoEntry) {
    reader_.anomalies_.push_back({kind, offset, entry});
  }
  std::unexpected<Error> failure(Error error) const {
    error.offset = header_offset_;
    return std::unexpected(error);
  }

  const Limits& limits_;
  Reader reader_;
  std::uint64_t header_offset_ = kSignatureBytes;
  std::vector<Range> used_ = {{0, kSignatureBytes}};
};

// The header behind the streams, packed or not; empty in an archive of nothing.
Result<ByteSpan> Opening::next_header() {
  const ByteSpan bytes = reader_.bytes_;
  if (!is_7z(bytes)) return fail(ErrorCode::kWrongFormat, "not a 7z archive");
  Cursor in(bytes, kSignature.size());
  const auto major = in.read<std::uint8_t>();
  in.take(1);
  const auto start_crc = in.read<std::uint32_t>();
  const auto offset = in.read<std::uint64_t>();
  const auto size = in.read<std::uint64_t>();
  const auto crc = in.read<std::uint32_t>();
  if (!crc) return fail(ErrorCode::kTruncated, "the 7z archive is cut off", bytes.size());
  if (*major != 0) return fail(ErrorCode::kUnsupported, "a 7z archive of an unknown version", 6);
  if (crc_of(bytes.subspan(12, 20)) != *start_crc) {
    return fail(ErrorCode::kMalformed, "the checksum of the start of the 7z archive is wrong", 8);
  }
  if (*size == 0) return ByteSpan();
  const std::uint64_t behind = bytes.size() - kSignatureBytes;
  if (*offset > behind || *size > behind - *offset) {
    return fail(ErrorCode::kTruncated, "the 7z archive is cut off", bytes.size());
  }
  header_offset_ = kSignatureBytes + *offset;
  used_.push_back({header_offset_, *size});
  const ByteSpan header = bytes.subspan(header_offset_, *size);
  if (crc_of(header) != *crc) {
    return fail(ErrorCode::kMalformed, "the checksum of the header is wrong", header_offset_);
  }
  return header;
}

Result<std::vector<std::byte>> Opening::unpacked_header(const Streams& streams) {
  const auto ranges = ranges_of(streams, reader_.bytes_.size());
  if (!ranges || streams.folders.empty()) {
    return fail(ErrorCode::kMalformed, "the header of the 7z archive is damaged");
  }
  used_.insert(used_.end(), ranges->begin(), ranges->end());
  const Folder& folder = streams.folders.front();
  const auto packed = packed_of(folder, *ranges, reader_.bytes_);
  const auto content = unpack_folder(folder, packed, limits_.max_header_bytes);
  if (!content) return std::unexpected(content.error());
  if (!content->complete) return std::unexpected(content->complete.error());
  if (folder.crc32 && *folder.crc32 != crc_of(content->bytes)) {
    return fail(ErrorCode::kMalformed, "the checksum of the header is wrong");
  }
  return std::vector<std::byte>(content->bytes.begin(), content->bytes.end());
}

Result<void> Opening::read_header(ByteSpan bytes) {
  for (unsigned i = 0; i < kMaxHeaders; ++i) {
    auto header = parse_header(bytes, limits_.header);
    if (!header) return failure(header.error());
    if (!header->is_packed) {
      reader_.header_ = std::move(*header);
      return {};
    }
    auto unpacked = unpacked_header(header->streams);
    if (!unpacked && unpacked.error().code == ErrorCode::kRefused) {
      return fail(ErrorCode::kUnsupported, "the header of the 7z archive is encrypted",
                  header_offset_);
    }
    if (!unpacked) return failure(unpacked.error());
    reader_.header_bytes_ = std::move(*unpacked);
    bytes = reader_.header_bytes_;
  }
  return fail(ErrorCode::kLimit, "the header of the 7z archive is packed too many times",
              header_offset_);
}

// Entries with data take the substreams in order.
Result<void> Opening::add_entries() {
  const Streams& streams = reader_.header_.streams;
  std::size_t folder = 0;
  std::uint64_t in_folder = 0;  // substreams of it that are taken
  std::uint64_t offset = 0;
  reader_.entries_.reserve(reader_.header_.files.size());
  for (const FileInfo& file : reader_.header_.files) {
    const Name name = name_of(file.name);
    Entry entry;
    entry.name = name.text;
    entry.kind = kind_of(file);
    if (file.has_stream) {
      while (folder < streams.folders.size() && in_folder == streams.folders[folder].files) {
        if (in_folder == 0) add_hidden(folder, 0);
        ++folder;
        in_folder = offset = 0;
      }
      if (folder == streams.folders.size()) {
        return failure({ErrorCode::kMalformed, 0, Error::kNoOffset,
                        "the 7z archive has more files than streams"});
      }
      const Substream& stream = streams.files[streams.folders[folder].first_file + in_folder];
      entry.size = stream.size;
      entry.crc32 = stream.crc32;
      entry.folder = folder;
      entry.offset = offset;
      offset += stream.size;
      ++in_folder;
    }
    reader_.entries_.push_back(std::move(entry));
    check(reader_.entries_.size() - 1, name.is_broken);
  }
  for (; folder < streams.folders.size(); ++folder, in_folder = 0) {
    if (in_folder < streams.folders[folder].files || streams.folders[folder].files == 0) {
      add_hidden(folder, in_folder);
    }
  }
  return {};
}

// The data of a folder from this substream on.
void Opening::add_hidden(std::size_t folder, std::uint64_t first) {
  const Streams& streams = reader_.header_.streams;
  Entry entry;
  entry.kind = EntryKind::kHidden;
  entry.folder = folder;
  for (std::uint64_t i = 0; i < first; ++i) {
    entry.offset += streams.files[streams.folders[folder].first_file + i].size;
  }
  const std::uint64_t size = streams.folders[folder].size();
  entry.size = size - std::min(size, entry.offset);
  reader_.entries_.push_back(std::move(entry));
  note(AnomalyKind::kHiddenStream, header_offset_, reader_.entries_.size() - 1);
}

void Opening::check(std::size_t index, bool is_broken) {
  const Entry& entry = reader_.entries_[index];
  const auto note_if = [&](bool is_so, AnomalyKind kind) {
    if (is_so) note(kind, header_offset_, index);
  };
  note_if(is_absolute(entry.name), AnomalyKind::kAbsoluteName);
  note_if(has_parent(entry.name), AnomalyKind::kParentInName);
  note_if(entry.name.find('\\') != std::string::npos, AnomalyKind::kBackslashInName);
  note_if(has_control(entry.name), AnomalyKind::kControlInName);
  note_if(is_broken, AnomalyKind::kBadName);
  note_if(entry.name.empty(), AnomalyKind::kNoName);
  note_if(entry.kind == EntryKind::kLink, AnomalyKind::kLink);
  note_if(entry.kind == EntryKind::kSpecial, AnomalyKind::kSpecialFile);
  note_if(entry.kind == EntryKind::kAnti, AnomalyKind::kAntiItem);
  note_if(entry.folder != Entry::kNoFolder && !entry.crc32 && entry.size != 0,
          AnomalyKind::kNoChecksum);
}

void Opening::check_names() {
  struct Key {
    std::string path;
    std::size_t index;
  };
  std::vector<Key> keys;
  for (std::size_t i = 0; i < reader_.entries_.size(); ++i) {
    if (reader_.entries_[i].kind == EntryKind::kHidden) continue;
    keys.push_back({normal_path(reader_.entries_[i].name), i});
  }
  std::ranges::stable_sort(keys, {}, &Key::path);
  for (std::size_t i = 1; i < keys.size(); ++i) {
    if (keys[i].path != keys[i - 1].path) continue;
    note(AnomalyKind::kDuplicateName, header_offset_, keys[i].index);
  }
}

void Opening::find_gaps() {
  std::erase_if(used_, [](const Range& range) { return range.length == 0; });
  std::ranges::stable_sort(used_, {}, &Range::offset);
  std::uint64_t end = 0;
  const auto add = [&](std::uint64_t begin, AnomalyKind kind) {
    if (begin <= end) return;
    note(kind, end);
    reader_.gaps_.push_back({end, begin - end});
  };
  for (const Range& range : used_) {
    if (range.offset < end) note(AnomalyKind::kOverlap, range.offset);
    add(range.offset, AnomalyKind::kHiddenBytes);
    end = std::max(end, range.offset + range.length);
  }
  add(reader_.bytes_.size(), AnomalyKind::kTrailingBytes);
}

Result<Reader> Opening::open() {
  const auto header = next_header();
  if (!header) return std::unexpected(header.error());
  if (!header->empty()) {
    if (auto read = read_header(*header); !read) return std::unexpected(read.error());
  }
  auto ranges = ranges_of(reader_.header_.streams, reader_.bytes_.size());
  if (!ranges) {
    return fail(ErrorCode::kTruncated, "packed data of the 7z archive is not in the file",
                header_offset_);
  }
  used_.insert(used_.end(), ranges->begin(), ranges->end());
  reader_.packed_ = std::move(*ranges);
  if (auto added = add_entries(); !added) return std::unexpected(added.error());
  check_names();
  find_gaps();
  std::ranges::stable_sort(reader_.anomalies_, {}, &Anomaly::offset);
  return std::move(reader_);
}

Result<Reader> Reader::open(ByteSpan bytes, const Limits& limits) {
  return Opening(bytes, limits).open();
}

std::optional<Reader::Range> Reader::packed_range(std::size_t folder) const {
  const Folder& packed = header_.streams.folders[folder];
  if (packed.packed_inputs.empty()) return std::nullopt;
  const Range& first = packed_[packed.first_packed];
  const Range& last = packed_[packed.first_packed + packed.packed_inputs.size() - 1];
  return Range{first.offset, last.offset + last.length - first.offset};
}

std::uint64_t Reader::unpacked_size(std::size_t folder) const {
  return bytes_written_by(header_.streams.folders[folder]);
}

Result<Content> Reader::unpack(std::size_t index, std::uint64_t max_output) const {
  const Folder& folder = header_.streams.folders[index];
  const auto packed = packed_of(folder, packed_, bytes_);
  auto content = unpack_folder(folder, packed, max_output);
  if (content && !content->unpacked && !content->bytes.empty()) {
    content->offset = packed_[folder.first_packed].offset;
  }
  return content;
}

ByteSpan Reader::bytes_of(const Entry& entry, const Content& content) {
  const std::uint64_t offset = std::min<std::uint64_t>(entry.offset, content.bytes.size());
  return content.bytes.subspan(offset,
                               std::min<std::uint64_t>(entry.size, content.bytes.size() - offset));
}

bool Reader::crc_matches(const Entry& entry, ByteSpan bytes) {
  return !entry.crc32 || *entry.crc32 == crc_of(bytes);
}

}  // namespace tare::sevenzip
