// HDF5 files: models and weights of Keras, and what h5py writes. Format: docs/formats/hdf5.md.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <set>

#include "archive/decoder.hpp"
#include "format/format.hpp"
#include "format/hdf5_file.hpp"
#include "format/object_contents.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

using namespace std::string_view_literals;

// Groups inside of groups.
constexpr std::size_t kMaxDepth = 64;

// ---- the elements of a dataset

// Undoes the shuffle filter: the first bytes of all elements stand together, then the second ones.
std::vector<std::byte> unshuffled(ByteSpan bytes, std::uint64_t size) {
  std::vector<std::byte> out(bytes.begin(), bytes.end());
  if (size < 2) return out;
  const std::uint64_t count = bytes.size() / size;
  for (std::uint64_t b = 0; b < size; ++b) {
    for (std::uint64_t i = 0; i < count; ++i) out[i * size + b] = bytes[b * count + i];
  }
  return out;
}

Result<std::vector<std::byte>> inflated(ByteSpan bytes, std::uint64_t most) {
  std::vector<std::byte> out;
  const DecodeLimits limits{.max_output = most, .max_ratio = 1100, .always_allowed = most};
  const auto decoded = decode(Codec::kZlib, bytes, limits, [&](ByteSpan piece) -> Result<void> {
    if (piece.size() > most - out.size()) {
      return fail(ErrorCode::kMismatch, "a chunk that holds more than its size");
    }
    out.insert(out.end(), piece.begin(), piece.end());
    return {};
  });
  if (!decoded) return std::unexpected(decoded.error());
  return out;
}

// Undoes the compressor of h5py (LibLZF): literals, and copies of what came before.
Result<std::vector<std::byte>> unpacked_lzf(ByteSpan bytes, std::uint64_t most) {
  const auto broken = [] { return fail(ErrorCode::kMalformed, "a chunk with broken LZF data"); };
  std::vector<std::byte> out;
  for (Cursor in(bytes); !in.at_end();) {
    const unsigned control = *in.read<std::uint8_t>();
    std::uint64_t length = control >> 5;
    if (length == 0) {
      const auto literal = in.take(control + 1);
      if (!literal) return broken();
      out.insert(out.end(), literal->begin(), literal->end());
    } else {
      if (length == 7) length += in.read<std::uint8_t>().value_or(0);
      const auto low = in.read<std::uint8_t>();
      const std::uint64_t back = ((control & 31) << 8 | low.value_or(0)) + 1;
      if (!low || back > out.size()) return broken();
      // Byte by byte: a copy may go on into what it has just written.
      for (std::uint64_t i = 0; i < length + 2; ++i) out.push_back(out[out.size() - back]);
    }
    if (out.size() > most) {
      return fail(ErrorCode::kMismatch, "a chunk that holds more than its size");
    }
  }
  return out;
}

// The checksum of Fletcher over big-endian words of 16 bits.
std::uint32_t fletcher32(ByteSpan bytes) {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  for (std::uint64_t i = 0; i < bytes.size(); i += 2) {
    std::uint32_t word = std::to_integer<std::uint32_t>(bytes[i]) << 8;
    if (i + 1 < bytes.size()) word |= std::to_integer<std::uint32_t>(bytes[i + 1]);
    low = (low + word) % 65535;
    high = (high + low) % 65535;
  }
  return high << 16 | low;
}

// The bytes in front of their checksum.
Result<ByteSpan> checked_fletcher32(ByteSpan bytes) {
  if (bytes.size() < 4) return fail(ErrorCode::kTruncated, "a chunk without its checksum");
  const ByteSpan content = bytes.first(bytes.size() - 4);
  std::uint32_t wanted = 0;
  std::memcpy(&wanted, bytes.last(4).data(), 4);
  // Sums of 65535 and 0 are the same number to it.
  const auto same = [](std::uint32_t a, std::uint32_t b) { return a % 65535 == b % 65535; };
  const std::uint32_t sum = fletcher32(content);
  if (!same(sum >> 16, wanted >> 16) || !same(sum & 0xFFFF, wanted & 0xFFFF)) {
    return fail(ErrorCode::kMismatch, "a chunk that is not what its checksum says");
  }
  return content;
}

