#include "archive/zip_reader.hpp"

#include <zlib.h>

#include <algorithm>
#include <optional>

#include "archive/decoder.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"

namespace tare::zip {
namespace {

constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50;
constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kDescriptorSignature = 0x08074b50;
constexpr std::uint32_t kZip64EndSignature = 0x06064b50;
constexpr std::uint32_t kZip64LocatorSignature = 0x07064b50;
constexpr std::uint64_t kLocalHeaderBytes = 30;
constexpr std::uint64_t kCentralHeaderBytes = 46;
constexpr std::uint64_t kEndRecordBytes = 22;
constexpr std::uint64_t kZip64LocatorBytes = 20;
constexpr std::uint64_t kZip64EndBytes = 56;
constexpr std::uint64_t kMaxCommentBytes = 65535;
constexpr std::uint16_t kZip64Extra = 0x0001;
constexpr std::uint16_t kUnicodeNameExtra = 0x7075;
constexpr std::uint16_t kFlagEncrypted = 0x0001;
constexpr std::uint16_t kFlagDescriptor = 0x0008;
constexpr std::uint16_t kFlagPatched = 0x0020;
constexpr std::uint16_t kFlagStrongEncryption = 0x0040;
constexpr std::uint16_t kFlagMaskedHeaders = 0x2000;
constexpr std::uint16_t kProtected =
    kFlagEncrypted | kFlagPatched | kFlagStrongEncryption | kFlagMaskedHeaders;

std::optional<std::uint32_t> signature_at(ByteSpan bytes, std::uint64_t offset) {
  return Cursor(bytes, offset).read<std::uint32_t>();
}

// Whether a whole signature of an end record stands in these bytes, four at least. Without
// branches, so that it becomes a loop over vectors.
bool has_end_signature(ByteSpan bytes) {
  const auto differs = [bytes](std::size_t i, unsigned char byte) {
    return bytes[i] ^ std::byte{byte};
  };
  const std::size_t count = bytes.size() - 3;
  std::byte found{};
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte any =
        differs(i, 0x50) | differs(i + 1, 0x4b) | differs(i + 2, 0x05) | differs(i + 3, 0x06);
    found |= any == std::byte{0} ? std::byte{1} : std::byte{0};
  }
  return found != std::byte{0};
}

// Where the last signature of an end record that begins in front of `end` does, if not below
// `lowest`. There are three more bytes from `end` on.
std::optional<std::uint64_t> last_end_signature(ByteSpan bytes, std::uint64_t lowest,
                                                std::uint64_t end) {
  constexpr std::uint64_t kBlock = 256;
  while (end > lowest) {
    const std::uint64_t begin = end - std::min(end - lowest, kBlock);
    if (has_end_signature(bytes.subspan(begin, end - begin + 3))) {
      while (signature_at(bytes, --end) != kEndSignature) continue;
      return end;
    }
    end = begin;
  }
  return std::nullopt;
}

// The body of the first extra field with this id.
std::optional<ByteSpan> find_extra(ByteSpan extra, std::uint16_t wanted) {
  Cursor fields(extra);
  while (fields.remaining() >= 4) {
    const std::uint16_t id = *fields.read<std::uint16_t>();
    const std::uint16_t length = *fields.read<std::uint16_t>();
    const auto body = fields.take(length);
    if (!body) return std::nullopt;
    if (id == wanted) return body;
  }
  return std::nullopt;
}

char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), to_lower);
  return text;
}

}  // namespace

