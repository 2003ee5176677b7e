#include "format/tensor_bundle.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "format/files_beside.hpp"
#include "format/format.hpp"
#include "format/sstable.hpp"
#include "io/checked.hpp"
#include "io/protobuf.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

constexpr std::uint64_t kMaxAxes = 254;  // of TensorFlow
constexpr std::uint64_t kString = 7;

// By the numbers of DataType; the quantized ones are listed as the integers that they hold.
constexpr std::array<std::optional<DType>, 29> kTypes = {
    std::nullopt,   DType::kF32,        DType::kF64,  DType::kI32,       DType::kU8,
    DType::kI16,    DType::kI8,         std::nullopt, DType::kC64,       DType::kI64,
    DType::kBool,   DType::kI8,         DType::kU8,   DType::kI32,       DType::kBF16,
    DType::kI16,    DType::kU16,        DType::kU16,  DType::kC128,      DType::kF16,
    std::nullopt,   std::nullopt,       DType::kU32,  DType::kU64,       DType::kF8E5M2,
    DType::kF8E4M3, DType::kF8E4M3FNUZ, std::nullopt, DType::kF8E5M2FNUZ};

struct Axis {
  std::uint64_t start = 0;
  std::optional<std::uint64_t> length = {};  // nothing: all of it
};
using Slice = std::vector<Axis>;

struct Entry {
  std::string_view key;
  ByteSpan message;
  std::uint64_t at = 0;
  std::uint64_t type = 0;
  Shape shape = {};
  std::uint64_t shard = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::vector<Slice> slices = {};  // if there are any, the elements are those of other entries

  // Keys of slices begin with a zero.
  bool is_slice() const { return key.starts_with('\0'); }
};

struct Bundle {
  Table table;
  std::vector<Entry> entries;  // by key, without the header
  std::uint64_t shards = 0;
  bool big_endian = false;

  const Entry* find(std::string_view key) const {
    const auto found = std::ranges::lower_bound(entries, key, {}, &Entry::key);
    return found != entries.end() && found->key == key ? &*found : nullptr;
  }
};

std::unexpected<Error> bad(const char* what, std::uint64_t offset) {
  return fail(ErrorCode::kMalformed, what, offset);
}

// ---- messages

Result<Shape> shape_of(const WireField& message) {
  Shape shape;
  ProtobufReader fields(message.bytes, message.content);
  while (const auto field = fields.next()) {
    if (field->number == 3) return bad("a tensor without a shape", message.offset);
    if (field->number != 2 || !field->is_bytes()) continue;
    std::uint64_t size = 0;
    ProtobufReader dim(field->bytes, field->content);
    while (const auto part = dim.next()) {
      if (part->number == 1 && part->type == WireType::kVarint) size = part->value;
    }
    if (dim.failed()) return std::unexpected(dim.error());
    if (!std::in_range<std::int64_t>(size)) return bad("an axis of negative size", field->offset);
    if (shape.size() == kMaxAxes) return bad("a tensor of more than 254 axes", field->offset);
    shape.push_back(size);
  }
  if (fields.failed()) return std::unexpected(fields.error());
  return shape;
}

Result<Slice> slice_of(const WireField& message) {
  Slice slice;
  ProtobufReader fields(message.bytes, message.content);
  while (const auto field = fields.next()) {
    if (field->number != 1 || !field->is_bytes()) continue;
    Axis axis;
    ProtobufReader extent(field->bytes, field->content);
    while (const auto part = extent.next()) {
      if (part->number == 1) axis.start = part->value;
      if (part->number == 2) axis.length = part->value;
    }
    if (extent.failed()) return std::unexpected(extent.error());
    if (slice.size() == kMaxAxes) return bad("a slice of more than 254 axes", field->offset);
    slice.push_back(axis);
  }
  if (fields.failed()) return std::unexpected(fields.error());
  return slice;
}

Result<Entry> entry_of(const TableEntry& stored) {
  Entry entry{stored.key, stored.value, stored.offset};
  ProtobufReader fields(stored.value, stored.offset);
  while (const auto field = fields.next()) {
    if (field->number == 1) entry.type = field->value;
    if (field->number == 3) entry.shard = field->value;
    if (field->number == 4) entry.offset = field->value;
    if (field->number == 5) entry.size = field->value;
    if (field->number == 2 && field->is_bytes()) {
      auto shape = shape_of(*field);
      if (!shape) return std::unexpected(shape.error());
      entry.shape = std::move(*shape);
    } else if (field->number == 7 && field->is_bytes()) {
      auto slice = slice_of(*field);
      if (!slice) return std::unexpected(slice.error());
      entry.slices.push_back(std::move(*slice));
    }
  }
  if (fields.failed()) return std::unexpected(fields.error());
  return entry;
}

