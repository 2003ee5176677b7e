#include "format/shards.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>

#include "format/format.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

constexpr const char* kBroken = "invalid index: it is no JSON object with a weight_map";

Error error_of(ErrorCode code, const char* what) {
  return Error{code, 0, Error::kNoOffset, what};
}

class IndexReader {
 public:
  explicit IndexReader(std::string_view text) : text_(text), json_(text, 0, index_.texts) {}

  std::expected<ShardIndex, Failure> read();

 private:
  bool fail(ErrorCode code, const char* what, std::string_view subject) {
    json_.fail_here(code, what);
    subject_ = subject;
    return false;
  }
  bool colon() { return json_.expect(':', "invalid JSON: ':' is expected"); }
  bool read_object();
  bool read_weight_map();
  bool read_metadata();
  bool note(std::string_view tensor, std::string_view shard);
  bool sort();

  std::string_view text_;
  ShardIndex index_;
  JsonReader json_;
  bool has_map_ = false;
  bool has_metadata_ = false;
  std::map<std::string, std::uint32_t, std::less<>> numbers_;  // of the shards, as they come
  std::string subject_;
};

std::expected<ShardIndex, Failure> IndexReader::read() {
  if (!read_object() || !sort()) return std::unexpected(Failure(json_.error(), subject_));
  return std::move(index_);
}

bool IndexReader::read_object() {
  if (!json_.expect('{', kBroken)) return false;
  if (!json_.consume('}')) {
    do {
      std::string_view key;
      if (!json_.read_string(key) || !colon()) return false;
      bool read = false;
      if (key == "weight_map") {
        read = read_weight_map();
      } else if (key == "metadata") {
        read = read_metadata();
      } else {
        read = json_.skip_value(1);
      }
      if (!read) return false;
    } while (json_.consume(','));
    if (!json_.expect('}', "invalid JSON: ',' or '}' is expected")) return false;
  }
  if (!json_.at_end()) return json_.fail_here(ErrorCode::kMalformed, "bytes behind the index");
  return has_map_ || json_.fail_here(ErrorCode::kMalformed, kBroken);
}

bool IndexReader::read_weight_map() {
  if (has_map_) return fail(ErrorCode::kRefused, "the index has two of them", "weight_map");
  has_map_ = true;
  if (!json_.expect('{', "invalid index: weight_map is no object")) return false;
  if (json_.consume('}')) return true;
  do {
    std::string_view tensor;
    std::string_view shard;
    if (!json_.read_string(tensor) || !colon() || !json_.read_string(shard)) return false;
    if (!note(tensor, shard)) return false;
  } while (json_.consume(','));
  return json_.expect('}', "invalid JSON: ',' or '}' is expected");
}

bool IndexReader::note(std::string_view tensor, std::string_view shard) {
  auto found = numbers_.find(shard);
  if (found == numbers_.end()) {
    if (!is_plain_name(shard)) {
      return fail(ErrorCode::kRefused, "is no plain name of a file beside the index", shard);
    }
    if (numbers_.size() == kMaxShards) {
      return fail(ErrorCode::kLimit, "the index names more than 16,384 files", shard);
    }
    const auto number = static_cast<std::uint32_t>(numbers_.size());
    found = numbers_.emplace(shard, number).first;
  }
  index_.entries.push_back({tensor, found->second});
  return true;
}

bool IndexReader::read_metadata() {
  if (has_metadata_) return fail(ErrorCode::kRefused, "the index has two of them", "metadata");
  has_metadata_ = true;
  if (json_.peek() != '{') return json_.skip_value(1);
  json_.consume('{');
  if (json_.consume('}')) return true;
  do {
    std::string_view key;
    if (!json_.read_string(key) || !colon()) return false;
    const char first = json_.peek();
    const std::uint64_t start = json_.offset();
    if (first == '"') {
      std::string_view value;
      if (!json_.read_string(value)) return false;
      index_.metadata.insert_or_assign(std::string(key), std::string(value));
      continue;
    }
    if (!json_.skip_value(2)) return false;
    // As it is written, lists and objects as well: nothing is dropped.
    index_.metadata.insert_or_assign(std::string(key),
                                     std::string(text_.substr(start, json_.offset() - start)));
  } while (json_.consume(','));
  return json_.expect('}', "invalid JSON: ',' or '}' is expected");
}

