#include "tare/nesting.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "format/format.hpp"

namespace tare {
namespace {

using format::Format;
using format::Part;
using format::PartKind;
using format::PartList;

// Formats that consist of entries.
constexpr std::array kContainers = {&format::kProgram, &format::kTar, &format::k7z, &format::kZip,
                                    &format::kCompressed};

bool is_container(const Format* format) {
  return std::ranges::find(kContainers, format) != kContainers.end();
}

const char* kind_text(const Part& part) {
  switch (part.kind) {
    case PartKind::kPickle:
    case PartKind::kScriptPickle:
      return "pickle";
    case PartKind::kTorchScript:
      return "TorchScript source";
    case PartKind::kNativeCode:
      return "native code";
    case PartKind::kTensorData:
      return "tensor data";
    case PartKind::kPlainText:
      return "text";
    case PartKind::kHydraConfig:
      return "configuration in YAML";
    case PartKind::kMarManifest:
      return "manifest of TorchServe";
    default:
      return describe_content(part.bytes);
  }
}

// What stands in one file: an entry of `list` after the other.
struct Open {
  std::shared_ptr<PartList> list;
  std::size_t next = 0;
  unsigned depth = 0;        // of what stands in it
  std::uint64_t offset = 0;  // of the file
};

class Lister {
 public:
  explicit Lister(ByteSpan bytes)
      : context_(format::context_of(bytes)), views_left_(kMostViews * bytes.size()) {}

  Nesting run(ByteSpan bytes) {
    add_file({"", PartKind::kNested, bytes, 0}, 0, 0);
    while (!open_.empty() && !nesting_.is_cut) {
      Open& top = open_.back();
      if (top.next == top.list->parts.size()) {
        open_.pop_back();
      } else {
        step(top);
      }
    }
    return std::move(nesting_);
  }

 private:
  // Null if there is no room.
  NestedEntry* add(const std::string& name, unsigned depth) {
    nesting_.is_cut |= nesting_.entries.size() == Nesting::kMaxEntries;
    if (nesting_.is_cut) return nullptr;
    NestedEntry& entry = nesting_.entries.emplace_back();
    entry.name = name;
    entry.depth = depth;
    return &entry;
  }

  void step(Open& top) {
    const Part& part = top.list->parts[top.next++];
    const bool is_inside = part.offset != Error::kNoOffset && top.offset != Error::kNoOffset;
    const std::uint64_t offset = is_inside ? top.offset + part.offset : Error::kNoOffset;
    if (part.kind == PartKind::kNested) return add_file(part, top.depth, offset);
    // A program is the entry that it stands in.
    if (part.kind == PartKind::kProgram) return;
    NestedEntry* entry = add(part.path, top.depth);
    if (entry == nullptr) return;
    entry->what = kind_text(part);
    entry->size = part.bytes.size();
    entry->offset = offset;
    entry->not_opened = why_not(*top.list, part.path);
    if (part.kind != PartKind::kTensorData) return;
    while (top.next < top.list->parts.size() &&
           top.list->parts[top.next].kind == PartKind::kTensorData) {
      entry->size += top.list->parts[top.next++].bytes.size();
      ++entry->entries;
    }
  }

  static std::string why_not(const PartList& list, std::string_view name) {
    for (const format::Note& note : list.notes) {
      if (note.kind == format::NoteKind::kUnreadable && note.path == name) return note.text;
    }
    return "";
  }

  // A file, with all that its formats list in it.
  void add_file(const Part& part, unsigned depth, std::uint64_t offset) {
    const std::size_t index = nesting_.entries.size();
    if (add(part.path, depth) == nullptr) return;
    const auto formats = format::detect(part.bytes);
    std::string what;
    std::vector<Open> inside;
    const char* why = "";
    for (const Format* format : formats) {
      std::string_view name = format->name;
      if (is_container(format) && depth > format::kMaxDepth) {
        why = "files stand inside files more than 8 deep";
      } else if (is_container(format) && part.bytes.size() > views_left_) {
        why = "the files share more bytes than tare is willing to look at";
      } else if (is_container(format)) {
        views_left_ -= part.bytes.size();
        const std::uint64_t before = context_.inflate_left;
        auto list = format->list_parts(part.bytes, context_);
        views_left_ += kMostViews * (before - context_.inflate_left);
        if (!list) why = list.error().what;
        if (list) {
          auto kept = std::make_shared<PartList>(std::move(*list));
          if (!kept->format.empty()) name = kept->format;
          inside.push_back({kept, 0, depth + 1, offset});
        }
      }
      what += (what.empty() ? "" : " + ") + std::string(name);
    }
    NestedEntry& entry = nesting_.entries[index];
    entry.what = what.empty() ? describe_content(part.bytes) : what;
    entry.size = part.bytes.size();
    entry.offset = offset;
    entry.not_opened = why;
    if (!open_.empty() && entry.not_opened.empty()) {
      entry.not_opened = why_not(*open_.back().list, part.path);
    }
    for (const Open& open : inside) add_unread(*open.list, depth + 1);
    open_.insert(open_.end(), inside.rbegin(), inside.rend());
  }

  // Entries of which there is nothing but a note.
  void add_unread(const PartList& list, unsigned depth) {
    std::vector<std::string_view> known;
    known.reserve(list.parts.size());
    for (const Part& part : list.parts) known.push_back(part.path);
    std::ranges::sort(known);
    for (const format::Note& note : list.notes) {
      if (note.kind != format::NoteKind::kUnreadable) continue;
      if (std::ranges::binary_search(known, std::string_view(note.path))) continue;
      NestedEntry* entry = add(note.path, depth);
      if (entry == nullptr) return;
      entry->not_opened = note.text;
    }
  }

  // Archives whose entries overlap multiply their bytes; honest ones hand them on once at a level.
  static constexpr std::uint64_t kMostViews = std::uint64_t{4} * format::kMaxDepth;

  format::ReadContext context_;
  std::uint64_t views_left_;
  std::vector<Open> open_;
  Nesting nesting_;
};

}  // namespace

Result<Nesting> list_nesting(ByteSpan bytes) {
  const auto formats = format::detect(bytes);
  if (std::ranges::none_of(formats, is_container)) {
    return fail(ErrorCode::kWrongFormat, describe_content(bytes));
  }
  return Lister(bytes).run(bytes);
}

}  // namespace tare