const char* anomaly_text(AnomalyKind kind) {
  switch (kind) {
    case AnomalyKind::kDuplicateName:
      return "two entries have the same name; loaders differ in which one they read";
    case AnomalyKind::kCaseCollision:
      return "two names differ only in case; PyTorch compares names without case";
    case AnomalyKind::kLocalNameDiffers:
      return "the local header names another file than the central directory";
    case AnomalyKind::kLocalMethodDiffers:
      return "the local header states another compression method";
    case AnomalyKind::kLocalSizeDiffers:
      return "the local header states another size";
    case AnomalyKind::kLocalFlagsDiffer:
      return "the local header is marked encrypted, the central directory is not";
    case AnomalyKind::kCrcMismatch:
      return "the CRC-32 is wrong: Python refuses the entry, PyTorch loads it";
    case AnomalyKind::kEncrypted:
      return "the entry is marked encrypted or patched";
    case AnomalyKind::kUnknownMethod:
      return "the compression method is neither stored nor deflate";
    case AnomalyKind::kSizeOutOfBounds:
      return "the entry reaches past the end of the archive";
    case AnomalyKind::kBadLocalHeader:
      return "there is no local header where the directory says";
    case AnomalyKind::kOverlap:
      return "two entries share bytes";
    case AnomalyKind::kPrefixBytes:
      return "there are bytes before the first entry";
    case AnomalyKind::kSuffixBytes:
      return "there are bytes after the end of the archive";
    case AnomalyKind::kHiddenBytes:
      return "there are bytes between the entries that belong to none of them";
    case AnomalyKind::kSecondDirectory:
      return "there is more than one central directory; loaders differ in which one they read";
    case AnomalyKind::kDirectoryTruncated:
      return "the central directory has other entries than it declares";
    case AnomalyKind::kControlInName:
      return "the name holds control bytes or a NUL";
    case AnomalyKind::kCompressedTensor:
      return "tensor data is compressed: a memory-mapping loader would read other bytes";
    case AnomalyKind::kEndRecordsDiffer:
      return "the two end records describe different directories; loaders differ in their choice";
    case AnomalyKind::kUnicodeNameDiffers:
      return "an extra field gives the entry another name, which some readers use";
    case AnomalyKind::kDescriptorDiffers:
      return "the data descriptor differs from the central directory";
  }
  return "";
}

Result<Reader> Reader::open(ByteSpan bytes, const Limits& limits) {
  Reader reader(bytes, limits);
  if (auto found = reader.find_directory(); !found) return std::unexpected(found.error());
  const Directory& directory = *reader.directory_;
  if (auto read = reader.read_directory(directory); !read) return std::unexpected(read.error());
  if (limits.only_directory) return reader;
  for (std::size_t i = 0; i < reader.entries_.size(); ++i) reader.check_local_header(i);
  reader.check_names();
  reader.check_layout(directory);
  reader.drop_inner_directories();
  reader.mark_disputed();
  for (const Gap gap : reader.gaps_) reader.read_gap(gap);
  std::ranges::stable_sort(reader.anomalies_, {}, &Anomaly::offset);
  return reader;
}

bool Reader::is_directory_start(std::uint64_t offset, const Directory& directory) const {
  const auto end = checked_add(offset, directory.size);
  if (!end || *end > directory.end_offset) return false;
  if (directory.count == 0 && directory.size == 0) return true;
  return signature_at(bytes_, offset) == kCentralSignature;
}

// Reads the end record at a position, with its zip64 record if there is one. There are two ways to
// find the directory: PyTorch takes the offset as written; Python's zipfile takes the bytes in
// front of the end records, and counts all offsets from what follows of that (so that an archive
// may stand behind other bytes). An end record fits if either finds a central header.
void Reader::directory_at(std::uint64_t end_record) {
  Cursor cursor(bytes_, end_record);
  if (cursor.read<std::uint32_t>() != kEndSignature) return;
  if (cursor.remaining() < kEndRecordBytes - 4) return;
  cursor.take(6);  // disk numbers, entries on this disk
  const std::uint64_t count16 = *cursor.read<std::uint16_t>();
  const std::uint64_t size32 = *cursor.read<std::uint32_t>();
  const std::uint64_t offset32 = *cursor.read<std::uint32_t>();
  const std::uint64_t comment = *cursor.read<std::uint16_t>();
  Directory directory{};
  directory.offset = offset32;
  directory.size = size32;
  directory.count = count16;
  directory.end_offset = end_record;
  directory.end = std::min<std::uint64_t>(cursor.offset() + comment, bytes_.size());
  directory.records = end_record;
  directory.agrees = true;

  if (end_record >= kZip64LocatorBytes &&
      signature_at(bytes_, end_record - kZip64LocatorBytes) == kZip64LocatorSignature) {
    const std::uint64_t locator_offset = end_record - kZip64LocatorBytes;
    const auto declared = Cursor(bytes_, locator_offset + 8).read<std::uint64_t>();
    // Where the locator points, or right in front of it.
    for (const std::uint64_t at :
         {declared.value_or(bytes_.size()),
          locator_offset >= kZip64EndBytes ? locator_offset - kZip64EndBytes : bytes_.size()}) {
      Cursor zip64(bytes_, at);
      if (zip64.read<std::uint32_t>() != kZip64EndSignature || zip64.remaining() < 52) continue;
      zip64.take(28);
      directory.count = *zip64.read<std::uint64_t>();
      directory.size = *zip64.read<std::uint64_t>();
      directory.offset = *zip64.read<std::uint64_t>();
      directory.records = at;
      const auto same = [](std::uint64_t plain, std::uint64_t limit, std::uint64_t wide) {
        return plain == limit || plain == wide;
      };
      directory.agrees = same(count16, UINT16_MAX, directory.count) &&
                         same(size32, UINT32_MAX, directory.size) &&
                         same(offset32, UINT32_MAX, directory.offset);
      break;
    }
  }
  const bool as_written = is_directory_start(directory.offset, directory);
  if (as_written) add_directory(directory);
  if (directory.size > directory.records) return;
  const std::uint64_t in_front = directory.records - directory.size;
  if (in_front == directory.offset || !is_directory_start(in_front, directory)) return;
  // Two directories, and loaders that take either; of a second one offsets count from anywhere.
  if (in_front < directory.offset && !as_written) return;
  directory.base = in_front > directory.offset ? in_front - directory.offset : 0;
  directory.offset = in_front;
  add_directory(directory);
}