// BundleHeaderProto, under the empty key. A table of version 1 has another message there.
Result<void> read_header(const TableEntry& stored, Bundle& bundle) {
  ProtobufReader fields(stored.value, stored.offset);
  while (const auto field = fields.next()) {
    if (field->number == 1 && field->type != WireType::kVarint) {
      return fail(ErrorCode::kWrongFormat, "a TensorFlow checkpoint of version 1");
    }
    if (field->number == 1) bundle.shards = field->value;
    if (field->number == 2) bundle.big_endian = field->value == 1;
  }
  if (fields.failed()) return std::unexpected(fields.error());
  return {};
}

Result<Bundle> read_bundle(ByteSpan bytes) {
  auto table = read_table(bytes);
  if (!table) return std::unexpected(table.error());
  Bundle bundle;
  bundle.table = std::move(*table);
  const auto& stored = bundle.table.entries;
  if (stored.empty() || !stored.front().key.empty()) {
    return fail(ErrorCode::kWrongFormat, "a table of LevelDB that is no checkpoint");
  }
  if (auto read = read_header(stored.front(), bundle); !read) return std::unexpected(read.error());
  for (const TableEntry& entry : std::span(stored).subspan(1)) {
    auto read = entry_of(entry);
    if (!read) return std::unexpected(read.error());
    bundle.entries.push_back(std::move(*read));
  }
  return bundle;
}

// ---- the keys of slices: texts that sort as what they stand for

void append_text(std::string& out, std::string_view text) {
  for (const char c : text) {
    out += c;
    if (c == '\0') out += '\xFF';
    if (c == '\xFF') out += '\0';
  }
  out += '\0';
  out += '\1';
}

std::string big_endian(std::uint64_t value) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

void append_unsigned(std::string& out, std::uint64_t value) {
  std::string digits = big_endian(value);
  digits.erase(0, digits.find_first_not_of('\0'));
  out += static_cast<char>(digits.size());
  out += digits;
}

// Seven bits in each byte; as many ones in front as there are bytes, the first one the sign.
void append_signed(std::string& out, std::int64_t value) {
  const std::uint64_t magnitude = static_cast<std::uint64_t>(value < 0 ? ~value : value);
  const auto length = static_cast<std::size_t>(std::bit_width(magnitude)) / 7 + 1;
  const char sign = value < 0 ? '\xFF' : '\0';
  const std::string digits = std::string(2, sign) + big_endian(static_cast<std::uint64_t>(value));
  std::string bytes = digits.substr(digits.size() - length);
  constexpr std::array<std::uint16_t, 11> kHeads = {0,      0x8000, 0xC000, 0xE000, 0xF000, 0xF800,
                                                    0xFC00, 0xFE00, 0xFF00, 0xFF80, 0xFFC0};
  bytes[0] = static_cast<char>(bytes[0] ^ static_cast<char>(kHeads[length] >> 8));
  if (length > 1) bytes[1] = static_cast<char>(bytes[1] ^ static_cast<char>(kHeads[length] & 0xFF));
  out += bytes;
}

std::string slice_key(std::string_view name, const Slice& slice) {
  std::string key;
  append_unsigned(key, 0);
  append_text(key, name);
  append_unsigned(key, slice.size());
  for (const Axis& axis : slice) {
    append_signed(key, static_cast<std::int64_t>(axis.start));
    append_signed(key, axis.length ? static_cast<std::int64_t>(*axis.length) : -1);
  }
  return key;
}

// ---- tensors

using Elements = std::function<Result<ByteSpan>(const Entry& entry)>;

Result<DType> type_of(const Entry& entry) {
  if (entry.type < kTypes.size() && kTypes[entry.type]) return *kTypes[entry.type];
  return fail(ErrorCode::kUnsupported, "its elements are of a type that tare does not read",
              entry.at);
}

// Whether the index agrees with itself about an entry that has elements of its own.
Result<DType> check_entry(const Entry& entry, const Bundle& bundle) {
  if (entry.shard >= bundle.shards) return bad("its file is not one of the checkpoint", entry.at);
  if (!checked_add(entry.offset, entry.size) || !std::in_range<std::int64_t>(entry.offset)) {
    return bad("its elements have no place that a reader could compute", entry.at);
  }
  const auto type = type_of(entry);
  if (!type) return type;
  const auto count = element_count(entry.shape);
  const auto bytes = count ? packed_bytes(*type, *count) : count;
  if (!bytes || *bytes != entry.size) return bad("its elements do not fit its shape", entry.at);
  return type;
}

