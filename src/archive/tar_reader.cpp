#include "archive/tar_reader.hpp"

#include <algorithm>
#include <utility>

#include "archive/tar_header.hpp"
#include "io/checked.hpp"
#include "io/utf8.hpp"

namespace tare::tar {
namespace {

constexpr std::size_t kNameBytes = 100;  // of the field in a header
constexpr std::uint64_t kLargestOctalSize = (std::uint64_t{1} << 33) - 1;

bool is_zero(ByteSpan bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

MemberKind kind_of(char type) {
  switch (type) {
    case '0':
    case '\0':
    case '7':
      return MemberKind::kFile;
    case '1':
      return MemberKind::kHardLink;
    case '2':
      return MemberKind::kSymlink;
    case '3':
    case '4':
      return MemberKind::kDevice;
    case '5':
      return MemberKind::kDirectory;
    case '6':
      return MemberKind::kFifo;
    case 'S':
      return MemberKind::kSparse;
    default:
      return MemberKind::kUnknown;
  }
}

std::optional<AnomalyKind> anomaly_of(MemberKind kind) {
  switch (kind) {
    case MemberKind::kHardLink:
    case MemberKind::kSymlink:
      return AnomalyKind::kLink;
    case MemberKind::kDevice:
    case MemberKind::kFifo:
      return AnomalyKind::kSpecialFile;
    case MemberKind::kSparse:
      return AnomalyKind::kSparseFile;
    case MemberKind::kUnknown:
      return AnomalyKind::kUnknownType;
    default:
      return std::nullopt;
  }
}

// The parts of a path, without those that say nothing.
template <typename Visit>
void each_part(std::string_view path, const Visit& visit) {
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") visit(part);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
}

// Where an extraction would put it.
std::string normal_path(std::string_view path) {
  std::string out;
  each_part(path, [&](std::string_view part) { out.append("/").append(part); });
  return out;
}

bool has_parent(std::string_view path) {
  bool found = false;
  each_part(path, [&](std::string_view part) { found |= part == ".."; });
  return found;
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7F'; });
}

// What headers say about the members behind them.
struct Extension {
  std::optional<std::string_view> name;
  std::optional<std::string_view> link_target;
  std::optional<std::uint64_t> size;
  bool is_sparse = false;
  bool has_odd_number = false;
  bool has_broken_record = false;

  bool has_said() const { return name || link_target || size; }
  // What is there already counts.
  void complete_from(const Extension& later) {
    if (!name) name = later.name;
    if (!link_target) link_target = later.link_target;
    if (!size) size = later.size;
    is_sparse |= later.is_sparse;
  }
};

void apply_record(const PaxRecord& record, Extension& extension) {
  if (record.key == "path" || record.key == "GNU.sparse.name") {
    extension.name = record.value.substr(0, record.value.find_last_not_of('/') + 1);
  } else if (record.key == "linkpath") {
    extension.link_target = record.value;
  } else if (record.key == "size") {
    const auto size = python_int(record.value, 10);
    const bool is_size = size && !size->negative;
    extension.has_broken_record |= !is_size;
    extension.has_odd_number |= is_size && size->odd;
    extension.size = is_size ? size->magnitude : 0;  // what is no number is 0 for Python
  }
  extension.is_sparse |= record.key.starts_with("GNU.sparse.");
}

// Of equal keys in one header the last counts.
Extension read_pax(ByteSpan records) {
  Extension extension;
  Cursor cursor(records);
  while (!cursor.at_end() && records[cursor.offset()] != std::byte{0}) {
    const auto record = read_pax_record(cursor);
    if (!record) {
      extension.has_broken_record = true;
      break;
    }
    apply_record(*record, extension);
  }
  return extension;
}

Extension extension_of(char type, ByteSpan data) {
  Extension extension;
  if (type == 'L') {
    extension.name = text_field(data);
  } else if (type == 'K') {
    extension.link_target = text_field(data);
  } else {
    extension = read_pax(data);
  }
  return extension;
}

}  // namespace

const char* anomaly_text(AnomalyKind kind) {
  switch (kind) {
    case AnomalyKind::kAbsoluteName:
      return "the name is absolute: extracted, the member lands outside of the folder";
    case AnomalyKind::kParentInName:
      return "the name goes up with `..`: extracted, the member may land outside of the folder";
    case AnomalyKind::kDuplicateName:
      return "two members have the same name; readers differ in which one they open";
    case AnomalyKind::kControlInName:
      return "the name holds control bytes or a NUL";
    case AnomalyKind::kLink:
      return "the member is a link: extracted, it stands for another file";
    case AnomalyKind::kSpecialFile:
      return "the member is a device or a FIFO";
    case AnomalyKind::kSparseFile:
      return "the member is a sparse file, which some readers do not know";
    case AnomalyKind::kUnknownType:
      return "the type of the member is unknown; Python reads it as a file";
    case AnomalyKind::kSizeWithoutData:
      return "a member that has no data states a size; readers differ in where the next one is";
    case AnomalyKind::kNameDiffers:
      return "an extended header gives the member another name, which some readers do not see";
    case AnomalyKind::kSizeDiffers:
      return "an extended header gives the member another size, which some readers do not see";
    case AnomalyKind::kGlobalOverride:
      return "a global header names members or states sizes; readers differ in what that means";
    case AnomalyKind::kForeignPrefix:
      return "the header has a prefix that only some readers put before the name";
    case AnomalyKind::kOddNumber:
      return "a number in the header is written so that readers differ in its value";
    case AnomalyKind::kBadHeader:
      return "the header is damaged: Python ends the archive here, others search for the next one";
    case AnomalyKind::kBadPaxRecord:
      return "a record of an extended header is broken";
    case AnomalyKind::kLoneExtension:
      return "an extended header has no member behind it";
    case AnomalyKind::kLongExtension:
      return "an extended header goes on behind its size, where only some readers read on";
    case AnomalyKind::kSizeOutOfBounds:
      return "the data of the member reaches past the end of the archive";
    case AnomalyKind::kNoEnd:
      return "the archive does not end with two blocks of zeros: an incomplete download?";
    case AnomalyKind::kTrailingBytes:
      return "there are bytes behind the end of the archive";
  }
  return "";
}

bool is_tar(ByteSpan bytes) {
  if (bytes.size() < kBlockBytes) return false;
  const ByteSpan block = bytes.first(kBlockBytes);
  return parse_header(block).has_value() && !is_zero(block);
}

// One call of Reader::open().
class Listing {
 public:
  Listing(ByteSpan bytes, const Limits& limits) : reader_(bytes), limits_(limits), cursor_(bytes) {}

