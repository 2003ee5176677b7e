// Zip checkpoints of torch.save (docs/formats/torch.md): a flat dict of names and tensors. Other
// zip archives are listed entry by entry, so that the scanner sees them.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "archive/zip_reader.hpp"
#include "format/format.hpp"
#include "format/torch_graph.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

using pickle::Graph;
using pickle::Kind;
using pickle::UpdateKind;
using pickle::Value;

// A pickle inside a checkpoint larger than this is not read: it holds structure, not data.
constexpr std::uint64_t kMaxPickleBytes = std::uint64_t{4} << 30;

// What all compressed entries of an archive may inflate to together. torch.save compresses nothing,
// torch.jit.save only source code: this is far more than any of them needs.
constexpr std::uint64_t kMaxInflatedBytes = std::uint64_t{256} << 20;

bool recognises(ByteSpan bytes) {
  const auto signature = Cursor(bytes).read<std::uint32_t>();
  if (signature == 0x04034b50 || signature == 0x06054b50) return true;
  // An archive behind other bytes: readers that look from the end find it.
  return zip::Reader::open(bytes).has_value();
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

// The folder all records of a torch archive stand in, with its slash: the text before the first
// slash of the first entry.
std::string_view folder_of(const zip::Reader& archive) {
  if (archive.entries().empty()) return {};
  const std::string_view name = archive.entries().front().name;
  const auto slash = name.find('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash + 1);
}

const zip::Entry* find_entry(const zip::Reader& archive, std::string_view folder,
                             std::string_view name) {
  const auto found = std::ranges::find_if(archive.entries(), [&](const zip::Entry& entry) {
    const std::string_view full = entry.name;
    return full.starts_with(folder) && full.substr(folder.size()) == name;
  });
  return found == archive.entries().end() ? nullptr : &*found;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

// Names that stand in the directory twice, as PyTorch compares them, in lower case: which record a
// loader takes is its own affair.
std::unordered_set<std::string> ambiguous_names(const zip::Reader& archive) {
  std::unordered_set<std::string> names;
  for (const auto& anomaly : archive.anomalies()) {
    if (anomaly.kind == zip::AnomalyKind::kDuplicateName ||
        anomaly.kind == zip::AnomalyKind::kCaseCollision) {
      names.insert(lower_case(archive.entries()[anomaly.entry].name));
    }
  }
  return names;
}

// The records of a torch archive and what its pickle says about them.
class TorchArchive {
 public:
  static Result<TorchArchive> open(ByteSpan bytes);

  Result<ModelContents> contents();
  // Notes on every tensor and storage that the pickle makes, wherever it stands, and that does not
  // fit its record.
  void note_misfits(std::vector<Note>& notes);

 private:
  explicit TorchArchive(zip::Reader archive) : archive_(std::move(archive)) {}

  Result<void> check_byte_order();
  Result<ByteSpan> storage(std::string_view key);
  void add(ModelContents& contents, Value key, Value value);

  zip::Reader archive_;
  std::string folder_;
  std::vector<std::byte> inflated_;
  pickle::Run run_;
  std::unordered_map<std::string_view, const zip::Entry*> records_;
  std::unordered_set<std::string> ambiguous_;               // in lower case
  std::unordered_map<std::string, std::size_t> positions_;  // of the tensors, by name
};

Result<TorchArchive> TorchArchive::open(ByteSpan bytes) {
  auto archive = zip::Reader::open(bytes);
  if (!archive) return std::unexpected(archive.error());
  TorchArchive torch(std::move(*archive));
  torch.folder_ = folder_of(torch.archive_);
  torch.ambiguous_ = ambiguous_names(torch.archive_);
  const zip::Entry* data = find_entry(torch.archive_, torch.folder_, "data.pkl");
  if (data == nullptr) {
    return fail(ErrorCode::kWrongFormat, "a zip archive without data.pkl: not a torch checkpoint");
  }
  if (torch.ambiguous_.contains(lower_case(data->name))) {
    return fail(ErrorCode::kRefused, "the archive has more than one data.pkl",
                data->central_offset);
  }
  if (find_entry(torch.archive_, torch.folder_, "constants.pkl") != nullptr) {
    return fail(ErrorCode::kUnsupported, "a TorchScript archive, which this version does not load");
  }
  if (auto order = torch.check_byte_order(); !order) return std::unexpected(order.error());

  const auto stream = torch.archive_.content(*data, torch.inflated_);
  if (!stream) return std::unexpected(stream.error());
  if (stream->size() > kMaxPickleBytes) return fail(ErrorCode::kLimit, "data.pkl is too large");
  torch.run_ = pickle::run(*stream);
  if (torch.run_.end != pickle::End::kStop) {
    Error error = torch.run_.error;
    if (error.has_offset()) error.offset += data->data_offset;
    return std::unexpected(error);
  }
  for (const zip::Entry& entry : torch.archive_.entries()) {
    const std::string_view name = entry.name;
    const std::string prefix = torch.folder_ + "data/";
    if (name.starts_with(prefix)) torch.records_.emplace(name.substr(prefix.size()), &entry);
  }
  return torch;
}

Result<void> TorchArchive::check_byte_order() {
  const zip::Entry* record = find_entry(archive_, folder_, "byteorder");
  if (record == nullptr) return {};
  const auto content = archive_.inflate(*record);
  if (!content) return std::unexpected(content.error());
  const std::string_view order = as_text(*content);
  if (order == "little") return {};
  return fail(ErrorCode::kUnsupported,
              order == "big" ? "a big-endian checkpoint, which this version does not read"
                             : "the record `byteorder` is neither little nor big",
              record->data_offset);
}

Result<ByteSpan> TorchArchive::storage(std::string_view key) {
  const auto record = records_.find(key);
  if (record == records_.end()) return fail(ErrorCode::kNotFound, "the storage has no record");
  if (ambiguous_.contains(lower_case(record->second->name))) {
    return fail(ErrorCode::kRefused, "the storage has more than one record");
  }
  return archive_.stored_bytes(*record->second);
}

void TorchArchive::add(ModelContents& contents, Value key, Value value) {
  const Graph& graph = run_.graph;
  if (!graph.is_text(key)) {
    contents.problems.push_back(
        {pickle::expression(graph, key, 80),
         {ErrorCode::kUnsupported, 0, Error::kNoOffset, "the key is no text"}});
    return;
  }
  std::string name(graph.text(key));
  if (!is_tensor(graph, value)) {
    contents.problems.push_back({std::move(name),
                                 {ErrorCode::kUnsupported, 0, Error::kNoOffset,
                                  "is no tensor; this version reads flat dicts of tensors"}});
    return;
  }
  auto tensor = read_tensor(graph, value, [this](const StorageId& id) { return storage(id.key); });
  if (!tensor) {
    contents.problems.push_back({std::move(name), tensor.error()});
    return;
  }
  std::string entry = folder_ + "data/" + std::string(tensor->storage_key);
  // A key that is set twice keeps its first place and its last value, as in a dict.
  const auto [place, fresh] = positions_.try_emplace(name, contents.tensors.size());
  if (fresh) contents.tensors.emplace_back();
  contents.tensors[place->second] = {std::move(name), std::move(tensor->view), std::move(entry)};
}

Result<ModelContents> TorchArchive::contents() {
  const Graph& graph = run_.graph;
  ModelContents contents;
  const bool is_dict = graph.kind(run_.result) == Kind::kDict ||
                       (graph.kind(run_.result) == Kind::kCall &&
                        called_module(graph, run_.result) == "collections" &&
                        called_name(graph, run_.result) == "OrderedDict");
  for (const auto& event : run_.events) {
    if (event.kind == pickle::EventKind::kImport) {
      contents.imports.push_back(pickle::expression(graph, event.subject));
    }
  }
  std::ranges::sort(contents.imports);
  const auto repeated = std::ranges::unique(contents.imports);
  contents.imports.erase(repeated.begin(), repeated.end());
  if (!is_dict) {
    contents.problems.push_back(
        {"data.pkl",
         {ErrorCode::kUnsupported, 0, Error::kNoOffset,
          "the checkpoint is no dict of tensors; this version reads no other"}});
    return contents;
  }
  for (const auto& update : graph.updates(run_.result)) {
    if (update.kind != UpdateKind::kSetItems) continue;
    for (std::size_t i = 0; i + 1 < update.items.size(); i += 2) {
      add(contents, update.items[i], update.items[i + 1]);
    }
  }
  return contents;
}

void TorchArchive::note_misfits(std::vector<Note>& notes) {
  const auto lookup = [this](const StorageId& id) { return storage(id.key); };
  const auto check = [&](const Error& error, std::uint64_t offset) {
    if (error.code != ErrorCode::kMalformed && error.code != ErrorCode::kOverflow) return;
    notes.push_back({NoteKind::kTensor, offset, folder_ + "data.pkl", error.what});
  };
  for (const auto& event : run_.events) {
    if (event.kind == pickle::EventKind::kCall && is_tensor(run_.graph, event.subject)) {
      const auto tensor = read_tensor(run_.graph, event.subject, lookup);
      if (!tensor) check(tensor.error(), event.offset);
    } else if (event.kind == pickle::EventKind::kPersistentLoad) {
      const auto read = check_storage(run_.graph, event.subject, lookup);
      if (!read) check(read.error(), event.offset);
    }
  }
}

Result<ModelContents> read_tensors(ByteSpan bytes) {
  auto archive = TorchArchive::open(bytes);
  if (!archive) return std::unexpected(archive.error());
  return archive->contents();
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
  if (name == "byteorder") return content == "little" || content == "big";
  if (name == ".format_version" || name == ".storage_alignment" ||
      name == ".data/serialization_id") {
    return is_digits(content);
  }
  return false;
}

bool looks_like_pickle(ByteSpan bytes) {
  return kPickle.recognises(bytes);
}

// Keys of the storages that the pickle refers to.
void collect_storage_keys(ByteSpan stream, std::unordered_set<std::string>& keys) {
  const auto run = pickle::run(stream);
  for (const auto& event : run.events) {
    if (event.kind != pickle::EventKind::kPersistentLoad) continue;
    if (const auto id = read_storage_id(run.graph, event.subject)) keys.emplace(id->key);
  }
}

class PartLister {
 public:
  PartLister(const zip::Reader& archive, std::uint64_t archive_bytes)
      : archive_(archive), folder_(folder_of(archive)), stored_budget_(3 * archive_bytes) {}

  PartList list();

 private:
  void add_entry(std::size_t index);
  PartKind classify(std::string_view name, ByteSpan content) const;

  const zip::Reader& archive_;
  std::string folder_;
  std::uint64_t inflate_budget_ = kMaxInflatedBytes;
  // Entries that do not overlap use at most the size of the archive.
  std::uint64_t stored_budget_;
  PartList list_;
};

PartKind PartLister::classify(std::string_view name, ByteSpan content) const {
  const std::string lower = lower_case(name);
  if (lower.starts_with("code/") && lower.ends_with(".py")) return PartKind::kTorchScript;
  if (lower.ends_with(".pkl") || looks_like_pickle(content)) return PartKind::kPickle;
  if (is_known_text(name, as_text(content))) return PartKind::kPlainText;
  return PartKind::kUnknown;
}

void PartLister::add_entry(std::size_t index) {
  const zip::Entry& entry = archive_.entries()[index];
  if (entry.is_directory() && entry.size == 0 && entry.stored_size == 0) return;
  ByteSpan content;
  std::uint64_t offset = Error::kNoOffset;
  if (entry.method == zip::kDeflated) {
    if (entry.size > inflate_budget_) {
      list_.notes.push_back({NoteKind::kUnreadable, entry.central_offset, entry.name,
                             "the archive inflates to more than tare is willing to hold"});
      return;
    }
    inflate_budget_ -= entry.size;
    auto inflated = archive_.inflate(entry);
    if (!inflated) {
      list_.notes.push_back(
          {NoteKind::kUnreadable, entry.central_offset, entry.name, inflated.error().what});
      return;
    }
    content = list_.inflated.emplace_back(std::move(*inflated));
  } else {
    const auto stored = archive_.raw_bytes(entry);
    if (!stored) {
      list_.notes.push_back(
          {NoteKind::kUnreadable, entry.central_offset, entry.name, stored.error().what});
      return;
    }
    if (stored->size() > stored_budget_) {
      list_.notes.push_back({NoteKind::kUnreadable, entry.central_offset, entry.name,
                             "the entries share more bytes than tare is willing to look at"});
      return;
    }
    stored_budget_ -= stored->size();
    content = *stored;
    offset = entry.data_offset;
  }
  std::string_view name = entry.name;
  if (name.starts_with(folder_)) name.remove_prefix(folder_.size());
  // The CRC of everything but bulk data: a wrong one makes Python refuse what torch loads.
  const PartKind kind = name.starts_with("data/") ? PartKind::kTensorData : classify(name, content);
  if (kind != PartKind::kTensorData && !zip::Reader::crc_matches(entry, content)) {
    list_.notes.push_back({NoteKind::kDamaged, entry.central_offset, entry.name,
                           zip::anomaly_text(zip::AnomalyKind::kCrcMismatch)});
  }
  if (kind == PartKind::kTensorData && entry.method != zip::kStored) {
    list_.notes.push_back({NoteKind::kAmbiguous, entry.central_offset, entry.name,
                           zip::anomaly_text(zip::AnomalyKind::kCompressedTensor)});
  }
  list_.parts.push_back({entry.name, kind, content, offset});
}

PartList PartLister::list() {
  for (const auto& anomaly : archive_.anomalies()) {
    const bool named = anomaly.entry != zip::Reader::kNoEntry;
    list_.notes.push_back({note_kind(anomaly.kind), anomaly.offset,
                           named ? archive_.entries()[anomaly.entry].name : std::string(),
                           zip::anomaly_text(anomaly.kind)});
  }
  for (std::size_t i = 0; i < archive_.entries().size(); ++i) add_entry(i);

  // A record under data/ is tensor data only if a pickle of this archive refers to it; otherwise
  // it is whatever its bytes are.
  std::unordered_set<std::string> keys;
  for (const Part& part : list_.parts) {
    if (part.kind == PartKind::kPickle) collect_storage_keys(part.bytes, keys);
  }
  const std::string prefix = folder_ + "data/";
  for (Part& part : list_.parts) {
    if (part.kind != PartKind::kTensorData) continue;
    const std::string key = part.path.substr(std::min(prefix.size(), part.path.size()));
    if (!keys.contains(key)) part.kind = classify(part.path, part.bytes);
  }
  return std::move(list_);
}

Result<PartList> list_parts(ByteSpan bytes) {
  auto archive = zip::Reader::open(bytes);
  if (!archive) return std::unexpected(archive.error());
  auto list = PartLister(*archive, bytes.size()).list();
  if (list.parts.empty() && list.notes.empty()) {
    return fail(ErrorCode::kEmpty, "a zip archive without entries");
  }
  // What the pickle claims about storages must fit their records.
  if (auto torch = TorchArchive::open(bytes)) torch->note_misfits(list.notes);
  return list;
}

}  // namespace

const Format kTorchZip = {"torch-zip", "a zip archive", recognises, list_parts, read_tensors};

}  // namespace tare::format
