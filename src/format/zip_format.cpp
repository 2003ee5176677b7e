// Zip archives: those of torch are read as models (torch_archive.hpp); of all of them every entry
// is listed, so that the scanner sees it.
#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_set>

#include "archive/tar_reader.hpp"
#include "archive/zip_reader.hpp"
#include "format/archive_names.hpp"
#include "format/format.hpp"
#include "format/members.hpp"
#include "format/npy.hpp"
#include "format/object_contents.hpp"
#include "format/program.hpp"
#include "format/torch_archive.hpp"
#include "format/torch_export.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

// What all compressed entries of an archive may inflate to together. torch.save compresses nothing,
// torch.jit.save only source code: this is far more than any of them needs.
constexpr std::uint64_t kMaxInflatedBytes = std::uint64_t{256} << 20;
// Where archives of torch keep tensors.
constexpr std::string_view kData = "data/";
constexpr std::string_view kConstants = "constants/";

bool recognises(ByteSpan bytes) {
  const auto signature = Cursor(bytes).read<std::uint32_t>();
  if (signature == 0x04034b50 || signature == 0x06054b50) return true;
  // An archive behind other bytes: readers that look from the end find it. In a tar archive it is a
  // member, and read as that.
  return !tar::is_tar(bytes) && zip::Reader::open(bytes).has_value();
}

NoteKind note_kind(zip::AnomalyKind kind) {
  switch (kind) {
    case zip::AnomalyKind::kCrcMismatch:
    case zip::AnomalyKind::kEncrypted:
    case zip::AnomalyKind::kUnknownMethod:
    case zip::AnomalyKind::kSizeOutOfBounds:
    case zip::AnomalyKind::kBadLocalHeader:
    case zip::AnomalyKind::kDirectoryTruncated:
    case zip::AnomalyKind::kControlInName:
      return NoteKind::kDamaged;
    case zip::AnomalyKind::kSuffixBytes:
      return NoteKind::kTrailing;
    default:
      return NoteKind::kAmbiguous;
  }
}

// A model of Keras 3: its configuration and its weights (docs/formats/keras.md).
bool is_keras(const zip::Reader& archive) {
  const auto has = [&archive](std::string_view name) {
    return std::ranges::find(archive.entries(), name, &zip::Entry::name) != archive.entries().end();
  };
  return has("config.json") && has("metadata.json") &&
         (has("model.weights.h5") || has("model.weights.npz"));
}

// The contents of all entries that are files; what is compressed is kept by `owner`.
Result<std::vector<Member>> members_of(const zip::Reader& archive, ReadContext& context,
                                       std::deque<std::vector<std::byte>>& owner) {
  std::vector<Member> members;
  for (const zip::Entry& entry : archive.entries()) {
    if (entry.is_directory() || entry.size == 0) continue;
    if (entry.method != zip::kStored) {
      if (entry.size > context.inflate_left) {
        return fail(ErrorCode::kLimit, "the archive inflates to more than tare is willing to hold",
                    entry.central_offset);
      }
      context.inflate_left -= entry.size;
    }
    const auto content = archive.content(entry, owner.emplace_back());
    if (content) members.push_back({entry.name, *content});
  }
  return members;
}

// An archive that is none of torch's: arrays of numpy, or files that may be models themselves.
Result<ModelContents> read_members(const zip::Reader& archive, ReadContext& context) {
  // Which of two entries a loader takes is its own affair.
  for (const auto& anomaly : archive.anomalies()) {
    if (anomaly.kind != zip::AnomalyKind::kDuplicateName) continue;
    return fail(ErrorCode::kRefused, "the archive has two entries of one name", anomaly.offset);
  }
  const auto owner = std::make_shared<std::deque<std::vector<std::byte>>>();
  const auto members = members_of(archive, context, *owner);
  if (!members) return std::unexpected(members.error());
  std::vector<std::string> names;
  for (const Member& member : *members) names.push_back(member.name);
  auto contents =
      is_npz(names) ? contents_of_npz(*members) : contents_of_members(*members, context);
  if (!contents) return contents;
  if (contents->format.empty()) contents->format = is_keras(archive) ? "keras" : "zip";
  contents->owners.push_back(owner);
  return contents;
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext& context) {
  auto archive = zip::Reader::open(bytes);
  if (!archive) return std::unexpected(archive.error());
  if (kind_of_archive(*archive) == ArchiveKind::kOther) return read_members(*archive, context);
  return read_torch_archive(std::move(*archive), context);
}

