// 7z archives, and the models in them. Format: docs/formats/7z.md.
#include "archive/sevenzip_reader.hpp"
#include "format/archive_names.hpp"
#include "format/format.hpp"
#include "format/members.hpp"

namespace tare::format {
namespace {

using sevenzip::AnomalyKind;
using sevenzip::Content;
using sevenzip::Entry;
using sevenzip::Reader;

NoteKind note_kind(AnomalyKind kind) {
  switch (kind) {
    case AnomalyKind::kAbsoluteName:
    case AnomalyKind::kParentInName:
    case AnomalyKind::kSpecialFile:
    case AnomalyKind::kAntiItem:
      return NoteKind::kExtraction;
    case AnomalyKind::kControlInName:
    case AnomalyKind::kNoChecksum:
      return NoteKind::kDamaged;
    case AnomalyKind::kTrailingBytes:
      return NoteKind::kTrailing;
    default:
      return NoteKind::kAmbiguous;
  }
}

// The folders of an archive one after the other, within what may be decompressed.
class Folders {
 public:
  Folders(const Reader& archive, std::uint64_t budget) : archive_(archive), budget_(budget) {}

  // The content of the folder of an entry; valid until another is asked for. Errors: of the file
  // that it goes to.
  Result<Content*> of(const Entry& entry) {
    if (current_ && index_ == entry.folder) return &*current_;
    auto content = archive_.unpack(entry.folder, budget_);
    if (!content) return std::unexpected(content.error());
    // Coders that stand before others have written their share as well.
    if (content->unpacked) budget_ -= archive_.unpacked_size(entry.folder);
    index_ = entry.folder;
    current_ = std::move(*content);
    return &*current_;
  }
  std::uint64_t budget() const { return budget_; }

 private:
  const Reader& archive_;
  std::uint64_t budget_;
  std::size_t index_ = Entry::kNoFolder;
  std::optional<Content> current_;
};

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext& context) {
  const auto archive = Reader::open(bytes);
  if (!archive) return std::unexpected(archive.error());
  for (const auto& anomaly : archive->anomalies()) {
    if (anomaly.kind != AnomalyKind::kDuplicateName) continue;
    return fail(ErrorCode::kRefused, "the archive has two entries of one name", anomaly.offset);
  }
  Folders folders(*archive, context.inflate_left);
  std::vector<std::shared_ptr<Input>> owners;
  std::vector<Member> members;
  for (const Entry& entry : archive->entries()) {
    if (entry.folder == Entry::kNoFolder || entry.kind != sevenzip::EntryKind::kFile) continue;
    const auto content = folders.of(entry);
    if (!content) return std::unexpected(content.error());
    if (!(*content)->complete) return std::unexpected((*content)->complete.error());
    if ((*content)->unpacked) {
      owners.push_back(std::make_shared<Input>(std::move(*(*content)->unpacked)));
      (*content)->unpacked.reset();
    }
    const ByteSpan member = Reader::bytes_of(entry, **content);
    if (!Reader::crc_matches(entry, member)) {
      return fail(ErrorCode::kMismatch, "the checksum of an entry of the archive is wrong");
    }
    members.push_back({entry.name, member});
  }
  context.inflate_left = folders.budget();
  auto contents = contents_of_members(members, context);
  if (!contents) return contents;
  if (contents->format.empty()) contents->format = "7z";
  contents->owners.insert(contents->owners.end(), owners.begin(), owners.end());
  return contents;
}

void add_entry(const Entry& entry, const std::string& name, const Content& content,
               PartList& list) {
  const ByteSpan bytes = Reader::bytes_of(entry, content);
  if (bytes.size() < entry.size) {
    const char* const why = content.complete ? "the data of the entry is not in the archive"
                                             : content.complete.error().what;
    list.notes.push_back({NoteKind::kUnreadable, Error::kNoOffset, name, why});
  } else if (!Reader::crc_matches(entry, bytes)) {
    list.notes.push_back(
        {NoteKind::kDamaged, Error::kNoOffset, name, "the checksum of the entry is wrong"});
  }
  if (bytes.empty()) return;
  const std::uint64_t offset =
      content.offset == Error::kNoOffset ? content.offset : content.offset + entry.offset;
  list.parts.push_back({name, kind_by_name(name), bytes, offset});
}

// Of a folder that cannot be read, somebody may read its compressed data as it stands.
void add_packed(const Reader& archive, std::size_t folder, ByteSpan bytes, PartList& list) {
  const auto range = archive.packed_range(folder);
  if (!range || range->length == 0) return;
  list.parts.push_back({"folder " + std::to_string(folder), PartKind::kUnknown,
                        bytes.subspan(range->offset, range->length), range->offset});
}

Result<void> add_entries(const Reader& archive, ByteSpan bytes, ReadContext& context,
                         PartList& list) {
  Folders folders(archive, context.inflate_left);
  std::size_t last = Entry::kNoFolder;
  for (const Entry& entry : archive.entries()) {
    if (entry.folder == Entry::kNoFolder || entry.size == 0) continue;
    const auto content = folders.of(entry);
    if (!content) return std::unexpected(content.error());
    if ((*content)->unpacked) {
      list.unpacked.push_back(std::move(*(*content)->unpacked));
      (*content)->unpacked.reset();
    }
    if (!(*content)->complete && entry.folder != last) {
      add_packed(archive, entry.folder, bytes, list);
    }
    last = entry.folder;
    const bool is_hidden = entry.kind == sevenzip::EntryKind::kHidden;
    add_entry(entry, is_hidden ? "folder " + std::to_string(entry.folder) : entry.name, **content,
              list);
  }
  context.inflate_left = folders.budget();
  return {};
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext& context) {
  const auto archive = Reader::open(bytes);
  if (!archive) return std::unexpected(archive.error());
  PartList list;
  for (const auto& anomaly : archive->anomalies()) {
    const bool named = anomaly.entry != Reader::kNoEntry;
    list.notes.push_back({note_kind(anomaly.kind), anomaly.offset,
                          named ? archive->entries()[anomaly.entry].name : std::string(),
                          sevenzip::anomaly_text(anomaly.kind)});
  }
  const auto added = add_entries(*archive, bytes, context, list);
  if (!added) return std::unexpected(added.error());
  for (const Reader::Range gap : archive->gaps()) {
    list.parts.push_back(
        {"", PartKind::kNested, bytes.subspan(gap.offset, gap.length), gap.offset, gap.offset});
  }
  return list;
}

}  // namespace

const Format k7z = {"7z", "a 7z archive", sevenzip::is_7z, list_parts, read_tensors};

}  // namespace tare::format
