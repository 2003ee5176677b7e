// Checkpoints of Flax: MessagePack with arrays as extensions (docs/formats/flax.md).
#include <algorithm>
#include <array>
#include <unordered_set>

#include "format/format.hpp"
#include "io/checked.hpp"
#include "io/msgpack.hpp"
#include "io/parse_number.hpp"
#include "io/utf8.hpp"
#include "tensor/numpy_dtype.hpp"

namespace tare::format {
namespace {

// Types of extensions.
constexpr std::uint8_t kArrayExtension = 1;
constexpr std::uint8_t kComplexExtension = 2;
constexpr std::uint8_t kScalarExtension = 3;

constexpr std::string_view kChunkMark = "__msgpack_chunked_array__";
// As deep as the msgpack package goes.
constexpr std::size_t kMaxLevels = 1024;
constexpr std::size_t kMaxShown = 1000;
// Of the rectangles that chunks are cut into: all their axes together, in one file.
constexpr std::uint64_t kMaxBlockAxes = 2'000'000;

// ---- arrays

// (shape, name of the dtype, elements)
struct ArrayView {
  Shape shape;
  std::string_view type;
  ByteSpan data;
  std::uint64_t offset = 0;  // of the data
};

std::unexpected<Error> bad(const char* what, std::uint64_t offset) {
  return fail(ErrorCode::kMalformed, what, offset);
}

Result<Shape> read_shape(MsgpackReader& in) {
  const auto list = in.next();
  if (!list || list->kind != MsgpackKind::kArray) return bad("an array has no shape", in.offset());
  if (list->value > 64) return bad("an array has more than 64 axes", list->offset);
  Shape shape;
  for (std::uint64_t i = 0; i < list->value; ++i) {
    const auto size = in.next();
    if (!size || size->kind != MsgpackKind::kUnsigned) {
      return bad("an axis of an array has no size", in.offset());
    }
    shape.push_back(size->value);
  }
  return shape;
}

bool is_text(const Result<MsgpackItem>& item) {
  return item && (item->kind == MsgpackKind::kText || item->kind == MsgpackKind::kBytes);
}

Result<ArrayView> read_array(const MsgpackItem& extension) {
  MsgpackReader in(extension.bytes, extension.content);
  const auto list = in.next();
  if (!list || list->kind != MsgpackKind::kArray || list->value != 3) {
    return bad("an array that is no shape, type and elements", extension.offset);
  }
  auto shape = read_shape(in);
  if (!shape) return std::unexpected(shape.error());
  const auto type = in.next();
  const auto data = is_text(type) ? in.next() : type;
  if (!is_text(type) || !is_text(data)) return bad("an array is broken", extension.offset);
  if (!in.at_end()) return bad("bytes behind the elements of an array", in.offset());
  return ArrayView{std::move(*shape), type->text(), data->bytes, data->content};
}

struct ElementType {
  DType dtype;
  bool big_endian = false;
};

// Names that numpy gets from the ml_dtypes package, and one of its own.
constexpr std::array<std::pair<std::string_view, DType>, 7> kMoreTypes = {
    {{"bfloat16", DType::kBF16},
     {"complex128", DType::kC128},
     {"float8_e4m3fn", DType::kF8E4M3},
     {"float8_e5m2", DType::kF8E5M2},
     {"float8_e4m3fnuz", DType::kF8E4M3FNUZ},
     {"float8_e5m2fnuz", DType::kF8E5M2FNUZ},
     {"float8_e8m0fnu", DType::kF8E8M0}}};

std::optional<ElementType> element_type(std::string_view name) {
  for (const auto& [known, dtype] : kMoreTypes) {
    if (name == known) return ElementType{dtype};
  }
  const auto type = numpy_scalar(name);
  if (!type || !type->is_scalar()) return std::nullopt;
  const auto dtype = to_tensor_dtype(*type);
  if (!dtype) return std::nullopt;
  return ElementType{*dtype, type->order == NumpyDType::Order::kBig};
}

TensorView dense(ElementType type, Shape shape, ByteSpan data) {
  auto strides = row_major_strides(shape);
  TensorView view{type.dtype, std::move(shape), std::move(strides), 0, data};
  if (type.big_endian) view.stored = Stored{.dtype = type.dtype, .big_endian = true};
  return view;
}

Result<TensorView> view_of(const ArrayView& array) {
  const auto type = element_type(array.type);
  if (!type) {
    return fail(ErrorCode::kUnsupported, "its elements are of a type that tare does not read",
                array.offset);
  }
  const auto count = element_count(array.shape);
  const auto bytes = count ? packed_bytes(type->dtype, *count) : count;
  if (!bytes || *bytes != array.data.size()) {
    return bad("its elements do not fit its shape", array.offset);
  }
  return dense(*type, array.shape, array.data);
}

// ---- arrays in chunks: each is a range of the elements in row-major order

class ChunkedArray {
 public:
  ChunkedArray(Shape shape, ElementType type) : type_(type) {
    view_.dtype = type.dtype;
    view_.shape = std::move(shape);
    view_.strides = steps_ = row_major_strides(view_.shape);
  }
  // A range is a few rectangles: what is left of a row, whole rows, the begin of a row.
  bool add(ByteSpan data, std::uint64_t count);
  std::uint64_t size() const { return at_; }
  TensorView take() { return std::move(view_); }

