#include "format/distributed_metadata.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "format/object_contents.hpp"
#include "format/shards.hpp"
#include "io/checked.hpp"
#include "object/python_objects.hpp"
#include "object/torch_objects.hpp"

namespace tare::format {
namespace {

using object::Child;
using object::Graph;
using object::ObjectView;
using object::Value;
using Failed = std::unexpected<Failure>;

// PyTorch has no operators for more.
constexpr std::size_t kMaxRank = 64;
// The classes of metadata have moved from module to module below this one.
constexpr std::string_view kModule = "torch.distributed.";

Failed failed(ErrorCode code, const char* what, std::string_view about = "") {
  return Failed(Failure(Error{code, 0, Error::kNoOffset, what}, std::string(about)));
}

std::unexpected<Error> malformed_tensor() {
  return fail(ErrorCode::kMalformed, "is a tensor with unexpected metadata");
}

// PyTorch counts pairs of such elements. False if there is nothing to count.
bool split_pairs(StoredTensor& tensor) {
  if (tensor.shape.empty()) return false;
  const auto split = [](Shape& sizes) {
    const auto doubled = checked_mul(sizes.back(), 2);
    sizes.back() = doubled.value_or(0);
    return doubled.has_value();
  };
  return split(tensor.shape) && std::ranges::all_of(tensor.chunks, [&](StoredChunk& chunk) {
           return split(chunk.start) && split(chunk.shape);
         });
}

// Looks at objects as long as that costs no more than a pickle without sharing would: one huge dict
// may stand in a million places.
class Looker {
 public:
  explicit Looker(const pickle::Run& run)
      : graph_(run.graph), budget_(8 * run.opcode_count + 1'000'000) {}

  // What look() gives, or nothing once the budget is used up.
  std::optional<ObjectView> look(Value value) {
    if (!afford(value)) return std::nullopt;
    return object::look(graph_, value);
  }
  bool is_exhausted() const { return budget_ == 0; }

 private:
  bool charge(std::uint64_t steps) {
    budget_ -= std::min(budget_, steps);
    return budget_ > 0;
  }
  bool afford(Value value);

  const Graph& graph_;
  std::uint64_t budget_;
};

bool Looker::afford(Value value) {
  if (graph_.kind(value) == pickle::Kind::kTuple) return charge(graph_.tuple_items(value).size());
  for (const pickle::Update update : graph_.updates(value)) {
    if (!charge(1 + update.items.size())) return false;
    if (update.kind != pickle::UpdateKind::kBuild) continue;
    for (const Value state : update.items) {
      for (const pickle::Update inner : graph_.updates(state)) {
        if (!charge(1 + inner.items.size())) return false;
      }
    }
  }
  return charge(1);
}

class MetadataReader {
 public:
  explicit MetadataReader(const pickle::Run& run) : run_(run), graph_(run.graph), looker_(run) {}

  std::expected<DistributedMetadata, Failure> read();

 private:
  using Outcome = std::expected<void, Failure>;
  // By the name of the entry, and for parts of a tensor by where they begin.
  using Place = std::pair<std::string_view, std::optional<Shape>>;
  struct Stored {
    StoredPart part;
    bool is_taken = false;
  };

  // The last part of the class that made a value, if that is one of torch.distributed.
  std::string_view class_of(Value value) const;
  std::optional<ObjectView> attributes_of(Value value, std::string_view class_name);
  std::optional<Value> attribute(const ObjectView& view, std::string_view name) const;
  std::optional<std::uint64_t> number(const ObjectView& view, std::string_view name) const;
  std::optional<Shape> sizes(std::optional<Value> value) const;

  Outcome read_storage(Value storage);
  Outcome note_part(const Child& child);
  Outcome note_file(std::string_view name, std::uint32_t& number);
  void sort_files();
  void read_paths(Value planner_data);
  Outcome read_entries(Value entries);
  std::vector<std::string> path_of(std::string_view name) const;
  Result<StoredTensor> read_tensor(std::string_view name, Value value);
  Result<DType> read_dtype(Value properties);
  Result<StoredChunk> read_chunk(std::string_view name, Value value, std::size_t rank);
  Result<StoredPart> take(const Place& place);
  Failed exhausted() const {
    return failed(ErrorCode::kLimit, "objects of the metadata share each other too often");
  }

