#include "format/torch_export.hpp"

#include <algorithm>
#include <iterator>
#include <map>

#include "format/export_config.hpp"
#include "format/pieces.hpp"
#include "format/torch_archive.hpp"

namespace tare::format {
namespace {

using object::Document;
using object::Leaf;
using object::Root;
using object::TorchTensor;

constexpr std::string_view kModels = "models/";
constexpr std::string_view kWeights = "data/weights/";
constexpr std::string_view kConstants = "data/constants/";
constexpr std::string_view kCompiled = "data/aotinductor/";
constexpr std::string_view kCompiledList = "/weights_config.json";

// "models/first.json" between "models/" and ".json": "first". Empty for any other name.
std::string_view between(std::string_view name, std::string_view prefix, std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return "";
  name.remove_prefix(prefix.size());
  return name.size() <= suffix.size() ? "" : name.substr(0, name.size() - suffix.size());
}

// Where the records end.
std::uint64_t end_of(const zip::Reader& archive) {
  std::uint64_t end = 0;
  for (const zip::Entry& entry : archive.entries()) {
    if (entry.readable) end = std::max(end, entry.data_offset + entry.stored_size);
  }
  return end;
}

// Of the first tensor that names a record, by the record.
using RecordTypes = std::map<std::string_view, DType>;

// PyTorch takes the type of the first tensor that names a record for all of them.
bool has_type_of_record(const Payload& payload, RecordTypes& types) {
  if (payload.is_pickled || !payload.view || !*payload.view) return true;
  const DType dtype = (*payload.view)->dtype.value();
  return types.try_emplace(payload.record, dtype).first->second == dtype;
}

class ExportReader {
 public:
  ExportReader(const std::shared_ptr<Records>& records, unsigned depth)
      : records_(records),
        context_{depth, records->inflate_left()},
        bytes_left_(3 * end_of(records->archive())) {}

  Result<std::vector<Root>> read();

 private:
  using Contents = Result<std::unique_ptr<Document>>;
  using Reader = Result<std::vector<Payload>> (*)(ByteSpan text);

  Result<void> read_program(const std::string& name, const std::string& key);
  Result<void> read_compiled(const std::string& name, const std::string& key);
  Result<void> read_part(std::string_view folder, const std::string& name, const char* list,
                         Root root);
  Result<void> add_payloads(const std::string& list, Reader reader, std::string_view folder,
                            Root root);
  Result<PieceContent> read_payload(const Payload& payload, const zip::Entry& entry);
  Result<PieceContent> read_elements(const PayloadView& view, const zip::Entry& entry);
  Result<PieceContent> read_view(const PayloadView& view, const zip::Entry& entry);
  Result<ModelContents> read_file(const zip::Entry& entry);
  Contents read_object(const zip::Entry& entry);
  void add_leaves();