  Result<Reader> list() {
    while (!done_) {
      if (auto next = next_header(); !next) return std::unexpected(next.error());
    }
    check_names();
    std::ranges::stable_sort(reader_.anomalies_, {}, &Anomaly::offset);
    return std::move(reader_);
  }

 private:
  void note(AnomalyKind kind, std::uint64_t offset, std::size_t member = Reader::kNoMember) {
    reader_.anomalies_.push_back({kind, offset, member});
  }
  // Takes memory for names that are not in the header of a member.
  Result<void> charge(std::uint64_t bytes, std::uint64_t offset);
  // The list ends here, for this reason.
  void stop(AnomalyKind kind, std::uint64_t offset) {
    note(kind, offset);
    end();
  }
  void end() {
    if (pending_offset_) note(AnomalyKind::kLoneExtension, *pending_offset_);
    done_ = true;
  }

  Result<void> next_header();
  void read_end(std::uint64_t offset);
  Result<void> read_extension(const HeaderView& header, std::uint64_t offset);
  Result<void> read_member(const HeaderView& header, std::uint64_t offset);
  void name_member(const HeaderView& header, Member& member);
  void check_member(const HeaderView& header, const Member& member);
  void check_names();
  std::optional<ByteSpan> take_blocks(std::uint64_t size);