Result<TensorView> own_view(const Entry& entry, const Bundle& bundle, const Elements& elements) {
  const auto type = check_entry(entry, bundle);
  if (!type) return std::unexpected(type.error());
  const auto data = elements(entry);
  if (!data) return std::unexpected(data.error());
  TensorView view{*type, entry.shape, row_major_strides(entry.shape), 0, *data};
  if (bundle.big_endian) view.stored = Stored{.dtype = *type, .big_endian = true};
  return view;
}

// Nothing if the slice does not fit the shape.
std::optional<Shape> shape_of_slice(const Slice& slice, const Shape& shape) {
  if (slice.size() != shape.size()) return std::nullopt;
  Shape lengths;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::uint64_t start = slice[axis].start;
    if (start > shape[axis]) return std::nullopt;
    lengths.push_back(slice[axis].length.value_or(shape[axis] - start));
    if (lengths.back() > shape[axis] - start) return std::nullopt;
  }
  return lengths;
}

// The entry that has the elements of a slice.
Result<const Entry*> part_of(const Entry& entry, const Slice& slice, const Bundle& bundle) {
  const Entry* const part = bundle.find(slice_key(entry.key, slice));
  const auto shape = shape_of_slice(slice, entry.shape);
  if (part == nullptr || !shape || part->shape != *shape || part->type != entry.type ||
      !part->slices.empty()) {
    return bad("a slice of the tensor is missing or another one", entry.at);
  }
  return part;
}

Result<TensorView> sliced_view(const Entry& entry, const Bundle& bundle, const Elements& elements) {
  const auto type = type_of(entry);
  if (!type) return std::unexpected(type.error());
  TensorView whole{*type, entry.shape, row_major_strides(entry.shape), 0, {}};
  for (const Slice& slice : entry.slices) {
    const auto part = part_of(entry, slice, bundle);
    if (!part) return std::unexpected(part.error());
    auto view = own_view(**part, bundle, elements);
    if (!view) return view;
    Shape start;
    for (const Axis& axis : slice) start.push_back(axis.start);
    whole.blocks.push_back({std::move(start), std::move(*view)});
  }
  if (auto checked = check_view(whole); !checked) return std::unexpected(checked.error());
  return whole;
}

ModelContents contents_of(const Bundle& bundle, const Elements& elements) {
  ModelContents contents;
  contents.format = "tensorflow-checkpoint";
  for (const Entry& entry : bundle.entries) {
    if (entry.is_slice()) continue;
    std::string name(entry.key);
    if (entry.type == kString) {
      if (is_utf8(name)) contents.metadata.emplace(name, "[texts]");
      continue;
    }
    auto view = !is_utf8(name)         ? bad("its name is not UTF-8", entry.at)
                : entry.slices.empty() ? own_view(entry, bundle, elements)
                                       : sliced_view(entry, bundle, elements);
    if (view) {
      contents.tensors.push_back({std::move(name), std::move(*view), ""});
    } else {
      contents.problems.push_back({std::move(name), view.error()});
    }
  }
  return contents;
}

// ---- what is found in the index

// Elements that two entries have.
void note_overlaps(const Bundle& bundle, PartList& list) {
  std::vector<const Entry*> order;
  for (const Entry& entry : bundle.entries) {
    if (entry.slices.empty() && entry.size > 0) order.push_back(&entry);
  }
  std::ranges::sort(order, {}, [](const Entry* entry) {
    return std::tuple(entry->shard, entry->offset, entry->at);
  });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const Entry& before = *order[i - 1];
    if (before.shard != order[i]->shard) continue;
    if (order[i]->offset - before.offset < before.size) {
      list.notes.push_back(
          {NoteKind::kContradiction, order[i]->at, "", "two tensors have the same bytes"});
    }
  }
}

void note_slices(const Bundle& bundle, PartList& list) {
  std::set<std::string, std::less<>> known;
  for (const Entry& entry : bundle.entries) {
    for (const Slice& slice : entry.slices) known.insert(slice_key(entry.key, slice));
  }
  for (const Entry& entry : bundle.entries) {
    if (entry.is_slice() && !known.contains(entry.key)) {
      list.notes.push_back({NoteKind::kContradiction, entry.at, "", "a slice that no tensor has"});
    }
  }
}