bool is_undone(const hdf5::Filter& filter) {
  return filter.id == hdf5::kDeflate || filter.id == hdf5::kShuffle ||
         filter.id == hdf5::kFletcher32 || filter.id == hdf5::kLzf;
}

class Elements {
 public:
  Elements(hdf5::File& file, std::uint64_t& inflate_left, std::deque<std::vector<std::byte>>& owner)
      : file_(file), inflate_left_(inflate_left), owner_(owner) {}

  // The dataset as a tensor of elements of that type. Errors: those of the file, kUnsupported.
  Result<TensorView> view(const hdf5::Dataset& dataset, DType dtype);
  // The bytes of a dataset that is not chunked; kUnsupported for others.
  Result<ByteSpan> plain(const hdf5::Dataset& dataset);

 private:
  Result<TensorView> put_together(const hdf5::Dataset& dataset, TensorView whole);
  Result<ByteSpan> unfiltered(const hdf5::Dataset& dataset, const hdf5::Chunk& chunk,
                              std::uint64_t size);
  ByteSpan fill(const hdf5::Dataset& dataset);

  hdf5::File& file_;
  std::uint64_t& inflate_left_;
  std::deque<std::vector<std::byte>>& owner_;
};

std::optional<std::uint64_t> byte_size(const hdf5::Dataset& dataset) {
  if (dataset.is_null) return 0;
  const auto count = element_count(dataset.shape);
  return count ? checked_mul(*count, dataset.type.size) : std::nullopt;
}

// One element of what was never written.
ByteSpan Elements::fill(const hdf5::Dataset& dataset) {
  if (dataset.fill.size() == dataset.type.size) return dataset.fill;
  return owner_.emplace_back(dataset.type.size);
}

Result<ByteSpan> Elements::plain(const hdf5::Dataset& dataset) {
  const auto size = byte_size(dataset);
  if (!size) return fail(ErrorCode::kOverflow, "a dataset that is too large");
  if (!dataset.external.empty() || dataset.layout == hdf5::LayoutKind::kVirtual) {
    return fail(ErrorCode::kRefused, "a dataset whose elements stand in another file");
  }
  if (dataset.layout == hdf5::LayoutKind::kCompact) {
    if (dataset.compact.size() < *size) {
      return fail(ErrorCode::kTruncated, "a dataset that is larger than its bytes");
    }
    return dataset.compact.first(*size);
  }
  if (dataset.layout != hdf5::LayoutKind::kContiguous) {
    return fail(ErrorCode::kUnsupported, "a dataset in chunks");
  }
  return *size == 0 ? ByteSpan() : file_.at(dataset.address, *size);
}

Result<TensorView> Elements::view(const hdf5::Dataset& dataset, DType dtype) {
  TensorView view{dtype, dataset.shape, row_major_strides(dataset.shape), 0, {}};
  if (dataset.type.type != hdf5::TypeClass::kOpaque && dataset.type.big_endian() &&
      dtype_bits(dtype) > 8) {
    view.stored = Stored{.dtype = dtype, .big_endian = true};
  }
  if (dataset.is_null) return fail(ErrorCode::kUnsupported, "a dataset without a shape");
  const bool inside = dataset.external.empty();
  if (inside && dataset.layout == hdf5::LayoutKind::kChunked) {
    return put_together(dataset, std::move(view));
  }
  if (inside && dataset.layout == hdf5::LayoutKind::kContiguous &&
      dataset.address == hdf5::kNowhere) {
    std::ranges::fill(view.strides, 0);
    view.storage = fill(dataset);
  } else {
    const auto bytes = plain(dataset);
    if (!bytes) return std::unexpected(bytes.error());
    view.storage = *bytes;
  }
  if (auto checked = check_view(view); !checked) return std::unexpected(checked.error());
  return view;
}