// ---- parts

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Records of plain text that torch writes, with what they may contain.
bool is_known_text(std::string_view name, std::string_view content) {
  if (name == "version" || name == ".data/version") {
    return content.ends_with('\n') && is_digits(content.substr(0, content.size() - 1));
  }
  if (name == ".data/python_version" || name == ".data/extern_modules") {
    return std::ranges::all_of(content, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '_' || c == '.' || c == '\n';
    });
  }
  if (name == "byteorder") return content == "little" || content == "big";
  if (name == "archive_format") return content == "pt2";
  if (name == ".format_version" || name == ".storage_alignment" ||
      name == ".data/serialization_id" || name == "archive_version") {
    return is_digits(content);
  }
  return false;
}

// The loader of AOTInductor looks for its folder anywhere in a name, in any archive. Pickles are
// looked into all the same.
bool is_native(std::string_view name) {
  const std::string lower = lower_case(name);
  if (lower.ends_with(".pkl")) return false;
  return lower.find("aotinductor/") != std::string::npos ||
         lower.find("aotinductor\\") != std::string::npos;
}

// Keys of the storages that the pickle refers to.
void collect_storage_keys(const pickle::Run& run, std::unordered_set<std::string>& keys) {
  for (const auto& event : run.events) {
    if (event.kind != pickle::EventKind::kPersistentLoad) continue;
    if (const auto id = object::read_storage_id(run.graph, event.subject)) keys.emplace(id->key);
  }
}

// The shortest part of each name, in lower case: PyTorch takes a record in any case, and which of
// several it takes is its own affair.
using PartBytes = std::unordered_map<std::string, ByteSpan>;

PartBytes bytes_by_name(const std::vector<Part>& parts) {
  PartBytes names;
  for (const Part& part : parts) {
    const auto [known, added] = names.try_emplace(lower_case(part.path), part.bytes);
    if (!added && part.bytes.size() < known->second.size()) known->second = part.bytes;
  }
  return names;
}

// The storages of a pickle wherever some loader would look for them: torch.load and torch.jit.load
// in a folder with the name of the pickle, data/ or constants/; torch.package in one for all.
class AnyStorages : public object::Externals {
 public:
  // `folder` and `pickle`: in lower case.
  AnyStorages(const PartBytes& parts, const std::string& folder, std::string_view pickle)
      : parts_(parts),
        beside_(std::string(pickle.substr(0, pickle.rfind('.'))) + '/'),
        packaged_(folder + ".data/"),
        data_(folder + std::string(kData)),
        constants_(folder + std::string(kConstants)),
        traced_(folder + "traced_inputs/") {}

  Result<object::Storage> storage(const object::StorageId& id) override {
    // Names are put together for every key, so they are bounded.
    if (beside_.size() + constants_.size() > kMaxFolders) {
      return fail(ErrorCode::kLimit, "the names of the records are too long");
    }
    const auto known = found_.find(id.key);
    if (known != found_.end()) return known->second;
    return found_.emplace(id.key, find(lower_case(id.key))).first->second;
  }

 private:
  static constexpr std::size_t kMaxFolders = 1000;  // PyTorch takes names of up to 512 bytes

  Result<object::Storage> find(const std::string& key) const {
    auto shortest = shortest_of({beside_ + key, packaged_ + key + ".storage"});
    // Where other pickles than these two have their storages, nobody knows.
    const bool is_known = beside_ == data_ || beside_ == constants_;
    if (!shortest || !is_known) {
      shortest =
          shortest_of({beside_ + key, packaged_ + key + ".storage", data_ + key, constants_ + key});
    }
    if (!shortest) return fail(ErrorCode::kNotFound, "the storage has no record");
    // torch.jit.save leaves the elements of the inputs out; only their shapes are of use.
    if (shortest->empty() && beside_ == traced_) {
      return fail(ErrorCode::kNotFound,
                  "the inputs that a module was traced with have no elements");
    }
    return object::Storage{*shortest, false, ""};
  }
  std::optional<ByteSpan> shortest_of(std::initializer_list<std::string> names) const {
    std::optional<ByteSpan> shortest;
    for (const std::string& name : names) {
      const auto found = parts_.find(name);
      if (found == parts_.end()) continue;
      if (!shortest || found->second.size() < shortest->size()) shortest = found->second;
    }
    return shortest;
  }

  const PartBytes& parts_;
  std::string beside_;  // the folder with the name of the pickle
  std::string packaged_;
  std::string data_;
  std::string constants_;
  std::string traced_;
  std::unordered_map<std::string, Result<object::Storage>> found_;  // by key
};