 private:
  ElementType type_;
  TensorView view_;
  std::vector<std::uint64_t> steps_;  // elements from one index of an axis to the next
  std::uint64_t at_ = 0;              // elements so far
};

bool ChunkedArray::add(ByteSpan data, std::uint64_t count) {
  const std::uint64_t item = dtype_bits(type_.dtype) / 8;
  while (count > 0) {
    // The outermost axis of which whole indexes are left.
    std::size_t axis = 0;
    while (axis < steps_.size() && (at_ % steps_[axis] != 0 || count < steps_[axis])) ++axis;
    if (axis == steps_.size()) return false;
    Shape start(steps_.size(), 0);
    for (std::size_t i = 0; i <= axis; ++i) start[i] = at_ / steps_[i] % view_.shape[i];
    Shape shape = view_.shape;
    std::fill_n(shape.begin(), axis, 1);
    shape[axis] = std::min(count / steps_[axis], view_.shape[axis] - start[axis]);
    const std::uint64_t taken = shape[axis] * steps_[axis];
    view_.blocks.push_back(
        {std::move(start), dense(type_, std::move(shape), data.first(taken * item))});
    data = data.subspan(taken * item);
    at_ += taken;
    count -= taken;
  }
  return true;
}

// The values of {"0": .., "1": .., ...} in order; nothing if it is no such map.
std::optional<std::vector<MsgpackItem>> read_numbered(MsgpackReader& in) {
  const auto map = in.next();
  if (!map || map->kind != MsgpackKind::kMap) return std::nullopt;
  std::vector<std::optional<MsgpackItem>> found(map->value);
  for (std::uint64_t i = 0; i < map->value; ++i) {
    const auto key = in.next();
    if (!key || key->kind != MsgpackKind::kText) return std::nullopt;
    const std::string_view text = key->text();
    const auto number = parse_number(text);
    const auto value = in.next();
    if (!number || *number >= found.size() || std::to_string(*number) != text || found[*number] ||
        !value || value->inner() != 0) {
      return std::nullopt;
    }
    found[*number] = *value;
  }
  std::vector<MsgpackItem> values;
  values.reserve(found.size());
  for (const auto& value : found) values.push_back(*value);
  return values;
}

struct Chunked {
  std::vector<MsgpackItem> shape;
  std::vector<MsgpackItem> chunks;
};

// A map with the mark, a shape and chunks, read behind its head; nothing if it is any other map.
std::optional<Chunked> read_chunked(MsgpackReader& in) {
  bool marked = false;
  std::optional<std::vector<MsgpackItem>> shape;
  std::optional<std::vector<MsgpackItem>> chunks;
  for (int i = 0; i < 3; ++i) {
    const auto key = in.next();
    if (!key || key->kind != MsgpackKind::kText) return std::nullopt;
    if (key->text() == kChunkMark && !marked) {
      const auto value = in.next();
      marked = value && value->inner() == 0;
      if (!marked) return std::nullopt;
    } else if (key->text() == "shape" && !shape) {
      shape = read_numbered(in);
      if (!shape) return std::nullopt;
    } else if (key->text() == "chunks" && !chunks) {
      chunks = read_numbered(in);
      if (!chunks) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  if (!marked) return std::nullopt;
  return Chunked{std::move(*shape), std::move(*chunks)};
}

Result<TensorView> put_together(const Chunked& chunked, std::uint64_t offset,
                                std::uint64_t& block_axes) {
  Shape shape;
  for (const MsgpackItem& size : chunked.shape) {
    if (size.kind != MsgpackKind::kUnsigned) return bad("an axis has no size", size.offset);
    shape.push_back(size.value);
  }
  const auto count = element_count(shape);
  if (!count || shape.empty() || shape.size() > 64 || *count == 0) {
    return bad("chunks without a shape", offset);
  }
  std::optional<ChunkedArray> whole;
  std::string_view type_name;
  for (const MsgpackItem& item : chunked.chunks) {
    if (item.kind != MsgpackKind::kExtension || item.extension != kArrayExtension) {
      return bad("a chunk is no array", item.offset);
    }
    const auto array = read_array(item);
    if (!array) return std::unexpected(array.error());
    const auto view = view_of(*array);
    if (!view) return std::unexpected(view.error());
    if (!whole) {
      type_name = array->type;
      whole.emplace(shape, *element_type(type_name));
    }
    const std::uint64_t elements = array->shape.empty() ? 0 : array->shape[0];
    if (array->shape.size() != 1 || array->type != type_name || elements > *count - whole->size() ||
        !whole->add(array->data, elements)) {
      return bad("a chunk does not fit its array", item.offset);
    }
    block_axes += 2 * shape.size() * shape.size();
    if (block_axes > kMaxBlockAxes) {
      return fail(ErrorCode::kLimit, "more chunks than tare is willing to read", item.offset);
    }
  }
  if (!whole || whole->size() != *count) return bad("chunks of an array are missing", offset);
  TensorView view = whole->take();
  if (auto checked = check_view(view); !checked) return std::unexpected(checked.error());
  return view;
}

// ---- the tree

struct FlaxView {
  ModelContents contents;
  std::vector<Note> notes;
  std::vector<Part> parts;
  std::uint64_t end = 0;  // of the tree
};

class FlaxReader {
 public:
  explicit FlaxReader(ByteSpan bytes) : file_(bytes), in_(bytes) {}
  Result<FlaxView> read();

 private:
  struct Level {
    bool is_map = false;
    std::uint64_t left = 0;   // values to come
    std::uint64_t index = 0;  // of the next one
    std::size_t name = 0;     // length of the name of the level
    std::unordered_set<std::string_view> keys = {};
  };

  Result<void> read_value();
  Result<void> read_key(Level& level);
  Result<void> open(const MsgpackItem& item);
  void add_leaf(const MsgpackItem& item);
  void add_array(const MsgpackItem& item);
  void add_tensor(std::uint64_t offset, Result<TensorView> view);
  Result<void> charge(std::uint64_t bytes);
  void note(NoteKind kind, std::uint64_t offset, const char* what) {
    view_.notes.push_back({kind, offset, name_, what});
  }
  Part part(PartKind kind, const MsgpackItem& item) const {
    return {name_, kind, item.bytes, item.content, item.content};
  }

  ByteSpan file_;
  MsgpackReader in_;
  FlaxView view_;
  std::vector<Level> levels_;
  std::string name_;
  std::uint64_t name_bytes_ = 0;
  std::uint64_t block_axes_ = 0;
};

// Names are as long as the way to them: many of them may be far more than the file.
Result<void> FlaxReader::charge(std::uint64_t bytes) {
  constexpr std::uint64_t kMost = std::uint64_t{64} << 20;
  name_bytes_ += bytes;
  if (name_bytes_ <= kMost || name_bytes_ <= file_.size()) return {};
  return fail(ErrorCode::kLimit, "the names of the tensors are longer than tare is willing to read",
              in_.offset());
}

Result<FlaxView> FlaxReader::read() {
  view_.parts.push_back({"", PartKind::kTensorHeader, file_, 0});
  if (auto read = read_value(); !read) return std::unexpected(read.error());
  while (!levels_.empty()) {
    Level& level = levels_.back();
    name_.resize(level.name);
    if (level.left == 0) {
      levels_.pop_back();
      continue;
    }
    --level.left;
    auto key = read_key(level);
    if (!key) return std::unexpected(key.error());
    if (auto read = read_value(); !read) return std::unexpected(read.error());
  }
  view_.end = in_.offset();
  view_.parts.front().bytes = file_.first(view_.end);
  return std::move(view_);
}

Result<void> FlaxReader::read_key(Level& level) {
  if (!name_.empty()) name_ += '.';
  if (!level.is_map) {
    name_ += std::to_string(level.index++);
    return {};
  }
  const auto key = in_.next();
  if (!key) return std::unexpected(key.error());
  if (key->kind == MsgpackKind::kUnsigned) {
    name_ += std::to_string(key->value);
    return {};
  }
  if (!is_text(key)) return bad("a key is neither a text nor a number", key->offset);
  if (!level.keys.insert(key->text()).second) {
    note(NoteKind::kContradiction, key->offset, "a key stands there twice");
  }
  name_ += key->text();
  return {};
}

Result<void> FlaxReader::read_value() {
  const auto item = in_.next();
  if (!item) return std::unexpected(item.error());
  if (item->inner() > 0) return open(*item);
  auto charged = charge(name_.size());
  if (charged) add_leaf(*item);
  return charged;
}

Result<void> FlaxReader::open(const MsgpackItem& item) {
  if (item.kind == MsgpackKind::kMap && item.value == 3) {
    MsgpackReader ahead = in_;
    if (const auto chunked = read_chunked(ahead)) {
      in_ = ahead;
      for (const MsgpackItem& chunk : chunked->chunks) {
        view_.parts.push_back(part(PartKind::kTensorData, chunk));
      }
      add_tensor(item.offset, put_together(*chunked, item.offset, block_axes_));
      return charge(name_.size());
    }
  }
  if (levels_.size() == kMaxLevels) {
    return fail(ErrorCode::kLimit, "maps stand in maps more than 1024 deep", item.offset);
  }
  levels_.push_back({item.kind == MsgpackKind::kMap, item.value, 0, name_.size()});
  return {};
}

// A number as Python writes it, or a text.
std::string shown(const MsgpackItem& item) {
  std::array<char, 32> digits{};
  switch (item.kind) {
    case MsgpackKind::kBool:
      return item.value != 0 ? "True" : "False";
    case MsgpackKind::kUnsigned:
      return std::to_string(item.value);
    case MsgpackKind::kSigned:
      return std::to_string(static_cast<std::int64_t>(item.value));
    case MsgpackKind::kFloat:
      return {digits.data(),
              std::to_chars(digits.begin(), digits.end(), std::bit_cast<double>(item.value)).ptr};
    default:
      return item.text().size() <= kMaxShown && is_utf8(item.text())
                 ? std::string(item.text())
                 : "[text of " + std::to_string(item.bytes.size()) + " bytes]";
  }
}

void FlaxReader::add_leaf(const MsgpackItem& item) {
  switch (item.kind) {
    case MsgpackKind::kExtension:
      return add_array(item);
    case MsgpackKind::kBytes:
      // Nothing that Flax itself writes.
      if (!item.bytes.empty()) view_.parts.push_back(part(PartKind::kNested, item));
      return;
    case MsgpackKind::kNil:
    case MsgpackKind::kArray:
    case MsgpackKind::kMap:
      return;
    default:
      if (is_utf8(name_)) view_.contents.metadata.emplace(name_, shown(item));
  }
}

void FlaxReader::add_array(const MsgpackItem& item) {
  if (item.extension == kComplexExtension) return;
  if (item.extension != kArrayExtension && item.extension != kScalarExtension) {
    view_.parts.push_back(part(PartKind::kUnknown, item));
    return;
  }
  const auto array = read_array(item);
  if (array) {
    view_.parts.push_back(
        {name_, PartKind::kTensorData, array->data, array->offset, array->offset});
  }
  add_tensor(item.offset, array ? view_of(*array) : std::unexpected(array.error()));
}

void FlaxReader::add_tensor(std::uint64_t offset, Result<TensorView> view) {
  if (view && !is_utf8(name_)) view = bad("its name is not UTF-8", offset);
  if (view) {
    view_.contents.tensors.push_back({name_, std::move(*view), ""});
    return;
  }
  // Of a type that tare does not read, numpy checks as much as of any other.
  if (view.error().code != ErrorCode::kUnsupported) {
    const bool is_limit = view.error().code == ErrorCode::kLimit;
    note(is_limit ? NoteKind::kUnreadable : NoteKind::kContradiction, offset, view.error().what);
  }
  view_.contents.problems.push_back({name_, view.error()});
}

// ---- the format

// A map, or an array alone; with an array in it, and nothing behind it.
bool recognises(ByteSpan bytes) {
  MsgpackReader in(bytes);
  // Items that are still to come, in all that is open: nothing is nested, it is only counted.
  std::uint64_t wanted = 1;
  bool has_array = false;
  for (bool first = true; wanted > 0; first = false) {
    const auto item = in.next();
    if (!item) return false;
    const bool is_array =
        item->kind == MsgpackKind::kExtension && item->extension == kArrayExtension;
    if (first && !is_array && item->kind != MsgpackKind::kMap) return false;
    has_array = has_array || (is_array && read_array(*item).has_value());
    const auto more = checked_add(wanted - 1, item->inner());
    if (!more || *more > bytes.size() - in.offset()) return false;
    wanted = *more;
  }
  return has_array && in.at_end();
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  auto view = FlaxReader(bytes).read();
  if (!view) return std::unexpected(view.error());
  PartList list;
  list.parts = std::move(view->parts);
  list.notes = std::move(view->notes);
  return list;
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  auto view = FlaxReader(bytes).read();
  if (!view) return std::unexpected(view.error());
  return std::move(view->contents);
}

}  // namespace

const Format kFlax = {"flax", "a Flax checkpoint (msgpack)", recognises, list_parts, read_tensors};

}  // namespace tare::format