  const pickle::Run& run_;
  const Graph& graph_;
  Looker looker_;
  DistributedMetadata out_;
  std::map<std::string, std::uint32_t, std::less<>> numbers_;  // of the files, as they come
  std::map<Place, Stored> stored_;
  std::map<std::string_view, Value> paths_;
};

// ---- values

std::string_view MetadataReader::class_of(Value value) const {
  if (graph_.kind(value) != pickle::Kind::kCall) return "";
  return object::called_module(graph_, value).starts_with(kModule)
             ? object::called_name(graph_, value)
             : "";
}

std::optional<ObjectView> MetadataReader::attributes_of(Value value, std::string_view class_name) {
  if (class_of(value) != class_name) return std::nullopt;
  return looker_.look(value);
}

std::optional<Value> MetadataReader::attribute(const ObjectView& view,
                                               std::string_view name) const {
  const Child* const found = object::find_attribute(view, graph_, name);
  return found == nullptr ? std::nullopt : std::optional(found->value);
}

std::optional<std::uint64_t> MetadataReader::number(const ObjectView& view,
                                                    std::string_view name) const {
  const auto value = attribute(view, name);
  if (!value || graph_.kind(*value) != pickle::Kind::kInt) return std::nullopt;
  return checked_narrow<std::uint64_t>(graph_.integer(*value));
}

std::optional<Shape> MetadataReader::sizes(std::optional<Value> value) const {
  if (!value) return std::nullopt;
  if (object::is_call_to(graph_, *value, "torch", "Size")) {
    const auto arguments = object::call_arguments(graph_, *value);
    if (arguments.size() != 1) return std::nullopt;
    value = arguments[0];
  }
  if (graph_.kind(*value) != pickle::Kind::kTuple || graph_.tuple_items(*value).size() > kMaxRank) {
    return std::nullopt;
  }
  return object::sizes_of(graph_, *value);
}

// ---- what is stored where

// {MetadataIndex(fqn, offset): _StorageInfo(relative_path, offset, length), ...}
MetadataReader::Outcome MetadataReader::read_storage(Value storage) {
  const auto view = looker_.look(storage);
  if (!view || view->kind != object::Kind::kMapping) {
    return failed(ErrorCode::kMalformed, "the metadata does not say what is stored where");
  }
  for (const Child& child : view->children) {
    if (auto noted = note_part(child); !noted) return noted;
  }
  sort_files();
  return {};
}

MetadataReader::Outcome MetadataReader::note_part(const Child& child) {
  const auto key = attributes_of(child.key, "MetadataIndex");
  const auto info = attributes_of(child.value, "_StorageInfo");
  const auto name = key ? attribute(*key, "fqn") : std::nullopt;
  const auto file = info ? attribute(*info, "relative_path") : std::nullopt;
  const auto offset = info ? number(*info, "offset") : std::nullopt;
  const auto length = info ? number(*info, "length") : std::nullopt;
  if (looker_.is_exhausted()) return exhausted();
  if (!name || !graph_.is_text(*name) || !file || !graph_.is_text(*file) || !offset || !length) {
    return failed(ErrorCode::kMalformed, "a part is stored in an unexpected way");
  }
  Place place{graph_.text(*name), std::nullopt};
  const auto start = attribute(*key, "offset");
  if (start && graph_.kind(*start) != pickle::Kind::kNone) {
    place.second = sizes(start);
    if (!place.second) {
      return failed(ErrorCode::kMalformed, "has a part at an unexpected place", place.first);
    }
  }
  Stored stored{{0, {*offset, *length}}};
  if (auto noted = note_file(graph_.text(*file), stored.part.file); !noted) return noted;
  const std::string_view about = place.first;
  if (!stored_.emplace(std::move(place), stored).second) {
    return failed(ErrorCode::kRefused, "has two parts at the same place", about);
  }
  return {};
}

MetadataReader::Outcome MetadataReader::note_file(std::string_view name, std::uint32_t& number) {
  auto found = numbers_.find(name);
  if (found == numbers_.end()) {
    if (!is_plain_name(name)) {
      return failed(ErrorCode::kRefused, "is no plain name of a file beside the metadata", name);
    }
    if (numbers_.size() == kMaxShards) {
      return failed(ErrorCode::kLimit, "the metadata names more than 16,384 files", name);
    }
    found = numbers_.emplace(name, static_cast<std::uint32_t>(numbers_.size())).first;
  }
  number = found->second;
  return {};
}

// By name, and what is in each by place.
void MetadataReader::sort_files() {
  std::vector<std::uint32_t> places(numbers_.size());
  for (const auto& [name, number] : numbers_) {
    places[number] = static_cast<std::uint32_t>(out_.files.size());
    out_.files.push_back({name, {}});
  }
  for (auto& [place, stored] : stored_) {
    stored.part.file = places[stored.part.file];
    out_.files[stored.part.file].ranges.push_back(stored.part.range);
  }
  for (auto& file : out_.files) {
    std::ranges::sort(file.ranges);
    const auto repeated = std::ranges::unique(file.ranges);
    file.ranges.erase(repeated.begin(), repeated.end());
  }
}

// ---- entries

// {"model.weight": ("model", "weight"), ...}, if the checkpoint was made from nested dicts.
void MetadataReader::read_paths(Value planner_data) {
  const auto view = looker_.look(planner_data);
  if (!view || view->kind != object::Kind::kMapping) return;
  for (const Child& child : view->children) {
    if (graph_.is_text(child.key) && graph_.kind(child.value) == pickle::Kind::kTuple) {
      paths_.emplace(graph_.text(child.key), child.value);
    }
  }
}

// A path counts only if it makes the name.
std::vector<std::string> MetadataReader::path_of(std::string_view name) const {
  std::vector<std::string> whole{std::string(name)};
  const auto found = paths_.find(name);
  if (found == paths_.end()) return whole;
  std::vector<std::string> path;
  std::string_view rest = name;
  bool is_first = true;
  for (const Value item : graph_.tuple_items(found->second)) {
    std::string key;
    if (graph_.is_text(item)) {
      key = graph_.text(item);
    } else if (graph_.kind(item) == pickle::Kind::kInt) {
      key = std::to_string(graph_.integer(item));
    } else {
      return whole;
    }
    if (!is_first && !rest.starts_with('.')) return whole;
    if (!is_first) rest.remove_prefix(1);
    if (!rest.starts_with(key)) return whole;
    rest.remove_prefix(key.size());
    path.push_back(std::move(key));
    is_first = false;
  }
  return rest.empty() && !is_first ? path : whole;
}

// {"model.weight": TensorStorageMetadata(...), "epoch": BytesStorageMetadata(), ...}
MetadataReader::Outcome MetadataReader::read_entries(Value entries) {
  const auto view = looker_.look(entries);
  if (!view || view->kind != object::Kind::kMapping) {
    return failed(ErrorCode::kMalformed, "the metadata does not say what is in the checkpoint");
  }
  for (const Child& child : view->children) {
    if (!graph_.is_text(child.key)) {
      return failed(ErrorCode::kMalformed, "an entry of the checkpoint has no name");
    }
    const std::string_view name = graph_.text(child.key);
    StoredEntry entry{std::string(name), path_of(name), malformed_tensor()};
    const std::string_view kind = class_of(child.value);
    if (kind == "TensorStorageMetadata") {
      if (auto tensor = read_tensor(name, child.value)) {
        entry.content = std::move(*tensor);
      } else {
        entry.content = std::unexpected(tensor.error());
      }
    } else if (kind == "BytesStorageMetadata") {
      if (auto part = take({name, std::nullopt})) {
        entry.content = *part;
      } else {
        entry.content = std::unexpected(part.error());
      }
    } else {
      entry.content = fail(ErrorCode::kUnsupported, "is an entry of a kind that is not known here");
    }
    if (looker_.is_exhausted()) return exhausted();
    out_.entries.push_back(std::move(entry));
  }
  return {};
}

// TensorStorageMetadata(properties, size, chunks)
Result<StoredTensor> MetadataReader::read_tensor(std::string_view name, Value value) {
  const auto view = attributes_of(value, "TensorStorageMetadata");
  if (!view) return malformed_tensor();
  const auto properties = attribute(*view, "properties");
  auto shape = sizes(attribute(*view, "size"));
  const auto chunks = attribute(*view, "chunks");
  const auto list = chunks ? looker_.look(*chunks) : std::nullopt;
  if (!properties || !shape || !list || list->kind != object::Kind::kSequence) {
    return malformed_tensor();
  }
  const auto dtype = read_dtype(*properties);
  if (!dtype) return std::unexpected(dtype.error());
  StoredTensor tensor{*dtype, std::move(*shape), {}};
  for (const Child& child : list->children) {
    auto chunk = read_chunk(name, child.value, tensor.shape.size());
    if (!chunk) return std::unexpected(chunk.error());
    tensor.chunks.push_back(std::move(*chunk));
  }
  if (tensor.dtype == DType::kF4 && !split_pairs(tensor)) return malformed_tensor();
  return tensor;
}

// TensorProperties, whose state is (dtype, layout, requires_grad, memory format, pinned).
Result<DType> MetadataReader::read_dtype(Value properties) {
  const auto view = attributes_of(properties, "TensorProperties");
  if (!view) return malformed_tensor();
  for (const Child& child : view->children) {
    if (child.role != object::Role::kState || graph_.kind(child.value) != pickle::Kind::kTuple) {
      continue;
    }
    const auto state = graph_.tuple_items(child.value);
    if (state.empty() || graph_.kind(state[0]) != pickle::Kind::kGlobal) return malformed_tensor();
    if (const auto dtype = object::dtype_value(graph_, state[0])) return *dtype;
    if (object::is_global(graph_, state[0], "torch", "float4_e2m1fn_x2")) return DType::kF4;
    return fail(ErrorCode::kUnsupported, "is of a type that this version does not read");
  }
  return malformed_tensor();
}

// ChunkStorageMetadata(offsets, sizes)
Result<StoredChunk> MetadataReader::read_chunk(std::string_view name, Value value,
                                               std::size_t rank) {
  const auto view = attributes_of(value, "ChunkStorageMetadata");
  auto start = view ? sizes(attribute(*view, "offsets")) : std::nullopt;
  auto shape = view ? sizes(attribute(*view, "sizes")) : std::nullopt;
  if (!start || !shape || start->size() != rank || shape->size() != rank) {
    return malformed_tensor();
  }
  const auto part = take({name, start});
  if (!part) return std::unexpected(part.error());
  return StoredChunk{std::move(*start), std::move(*shape), *part};
}

// Each part belongs to one entry, once: so there are no more chunks than parts.
Result<StoredPart> MetadataReader::take(const Place& place) {
  const auto found = stored_.find(place);
  if (found == stored_.end()) {
    return fail(ErrorCode::kNotFound, "has a part that the metadata does not say where to find");
  }
  if (found->second.is_taken) {
    return fail(ErrorCode::kMalformed, "has two parts at the same place");
  }
  found->second.is_taken = true;
  return found->second.part;
}

std::expected<DistributedMetadata, Failure> MetadataReader::read() {
  const auto view = attributes_of(run_.result, "Metadata");
  if (!view) {
    return failed(ErrorCode::kWrongFormat, "is no metadata of a distributed checkpoint");
  }
  const auto entries = attribute(*view, "state_dict_metadata");
  const auto storage = attribute(*view, "storage_data");
  const auto paths = attribute(*view, "planner_data");
  if (!entries || !storage) {
    return failed(ErrorCode::kMalformed, "the metadata does not say what is stored where");
  }
  if (auto read = read_storage(*storage); !read) return Failed(read.error());
  if (paths) read_paths(*paths);
  if (auto read = read_entries(*entries); !read) return Failed(read.error());
  add_imports(run_, out_.imports);
  return std::move(out_);
}

}  // namespace

bool is_distributed_metadata(ByteSpan bytes) {
  constexpr std::size_t kFront = 256;
  const std::string_view front = as_text(bytes.first(std::min(bytes.size(), kFront)));
  return front.starts_with('\x80') && front.find(kModule) != std::string_view::npos &&
         front.find("Metadata") != std::string_view::npos;
}

std::expected<DistributedMetadata, Failure> read_distributed_metadata(ByteSpan bytes) {
  if (bytes.size() > kMaxMetadataBytes) {
    return failed(ErrorCode::kLimit, "the metadata is above 1 GiB");
  }
  const auto run = run_whole(bytes, 0);
  if (!run) return Failed(run.error());
  return MetadataReader(*run).read();
}

}  // namespace tare::format