class PartLister {
 public:
  PartLister(const zip::Reader& archive, ByteSpan bytes, ReadContext& context)
      : archive_(archive),
        bytes_(bytes),
        kind_(kind_of_archive(archive)),
        folder_(folder_of(archive)),
        is_program_(*program_text(bytes) != '\0'),
        context_(context),
        inflate_budget_(std::min(kMaxInflatedBytes, context.inflate_left)),
        stored_budget_(3 * bytes.size()) {}

  PartList list();

 private:
  void add_entries(const zip::Reader& archive);
  void add_entry(const zip::Reader& archive, const zip::Entry& entry);
  void add_other_readings();
  void add_gaps();
  void add_content(const zip::Entry& entry, ByteSpan content, std::uint64_t offset);
  std::optional<ByteSpan> content_of(const zip::Reader& archive, const zip::Entry& entry);
  ByteSpan rest_of(const zip::Reader& archive, const zip::Entry& entry);
  void note_unreadable(const zip::Entry& entry, const char* why) {
    list_.notes.push_back({NoteKind::kUnreadable, entry.central_offset, entry.name, why});
  }
  PartKind classify_pickle(ByteSpan content) const;
  PartKind classify(std::string_view name, ByteSpan content) const;
  void note_references();
  bool has_no_elements(const Part& pickle) const;
  void check_pickle(const Part& part);
  bool is_of_storage(std::string_view name) const;
  bool is_elements(std::string_view name) const;
  std::string_view inner_name(const Part& part) const;

  const zip::Reader& archive_;
  ByteSpan bytes_;
  ArchiveKind kind_;
  std::string folder_;
  bool is_program_;  // a program stands in front
  ReadContext& context_;
  std::uint64_t inflate_budget_;
  // Entries that do not overlap use at most the size of the archive.
  std::uint64_t stored_budget_;
  PartBytes by_name_;
  std::unordered_set<std::string> keys_;  // of the storages that pickles refer to
  ExportRecords exported_;
  PartList list_;
};

PartKind PartLister::classify(std::string_view name, ByteSpan content) const {
  const std::string lower = lower_case(name);
  const bool is_code = lower.starts_with("code/") && lower.ends_with(".py");
  // The sources of torch.package are Python, wherever they stand.
  if (is_code && kind_ != ArchiveKind::kTorchPackage) return PartKind::kTorchScript;
  if (lower.ends_with(".pkl")) return classify_pickle(content);
  if (is_known_text(name, as_text(content))) return PartKind::kPlainText;
  // The name may have lost the folder that all entries are in.
  const PartKind by_name = kind_by_name(folder_ + std::string(name));
  if (by_name != PartKind::kNested) return by_name;
  // A model inside of the archive, a pickle among them.
  return detect(content).empty() ? PartKind::kUnknown : PartKind::kNested;
}

// A file of the name of a pickle: that, unless it is something else as well.
PartKind PartLister::classify_pickle(ByteSpan content) const {
  const auto formats = detect(content);
  const bool is_other = std::ranges::any_of(formats, [](const Format* f) { return f != &kPickle; });
  if (is_other) return PartKind::kNested;
  return kind_ == ArchiveKind::kTorchScript ? PartKind::kScriptPickle : PartKind::kPickle;
}

// The bytes of an entry, within what may be spent on all of them.
std::optional<ByteSpan> PartLister::content_of(const zip::Reader& archive,
                                               const zip::Entry& entry) {
  const bool is_deflated = entry.method == zip::kDeflated;
  std::uint64_t& budget = is_deflated ? inflate_budget_ : stored_budget_;
  if ((is_deflated ? entry.size : entry.stored_size) > budget) {
    note_unreadable(entry, is_deflated
                               ? "the archive inflates to more than tare is willing to hold"
                               : "the entries share more bytes than tare is willing to look at");
    return std::nullopt;
  }
  if (!is_deflated) {
    const auto stored = archive.raw_bytes(entry);
    if (stored) {
      budget -= stored->size();
      return *stored;
    }
    note_unreadable(entry, stored.error().what);
    return rest_of(archive, entry);
  }
  auto inflated = archive.inflate(entry);
  if (inflated) {
    budget -= inflated->size();
    return ByteSpan(list_.inflated.emplace_back(std::move(*inflated)));
  }
  note_unreadable(entry, inflated.error().what);
  return rest_of(archive, entry);
}