Result<ByteSpan> Elements::unfiltered(const hdf5::Dataset& dataset, const hdf5::Chunk& chunk,
                                      std::uint64_t size) {
  ByteSpan bytes = chunk.bytes;
  for (std::size_t i = dataset.filters.size(); i-- > 0;) {
    if (i < 32 && (chunk.skipped >> i & 1) != 0) continue;
    const hdf5::Filter& filter = dataset.filters[i];
    if (!is_undone(filter)) {
      return fail(ErrorCode::kUnsupported, "a filter that tare does not undo");
    }
    if (filter.id == hdf5::kFletcher32) {
      const auto content = checked_fletcher32(bytes);
      if (!content) return content;
      bytes = *content;
      continue;
    }
    if (size > inflate_left_) {
      return fail(ErrorCode::kLimit, "the file inflates to more than tare is willing to hold");
    }
    inflate_left_ -= size;
    if (filter.id != hdf5::kShuffle) {
      // A checksum may be packed as well.
      constexpr std::uint64_t kChecksum = 4;
      auto plain = filter.id == hdf5::kLzf ? unpacked_lzf(bytes, size + kChecksum)
                                           : inflated(bytes, size + kChecksum);
      if (!plain) return std::unexpected(plain.error());
      bytes = owner_.emplace_back(std::move(*plain));
    } else if (bytes.size() == size) {
      const std::uint64_t width =
          filter.values.empty() ? dataset.type.size : std::uint64_t{filter.values.front()};
      bytes = owner_.emplace_back(unshuffled(bytes, width));
    }
  }
  if (bytes.size() != size) return fail(ErrorCode::kMismatch, "a chunk of another size");
  return bytes;
}

// Blocks of a tensor: one a chunk, and the fill value where none was written.
Result<TensorView> Elements::put_together(const hdf5::Dataset& dataset, TensorView whole) {
  const std::size_t rank = whole.shape.size();
  if (rank == 0 || dataset.chunk.size() != rank || std::ranges::count(dataset.chunk, 0U) > 0) {
    return fail(ErrorCode::kMalformed, "chunks of another rank than the dataset");
  }
  std::uint64_t places = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::uint64_t steps =
        whole.shape[i] / dataset.chunk[i] + (whole.shape[i] % dataset.chunk[i] != 0 ? 1 : 0);
    constexpr std::uint64_t kMost = 1'000'000;
    if (steps != 0 && places > kMost / steps) {
      return fail(ErrorCode::kLimit, "a dataset in more than a million chunks");
    }
    places *= steps;
  }
  const auto chunks = file_.chunks(dataset);
  if (!chunks) return std::unexpected(chunks.error());
  const auto count = element_count(dataset.chunk);
  const auto size = count ? checked_mul(*count, dataset.type.size) : std::nullopt;
  if (!size) return fail(ErrorCode::kOverflow, "chunks that are too large");

  std::map<std::vector<std::uint64_t>, const hdf5::Chunk*> by_start;
  for (const hdf5::Chunk& chunk : *chunks) {
    if (!by_start.emplace(chunk.start, &chunk).second) {
      return fail(ErrorCode::kRefused, "two chunks of a dataset stand in one place");
    }
  }
  ByteSpan nothing;
  std::vector<std::uint64_t> start(rank, 0);
  for (std::uint64_t place = 0; place < places; ++place) {
    TensorBlock block{start,
                      {whole.dtype, {}, row_major_strides(dataset.chunk), 0, {}, whole.stored}};
    for (std::size_t i = 0; i < rank; ++i) {
      block.view.shape.push_back(std::min(dataset.chunk[i], whole.shape[i] - start[i]));
    }
    const auto found = by_start.find(start);
    if (found == by_start.end()) {
      if (nothing.empty()) nothing = fill(dataset);
      std::ranges::fill(block.view.strides, 0);
      block.view.storage = nothing;
    } else {
      const auto bytes = unfiltered(dataset, *found->second, *size);
      if (!bytes) return std::unexpected(bytes.error());
      block.view.storage = *bytes;
      by_start.erase(found);
    }
    whole.blocks.push_back(std::move(block));
    // The next place, the last axis first.
    for (std::size_t i = rank; i-- > 0;) {
      start[i] += dataset.chunk[i];
      if (start[i] < whole.shape[i]) break;
      start[i] = 0;
    }
  }
  if (places == 0) std::ranges::fill(whole.strides, 0);
  if (auto checked = check_view(whole); !checked) return std::unexpected(checked.error());
  return whole;
}