// Shards by name, tensors by name; and no tensor twice.
bool IndexReader::sort() {
  std::vector<std::uint32_t> places(numbers_.size());
  for (const auto& [name, number] : numbers_) {
    places[number] = static_cast<std::uint32_t>(index_.shards.size());
    index_.shards.push_back(name);
  }
  auto& entries = index_.entries;
  for (auto& entry : entries) entry.shard = places[entry.shard];
  std::ranges::sort(entries, {}, &ShardIndex::Entry::tensor);
  const auto twice = std::ranges::adjacent_find(entries, {}, &ShardIndex::Entry::tensor);
  if (twice == entries.end()) return true;
  return fail(ErrorCode::kRefused, "is listed twice in the index; readers differ in what they take",
              twice->tensor);
}

// One model, made of shards.
class Joiner {
 public:
  explicit Joiner(const ShardIndex& index) : index_(&index), seen_(index.entries.size(), false) {
    contents_.metadata = index.metadata;
  }

  void add(std::uint32_t shard, Model model);
  // `index`: the file that the index was read from, if there is one.
  Model finish(std::optional<ModelFile> index);

 private:
  bool place(std::uint32_t shard, const std::string& tensor, std::string& tensor_entry);
  void add_metadata(std::string_view shard, const std::map<std::string, std::string>& metadata);
  void problem(std::string_view subject, const char* what) {
    contents_.problems.push_back({std::string(subject), error_of(ErrorCode::kMismatch, what)});
  }

  const ShardIndex* index_;
  std::vector<bool> seen_;  // by entry of the index: its shard has the tensor
  std::vector<ModelFile> files_;
  std::string_view format_;
  ModelContents contents_;
  std::set<std::string> imports_;
};

void Joiner::add(std::uint32_t shard, Model model) {
  const std::string& name = index_->shards[shard];
  format_ = format_.empty() || format_ == model.format() ? model.format() : "mixed";
  ModelContents contents = model.take_contents();
  for (NamedTensor& tensor : contents.tensors) {
    if (place(shard, tensor.name, tensor.entry)) contents_.tensors.push_back(std::move(tensor));
  }
  for (SpecialTensor& tensor : contents.specials) {
    if (place(shard, tensor.name, tensor.entry)) contents_.specials.push_back(std::move(tensor));
  }
  std::ranges::move(contents.owners, std::back_inserter(contents_.owners));
  if (contents.objects) contents_.owners.push_back(std::move(contents.objects));
  add_metadata(name, contents.metadata);
  imports_.insert(contents.imports.begin(), contents.imports.end());
  for (Problem& problem : contents.problems) {
    contents_.problems.push_back({name + ": " + problem.subject, problem.error});
  }
  for (ModelFile& file : model.take_files()) {
    file.name = name;
    files_.push_back(std::move(file));
  }
}

// Whether the index has the tensor in this shard; the entry then gets the name of the shard.
bool Joiner::place(std::uint32_t shard, const std::string& tensor, std::string& tensor_entry) {
  const ShardIndex::Entry* const entry = index_->find(tensor);
  const std::string& name = index_->shards[shard];
  if (entry == nullptr) {
    problem(name + ": " + tensor, "is in the shard, but not in the index");
    return false;
  }
  if (entry->shard != shard) {
    problem(name + ": " + tensor, "is in this shard, but the index names another one");
    return false;
  }
  seen_[static_cast<std::size_t>(entry - index_->entries.data())] = true;
  tensor_entry = tensor_entry.empty() ? name : name + "!" + tensor_entry;
  return true;
}

// What all shards say once; where they differ, each with its file.
void Joiner::add_metadata(std::string_view shard,
                          const std::map<std::string, std::string>& metadata) {
  for (const auto& [key, value] : metadata) {
    const auto [place, added] = contents_.metadata.emplace(key, value);
    if (!added && place->second != value) {
      contents_.metadata.emplace(std::string(shard) + ": " + key, value);
    }
  }
}