void Reader::add_directory(const Directory& directory) {
  if (!directory_) {
    directory_ = directory;
    return;
  }
  const bool same_end = directory.end_offset == directory_->end_offset;
  note(AnomalyKind::kSecondDirectory, same_end ? directory.offset : directory.end_offset);
  if (others_.size() <= kMaxOthers) others_.push_back(directory);
}

std::vector<Reader> Reader::others() const {
  std::vector<Reader> readers;
  for (const Directory& directory : others_) {
    if (readers.size() == kMaxOthers) break;
    Reader reader(bytes_, limits_);
    if (!reader.read_directory(directory)) continue;
    for (std::size_t i = 0; i < reader.entries_.size(); ++i) reader.check_local_header(i);
    readers.push_back(std::move(reader));
  }
  return readers;
}

Result<void> Reader::find_directory() {
  const std::uint64_t lowest = bytes_.size() > kEndRecordBytes + kMaxCommentBytes
                                   ? bytes_.size() - kEndRecordBytes - kMaxCommentBytes
                                   : 0;
  if (bytes_.size() >= kEndRecordBytes) {
    auto at = last_end_signature(bytes_, lowest, bytes_.size() - kEndRecordBytes + 1);
    for (; at; at = last_end_signature(bytes_, lowest, *at)) directory_at(*at);
  }
  if (directory_) return {};
  if (signature_at(bytes_, 0) == kLocalSignature) {
    return fail(ErrorCode::kTruncated,
                "starts like a zip archive but has no central directory: an incomplete download?",
                bytes_.size());
  }
  return fail(ErrorCode::kWrongFormat, "not a zip archive", 0);
}