// ---- the objects of a file

struct Found {
  std::string path;  // without the slash in front; empty for the root
  hdf5::Object object;
};

// Calls `visit` with every object, once each, and `odd` with every link that is no hard one.
template <typename Visit, typename Odd>
Result<void> walk(hdf5::File& file, const Visit& visit, const Odd& odd) {
  struct Place {
    std::string path;
    std::uint64_t address;
    std::size_t depth;
  };
  std::vector<Place> places{{"", file.root(), 0}};
  std::set<std::uint64_t> seen{file.root()};
  while (!places.empty()) {
    Place place = std::move(places.back());
    places.pop_back();
    if (place.depth > kMaxDepth) return fail(ErrorCode::kLimit, "groups stand too deep");
    auto object = file.object(place.address);
    if (!object) return std::unexpected(object.error());
    const std::size_t first = places.size();
    for (const hdf5::Link& link : object->links) {
      const std::string path =
          place.path.empty() ? std::string(link.name) : place.path + "/" + std::string(link.name);
      if (link.kind != hdf5::LinkKind::kHard) {
        odd(path, link);
      } else if (seen.insert(link.address).second) {
        places.push_back({path, link.address, place.depth + 1});
      }
    }
    std::reverse(places.begin() + static_cast<std::ptrdiff_t>(first), places.end());
    visit(Found{std::move(place.path), std::move(*object)});
  }
  return {};
}

// Text of one element: of a fixed length, or of a variable one.
Result<ByteSpan> text_bytes(hdf5::File& file, const hdf5::Datatype& type, ByteSpan element) {
  if (type.type != hdf5::TypeClass::kVariable) return element;
  const bool is_text = (type.bits & 0xF) == 1;
  std::uint32_t item = 1;
  if (!is_text && type.properties.size() >= 8) {
    std::memcpy(&item, type.properties.data() + 4, sizeof item);
  }
  return file.variable(element, item);
}

bool holds_bytes(const hdf5::Datatype& type) {
  return type.type == hdf5::TypeClass::kString || type.type == hdf5::TypeClass::kOpaque ||
         type.type == hdf5::TypeClass::kVariable;
}

// bfloat16 of Keras: two bytes of no type, and an attribute that says so.
std::optional<DType> tensor_type_of(const hdf5::Object& object) {
  const hdf5::Datatype& type = object.dataset.type;
  if (type.type != hdf5::TypeClass::kOpaque || type.size != 2) return hdf5::tensor_type(type);
  const bool says_so = std::ranges::any_of(object.attributes, [](const hdf5::Attribute& attribute) {
    return attribute.name == "dtype" && attribute.type.type == hdf5::TypeClass::kVariable;
  });
  return says_so ? std::optional(DType::kBF16) : std::nullopt;
}

const char* type_text(const hdf5::Datatype& type) {
  switch (type.type) {
    case hdf5::TypeClass::kString:
    case hdf5::TypeClass::kVariable:
      return "texts, or lists";
    case hdf5::TypeClass::kCompound:
      return "structures";
    case hdf5::TypeClass::kOpaque:
      return "bytes of no type";
    default:
      return "elements that no tensor has";
  }
}

// ---- tensors

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext& context) {
  auto file = hdf5::File::open(bytes);
  if (!file) return std::unexpected(file.error());
  const auto owner = std::make_shared<std::deque<std::vector<std::byte>>>();
  Elements elements(*file, context.inflate_left, *owner);
  object::Root root;
  std::vector<Problem> problems;
  const auto read = [&](const Found& found) {
    if (!found.object.is_dataset) return;
    const auto dtype = tensor_type_of(found.object);
    if (!dtype) {
      root.leaves.push_back({found.path, type_text(found.object.dataset.type), "", false});
      return;
    }
    auto view = elements.view(found.object.dataset, *dtype);
    if (view) {
      root.tensors.push_back({found.path, std::move(*view), ""});
    } else {
      problems.push_back({found.path, view.error()});
    }
  };
  const auto odd = [&](const std::string& path, const hdf5::Link&) {
    problems.push_back(
        {path, Error{ErrorCode::kRefused, 0, Error::kNoOffset, "a link that is not followed"}});
  };
  if (auto walked = walk(*file, read, odd); !walked) return std::unexpected(walked.error());
  std::vector<object::Root> roots;
  if (!root.tensors.empty() || !root.leaves.empty()) roots.push_back(std::move(root));
  ModelContents contents = contents_of_roots(std::move(roots));
  contents.format = "hdf5";
  std::ranges::move(problems, std::back_inserter(contents.problems));
  contents.owners.push_back(owner);
  return contents;
}

