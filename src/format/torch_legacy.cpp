#include "format/torch_legacy.hpp"

#include <unordered_map>

#include "format/object_contents.hpp"
#include "format/torch_archive.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

using object::Document;
using object::Storage;
using object::StorageId;

// The magic number as a pickle may write it: the bytes of LONG1, or a decimal number.
constexpr std::string_view kMagicBytes = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::string_view kMagicDigits = "119547037146038801333356";
// The longest of them, with a frame, is shorter.
constexpr std::size_t kMagicPickleBytes = 64;

constexpr std::array kPickleNames = {"magic number", "protocol version", "system", "object",
                                     "storage keys"};

// Where the parts of a file lie, as far as they could be read.
struct Layout {
  std::array<std::uint64_t, kPickleNames.size() + 1> begin{};  // of each pickle; then of the data
  std::size_t pickles = 0;                                     // that end with STOP
  std::unordered_map<std::string, ByteSpan> storages;          // by key
  std::uint64_t end = 0;                                       // of the data
};

struct Opened {
  Layout layout;
  std::unique_ptr<Document> document;
  // Why the rest could not be read, if it could not.
  std::optional<Error> error;
};

class LegacyExternals : public object::Externals {
 public:
  std::unordered_map<std::string, ByteSpan> storages;

  Result<Storage> storage(const StorageId& id) override {
    const auto found = storages.find(id.key);
    if (found == storages.end()) return fail(ErrorCode::kNotFound, "the storage has no data");
    return Storage{found->second, false, ""};
  }
};

class LegacyReader {
 public:
  LegacyReader(ByteSpan bytes, unsigned depth) : bytes_(bytes), depth_(depth) {}

  Opened read();

 private:
  // Runs the next pickle.
  std::optional<pickle::Run> next_pickle();
  bool read_keys(const pickle::Run& run);
  bool read_storage(const std::string& key);
  bool failed(ErrorCode code, const char* what, std::uint64_t offset = Error::kNoOffset) {
    opened_.error = Error{code, 0, offset, what};
    return false;
  }

  ByteSpan bytes_;
  unsigned depth_;
  Opened opened_;
  std::uint64_t at_ = 0;
  std::unordered_map<std::string, StorageId> ids_;  // the first of each key
};

std::optional<pickle::Run> LegacyReader::next_pickle() {
  Layout& layout = opened_.layout;
  layout.begin.at(layout.pickles) = at_;
  auto run = run_whole(bytes_.subspan(at_), at_);
  if (!run) {
    opened_.error = run.error();
    return std::nullopt;
  }
  at_ += run->end_offset;
  layout.begin.at(++layout.pickles) = at_;
  return std::move(*run);
}

Opened LegacyReader::read() {
  std::optional<pickle::Run> object;
  for (std::size_t number = 0; number < kPickleNames.size(); ++number) {
    auto run = next_pickle();
    if (!run) return std::move(opened_);
    if (number == 3) object = std::move(run);
    if (number == 4) {
      for (const pickle::Event& event : object->events) {
        if (event.kind != pickle::EventKind::kPersistentLoad) continue;
        if (auto id = object::read_storage_id(object->graph, event.subject)) {
          ids_.try_emplace(id->key, *id);
        }
      }
      if (!read_keys(*run)) break;
    }
  }
  opened_.layout.end = at_;
  object::Surroundings surroundings;
  auto externals = std::make_unique<LegacyExternals>();
  externals->storages = opened_.layout.storages;
  surroundings.externals = std::move(externals);
  surroundings.nested = nested_opener();
  surroundings.depth = depth_;
  opened_.document = std::make_unique<Document>(std::move(*object), std::move(surroundings));
  return std::move(opened_);
}

// A list of the keys; behind it, in that order, the storages.
bool LegacyReader::read_keys(const pickle::Run& run) {
  const object::ObjectView list = object::look(run.graph, run.result);
  if (list.kind != object::Kind::kSequence) {
    return failed(ErrorCode::kMalformed, "the fifth pickle is no list of storage keys");
  }
  for (const object::Child& child : list.children) {
    const bool is_text = run.graph.is_text(child.value);
    const bool is_number = run.graph.kind(child.value) == pickle::Kind::kInt;
    if (!is_text && !is_number) {
      return failed(ErrorCode::kMalformed, "a storage key that is no text");
    }
    if (!read_storage(is_text ? std::string(run.graph.text(child.value))
                              : std::to_string(run.graph.integer(child.value)))) {
      return false;
    }
  }
  return true;
}