  Reader reader_;
  Limits limits_;
  Cursor cursor_;
  Extension pending_;                            // of the next member
  std::optional<std::uint64_t> pending_offset_;  // of the first header that is about it
  Extension global_;
  std::uint64_t header_bytes_ = 0;  // of extensions so far
  bool done_ = false;
};

Result<void> Listing::next_header() {
  const std::uint64_t offset = cursor_.offset();
  const auto block = cursor_.take(kBlockBytes);
  if (!block) {
    stop(AnomalyKind::kNoEnd, offset);
    return {};
  }
  if (is_zero(*block)) {
    read_end(offset);
    return {};
  }
  const auto header = parse_header(*block);
  if (!header) {
    stop(AnomalyKind::kBadHeader, offset);
    return {};
  }
  if (!pending_offset_) pending_offset_ = offset;
  if (std::string_view("LKxXg").find(header->type) != std::string_view::npos) {
    return read_extension(*header, offset);
  }
  return read_member(*header, offset);
}

// A block of zeros: a second one belongs to it, and nothing but zeros may follow.
void Listing::read_end(std::uint64_t offset) {
  const ByteSpan rest = reader_.bytes_.subspan(cursor_.offset());
  const auto other = std::ranges::find_if(rest, [](std::byte b) { return b != std::byte{0}; });
  const auto zeros = static_cast<std::uint64_t>(other - rest.begin());
  if (zeros < kBlockBytes) note(AnomalyKind::kNoEnd, offset);
  if (other != rest.end()) note(AnomalyKind::kTrailingBytes, cursor_.offset() + zeros);
  end();
}

// Data and what fills its last block up; the end of the file may cut that off.
std::optional<ByteSpan> Listing::take_blocks(std::uint64_t size) {
  if (size > cursor_.remaining()) return std::nullopt;
  const std::uint64_t fill = (kBlockBytes - size % kBlockBytes) % kBlockBytes;
  return cursor_.take(std::min(size + fill, cursor_.remaining()));
}

Result<void> Listing::charge(std::uint64_t bytes, std::uint64_t offset) {
  if (bytes > limits_.max_header_bytes - header_bytes_) {
    return fail(ErrorCode::kLimit, "the extended headers of the archive are too long", offset);
  }
  header_bytes_ += bytes;
  return {};
}

Result<void> Listing::read_extension(const HeaderView& header, std::uint64_t offset) {
  // Python reads all of the blocks, whatever the size says.
  const auto data = take_blocks(header.size);
  if (!data) {
    stop(AnomalyKind::kSizeOutOfBounds, offset);
    return {};
  }
  if (auto charged = charge(data->size(), offset); !charged) return charged;
  if (!is_zero(data->subspan(header.size))) note(AnomalyKind::kLongExtension, offset);
  const Extension extension = extension_of(header.type, *data);
  if (header.has_odd_number || extension.has_odd_number) note(AnomalyKind::kOddNumber, offset);
  if (extension.has_broken_record) note(AnomalyKind::kBadPaxRecord, offset);
  if (header.type != 'g') {
    pending_.complete_from(extension);
    return {};
  }
  if (extension.has_said()) note(AnomalyKind::kGlobalOverride, offset);
  if (extension.name) global_.name = extension.name;
  if (extension.link_target) global_.link_target = extension.link_target;
  return {};
}

Result<void> Listing::read_member(const HeaderView& header, std::uint64_t offset) {
  if (reader_.members_.size() == limits_.max_members) {
    return fail(ErrorCode::kLimit, "the archive has too many members", offset);
  }
  Member member;
  member.header_offset = *pending_offset_;
  member.kind = kind_of(header.type);
  if (header.type == '\0' && header.name.ends_with('/')) member.kind = MemberKind::kDirectory;
  for (bool more = member.kind == MemberKind::kSparse && header.has_more_holes; more;) {
    const auto map = cursor_.take(kBlockBytes);
    more = map && has_more_holes(*map);
  }
  if (member.kind == MemberKind::kFile && pending_.is_sparse) member.kind = MemberKind::kSparse;
  const std::uint64_t repeated =
      global_.name.value_or("").size() + global_.link_target.value_or("").size();
  if (auto charged = charge(repeated, offset); !charged) return charged;
  name_member(header, member);
  member.size = pending_.size.value_or(header.size);
  member.data_offset = cursor_.offset();
  check_member(header, member);
  const bool inside = !member.has_data() || take_blocks(member.size);
  member.readable = inside && member.has_data();
  pending_ = {};
  pending_offset_.reset();
  if (!inside) stop(AnomalyKind::kSizeOutOfBounds, member.header_offset);
  reader_.members_.push_back(std::move(member));
  return {};
}

void Listing::name_member(const HeaderView& header, Member& member) {
  member.name = header.name;
  if (!header.prefix.empty() && header.type != 'S') {
    member.name = std::string(header.prefix) + "/" + member.name;
  }
  member.link_target = header.link_target;
  if (global_.name) member.name = *global_.name;
  if (global_.link_target) member.link_target = *global_.link_target;
  if (pending_.name) member.name = *pending_.name;
  if (pending_.link_target) member.link_target = *pending_.link_target;
  if (member.kind == MemberKind::kDirectory) {
    member.name.resize(member.name.find_last_not_of('/') + 1);
  }
}

void Listing::check_member(const HeaderView& header, const Member& member) {
  const std::size_t index = reader_.members_.size();
  const auto note_if = [&](bool is_so, AnomalyKind kind) {
    if (is_so) note(kind, member.header_offset, index);
  };
  const auto special = anomaly_of(member.kind);
  if (special) note(*special, member.header_offset, index);
  note_if(member.name.starts_with('/'), AnomalyKind::kAbsoluteName);
  note_if(has_parent(member.name), AnomalyKind::kParentInName);
  note_if(has_control(member.name), AnomalyKind::kControlInName);
  note_if(header.has_odd_number, AnomalyKind::kOddNumber);
  note_if(!header.prefix.empty() && !header.is_posix, AnomalyKind::kForeignPrefix);
  note_if(!member.has_data() && member.size != 0, AnomalyKind::kSizeWithoutData);
  // Writers extend a header that cannot say it. What could have been said, and is not, is a trick.
  const bool fits = pending_.name && pending_.name->size() <= kNameBytes;
  if (fits && is_ascii(*pending_.name) && member.kind != MemberKind::kSparse) {
    note_if(normal_path(*pending_.name) != normal_path(header.name), AnomalyKind::kNameDiffers);
  }
  if (pending_.size && *pending_.size <= kLargestOctalSize && header.size != 0) {
    note_if(*pending_.size != header.size, AnomalyKind::kSizeDiffers);
  }
}

void Listing::check_names() {
  struct Key {
    std::string path;
    std::size_t index;
  };
  const auto& members = reader_.members_;
  std::vector<Key> keys;
  keys.reserve(members.size());
  for (std::size_t i = 0; i < members.size(); ++i)
    keys.push_back({normal_path(members[i].name), i});
  std::ranges::stable_sort(keys, {}, &Key::path);
  for (std::size_t i = 1; i < keys.size(); ++i) {
    if (keys[i].path != keys[i - 1].path) continue;
    const std::size_t index = keys[i].index;
    note(AnomalyKind::kDuplicateName, members[index].header_offset, index);
  }
}

Result<Reader> Reader::open(ByteSpan bytes, const Limits& limits) {
  if (!is_tar(bytes)) return fail(ErrorCode::kWrongFormat, "not a tar archive");
  return Listing(bytes, limits).list();
}

Result<ByteSpan> Reader::content(const Member& member) const {
  if (!member.has_data()) {
    return fail(ErrorCode::kUnsupported, "the member is no file", member.header_offset);
  }
  if (member.kind == MemberKind::kSparse) {
    return fail(ErrorCode::kUnsupported, "the member is a sparse file", member.header_offset);
  }
  if (!member.readable) {
    return fail(ErrorCode::kTruncated, "the archive ends before the data of the member does",
                member.header_offset);
  }
  return bytes_.subspan(member.data_offset, member.size);
}

}  // namespace tare::tar