// ---- parts

class PartLister {
 public:
  PartLister(hdf5::File& file, ByteSpan bytes, ReadContext& context)
      : file_(file), bytes_(bytes), context_(context) {}

  Result<PartList> list();

 private:
  void add_front_and_end();
  void add_object(const Found& found);
  void add_attribute(const std::string& path, const hdf5::Attribute& attribute);
  void add_dataset(const Found& found);
  void add_elements(const std::string& path, const hdf5::Datatype& type, ByteSpan data);
  void add_filters(const std::string& path, const hdf5::Dataset& dataset);
  void add_link(const std::string& path, const hdf5::Link& link);
  bool add_file(const std::string& path, ByteSpan bytes);
  void note(NoteKind kind, const std::string& path, const char* text) {
    list_.notes.push_back({kind, Error::kNoOffset, path, text});
  }

  hdf5::File& file_;
  ByteSpan bytes_;
  ReadContext& context_;
  // Texts that do not overlap are no more than the file.
  std::uint64_t text_budget_ = 3 * std::uint64_t{bytes_.size()};
  bool is_keras_ = false;
  PartList list_;
};

// The file may begin behind other bytes, and end in front of some: another reader reads those.
void PartLister::add_front_and_end() {
  const ByteSpan front = bytes_.first(file_.user_block());
  if (std::ranges::any_of(front, [](std::byte b) { return b != std::byte{0}; })) {
    list_.parts.push_back({"", PartKind::kUnknown, front, 0});
  }
  const std::uint64_t end = file_.end();
  if (end >= bytes_.size()) return;
  list_.notes.push_back({NoteKind::kTrailing, end, "", "bytes behind the end of the HDF5 file"});
  list_.parts.push_back({"", PartKind::kUnknown, bytes_.subspan(end), end, end});
}

// What may be a file of any kind; true if it is.
bool PartLister::add_file(const std::string& path, ByteSpan bytes) {
  // A text of fixed length is filled up with zeros.
  while (!bytes.empty() && bytes.back() == std::byte{0}) bytes = bytes.first(bytes.size() - 1);
  // Most texts are names, too short to be a file.
  constexpr std::size_t kShortest = 4;
  if (bytes.size() < kShortest) return false;
  if (bytes.size() > text_budget_) {
    if (text_budget_ > 0) {
      note(NoteKind::kUnreadable, path, "texts share more bytes than tare is willing to look at");
    }
    text_budget_ = 0;
    return false;
  }
  text_budget_ -= bytes.size();
  if (detect(bytes).empty()) return false;
  list_.parts.push_back({path, PartKind::kNested, bytes, file_.offset_of(bytes)});
  return true;
}

// Texts that are no files are only text.
void PartLister::add_elements(const std::string& path, const hdf5::Datatype& type, ByteSpan data) {
  list_.parts.push_back({path, PartKind::kPlainText, data, file_.offset_of(data)});
  if (type.size == 0 || type.type == hdf5::TypeClass::kOpaque) {
    add_file(path, data);
    return;
  }
  for (std::uint64_t at = 0; at + type.size <= data.size(); at += type.size) {
    const auto text = text_bytes(file_, type, data.subspan(at, type.size));
    if (!text) return note(NoteKind::kDamaged, path, text.error().what);
    add_file(path, *text);
  }
}

void PartLister::add_attribute(const std::string& path, const hdf5::Attribute& attribute) {
  const std::string name = path + "@" + std::string(attribute.name);
  const bool is_config = attribute.name == "model_config" || attribute.name == "training_config";
  is_keras_ = is_keras_ || is_config;
  if (!is_config) {
    if (holds_bytes(attribute.type)) add_elements(name, attribute.type, attribute.data);
    return;
  }
  const auto text = text_bytes(file_, attribute.type, attribute.data);
  if (!text) return note(NoteKind::kUnreadable, name, text.error().what);
  if (!add_file(name, *text)) {
    list_.parts.push_back({name, PartKind::kUnknown, *text, file_.offset_of(*text)});
  }
}

