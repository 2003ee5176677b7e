#include "format/torch_tar.hpp"

#include <algorithm>
#include <map>

#include "format/object_contents.hpp"
#include "format/torch_archive.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"
#include "object/python_objects.hpp"

namespace tare::format {
namespace {

using object::Graph;
using object::TorchTensor;
using object::Value;

// Pickles of a few numbers; running one with all that follows at hand costs more.
constexpr std::size_t kSmallPickle = std::size_t{64} << 10;

struct TarStorage {
  const object::StorageClass* storage_class = nullptr;
  ByteSpan bytes;
};

struct TarTensor {
  std::string storage;
  Shape shape;
  std::vector<std::uint64_t> strides;
  std::uint64_t offset = 0;
};

std::unexpected<Error> malformed(const char* what, std::uint64_t offset) {
  return fail(ErrorCode::kMalformed, what, offset);
}

const tar::Member* find(const tar::Reader& archive, std::string_view name) {
  const auto found = std::ranges::find_if(archive.members(), [&](const tar::Member& member) {
    const std::string_view full = member.name;
    return member.has_data() &&
           (full == name || (full.starts_with("./") && full.substr(2) == name));
  });
  return found == archive.members().end() ? nullptr : &*found;
}

// An integer, or the text of one, as a key.
std::optional<std::string> key_of(const Graph& graph, Value value) {
  if (graph.is_text(value)) return std::string(graph.text(value));
  if (graph.kind(value) != pickle::Kind::kInt) return std::nullopt;
  return std::to_string(graph.integer(value));
}

std::vector<Value> items_of(const Graph& graph, Value value) {
  std::vector<Value> items;
  for (const object::Child& child : object::look(graph, value).children) {
    items.push_back(child.value);
  }
  return items;
}

// Reads a member in which pickles and raw data take turns, and notes what lies where.
class MemberReader {
 public:
  MemberReader(std::string path, ByteSpan bytes, std::vector<Part>* parts)
      : path_(std::move(path)), bytes_(bytes), parts_(parts) {}

  Result<pickle::Run> pickle();
  Result<ByteSpan> data(std::uint64_t count);
  template <typename T>
  Result<T> number();
  Result<std::uint64_t> count();
  std::uint64_t offset() const { return at_; }
  // What could not be read on is a pickle that breaks.
  void note_rest() { note(PartKind::kPickle, bytes_.size()); }

 private:
  void note(PartKind kind, std::uint64_t end) {
    if (parts_ != nullptr && end > at_) {
      parts_->push_back({path_, kind, bytes_.subspan(at_, end - at_), Error::kNoOffset, at_});
    }
    at_ = end;
  }

  std::string path_;
  ByteSpan bytes_;
  std::vector<Part>* parts_;
  std::uint64_t at_ = 0;
};

Result<pickle::Run> MemberReader::pickle() {
  const ByteSpan rest = bytes_.subspan(at_);
  pickle::Run run = pickle::run(rest.first(std::min(rest.size(), kSmallPickle)));
  if (run.end != pickle::End::kStop && rest.size() > kSmallPickle) run = pickle::run(rest);
  if (run.end != pickle::End::kStop) {
    Error error = run.error;
    if (error.has_offset()) error.offset += at_;
    return std::unexpected(error);
  }
  note(PartKind::kPickle, at_ + run.end_offset);
  return run;
}

Result<ByteSpan> MemberReader::data(std::uint64_t count) {
  if (count > bytes_.size() - at_) {
    return fail(ErrorCode::kTruncated, "the member ends inside its data", at_);
  }
  const ByteSpan taken = bytes_.subspan(at_, count);
  note(PartKind::kTensorData, at_ + count);
  return taken;
}

template <typename T>
Result<T> MemberReader::number() {
  const auto bytes = data(sizeof(T));
  if (!bytes) return std::unexpected(bytes.error());
  return *Cursor(*bytes).read<T>();
}

// A pickle of how many items follow.
Result<std::uint64_t> MemberReader::count() {
  const std::uint64_t start = at_;
  const auto run = pickle();
  if (!run) return std::unexpected(run.error());
  const bool is_number = run->graph.kind(run->result) == pickle::Kind::kInt;
  const auto count =
      is_number ? checked_narrow<std::uint64_t>(run->graph.integer(run->result)) : std::nullopt;
  if (!count) return malformed("the number of items is none", start);
  return *count;
}

class TarTensors {
 public:
  // `parts`: what lies where, if that is asked for; also of what could not be read.
  Result<void> read_storages(ByteSpan bytes, std::vector<Part>* parts);
  Result<void> read_tensors(ByteSpan bytes, std::vector<Part>* parts);