Result<void> Reader::read_directory(const Directory& directory) {
  if (directory.count > limits_.max_entries) {
    return fail(ErrorCode::kLimit, "the archive declares too many entries", directory.end_offset);
  }
  base_ = directory.base;
  entries_.reserve(std::min(directory.count, directory.size / kCentralHeaderBytes));
  const std::uint64_t end = directory.offset + directory.size;
  Cursor cursor(bytes_.first(end), directory.offset);
  while (cursor.remaining() >= kCentralHeaderBytes) {
    if (entries_.size() >= limits_.max_entries) {
      return fail(ErrorCode::kLimit, "the archive holds too many entries", cursor.offset());
    }
    Entry entry;
    entry.central_offset = cursor.offset();
    if (cursor.read<std::uint32_t>() != kCentralSignature) break;
    cursor.take(4);  // versions
    entry.flags = *cursor.read<std::uint16_t>();
    entry.method = *cursor.read<std::uint16_t>();
    cursor.take(4);  // time and date
    entry.crc32 = *cursor.read<std::uint32_t>();
    const std::uint32_t stored32 = *cursor.read<std::uint32_t>();
    const std::uint32_t size32 = *cursor.read<std::uint32_t>();
    const std::uint16_t name_length = *cursor.read<std::uint16_t>();
    const std::uint16_t extra_length = *cursor.read<std::uint16_t>();
    const std::uint16_t comment_length = *cursor.read<std::uint16_t>();
    cursor.take(8);  // disk, attributes
    const std::uint32_t offset32 = *cursor.read<std::uint32_t>();
    const auto name = cursor.take(name_length);
    const auto extra = cursor.take(extra_length);
    if (!name || !extra || !cursor.take(comment_length)) {
      return fail(ErrorCode::kTruncated, "a central directory header is cut off",
                  entry.central_offset);
    }
    entry.name = as_text(*name);
    read_zip64_extra(entry, *extra, size32, stored32, offset32);
    entry.header_offset = checked_add(entry.header_offset, base_).value_or(UINT64_MAX);
    entries_.push_back(std::move(entry));
    check_unicode_name(*extra, entries_.size() - 1);
  }
  if (entries_.size() != directory.count || cursor.remaining() != 0) {
    note(AnomalyKind::kDirectoryTruncated, cursor.offset());
    add_gap(cursor.offset(), end);
  }
  return {};
}

void Reader::read_zip64_extra(Entry& entry, ByteSpan extra, std::uint32_t size32,
                              std::uint32_t stored32, std::uint32_t offset32) {
  entry.size = size32;
  entry.stored_size = stored32;
  entry.header_offset = offset32;
  Cursor values(find_extra(extra, kZip64Extra).value_or(ByteSpan()));
  if (size32 == UINT32_MAX) entry.size = values.read<std::uint64_t>().value_or(entry.size);
  if (stored32 == UINT32_MAX) {
    entry.stored_size = values.read<std::uint64_t>().value_or(entry.stored_size);
  }
  if (offset32 == UINT32_MAX) {
    entry.header_offset = values.read<std::uint64_t>().value_or(entry.header_offset);
  }
}

// Info-ZIP's Unicode path: version 1, the CRC-32 of the name that it replaces, the name as UTF-8.
void Reader::check_unicode_name(ByteSpan extra, std::size_t index) {
  const auto field = find_extra(extra, kUnicodeNameExtra);
  if (!field) return;
  const std::string_view name = as_text(field->subspan(std::min<std::size_t>(5, field->size())));
  if (name != entries_[index].name) {
    note(AnomalyKind::kUnicodeNameDiffers, entries_[index].central_offset, index);
  }
}