void PartLister::add_filters(const std::string& path, const hdf5::Dataset& dataset) {
  constexpr std::uint16_t kBuiltIn = 32;  // numbers below are those of the library itself
  for (const hdf5::Filter& filter : dataset.filters) {
    if (filter.id < kBuiltIn || filter.id == hdf5::kLzf) continue;
    note(NoteKind::kPlugin, path, "a filter that HDF5 loads as native code");
  }
}

void PartLister::add_dataset(const Found& found) {
  const hdf5::Dataset& dataset = found.object.dataset;
  if (!dataset.external.empty()) {
    return note(NoteKind::kOutside, found.path,
                "its elements stand in another file (CVE-2026-1669)");
  }
  if (dataset.layout == hdf5::LayoutKind::kVirtual) {
    return note(NoteKind::kOutside, found.path,
                "its elements are mapped from other files (CVE-2026-12480)");
  }
  add_filters(found.path, dataset);
  Elements elements(file_, context_.inflate_left, list_.inflated);
  if (dataset.layout == hdf5::LayoutKind::kChunked) {
    const auto dtype = tensor_type_of(found.object);
    if (!dtype) return note(NoteKind::kUnreadable, found.path, "chunks of texts or structures");
    const auto chunks = file_.chunks(dataset);
    if (!chunks) return note(NoteKind::kDamaged, found.path, chunks.error().what);
    for (const hdf5::Chunk& chunk : *chunks) {
      list_.parts.push_back(
          {found.path, PartKind::kTensorData, chunk.bytes, file_.offset_of(chunk.bytes)});
    }
    return;
  }
  if (dataset.layout == hdf5::LayoutKind::kContiguous && dataset.address == hdf5::kNowhere) return;
  const auto data = elements.plain(dataset);
  if (!data) return note(NoteKind::kDamaged, found.path, data.error().what);
  if (tensor_type_of(found.object)) {
    list_.parts.push_back({found.path, PartKind::kTensorData, *data, file_.offset_of(*data)});
  } else if (holds_bytes(dataset.type)) {
    add_elements(found.path, dataset.type, *data);
  } else if (!data->empty()) {
    list_.parts.push_back({found.path, PartKind::kUnknown, *data, file_.offset_of(*data)});
  }
}

void PartLister::add_object(const Found& found) {
  for (const hdf5::Attribute& attribute : found.object.attributes) {
    add_attribute(found.path, attribute);
  }
  if (found.object.is_dataset) add_dataset(found);
}

void PartLister::add_link(const std::string& path, const hdf5::Link& link) {
  if (link.kind == hdf5::LinkKind::kExternal) {
    note(NoteKind::kOutside, path, "a link into another file (CVE-2026-9335)");
  } else if (link.kind == hdf5::LinkKind::kSoft) {
    note(NoteKind::kLink, path, "a soft link");
  } else {
    note(NoteKind::kPlugin, path, "a link of a kind that the loading program must bring");
  }
}

Result<PartList> PartLister::list() {
  add_front_and_end();
  list_.parts.push_back(
      {"", PartKind::kTensorHeader, bytes_.subspan(file_.user_block(), 8), file_.user_block()});
  auto walked = walk(
      file_, [this](const Found& found) { add_object(found); },
      [this](const std::string& path, const hdf5::Link& link) { add_link(path, link); });
  if (!walked) return std::unexpected(walked.error());
  list_.format = is_keras_ ? "keras-h5" : "hdf5";
  return std::move(list_);
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext& context) {
  auto file = hdf5::File::open(bytes);
  if (!file) return std::unexpected(file.error());
  return PartLister(*file, bytes, context).list();
}

bool recognises(ByteSpan bytes) {
  return hdf5::find_signature(bytes).has_value();
}

}  // namespace

const Format kHdf5 = {"hdf5", "an HDF5 file", recognises, list_parts, read_tensors};

}  // namespace tare::format