  std::map<std::string, TarStorage> storages;
  std::map<std::string, TarTensor> tensors;

 private:
  Result<void> read_storage(MemberReader& reader);
  Result<void> read_views(MemberReader& reader);
  Result<void> read_tensor(MemberReader& reader);
};

// A count; for each: a pickle (key, location, class), the number of elements, and these; then a
// pickle of views: [(key, root key, offset, count), ...].
Result<void> TarTensors::read_storages(ByteSpan bytes, std::vector<Part>* parts) {
  MemberReader reader("storages", bytes, parts);
  const auto read = [&]() -> Result<void> {
    const auto count = reader.count();
    if (!count) return std::unexpected(count.error());
    for (std::uint64_t i = 0; i < *count; ++i) {
      if (auto storage = read_storage(reader); !storage) return storage;
    }
    return read_views(reader);
  };
  auto done = read();
  if (!done) reader.note_rest();
  return done;
}

Result<void> TarTensors::read_storage(MemberReader& reader) {
  const std::uint64_t start = reader.offset();
  const auto run = reader.pickle();
  if (!run) return std::unexpected(run.error());
  const auto items = items_of(run->graph, run->result);
  const auto key = items.size() == 3 ? key_of(run->graph, items[0]) : std::nullopt;
  const object::StorageClass* storage_class = nullptr;
  if (key && run->graph.kind(items[2]) == pickle::Kind::kGlobal) {
    storage_class = object::find_storage_class(run->graph.name_text(items[2]));
  }
  if (storage_class == nullptr) return malformed("a storage that is none of torch's", start);
  const auto numel = reader.number<std::uint64_t>();
  if (!numel) return std::unexpected(numel.error());
  const auto bytes = checked_mul(*numel, storage_class->bits / 8);
  if (!bytes) return malformed("the size of a storage overflows", reader.offset());
  const auto data = reader.data(*bytes);
  if (!data) return std::unexpected(data.error());
  storages.insert_or_assign(*key, TarStorage{storage_class, *data});
  return {};
}

Result<void> TarTensors::read_views(MemberReader& reader) {
  const std::uint64_t start = reader.offset();
  const auto run = reader.pickle();
  if (!run) return std::unexpected(run.error());
  for (const Value view : items_of(run->graph, run->result)) {
    const auto items = items_of(run->graph, view);
    const auto target = items.size() == 4 ? key_of(run->graph, items[0]) : std::nullopt;
    const auto root = target ? key_of(run->graph, items[1]) : std::nullopt;
    const auto number = [&](Value value) {
      return run->graph.kind(value) == pickle::Kind::kInt
                 ? checked_narrow<std::uint64_t>(run->graph.integer(value))
                 : std::nullopt;
    };
    const auto offset = root ? number(items[2]) : std::nullopt;
    const auto count = offset ? number(items[3]) : std::nullopt;
    const auto found = count ? storages.find(*root) : storages.end();
    if (found == storages.end()) return malformed("a view of no storage", start);
    const std::uint64_t width = found->second.storage_class->bits / 8;
    const std::uint64_t elements = found->second.bytes.size() / width;
    if (*offset > elements || *count > elements - *offset) {
      return malformed("a view of a storage reaches past its end", start);
    }
    storages.insert_or_assign(
        *target, TarStorage{found->second.storage_class,
                            found->second.bytes.subspan(*offset * width, *count * width)});
  }
  return {};
}

// A count; for each: a pickle (key, storage key, class), the number of axes in four bytes, four
// bytes, sizes, strides, offset.
Result<void> TarTensors::read_tensors(ByteSpan bytes, std::vector<Part>* parts) {
  MemberReader reader("tensors", bytes, parts);
  const auto read = [&]() -> Result<void> {
    const auto count = reader.count();
    if (!count) return std::unexpected(count.error());
    for (std::uint64_t i = 0; i < *count; ++i) {
      if (auto tensor = read_tensor(reader); !tensor) return tensor;
    }
    return {};
  };
  auto done = read();
  if (!done) reader.note_rest();
  return done;
}

Result<void> TarTensors::read_tensor(MemberReader& reader) {
  const std::uint64_t start = reader.offset();
  const auto run = reader.pickle();
  if (!run) return std::unexpected(run.error());
  const auto items = items_of(run->graph, run->result);
  const auto key = items.size() == 3 ? key_of(run->graph, items[0]) : std::nullopt;
  const auto storage = key ? key_of(run->graph, items[1]) : std::nullopt;
  if (!storage) return malformed("a tensor that is none of torch's", start);
  const auto rank = reader.number<std::uint32_t>();
  const auto ignored = rank ? reader.number<std::uint32_t>() : rank;
  if (!ignored) return std::unexpected(ignored.error());
  TarTensor tensor;
  tensor.storage = *storage;
  for (auto* numbers : {&tensor.shape, &tensor.strides}) {
    for (std::uint32_t axis = 0; axis < *rank; ++axis) {
      const auto number = reader.number<std::uint64_t>();
      if (!number) return std::unexpected(number.error());
      numbers->push_back(*number);
    }
  }
  const auto offset = reader.number<std::uint64_t>();
  if (!offset) return std::unexpected(offset.error());
  tensor.offset = *offset;
  tensors.insert_or_assign(*key, std::move(tensor));
  return {};
}

// Persistent ids are the keys of tensors.
class TarExternals : public object::Externals {
 public:
  explicit TarExternals(TarTensors tensors) : tensors_(std::move(tensors)) {}