// A reader that does not check sees as much as there is.
ByteSpan PartLister::rest_of(const zip::Reader& archive, const zip::Entry& entry) {
  auto& inflated = list_.inflated.emplace_back();
  const ByteSpan rest = archive.what_is_there(entry, inflate_budget_, inflated);
  inflate_budget_ -= std::min<std::uint64_t>(inflate_budget_, inflated.size());
  if (!inflated.empty()) return rest;
  if (rest.size() > stored_budget_) return {};
  stored_budget_ -= rest.size();
  return rest;
}

void PartLister::add_entry(const zip::Reader& archive, const zip::Entry& entry) {
  if (entry.is_directory() && entry.size == 0 && entry.stored_size == 0) return;
  const auto content = content_of(archive, entry);
  // Of an entry that cannot be read, a note stands there.
  if (!content || (content->empty() && entry.size > 0)) return;
  add_content(entry, *content,
              entry.method == zip::kDeflated ? Error::kNoOffset : entry.data_offset);
}

void PartLister::add_content(const zip::Entry& entry, ByteSpan content, std::uint64_t offset) {
  std::string_view name = entry.name;
  if (name.starts_with(folder_)) name.remove_prefix(folder_.size());
  const bool is_data = is_of_storage(name) && !entry.disputed;
  // The CRC of everything but bulk data: a wrong one makes Python refuse what torch loads.
  const PartKind kind = is_native(entry.name) ? PartKind::kNativeCode
                        : is_data             ? PartKind::kTensorData
                                              : classify(name, content);
  if (kind != PartKind::kTensorData && !zip::Reader::crc_matches(entry, content)) {
    list_.notes.push_back({NoteKind::kDamaged, entry.central_offset, entry.name,
                           zip::anomaly_text(zip::AnomalyKind::kCrcMismatch)});
  }
  if (kind == PartKind::kTensorData && entry.method != zip::kStored) {
    list_.notes.push_back({NoteKind::kDamaged, entry.central_offset, entry.name,
                           zip::anomaly_text(zip::AnomalyKind::kCompressedTensor)});
  }
  list_.parts.push_back({entry.name, kind, content, offset});
}

void PartLister::add_entries(const zip::Reader& archive) {
  for (const zip::Entry& entry : archive.entries()) add_entry(archive, entry);
}

// What readers see that take another directory, or the local headers.
void PartLister::add_other_readings() {
  const auto others = archive_.others();
  using Key = std::tuple<std::uint64_t, std::uint64_t, std::uint16_t, std::string_view>;
  const auto key_of = [](const zip::Entry& entry) {
    return Key(entry.data_offset, entry.size, entry.method, entry.name);
  };
  std::set<Key> known;
  for (const zip::Entry& entry : archive_.entries()) {
    if (!others.empty()) known.insert(key_of(entry));
  }
  for (const zip::Reader& other : others) {
    for (const zip::Entry& entry : other.entries()) {
      if (!known.insert(key_of(entry)).second) continue;
      zip::Entry disputed = entry;
      disputed.disputed = true;
      add_entry(other, disputed);
    }
  }
  if (archive_.has_more_others()) {
    list_.notes.push_back({NoteKind::kUnreadable, 0, "",
                           "the archive has more directories than tare is willing to look at"});
  }
  for (const zip::Entry& entry : archive_.local_entries()) {
    const ByteSpan content = rest_of(archive_, entry);
    const bool is_inflated = entry.method == zip::kDeflated;
    if (content.empty()) continue;
    list_.parts.push_back({entry.name, classify(entry.name, content), content,
                           is_inflated ? Error::kNoOffset : entry.data_offset});
  }
}

// What belongs to nothing: a file of its own for a reader that starts there.
void PartLister::add_gaps() {
  for (const zip::Reader::Gap gap : archive_.gaps()) {
    // A program in front of the archive is told as that.
    const std::uint64_t program = gap.offset == 0 && is_program_ ? program_end(bytes_) : 0;
    const std::uint64_t offset = std::min(gap.offset + program, gap.offset + gap.length);
    const ByteSpan bytes = bytes_.subspan(offset, gap.offset + gap.length - offset);
    if (bytes.empty() || (gap.offset == 0 && is_program_ && program == 0)) continue;
    // A header of an entry makes no archive: the entry is listed.
    const bool is_entry = as_text(bytes).starts_with("PK\x03\x04") && !zip::Reader::open(bytes);
    list_.parts.push_back(
        {"", is_entry ? PartKind::kUnknown : PartKind::kNested, bytes, offset, offset});
  }
}

