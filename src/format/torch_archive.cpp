#include "format/torch_archive.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "format/object_contents.hpp"
#include "format/torch_export.hpp"
#include "format/torch_records.hpp"

namespace tare::format {
namespace {

using object::Document;
using object::Root;
using object::Storage;
using object::StorageId;

const zip::Entry* find_entry(const zip::Reader& archive, std::string_view folder,
                             std::string_view name) {
  const auto found = std::ranges::find_if(archive.entries(), [&](const zip::Entry& entry) {
    const std::string_view full = entry.name;
    return full.starts_with(folder) && full.substr(folder.size()) == name;
  });
  return found == archive.entries().end() ? nullptr : &*found;
}

// The storages of one pickle: records with a common way to be named.
class ArchiveExternals : public object::Externals {
 public:
  ArchiveExternals(std::shared_ptr<Records> records, std::string prefix, std::string suffix)
      : records_(std::move(records)), prefix_(std::move(prefix)), suffix_(std::move(suffix)) {}

  Result<Storage> storage(const StorageId& id) override {
    const zip::Entry* const entry = records_->find(prefix_ + id.key + suffix_);
    if (entry == nullptr) return fail(ErrorCode::kNotFound, "the storage has no record");
    const auto bytes = records_->content(*entry);
    if (!bytes) return std::unexpected(bytes.error());
    return Storage{*bytes, records_->big_endian(), entry->name};
  }