  bool is_tensor(const Graph& graph, Value value) const override {
    if (graph.kind(value) != pickle::Kind::kPersistent) return false;
    const auto key = key_of(graph, graph.persistent_id(value));
    return key && (tensors_.tensors.contains(*key) || !tensors_.storages.contains(*key));
  }

  Result<TorchTensor> tensor(const Graph& graph, Value value) override {
    const auto key = key_of(graph, graph.persistent_id(value));
    const auto found = tensors_.tensors.find(key.value_or(""));
    if (found == tensors_.tensors.end()) {
      return fail(ErrorCode::kNotFound, "the tensor is not in the archive");
    }
    const auto storage = tensors_.storages.find(found->second.storage);
    if (storage == tensors_.storages.end()) {
      return fail(ErrorCode::kNotFound, "the storage is not in the archive");
    }
    if (!storage->second.storage_class->dtype) {
      return fail(ErrorCode::kUnsupported, object::unread_type_text(""));
    }
    const TarTensor& tensor = found->second;
    TensorView view{*storage->second.storage_class->dtype, tensor.shape, tensor.strides,
                    tensor.offset, storage->second.bytes};
    if (auto checked = check_view(view); !checked) return std::unexpected(checked.error());
    return TorchTensor{std::move(view), "storages"};
  }

 private:
  TarTensors tensors_;
};

Result<ByteSpan> content_of(const tar::Reader& archive, std::string_view name) {
  const tar::Member* const member = find(archive, name);
  if (member == nullptr) return fail(ErrorCode::kNotFound, "the archive lacks a member of torch's");
  return archive.content(*member);
}

Result<std::unique_ptr<object::Document>> open_document(const tar::Reader& archive,
                                                        std::vector<Part>* parts) {
  TarTensors tensors;
  const auto storages = content_of(archive, "storages");
  const auto list = content_of(archive, "tensors");
  const auto stream = content_of(archive, "pickle");
  if (!storages || !list || !stream) {
    return std::unexpected(!storages ? storages.error() : !list ? list.error() : stream.error());
  }
  const auto read_storages = tensors.read_storages(*storages, parts);
  const auto read_tensors = tensors.read_tensors(*list, parts);
  if (parts != nullptr) parts->push_back({"pickle", PartKind::kPickle, *stream});
  if (!read_storages) return std::unexpected(read_storages.error());
  if (!read_tensors) return std::unexpected(read_tensors.error());
  auto run = run_whole(*stream, Error::kNoOffset);
  if (!run) return std::unexpected(run.error());
  object::Surroundings surroundings;
  surroundings.externals = std::make_unique<TarExternals>(std::move(tensors));
  surroundings.nested = nested_opener();
  return std::make_unique<object::Document>(std::move(*run), std::move(surroundings));
}

}  // namespace

bool is_torch_tar(const tar::Reader& archive) {
  return find(archive, "storages") != nullptr && find(archive, "tensors") != nullptr &&
         find(archive, "pickle") != nullptr;
}

bool is_torch_member(const tar::Reader& archive, const tar::Member& member) {
  return &member == find(archive, "storages") || &member == find(archive, "tensors") ||
         &member == find(archive, "pickle");
}

Result<ModelContents> read_torch_tar(const tar::Reader& archive) {
  auto document = open_document(archive, nullptr);
  if (!document) return std::unexpected(document.error());
  std::vector<object::Root> roots;
  roots.push_back({"", "pickle", std::move(*document)});
  ModelContents contents = contents_of_roots(std::move(roots));
  contents.format = "torch-tar";
  return contents;
}

void add_torch_tar_parts(const tar::Reader& archive, PartList& list) {
  const auto document = open_document(archive, &list.parts);
  if (document) return note_misfits(**document, "pickle", list);
  note_misfit(document.error(), document.error().offset, "", list);
}

}  // namespace tare::format