  std::shared_ptr<Records> records_;
  ReadContext context_;  // of the files in the records
  // That the files may have together: a list may name one of them again and again.
  std::uint64_t bytes_left_;
  std::vector<Root> roots_;
};

// ---- payloads

Result<ModelContents> ExportReader::read_file(const zip::Entry& entry) {
  const auto bytes = records_->content(entry);
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->size() > bytes_left_) {
    return fail(ErrorCode::kLimit, "the lists name more bytes than tare is willing to read");
  }
  bytes_left_ -= bytes->size();
  auto contents = read_nested(*bytes, context_);
  // PyTorch decompresses nothing here.
  if (contents && !contents->owners.empty()) {
    return fail(ErrorCode::kUnsupported, "a record that holds no file of torch.save");
  }
  return contents;
}

ExportReader::Contents ExportReader::read_object(const zip::Entry& entry) {
  auto contents = read_file(entry);
  if (!contents) return std::unexpected(contents.error());
  return only_document(*contents);
}

Result<PieceContent> ExportReader::read_elements(const PayloadView& view, const zip::Entry& entry) {
  const auto bytes = records_->content(entry);
  if (!bytes) return std::unexpected(bytes.error());
  TorchTensor tensor{{*view.dtype, view.shape, view.strides, view.offset, *bytes}, entry.name};
  if (records_->big_endian() && dtype_bits(*view.dtype) > 8) {
    tensor.view.stored = Stored{.dtype = *view.dtype, .big_endian = true};
  }
  if (auto checked = check_view(tensor.view); !checked) return std::unexpected(checked.error());
  return PieceContent(std::move(tensor));
}

// A view of the storage of the tensor in a file.
Result<PieceContent> ExportReader::read_view(const PayloadView& view, const zip::Entry& entry) {
  auto contents = read_file(entry);
  if (!contents) return std::unexpected(contents.error());
  if (contents->tensors.size() != 1) {
    return fail(ErrorCode::kUnsupported, "a record that holds no dense tensor");
  }
  TorchTensor tensor{std::move(contents->tensors.front().view), entry.name};
  tensor.view.shape = view.shape;
  tensor.view.strides = view.strides;
  tensor.view.offset = view.offset;
  if (auto checked = check_view(tensor.view); !checked) return std::unexpected(checked.error());
  return PieceContent(std::move(tensor));
}

Result<PieceContent> ExportReader::read_payload(const Payload& payload, const zip::Entry& entry) {
  if (payload.is_pickled && (!payload.view || !*payload.view || (*payload.view)->dtype)) {
    auto object = read_object(entry);
    if (!object) return std::unexpected(object.error());
    return PieceContent(std::move(*object));
  }
  if (!payload.view) return fail(ErrorCode::kMalformed, "is neither a tensor nor an object");
  if (!*payload.view) return std::unexpected(payload.view->error());
  return payload.is_pickled ? read_view(**payload.view, entry)
                            : read_elements(**payload.view, entry);
}

Result<void> ExportReader::add_payloads(const std::string& list, Reader reader,
                                        std::string_view folder, Root root) {
  const zip::Entry* const entry = records_->find(list);
  if (entry == nullptr) {
    return fail(ErrorCode::kNotFound, "the archive has no list of the tensors of a program");
  }
  const auto text = records_->content(*entry);
  if (!text) return std::unexpected(text.error());
  const auto payloads = reader(*text);
  if (!payloads) return std::unexpected(payloads.error());
  std::vector<Piece> pieces;
  RecordTypes types;
  for (const Payload& payload : *payloads) {
    const zip::Entry* const record = records_->find(std::string(folder) + payload.record);
    Piece piece{{payload.name}, fail(ErrorCode::kNotFound, "has no record in the archive")};
    if (!has_type_of_record(payload, types)) {
      piece.content =
          fail(ErrorCode::kRefused, "has another type than a tensor of the same record");
    } else if (record != nullptr) {
      piece.content = read_payload(payload, *record);
    }
    pieces.push_back(std::move(piece));
  }
  auto document = document_of_pieces(std::move(pieces));
  if (!document) return std::unexpected(document.error());
  root.entry = entry->name;
  root.document = std::move(*document);
  roots_.push_back(std::move(root));
  return {};
}

// ---- programs

std::string joined(const std::string& key, const char* name) {
  return key.empty() ? name : key + "." + name;
}

// As a file of torch.save in the first releases, which PyTorch takes before it looks for a list.
Result<void> ExportReader::read_part(std::string_view folder, const std::string& name,
                                     const char* list, Root root) {
  const std::string path = std::string(folder) + name;
  const zip::Entry* const entry = records_->find(path + ".pt");
  if (entry == nullptr)
    return add_payloads(path + list, read_payload_config, folder, std::move(root));
  auto document = read_object(*entry);
  if (!document) return std::unexpected(document.error());
  root.entry = entry->name;
  root.document = std::move(*document);
  roots_.push_back(std::move(root));
  return {};
}

Result<void> ExportReader::read_program(const std::string& name, const std::string& key) {
  auto read = read_part(kWeights, name, "_weights_config.json", {key, ""});
  if (!read) return read;
  Root constants{joined(key, "constants"), ""};
  constants.is_named = true;
  return read_part(kConstants, name, "_constants_config.json", std::move(constants));
}

Result<void> ExportReader::read_compiled(const std::string& name, const std::string& key) {
  return add_payloads(std::string(kCompiled) + name + std::string(kCompiledList), read_aoti_config,
                      kWeights, {key, ""});
}

// What each file is that is neither a tensor nor about one.
const char* leaf_text(std::string_view name) {
  if (name.starts_with(kModels)) return "a program";
  if (name.starts_with(kCompiled)) {
    return name.ends_with(kCompiledList) ? "" : "compiled code, or what belongs to it";
  }
  if (name.starts_with("data/sample_inputs/")) return "example inputs of a program";
  return name.starts_with("extra/") ? "a file beside the programs" : "";
}

void ExportReader::add_leaves() {
  Root root;
  const std::string& folder = records_->folder();
  for (const zip::Entry& entry : records_->archive().entries()) {
    if (!entry.name.starts_with(folder)) continue;
    const std::string name = entry.name.substr(folder.size());
    const char* const text = leaf_text(name);
    if (*text != '\0') root.leaves.push_back({name, text, "", false});
  }
  if (!root.leaves.empty()) roots_.push_back(std::move(root));
}

Result<std::vector<Root>> ExportReader::read() {
  // Programs, and what was compiled of them; a name may have both.
  std::map<std::string, bool> names;
  const std::string& folder = records_->folder();
  for (const zip::Entry& entry : records_->archive().entries()) {
    std::string_view name = entry.name;
    if (!name.starts_with(folder)) continue;
    name.remove_prefix(folder.size());
    if (const auto program = between(name, kModels, ".json"); !program.empty()) {
      names[std::string(program)] = true;
    }
    if (const auto compiled = between(name, kCompiled, kCompiledList); !compiled.empty()) {
      names.try_emplace(std::string(compiled), false);
    }
  }
  for (const auto& [name, is_program] : names) {
    const std::string key = names.size() == 1 ? "" : name;
    auto read = is_program ? read_program(name, key) : read_compiled(name, key);
    if (!read) return std::unexpected(read.error());
  }
  add_leaves();
  return std::move(roots_);
}

// "weight_12", "tensor_0": others are loaded as objects whatever the list says.
bool is_element_name(std::string_view record) {
  for (const std::string_view prefix : {"weight_", "tensor_"}) {
    if (!record.starts_with(prefix)) continue;
    record.remove_prefix(prefix.size());
    return record.find_first_not_of("0123456789") == std::string_view::npos;
  }
  return false;
}

}  // namespace

Result<std::vector<Root>> open_export(const std::shared_ptr<Records>& records, unsigned depth) {
  return ExportReader(records, depth).read();
}

bool read_export_list(std::string_view name, ByteSpan content, ExportRecords& records) {
  std::string_view folder = kWeights;
  Result<std::vector<Payload>> payloads;
  if (!between(name, kWeights, "_weights_config.json").empty()) {
    payloads = read_payload_config(content);
  } else if (!between(name, kConstants, "_constants_config.json").empty()) {
    payloads = read_payload_config(content);
    folder = kConstants;
  } else if (!between(name, kCompiled, kCompiledList).empty()) {
    payloads = read_aoti_config(content);
  } else {
    return false;
  }
  if (!payloads) return false;
  for (const Payload& payload : *payloads) {
    const bool is_raw = !payload.is_pickled && is_element_name(payload.record);
    (is_raw ? records.elements : records.pickles)
        .insert(lower_case(std::string(folder) + payload.record));
  }
  return true;
}

}  // namespace tare::format