 private:
  std::shared_ptr<Records> records_;
  std::string prefix_;
  std::string suffix_;
};

// How the pickles of a kind of archive name their storages.
struct Naming {
  const char* prefix;
  const char* suffix;
};

Result<std::unique_ptr<Document>> open_pickle(const std::shared_ptr<Records>& records,
                                              const zip::Entry& entry, Naming naming,
                                              object::Surroundings surroundings) {
  const auto stream = records->content(entry);
  if (!stream) return std::unexpected(stream.error());
  const bool stored = entry.method == zip::kStored;
  auto run = run_whole(*stream, stored ? entry.data_offset : Error::kNoOffset);
  if (!run) return std::unexpected(run.error());
  surroundings.externals =
      std::make_unique<ArchiveExternals>(records, naming.prefix, naming.suffix);
  surroundings.nested = nested_opener();
  return std::make_unique<Document>(std::move(*run), std::move(surroundings));
}

Result<std::vector<Root>> open_data_pickle(const std::shared_ptr<Records>& records,
                                           object::Surroundings surroundings) {
  const zip::Entry* const entry = records->find("data.pkl");
  if (entry == nullptr) {
    return fail(ErrorCode::kWrongFormat, "a zip archive without data.pkl: not a torch checkpoint");
  }
  auto document = open_pickle(records, *entry, {"data/", ""}, std::move(surroundings));
  if (!document) return std::unexpected(document.error());
  std::vector<Root> roots;
  roots.push_back({"", entry->name, std::move(*document)});
  return roots;
}

// `["weight", "bias", ]`: the names in it.
void add_names(std::string_view list, std::set<std::string, std::less<>>& names) {
  for (auto quote = list.find('"'); quote != std::string_view::npos; quote = list.find('"')) {
    list.remove_prefix(quote + 1);
    const auto end = list.find('"');
    if (end == std::string_view::npos) return;
    names.emplace(list.substr(0, end));
    list.remove_prefix(end + 1);
  }
}

// The classes of one source file, as TorchScript prints them: `class Name(Module):`, and in it a
// line each with the names of parameters and buffers.
void add_script_classes(std::string_view module, std::string_view source,
                        object::ScriptClasses& classes) {
  std::set<std::string, std::less<>>* current = nullptr;
  while (!source.empty()) {
    const std::string_view line = source.substr(0, source.find('\n'));
    source.remove_prefix(std::min(source.size(), line.size() + 1));
    if (line.starts_with("class ")) {
      const std::string_view name = line.substr(6, line.find_first_of("(:") - 6);
      current = nullptr;
      if (line.find("(Module)") != std::string_view::npos) {
        current = &classes[std::string(module) + "." + std::string(name)];
      }
    } else if (current != nullptr && (line.starts_with("  __parameters__ = [") ||
                                      line.starts_with("  __buffers__ = ["))) {
      add_names(line, *current);
    }
  }
}

// Nothing is known of the classes of archives from before torch 1.5, whose code has no such lines.
object::ScriptClasses read_script_classes(Records& records) {
  object::ScriptClasses classes;
  const std::string prefix = records.folder() + "code/";
  for (const zip::Entry& entry : records.archive().entries()) {
    std::string_view name = entry.name;
    if (!name.starts_with(prefix) || !name.ends_with(".py")) continue;
    const auto source = records.content(entry);
    if (!source || as_text(*source).find("__parameters__") == std::string_view::npos) continue;
    std::string module(name.substr(prefix.size(), name.size() - prefix.size() - 3));
    std::ranges::replace(module, '/', '.');
    add_script_classes(module, as_text(*source), classes);
  }
  return classes;
}

// A module, and the constants of its code, which hold all weights of a frozen module.
Result<std::vector<Root>> open_script(const std::shared_ptr<Records>& records) {
  object::Surroundings surroundings;
  surroundings.script = read_script_classes(*records);
  auto roots = open_data_pickle(records, std::move(surroundings));
  if (!roots) return roots;
  const zip::Entry* const constants = records->find("constants.pkl");
  if (constants == nullptr) return roots;
  // As the code calls them: CONSTANTS.c0.
  object::Surroundings of_constants;
  of_constants.index_prefix = "c";
  auto document = open_pickle(records, *constants, {"constants/", ""}, std::move(of_constants));
  if (!document) return std::unexpected(document.error());
  if (object::holds_tensors(**document, (*document)->root())) {
    roots->push_back({"CONSTANTS", constants->name, std::move(*document)});
    roots->back().is_named = true;
  }
  return roots;
}

// Every pickle of a package, by the name of its file; without a name if there is only one.
Result<std::vector<Root>> open_package(const std::shared_ptr<Records>& records) {
  std::vector<Root> roots;
  const std::string& folder = records->folder();
  for (const zip::Entry& entry : records->archive().entries()) {
    std::string_view name = entry.name;
    if (!name.starts_with(folder) || !name.ends_with(".pkl")) continue;
    name = name.substr(folder.size(), name.size() - folder.size() - 4);
    auto document = open_pickle(records, entry, {".data/", ".storage"}, {});
    if (!document) return std::unexpected(document.error());
    std::string dotted(name);
    std::ranges::replace(dotted, '/', '.');
    roots.push_back({std::move(dotted), entry.name, std::move(*document)});
  }
  if (roots.size() == 1) roots.front().name.clear();
  return roots;
}

struct OpenArchive {
  ArchiveKind kind;
  std::shared_ptr<Records> records;
  std::vector<Root> roots;
};

Result<OpenArchive> open_roots(zip::Reader archive, const ReadContext& context) {
  const ArchiveKind kind = kind_of_archive(archive);
  const auto records = std::make_shared<Records>(std::move(archive), context.inflate_left);
  if (auto order = records->read_byte_order(); !order) return std::unexpected(order.error());
  auto roots = kind == ArchiveKind::kTorchScript    ? open_script(records)
               : kind == ArchiveKind::kTorchPackage ? open_package(records)
               : kind == ArchiveKind::kTorchExport  ? open_export(records, context.depth)
                                                    : open_data_pickle(records, {});
  if (!roots) return std::unexpected(roots.error());
  return OpenArchive{kind, records, std::move(*roots)};
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

std::string_view folder_of(const zip::Reader& archive) {
  if (archive.entries().empty()) return {};
  const std::string_view name = archive.entries().front().name;
  const auto slash = name.find('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash + 1);
}

ArchiveKind kind_of_archive(const zip::Reader& archive) {
  const std::string_view folder = folder_of(archive);
  const auto has = [&](std::string_view name) {
    return find_entry(archive, folder, name) != nullptr;
  };
  if (has("constants.pkl")) return ArchiveKind::kTorchScript;
  if (has(".data/extern_modules") || has(".data/python_version")) {
    return ArchiveKind::kTorchPackage;
  }
  if (has("archive_format")) return ArchiveKind::kTorchExport;
  // Of torch.export before 2.7: each part is a file of torch.save.
  if (has("serialized_exported_program.json")) return ArchiveKind::kOther;
  if (has("data.pkl") || has("version")) return ArchiveKind::kTorchSave;
  return ArchiveKind::kOther;
}

std::string_view name_of(ArchiveKind kind) {
  switch (kind) {
    case ArchiveKind::kTorchScript:
      return "torchscript";
    case ArchiveKind::kTorchPackage:
      return "torch-package";
    case ArchiveKind::kTorchExport:
      return "torch-export";
    case ArchiveKind::kTorchSave:
      return "torch-zip";
    case ArchiveKind::kOther:
      break;
  }
  return "";
}

Result<ModelContents> read_torch_archive(zip::Reader archive, ReadContext& context) {
  auto opened = open_roots(std::move(archive), context);
  if (!opened) return std::unexpected(opened.error());
  const ArchiveKind kind = opened->kind;
  ModelContents contents = contents_of_roots(std::move(opened->roots));
  contents.format = name_of(kind);
  context.inflate_left = opened->records->inflate_left();
  return contents;
}

Result<std::unique_ptr<Document>> open_torch_archive(ByteSpan file, unsigned depth) {
  auto archive = zip::Reader::open(file);
  if (!archive) return std::unexpected(archive.error());
  const auto records =
      std::make_shared<Records>(std::move(*archive), context_of(file).inflate_left);
  if (auto order = records->read_byte_order(); !order) return std::unexpected(order.error());
  object::Surroundings surroundings;
  surroundings.depth = depth;
  auto roots = open_data_pickle(records, std::move(surroundings));
  if (!roots) return std::unexpected(roots.error());
  return std::move(roots->front().document);
}

void note_misfit(const Error& error, std::uint64_t offset, const std::string& path,
                 PartList& list) {
  const bool misfits = error.code == ErrorCode::kMalformed || error.code == ErrorCode::kOverflow ||
                       error.code == ErrorCode::kTruncated;
  if (++(misfits ? list.misfits : list.unchecked) > PartList::kMaxTensorNotes) return;
  list.notes.push_back(
      {misfits ? NoteKind::kTensor : NoteKind::kUnchecked, offset, path, error.what});
}

void note_misfits(Document& document, const std::string& path, PartList& list) {
  const auto check = [&](const auto& read, std::uint64_t offset) {
    if (!read) note_misfit(read.error(), offset, path, list);
  };
  for (const pickle::Event& event : document.run().events) {
    if (event.kind == pickle::EventKind::kCall &&
        object::is_tensor(document.graph(), event.subject)) {
      check(document.tensor(event.subject), event.offset);
    } else if (event.kind == pickle::EventKind::kPersistentLoad &&
               document.meaning(event.subject) == object::Meaning::kTensor) {
      check(document.tensor(event.subject), 0);
    } else if (event.kind == pickle::EventKind::kPersistentLoad &&
               object::is_storage(document.graph(), event.subject)) {
      check(document.torch().read_storage(event.subject), event.offset);
    }
  }
  if (document.torch().has_mixed_classes()) {
    list.notes.push_back(
        {NoteKind::kAmbiguous, 0, path,
         "a storage is named with two element types; loaders differ in what they take"});
  }
}

}  // namespace tare::format
