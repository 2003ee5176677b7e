// Tar archives: those of torch before 0.1.10, and models in other tars (.nemo). Format:
// docs/formats/tar.md.
#include <algorithm>
#include <set>

#include "archive/tar_reader.hpp"
#include "format/archive_names.hpp"
#include "format/format.hpp"
#include "format/members.hpp"
#include "format/torch_tar.hpp"

namespace tare::format {
namespace {

// Of members that torch reads, maybe with "./" in front.
const std::set<std::string, std::less<>> kTorchNames = {"storages",   "tensors",   "pickle",
                                                        "./storages", "./tensors", "./pickle"};

// torch looks for the names, and extracts whatever has them: links as well.
bool has_names_of_torch(const tar::Reader& archive) {
  return std::ranges::count_if(archive.members(), [](const tar::Member& member) {
           return kTorchNames.contains(member.name);
         }) >= 3;
}

// torch extracts its archives, and follows links.
NoteKind note_kind(tar::AnomalyKind kind, bool is_torch) {
  switch (kind) {
    case tar::AnomalyKind::kLink:
      return is_torch ? NoteKind::kExtraction : NoteKind::kAmbiguous;
    case tar::AnomalyKind::kSizeOutOfBounds:
    case tar::AnomalyKind::kNoEnd:
    case tar::AnomalyKind::kControlInName:
      return NoteKind::kDamaged;
    case tar::AnomalyKind::kAbsoluteName:
    case tar::AnomalyKind::kParentInName:
    case tar::AnomalyKind::kSpecialFile:
      return NoteKind::kExtraction;
    case tar::AnomalyKind::kTrailingBytes:
      return NoteKind::kTrailing;
    default:
      return NoteKind::kAmbiguous;
  }
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext& context) {
  const auto archive = tar::Reader::open(bytes);
  if (!archive) return std::unexpected(archive.error());
  if (is_torch_tar(*archive)) return read_torch_tar(*archive);
  std::vector<Member> members;
  for (const tar::Member& member : archive->members()) {
    if (!member.has_data()) continue;
    const auto content = archive->content(member);
    if (content) members.push_back({member.name, *content});
  }
  auto contents = contents_of_members(members, context);
  if (contents && contents->format.empty()) contents->format = "tar";
  return contents;
}

void add_member(const tar::Reader& archive, const tar::Member& member, ByteSpan bytes,
                PartList& list) {
  if (!member.has_data()) return;
  const auto content = archive.content(member);
  if (!content) {
    list.notes.push_back(
        {NoteKind::kUnreadable, member.header_offset, member.name, content.error().what});
    // Of a file with holes, what is not a hole.
    if (member.readable && member.size > 0) {
      list.parts.push_back({member.name, PartKind::kUnknown,
                            bytes.subspan(member.data_offset, member.size), member.data_offset});
    }
    return;
  }
  if (content->empty()) return;
  list.parts.push_back({member.name, kind_by_name(member.name), *content, member.data_offset});
}

// What stands behind the last member and the zeros at the end: whoever starts there reads it.
void add_rest(const tar::Reader& archive, ByteSpan bytes, PartList& list) {
  std::uint64_t end = 0;
  for (const tar::Member& member : archive.members()) {
    const std::uint64_t size = member.readable ? member.size : 0;
    end = std::max(end, member.data_offset + (size + 511) / 512 * 512);
  }
  const ByteSpan behind = bytes.subspan(std::min<std::uint64_t>(end, bytes.size()));
  const auto first = std::ranges::find_if(behind, [](std::byte b) { return b != std::byte{0}; });
  if (first == behind.end()) return;
  end = bytes.size() - static_cast<std::uint64_t>(behind.end() - first);
  list.parts.push_back({"", PartKind::kNested, bytes.subspan(end), end, end});
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  const auto archive = tar::Reader::open(bytes);
  if (!archive) return std::unexpected(archive.error());
  PartList list;
  const bool is_torch = is_torch_tar(*archive);
  const bool is_extracted = is_torch || has_names_of_torch(*archive);
  for (const tar::Anomaly& anomaly : archive->anomalies()) {
    const bool named = anomaly.member != tar::Reader::kNoMember;
    list.notes.push_back({note_kind(anomaly.kind, is_extracted), anomaly.offset,
                          named ? archive->members()[anomaly.member].name : std::string(),
                          tar::anomaly_text(anomaly.kind)});
  }
  if (is_torch) {
    list.format = "torch-tar";
    add_torch_tar_parts(*archive, list);
  }
  for (const tar::Member& member : archive->members()) {
    const bool may_be_read = is_torch && kTorchNames.contains(member.name);
    if (!may_be_read || !is_torch_member(*archive, member))
      add_member(*archive, member, bytes, list);
  }
  add_rest(*archive, bytes, list);
  return list;
}

}  // namespace

const Format kTar = {"tar", "a tar archive", tar::is_tar, list_parts, read_tensors};

}  // namespace tare::format