PartList PartLister::list() {
  for (const auto& anomaly : archive_.anomalies()) {
    if (anomaly.kind == zip::AnomalyKind::kPrefixBytes && is_program_) continue;
    const bool named = anomaly.entry != zip::Reader::kNoEntry;
    list_.notes.push_back({note_kind(anomaly.kind), anomaly.offset,
                           named ? archive_.entries()[anomaly.entry].name : std::string(),
                           zip::anomaly_text(anomaly.kind)});
  }
  add_entries(archive_);

  // A record under data/ is tensor data only if a pickle of this archive refers to it, or a list of
  // torch.export; otherwise it is whatever its bytes are.
  note_references();
  for (Part& part : list_.parts) {
    if (part.kind != PartKind::kTensorData) continue;
    if (!is_elements(inner_name(part))) part.kind = classify(part.path, part.bytes);
  }
  add_other_readings();
  add_gaps();
  for (const auto& inflated : list_.inflated) {
    context_.inflate_left -= std::min<std::uint64_t>(context_.inflate_left, inflated.size());
  }
  return std::move(list_);
}

// torch.jit.save writes the inputs that a module was traced with, and leaves their elements out:
// only their shapes are of use (torch.jit.load with _restore_shapes).
bool PartLister::has_no_elements(const Part& pickle) const {
  const std::string folder = folder_ + "traced_inputs";
  if (kind_ != ArchiveKind::kTorchScript || pickle.path != folder + ".pkl") return false;
  return std::ranges::all_of(list_.parts, [&](const Part& part) {
    return !part.path.starts_with(folder + "/") || part.bytes.empty();
  });
}

// What it refers to, and whether its tensors fit into that.
void PartLister::check_pickle(const Part& part) {
  pickle::Run run = pickle::run(part.bytes);
  collect_storage_keys(run, keys_);
  if (has_no_elements(part)) return;
  object::Surroundings surroundings;
  surroundings.externals =
      std::make_unique<AnyStorages>(by_name_, lower_case(folder_), lower_case(part.path));
  surroundings.nested = nested_opener();
  object::Document document(std::move(run), std::move(surroundings));
  note_misfits(document, part.path, list_);
}

// Lists of torch.export are found to be headers on the way.
void PartLister::note_references() {
  by_name_ = bytes_by_name(list_.parts);
  const bool is_export = kind_ == ArchiveKind::kTorchExport;
  for (Part& part : list_.parts) {
    const bool is_pickle = part.kind == PartKind::kPickle || part.kind == PartKind::kScriptPickle;
    if (is_pickle) check_pickle(part);
    if (is_export && read_export_list(inner_name(part), part.bytes, exported_)) {
      part.kind = PartKind::kTensorHeader;
    }
  }
}

// "data/KEY"; in archives of TorchScript also "constants/KEY" and the like, beside constants.pkl.
bool PartLister::is_of_storage(std::string_view name) const {
  if (name.starts_with(kData)) return true;
  return kind_ == ArchiveKind::kTorchScript &&
         (name.starts_with("constants/") || name.starts_with("traced_inputs/"));
}

bool PartLister::is_elements(std::string_view name) const {
  // Names are compared without case by PyTorch, and a record that is loaded in one way is.
  if (exported_.pickles.contains(lower_case(name))) return false;
  if (exported_.elements.contains(std::string(name))) return true;
  return is_of_storage(name) && keys_.contains(std::string(name.substr(name.find('/') + 1)));
}

// Empty for a record outside of the folder.
std::string_view PartLister::inner_name(const Part& part) const {
  std::string_view name = part.path;
  return name.starts_with(folder_) ? name.substr(folder_.size()) : "";
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext& context) {
  auto archive = zip::Reader::open(bytes);
  if (!archive) return std::unexpected(archive.error());
  auto list = PartLister(*archive, bytes, context).list();
  list.format = is_keras(*archive) ? "keras" : name_of(kind_of_archive(*archive));
  if (list.parts.empty() && list.notes.empty()) {
    return fail(ErrorCode::kEmpty, "a zip archive without entries");
  }
  if (kind_of_archive(*archive) != ArchiveKind::kTorchExport) return list;
  // What its lists claim must fit their records as well.
  ReadContext again = context;
  const auto contents = read_torch_archive(std::move(*archive), again);
  if (!contents) note_misfit(contents.error(), contents.error().offset, "", list);
  return list;
}

}  // namespace

const Format kZip = {"zip", "a zip archive", recognises, list_parts, read_tensors};

}  // namespace tare::format