// Whether slices are there, and as many elements as the tensor has.
Result<void> check_slices(const Entry& entry, const Bundle& bundle) {
  const auto count = element_count(entry.shape);
  if (!count) return std::unexpected(count.error());
  std::uint64_t found = 0;
  for (const Slice& slice : entry.slices) {
    const auto part = part_of(entry, slice, bundle);
    if (!part) return std::unexpected(part.error());
    const auto sum = checked_add(found, *element_count((*part)->shape));
    if (!sum) return bad("the slices of the tensor overlap", entry.at);
    found = *sum;
  }
  if (found != *count) return bad("the slices of the tensor are not all of it", entry.at);
  return {};
}

void note_entries(const Bundle& bundle, PartList& list) {
  for (const Entry& entry : bundle.entries) {
    if (entry.type == kString) continue;
    if (!entry.is_slice() && !type_of(entry)) {
      // Of variants, the file says what reads them.
      list.parts.push_back({std::string(entry.key), PartKind::kUnknown, entry.message});
      continue;
    }
    Result<void> checked{};
    if (!entry.slices.empty()) {
      checked = check_slices(entry, bundle);
    } else if (const auto type = check_entry(entry, bundle); !type) {
      checked = std::unexpected(type.error());
    }
    if (checked || checked.error().code == ErrorCode::kUnsupported) continue;
    list.notes.push_back({NoteKind::kContradiction, entry.at,
                          entry.is_slice() ? "" : std::string(entry.key), checked.error().what});
  }
}

void list_index(ByteSpan bytes, const Bundle& bundle, PartList& list) {
  list.format = "tensorflow-checkpoint";
  list.parts.push_back({"", PartKind::kTensorHeader, bytes, 0});
  const Table& table = bundle.table;
  if (table.gap_bytes > 0) {
    list.parts.push_back({"", PartKind::kUnknown, bytes.subspan(table.gap_offset, table.gap_bytes),
                          table.gap_offset, table.gap_offset});
  }
  note_entries(bundle, list);
  note_overlaps(bundle, list);
  note_slices(bundle, list);
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  auto bundle = read_bundle(bytes);
  if (!bundle && bundle.error().code != ErrorCode::kWrongFormat) {
    return std::unexpected(bundle.error());
  }
  PartList list;
  if (bundle) {
    list_index(bytes, *bundle, list);
    // Values that were compressed.
    std::erase_if(list.parts, [](const Part& part) { return part.bytes.empty(); });
    list.inflated = std::move(bundle->table.inflated);
  } else {
    list.parts.push_back({"", PartKind::kRecognised, bytes, 0});
  }
  return list;
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  const auto bundle = read_bundle(bytes);
  if (!bundle) return std::unexpected(bundle.error());
  return contents_of(*bundle, [](const Entry& entry) -> Result<ByteSpan> {
    return fail(ErrorCode::kNotFound, "its elements are in a file beside the index", entry.at);
  });
}

// "model.index", shard 1 of 2 -> "model.data-00001-of-00002"
std::string data_name(std::string_view index, std::uint64_t shard, std::uint64_t shards) {
  const auto five = [](std::uint64_t number) {
    const std::string digits = std::to_string(number);
    return std::string(5 - std::min<std::size_t>(5, digits.size()), '0') + digits;
  };
  return std::string(index.substr(0, index.rfind('.'))) + ".data-" + five(shard) + "-of-" +
         five(shards);
}

}  // namespace

std::expected<Model, Failure> open_tensor_bundle(const std::filesystem::path& path, Input input,
                                                 const OpenInput& open) {
  const auto bundle = read_bundle(input.bytes());
  if (!bundle) return std::unexpected(bundle.error());
  FilesBeside beside(path.parent_path(), open);
  const std::string index = path.filename().string();
  auto contents = contents_of(*bundle, [&](const Entry& entry) -> Result<ByteSpan> {
    const auto file = beside.bytes_of(data_name(index, entry.shard, bundle->shards));
    if (!file) return file;
    if (entry.offset > file->size() || entry.size > file->size() - entry.offset) {
      return fail(ErrorCode::kTruncated, "its elements end behind the data file", entry.at);
    }
    return file->subspan(entry.offset, entry.size);
  });
  std::vector<ModelFile> files = beside.take();
  files.insert(files.begin(), ModelFile{"", std::move(input)});
  return Model(std::move(files), kTensorBundle.name, std::move(contents));
}

const Format kTensorBundle = {"tensorflow-checkpoint", "the index of a TensorFlow checkpoint",
                              is_table, list_parts, read_tensors};

}  // namespace tare::format