// The number of elements, and the elements.
bool LegacyReader::read_storage(const std::string& key) {
  const auto id = ids_.find(key);
  if (id == ids_.end()) {
    return failed(ErrorCode::kMalformed, "data of a storage that the object does not have", at_);
  }
  Cursor cursor(bytes_, at_);
  const auto numel = cursor.read<std::uint64_t>();
  const auto size = numel ? checked_mul(*numel, id->second.storage_class->bits / 8) : std::nullopt;
  const auto data = size ? cursor.take(*size) : std::nullopt;
  if (!data) return failed(ErrorCode::kTruncated, "the file ends inside a storage", at_);
  if (*numel != id->second.numel) {
    return failed(ErrorCode::kMalformed, "a storage has another size than the pickle claims", at_);
  }
  opened_.layout.storages.insert_or_assign(key, *data);
  at_ = cursor.offset();
  return true;
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext& context) {
  Opened opened = LegacyReader(bytes, context.depth).read();
  if (!opened.document) return std::unexpected(*opened.error);
  std::vector<object::Root> roots;
  roots.push_back({"", "", std::move(opened.document)});
  ModelContents contents = contents_of_roots(std::move(roots));
  if (opened.error) contents.problems.push_back({"storages", *opened.error});
  return contents;
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  Opened opened = LegacyReader(bytes, 0).read();
  const Layout& layout = opened.layout;
  PartList list;
  const auto add = [&](PartKind kind, std::uint64_t begin, std::uint64_t end) {
    list.parts.push_back({"", kind, bytes.subspan(begin, end - begin), begin, begin});
  };
  for (std::size_t i = 0; i < layout.pickles; ++i) {
    add(PartKind::kPickle, layout.begin.at(i), layout.begin.at(i + 1));
  }
  if (!opened.document) {
    // What cannot be read on is a pickle that breaks.
    const std::uint64_t rest = layout.begin.at(layout.pickles);
    if (rest < bytes.size()) add(PartKind::kPickle, rest, bytes.size());
    return list;
  }
  const std::uint64_t data = layout.begin.at(layout.pickles);
  if (layout.end > data) add(PartKind::kTensorData, data, layout.end);
  if (opened.error) {
    list.notes.push_back({NoteKind::kTensor, layout.end, "", opened.error->what});
  }
  if (layout.end < bytes.size()) {
    list.notes.push_back({NoteKind::kTrailing, layout.end, "", "bytes behind the last storage"});
    add(PartKind::kNested, layout.end, bytes.size());
  }
  note_misfits(*opened.document, "", list);
  return list;
}

}  // namespace

bool is_torch_legacy(ByteSpan bytes) {
  const ByteSpan front = bytes.first(std::min(bytes.size(), kMagicPickleBytes));
  // Most pickles do not hold the number at all, and need not be run to know it. Underscores may
  // stand between its digits.
  const auto holds = [front](std::string_view number) {
    return as_text(front).find(number) != std::string_view::npos;
  };
  if (!holds(kMagicBytes) && !holds(kMagicDigits) && !holds("_")) return false;
  const auto run = pickle::run(front);
  if (run.end != pickle::End::kStop || run.graph.kind(run.result) != pickle::Kind::kBigInt) {
    return false;
  }
  const std::string_view text = run.graph.text(run.result);
  return run.graph.is_decimal_text(run.result) ? text == kMagicDigits : text == kMagicBytes;
}

Result<std::unique_ptr<Document>> open_torch_legacy(ByteSpan file, unsigned depth) {
  Opened opened = LegacyReader(file, depth).read();
  if (!opened.document) return std::unexpected(*opened.error);
  return std::move(opened.document);
}

const Format kTorchLegacy = {"torch-legacy", "a checkpoint of stacked pickles", is_torch_legacy,
                             list_parts, read_tensors};

}  // namespace tare::format