void Reader::check_local_header(std::size_t index) {
  Entry& entry = entries_[index];
  if ((entry.flags & kProtected) != 0) {
    note(AnomalyKind::kEncrypted, entry.central_offset, index);
  }
  if (entry.method != kStored && entry.method != kDeflated) {
    note(AnomalyKind::kUnknownMethod, entry.central_offset, index);
  }
  Cursor cursor(bytes_, entry.header_offset);
  if (entry.header_offset >= bytes_.size() || cursor.remaining() < kLocalHeaderBytes ||
      cursor.read<std::uint32_t>() != kLocalSignature) {
    note(AnomalyKind::kBadLocalHeader, entry.central_offset, index);
    return;
  }
  cursor.take(2);
  const std::uint16_t flags = *cursor.read<std::uint16_t>();
  const std::uint16_t method = *cursor.read<std::uint16_t>();
  cursor.take(8);  // time, date, CRC
  const std::uint32_t stored32 = *cursor.read<std::uint32_t>();
  const std::uint32_t size32 = *cursor.read<std::uint32_t>();
  const std::uint16_t name_length = *cursor.read<std::uint16_t>();
  const std::uint16_t extra_length = *cursor.read<std::uint16_t>();
  const auto name = cursor.take(name_length);
  const auto extra = cursor.take(extra_length);
  if (!name || !extra) {
    note(AnomalyKind::kBadLocalHeader, entry.header_offset, index);
    return;
  }
  check_unicode_name(*extra, index);
  if (as_text(*name) != entry.name) {
    note(AnomalyKind::kLocalNameDiffers, entry.header_offset, index);
  }
  if (method != entry.method) note(AnomalyKind::kLocalMethodDiffers, entry.header_offset, index);
  if (((flags ^ entry.flags) & kProtected) != 0) {
    note(AnomalyKind::kLocalFlagsDiffer, entry.header_offset, index);
  }
  // With bit 3 the sizes follow the data, and PyTorch writes 0 here. 0xFFFFFFFF points to the zip64
  // field, in which PyTorch writes the real size and 0.
  const bool descriptor = (flags & kFlagDescriptor) != 0;
  const bool deferred = descriptor && stored32 == 0 && size32 == 0;
  Cursor zip64(find_extra(*extra, kZip64Extra).value_or(ByteSpan()));
  const auto differs = [&](std::uint32_t local, std::uint64_t central) {
    return local == UINT32_MAX ? zip64.read<std::uint64_t>() != central : local != central;
  };
  const bool size_differs = differs(size32, entry.size);
  const bool torch_zip64 = descriptor && stored32 == 0 && size32 == UINT32_MAX;
  const bool stored_differs = !torch_zip64 && differs(stored32, entry.stored_size);
  if (!deferred && (size_differs || stored_differs)) {
    note(AnomalyKind::kLocalSizeDiffers, entry.header_offset, index);
  }
  entry.data_offset = cursor.offset();
  const bool same_size = deferred || (!size_differs && !stored_differs);
  if (!same_size || method != entry.method || as_text(*name) != entry.name) {
    note_other_reading(entry, flags, method, same_size ? entry.stored_size : stored32,
                       same_size ? entry.size : size32, as_text(*name));
  }
  if (entry.stored_size > cursor.remaining() ||
      (entry.method == kStored && entry.size != entry.stored_size)) {
    note(AnomalyKind::kSizeOutOfBounds, entry.central_offset, index);
    return;
  }
  entry.readable = true;
}

// What a reader takes from the local header: the bytes as far as there are any.
void Reader::note_other_reading(const Entry& entry, std::uint16_t flags, std::uint16_t method,
                                std::uint64_t stored, std::uint64_t size, std::string_view name) {
  Entry other = entry;
  // Many entries may share one local header, and so its name.
  if (local_name_bytes_ + name.size() <= bytes_.size()) other.name = name;
  local_name_bytes_ += name.size();
  other.flags = flags;
  other.method = method;
  other.stored_size = std::min(stored, bytes_.size() - entry.data_offset);
  other.size = method == kStored ? other.stored_size : size;
  other.readable = true;
  other.disputed = true;
  local_entries_.push_back(std::move(other));
}

void Reader::add_gap(std::uint64_t begin, std::uint64_t end) {
  if (begin < end) gaps_.push_back({begin, end - begin});
}

// Local headers in bytes that no directory lists.
void Reader::read_gap(Gap gap) {
  constexpr std::uint64_t kMost = std::uint64_t{64} << 20;
  gap.length = std::min(gap.length, kMost);
  const std::string_view text = as_text(bytes_.subspan(gap.offset, gap.length));
  for (auto at = text.find("PK\x03\x04"); at != std::string_view::npos;
       at = text.find("PK\x03\x04", at + 1)) {
    if (local_entries_.size() >= limits_.max_entries) return;
    Cursor cursor(bytes_.first(gap.offset + gap.length), gap.offset + at);
    const auto header = cursor.take(kLocalHeaderBytes);
    if (!header) return;
    Cursor fields(*header, 6);
    Entry entry;
    entry.flags = *fields.read<std::uint16_t>();
    entry.method = *fields.read<std::uint16_t>();
    fields.take(4);
    entry.crc32 = *fields.read<std::uint32_t>();
    const std::uint64_t stored = *fields.read<std::uint32_t>();
    const std::uint64_t size = *fields.read<std::uint32_t>();
    const auto name = cursor.take(*fields.read<std::uint16_t>());
    const auto extra = cursor.take(*fields.read<std::uint16_t>());
    if (!name || !extra) continue;
    entry.header_offset = gap.offset + at;
    entry.central_offset = entry.header_offset;
    entry.data_offset = cursor.offset();
    const bool is_known = stored != 0 && stored <= cursor.remaining();
    note_other_reading(entry, entry.flags, entry.method, is_known ? stored : cursor.remaining(),
                       size, as_text(*name));
    at = entry.data_offset - gap.offset - 1;
  }
}