Model Joiner::finish(std::optional<ModelFile> index) {
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    if (seen_[i]) continue;
    const ShardIndex::Entry& entry = index_->entries[i];
    problem(index_->shards[entry.shard] + ": " + std::string(entry.tensor),
            "is in the index, but not in this shard");
  }
  contents_.imports.assign(imports_.begin(), imports_.end());
  std::vector<ModelFile> files;
  if (index) files.push_back(std::move(*index));
  std::ranges::move(files_, std::back_inserter(files));
  return {std::move(files), format_.empty() ? "no shards" : format_, std::move(contents_)};
}

// What an index of the files would say.
std::expected<ShardIndex, Failure> index_of(std::span<const std::filesystem::path> paths,
                                            const std::vector<Model>& models) {
  ShardIndex index;
  for (std::uint32_t i = 0; i < models.size(); ++i) {
    index.shards.push_back(paths[i].string());
    const ModelContents& contents = models[i].contents();
    for (const NamedTensor& tensor : contents.tensors) {
      index.entries.push_back({index.texts.add(tensor.name), i});
    }
    for (const SpecialTensor& tensor : contents.specials) {
      index.entries.push_back({index.texts.add(tensor.name), i});
    }
  }
  std::ranges::stable_sort(index.entries, {}, &ShardIndex::Entry::tensor);
  const auto twice = std::ranges::adjacent_find(index.entries, {}, &ShardIndex::Entry::tensor);
  if (twice == index.entries.end()) return index;
  const auto other = std::next(twice);
  return std::unexpected(Failure(error_of(ErrorCode::kMismatch, "is in two of the files"),
                                 std::string(twice->tensor) + " (" + index.shards[twice->shard] +
                                     ", " + index.shards[other->shard] + ")"));
}

}  // namespace

bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

const ShardIndex::Entry* ShardIndex::find(std::string_view tensor) const {
  const auto place = std::ranges::lower_bound(entries, tensor, {}, &Entry::tensor);
  return place != entries.end() && place->tensor == tensor ? &*place : nullptr;
}

bool is_shard_index(ByteSpan bytes) {
  if (bytes.size() > kMaxIndexBytes) return false;
  const std::string_view text = as_text(bytes);
  TextArena texts;
  JsonReader json(text, 0, texts);
  // Before a look at all of a model.
  if (!json.consume('{') || !is_utf8(text)) return false;
  do {
    std::string_view key;
    if (!json.read_string(key)) return false;
    if (key == "weight_map") return true;
    if (!json.consume(':') || !json.skip_value(1)) return false;
  } while (json.consume(','));
  return false;
}

std::expected<ShardIndex, Failure> read_shard_index(ByteSpan bytes) {
  if (bytes.size() > kMaxIndexBytes) {
    return std::unexpected(error_of(ErrorCode::kLimit, "the index is above 100 MB"));
  }
  if (!is_utf8(as_text(bytes))) {
    return std::unexpected(error_of(ErrorCode::kMalformed, "the index is not UTF-8"));
  }
  return IndexReader(as_text(bytes)).read();
}

std::expected<Model, Failure> join_files(std::span<const std::filesystem::path> paths) {
  if (paths.size() > kMaxShards) {
    return std::unexpected(error_of(ErrorCode::kLimit, "more than 16,384 files"));
  }
  std::vector<Model> models;
  for (const auto& path : paths) {
    auto model = open_one(path);
    if (!model) return std::unexpected(Failure(model.error(), path.string()));
    models.push_back(std::move(*model));
  }
  const auto index = index_of(paths, models);
  if (!index) return std::unexpected(index.error());
  Joiner joiner(*index);
  for (std::uint32_t i = 0; i < models.size(); ++i) joiner.add(i, std::move(models[i]));
  return joiner.finish(std::nullopt);
}

std::expected<Model, Failure> open_shards(const std::filesystem::path& index, Input input,
                                          const OpenInput& open) {
  const auto shards = read_shard_index(input.bytes());
  if (!shards) return std::unexpected(shards.error());
  Joiner joiner(*shards);
  for (std::uint32_t i = 0; i < shards->shards.size(); ++i) {
    const std::string& name = shards->shards[i];
    auto model = open_one(index.parent_path() / name, open);
    if (!model) return std::unexpected(Failure(model.error(), name));
    joiner.add(i, std::move(*model));
  }
  return joiner.finish(ModelFile{"", std::move(input), true});
}

}  // namespace tare::format