// Entries that an anomaly is about.
void Reader::mark_disputed() {
  for (const Anomaly& anomaly : anomalies_) {
    if (anomaly.entry != kNoEntry) entries_[anomaly.entry].disputed = true;
  }
}

void Reader::check_names() {
  struct Key {
    std::string lower;
    std::size_t index;
  };
  std::vector<Key> keys;
  keys.reserve(entries_.size());
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    keys.push_back({lower_case(entries_[i].name), i});
    if (std::ranges::any_of(entries_[i].name,
                            [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
      note(AnomalyKind::kControlInName, entries_[i].central_offset, i);
    }
  }
  std::ranges::stable_sort(keys, {}, &Key::lower);
  for (std::size_t i = 1; i < keys.size(); ++i) {
    if (keys[i].lower != keys[i - 1].lower) continue;
    const std::size_t entry = keys[i].index;
    const bool same = entries_[entry].name == entries_[keys[i - 1].index].name;
    note(same ? AnomalyKind::kDuplicateName : AnomalyKind::kCaseCollision,
         entries_[entry].central_offset, entry);
    entries_[keys[i - 1].index].disputed = true;
  }
}

// A data descriptor: CRC-32 and both sizes of 4 or 8 bytes each, maybe behind a signature.
bool Reader::is_descriptor(const Entry& entry, ByteSpan gap) const {
  const bool is_signed = gap.size() == 16 || gap.size() == 24;
  if (!is_signed && gap.size() != 12 && gap.size() != 20) return false;
  Cursor cursor(gap);
  if (is_signed && cursor.read<std::uint32_t>() != kDescriptorSignature) return false;
  const auto crc = cursor.read<std::uint32_t>();
  const bool wide = gap.size() >= 20;
  const auto read_size = [&]() -> std::uint64_t {
    return wide ? *cursor.read<std::uint64_t>() : *cursor.read<std::uint32_t>();
  };
  const std::uint64_t stored = read_size();
  const std::uint64_t size = read_size();
  return crc == entry.crc32 && stored == entry.stored_size && size == entry.size;
}

// The entries, ordered by position, must cover everything up to the directory. What lies between
// the end of one entry's data and the next local header may be its data descriptor, nothing else.
void Reader::check_layout(const Directory& directory) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].readable) order.push_back(i);
  }
  std::ranges::stable_sort(order, {}, [this](std::size_t i) { return entries_[i].header_offset; });

  std::uint64_t end = 0;
  const Entry* last = nullptr;
  const auto check_gap = [&](std::uint64_t next) {
    if (next <= end) return;
    const ByteSpan gap = bytes_.subspan(end, next - end);
    if (last == nullptr) {
      note(AnomalyKind::kPrefixBytes, 0);
    } else if ((last->flags & kFlagDescriptor) == 0 || gap.size() > 24) {
      note(AnomalyKind::kHiddenBytes, end);
    } else if (!is_descriptor(*last, gap)) {
      note(AnomalyKind::kDescriptorDiffers, end);
    } else {
      return;
    }
    add_gap(end, next);
  };
  for (const std::size_t index : order) {
    const Entry& entry = entries_[index];
    if (entry.header_offset < end) {
      note(AnomalyKind::kOverlap, entry.header_offset, index);
    } else {
      check_gap(entry.header_offset);
    }
    last = &entry;
    end = std::max(end, entry.data_offset + entry.stored_size);
  }
  if (end > directory.offset) {
    note(AnomalyKind::kOverlap, directory.offset);
  } else {
    check_gap(directory.offset);
  }
  const std::uint64_t directory_end = directory.offset + directory.size;
  if (directory_end < directory.records) {
    note(AnomalyKind::kHiddenBytes, directory_end);
    add_gap(directory_end, directory.records);
  }
  add_gap(directory.end_offset + kEndRecordBytes, bytes_.size());  // the comment, and what follows
  if (!directory.agrees) note(AnomalyKind::kEndRecordsDiffer, directory.records);
  if (directory.end < bytes_.size()) note(AnomalyKind::kSuffixBytes, directory.end);
}

// An archive that is an entry of this one has a directory of its own, which no reader takes for
// that of the outer one: they all look from the end.
void Reader::drop_inner_directories() {
  const auto is_inner = [this](std::uint64_t offset) {
    return std::ranges::any_of(entries_, [offset](const Entry& entry) {
      return entry.readable && entry.method == kStored && offset >= entry.data_offset &&
             offset - entry.data_offset < entry.stored_size;
    });
  };
  std::erase_if(anomalies_, [&](const Anomaly& anomaly) {
    return anomaly.kind == AnomalyKind::kSecondDirectory && is_inner(anomaly.offset);
  });
  std::erase_if(others_, [&](const Directory& other) { return is_inner(other.end_offset); });
}

Result<ByteSpan> Reader::raw_bytes(const Entry& entry) const {
  if (!entry.readable) {
    return fail(ErrorCode::kMalformed, "the bytes of the entry are not inside the archive",
                entry.central_offset);
  }
  return bytes_.subspan(entry.data_offset, entry.stored_size);
}

Result<ByteSpan> Reader::stored_bytes(const Entry& entry) const {
  if (entry.method != kStored) {
    return fail(ErrorCode::kUnsupported, "the entry is compressed", entry.central_offset);
  }
  return raw_bytes(entry);
}

Result<std::vector<std::byte>> Reader::inflate(const Entry& entry) const {
  const auto raw = raw_bytes(entry);
  if (!raw) return std::unexpected(raw.error());
  if (entry.method == kStored) return std::vector<std::byte>(raw->begin(), raw->end());
  if (entry.method != kDeflated) {
    return fail(ErrorCode::kUnsupported, "the compression method is neither stored nor deflate",
                entry.central_offset);
  }
  if (entry.size > limits_.max_inflated_bytes ||
      entry.size / limits_.max_ratio > entry.stored_size) {
    return fail(ErrorCode::kLimit, "the entry would inflate beyond the limit",
                entry.central_offset);
  }
  std::vector<std::byte> out;
  out.reserve(entry.size);
  const DecodeLimits no_more{.max_output = entry.size, .max_ratio = UINT64_MAX};
  const auto decoded = decode(Codec::kDeflate, *raw, no_more, [&](ByteSpan piece) -> Result<void> {
    out.insert(out.end(), piece.begin(), piece.end());
    return {};
  });
  if (!decoded) {
    Error error = decoded.error();
    error.offset += entry.data_offset;
    if (error.code != ErrorCode::kLimit) return std::unexpected(error);
  }
  if (!decoded || out.size() != entry.size) {
    return fail(ErrorCode::kMismatch, "the entry inflates to another size than declared",
                entry.data_offset);
  }
  if (decoded->consumed != raw->size()) {
    return fail(ErrorCode::kMismatch, "bytes follow the end of the compressed data",
                entry.data_offset);
  }
  return out;
}

Result<ByteSpan> Reader::content(const Entry& entry, std::vector<std::byte>& inflated) const {
  if (entry.method == kStored) return stored_bytes(entry);
  auto bytes = inflate(entry);
  if (!bytes) return std::unexpected(bytes.error());
  inflated = std::move(*bytes);
  return inflated;
}

ByteSpan Reader::what_is_there(const Entry& entry, std::uint64_t limit,
                               std::vector<std::byte>& inflated) const {
  if (entry.data_offset == 0 || entry.data_offset >= bytes_.size()) return {};
  const std::uint64_t rest = bytes_.size() - entry.data_offset;
  const ByteSpan raw = bytes_.subspan(entry.data_offset, std::min(entry.stored_size, rest));
  if (entry.method != kDeflated) return raw;
  const DecodeLimits limits{.max_output = limit, .max_ratio = UINT64_MAX};
  const auto ignored = decode(Codec::kDeflate, raw, limits, [&](ByteSpan piece) -> Result<void> {
    inflated.insert(inflated.end(), piece.begin(), piece.end());
    return {};
  });
  static_cast<void>(ignored);  // what came before an error is what is there
  return inflated;
}

bool Reader::crc_matches(const Entry& entry, ByteSpan content) {
  const uLong crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
  return crc == entry.crc32;
}

}  // namespace tare::zip
