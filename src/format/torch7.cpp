#include "format/torch7.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

#include "io/checked.hpp"
#include "io/cursor.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

enum Type : std::int64_t {
  kNil = 0,
  kNumber = 1,
  kText = 2,
  kTable = 3,
  kTorch = 4,
  kBoolean = 5,
  kOldFunction = 6,     // without an index
  kLegacyFunction = 7,  // with one, and its upvalues as a list
  kFunction = 8,
};

constexpr std::size_t kMaxLevels = 10'000;
constexpr std::size_t kMaxShown = 1000;
constexpr std::uint64_t kMaxAxes = 64;

struct Element {
  std::string_view name;
  DType dtype;
};
constexpr std::array kElements = {Element{"Byte", DType::kU8},   Element{"Char", DType::kI8},
                                  Element{"Short", DType::kI16}, Element{"Int", DType::kI32},
                                  Element{"Long", DType::kI64},  Element{"Half", DType::kF16},
                                  Element{"Float", DType::kF32}, Element{"Double", DType::kF64}};

// "torch.FloatTensor" for "Tensor": F32. On a GPU the name alone is that of floats.
std::optional<DType> element_of(std::string_view name, std::string_view kind) {
  if (!name.starts_with("torch.") || !name.ends_with(kind)) return std::nullopt;
  name = name.substr(6, name.size() - 6 - kind.size());
  if (name == "Cuda") return DType::kF32;
  if (name.starts_with("Cuda")) name.remove_prefix(4);
  const auto* const found = std::ranges::find(kElements, name, &Element::name);
  if (found == kElements.end()) return std::nullopt;
  return found->dtype;
}

// ---- numbers and bytes, in both forms

class Source {
 public:
  Source(ByteSpan bytes, bool is_text) : in_(bytes), is_text_(is_text) {}

  std::optional<std::int64_t> integer(unsigned width) {
    if (is_text_) return text_number<std::int64_t>();
    if (width == 8) return binary<std::int64_t>();
    const auto value = binary<std::int32_t>();
    if (!value) return std::nullopt;
    return *value;
  }
  std::optional<double> number() { return is_text_ ? text_number<double>() : binary<double>(); }
  std::optional<ByteSpan> bytes(std::uint64_t count) {
    const auto found = in_.take(count);
    if (found && is_text_) skip_line_end();
    return found;
  }
  // `count` elements. Of a text, those of more than one byte are numbers, which `owned` gets.
  std::optional<ByteSpan> elements(DType dtype, std::uint64_t count, std::vector<std::byte>& owned);
  std::uint64_t offset() const { return in_.offset(); }
  std::uint64_t remaining() const { return in_.remaining(); }

 private:
  template <typename T>
  std::optional<T> binary() {
    return in_.read<T>();
  }
  template <typename T>
  std::optional<T> text_number();
  template <typename T>
  bool read_numbers(std::uint64_t count, std::vector<std::byte>& owned);
  std::string_view rest() const { return as_text(Cursor(in_).take(in_.remaining()).value()); }
  void skip_line_end() {
    if (rest().starts_with('\n')) in_.take(1);
  }

  Cursor in_;
  bool is_text_;
};

template <typename T>
std::optional<T> Source::text_number() {
  const std::string_view text = rest().substr(0, 512);
  const std::size_t start = std::min(text.find_first_not_of(" \n\t\r"), text.size());
  T value{};
  const auto read = std::from_chars(text.data() + start, text.data() + text.size(), value);
  if (read.ec != std::errc()) return std::nullopt;
  in_.take(static_cast<std::uint64_t>(read.ptr - text.data()));
  skip_line_end();
  return value;
}

template <typename T>
bool Source::read_numbers(std::uint64_t count, std::vector<std::byte>& owned) {
  // Each takes a digit and what divides it from the next.
  if (count > in_.remaining()) return false;
  for (; count > 0; --count) {
    const auto value = text_number<T>();
    if (!value) return false;
    const auto bytes = std::as_bytes(std::span(&*value, 1));
    owned.insert(owned.end(), bytes.begin(), bytes.end());
  }
  return true;
}

std::optional<ByteSpan> Source::elements(DType dtype, std::uint64_t count,
                                         std::vector<std::byte>& owned) {
  const auto size = checked_mul(count, dtype_bits(dtype) / 8);
  if (!size) return std::nullopt;
  if (!is_text_ || *size == count) return bytes(*size);
  bool read = false;
  if (dtype == DType::kI16) read = read_numbers<std::int16_t>(count, owned);
  if (dtype == DType::kI32) read = read_numbers<std::int32_t>(count, owned);
  if (dtype == DType::kI64) read = read_numbers<std::int64_t>(count, owned);
  if (dtype == DType::kF32) read = read_numbers<float>(count, owned);
  if (dtype == DType::kF64) read = read_numbers<double>(count, owned);
  if (!read) return std::nullopt;
  return ByteSpan(owned);
}

// ---- detection

bool is_class_name(std::string_view name) {
  return !name.empty() && name.size() <= 256 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == ' ';
  });
}

// The first object: its type, its number, and enough of it to tell it from other files.
bool could_begin(Source in) {
  const auto type = in.integer(4);
  if (type != kTable && type != kTorch && type != kFunction && type != kLegacyFunction)
    return false;
  if (in.integer(4) != 1) return false;
  const auto size = in.integer(4);
  if (!size || *size < 0) return false;
  if (type == kTable) {
    if (*size == 0) return in.remaining() == 0;
    const auto key = in.integer(4);
    if (key == kNumber) {
      const auto number = in.number();
      return number && *number == 1;
    }
    const auto length = key == kText ? in.integer(4) : std::nullopt;
    if (!length || *length <= 0 || *length > 4096) return false;
    const auto text = in.bytes(static_cast<std::uint64_t>(*length));
    return text && is_utf8(as_text(*text)) && as_text(*text).find('\0') == std::string_view::npos;
  }
  const auto text = in.bytes(static_cast<std::uint64_t>(*size));
  if (!text) return false;
  return type == kTorch ? is_class_name(as_text(*text)) : as_text(*text).starts_with("\x1BL");
}

std::optional<Source> source_of(ByteSpan bytes) {
  const std::string_view text = as_text(bytes);
  const bool is_text = text.size() > 4 && text[1] == '\n' && text.substr(2, 2) == "1\n";
  const Source source(bytes, is_text);
  if (!could_begin(source)) return std::nullopt;
  return source;
}

// ---- objects

class Torch7Reader {
 public:
  Torch7Reader(ByteSpan file, Source source) : file_(file), in_(source) {}
  Result<Torch7View> read();

 private:
  // What is being read: the values of a table, or one object that belongs to another.
  struct Level {
    std::uint64_t left = 0;  // pairs, or objects
    bool is_table = false;
    bool key_next = false;
    std::size_t name = 0;  // length of its name
    std::string key = {};
  };
  struct Storage {
    DType dtype;
    ByteSpan bytes;
    std::uint64_t offset;
  };
  // What a tensor or storage with a number is, for those that refer to it.
  struct Known {
    std::optional<Storage> storage = {};
    std::optional<TensorView> tensor = {};
  };

  Result<void> step();
  Result<void> read_object(bool is_key);
  Result<void> read_numbered(Type type);
  Result<void> read_function();
  Result<void> read_torch(std::int64_t index);
  Result<void> read_tensor(std::int64_t index, DType dtype);
  Result<std::optional<Storage>> read_storage_of();
  Result<Storage> read_storage(DType dtype);
  Result<std::string_view> read_class();
  Result<ByteSpan> sized();
  Result<void> open(std::uint64_t count, bool is_table);
  Result<void> add(const TensorView& view, std::uint64_t offset);
  void scalar(bool is_key, std::string text);
  std::unexpected<Error> cut() const {
    return fail(ErrorCode::kTruncated, "an object is cut off", in_.offset());
  }
  std::unexpected<Error> bad(const char* what) const {
    return fail(ErrorCode::kMalformed, what, in_.offset());
  }

  ByteSpan file_;
  Source in_;
  Torch7View view_;
  std::vector<Level> levels_;
  std::unordered_set<std::int64_t> seen_;  // numbers of objects
  std::unordered_map<std::int64_t, Known> known_;
  std::string name_;
  std::uint64_t name_bytes_ = 0;
};

Result<Torch7View> Torch7Reader::read() {
  if (auto done = read_object(false); !done) return std::unexpected(done.error());
  while (!levels_.empty()) {
    if (auto done = step(); !done) return std::unexpected(done.error());
  }
  view_.end = in_.offset();
  return std::move(view_);
}

// The next object of the innermost level.
Result<void> Torch7Reader::step() {
  Level& level = levels_.back();
  name_.resize(level.name);
  if (level.is_table && !level.key_next) {
    level.key_next = true;
    if (!name_.empty()) name_ += '.';
    name_ += level.key;
    return read_object(false);
  }
  if (level.left == 0) {
    levels_.pop_back();
    return {};
  }
  --level.left;
  if (!level.is_table) return read_object(false);
  level.key_next = false;
  level.key = "[object]";
  return read_object(true);
}

void Torch7Reader::scalar(bool is_key, std::string text) {
  if (is_key) {
    levels_.back().key = std::move(text);
  } else if (is_utf8(name_)) {
    view_.contents.metadata.emplace(name_, std::move(text));
  }
}

std::string number_text(double value) {
  std::array<char, 32> digits{};
  return {digits.data(), std::to_chars(digits.begin(), digits.end(), value).ptr};
}

Result<void> Torch7Reader::read_object(bool is_key) {
  constexpr std::uint64_t kMost = std::uint64_t{64} << 20;
  name_bytes_ += name_.size();
  if (name_bytes_ > kMost && name_bytes_ > file_.size()) {
    return fail(ErrorCode::kLimit, "names that are longer than tare is willing to read",
                in_.offset());
  }
  const auto type = in_.integer(4);
  if (!type) return cut();
  switch (*type) {
    case kNil:
      return {};
    case kNumber: {
      const auto value = in_.number();
      if (!value) return cut();
      scalar(is_key, number_text(*value));
      return {};
    }
    case kBoolean: {
      const auto value = in_.integer(4);
      if (!value) return cut();
      scalar(is_key, *value != 0 ? "true" : "false");
      return {};
    }
    case kText: {
      const auto bytes = sized();
      if (!bytes) return std::unexpected(bytes.error());
      const std::string_view text = as_text(*bytes);
      const bool shown = is_key || (text.size() <= kMaxShown && is_utf8(text));
      scalar(is_key,
             shown ? std::string(text) : "[text of " + std::to_string(text.size()) + " bytes]");
      return {};
    }
    case kOldFunction:
      return read_function();
    case kTable:
    case kTorch:
    case kLegacyFunction:
    case kFunction:
      return read_numbered(static_cast<Type>(*type));
    default:
      return bad("an object of a type that Torch7 does not have");
  }
}

Result<void> Torch7Reader::read_numbered(Type type) {
  const auto index = in_.integer(4);
  if (!index) return cut();
  if (!seen_.insert(*index).second) {
    const auto found = known_.find(*index);
    const bool is_tensor = found != known_.end() && found->second.tensor;
    return is_tensor ? add(*found->second.tensor, in_.offset()) : Result<void>{};
  }
  if (type == kTorch) return read_torch(*index);
  if (type != kTable) return read_function();
  const auto count = in_.integer(4);
  if (!count || *count < 0) return cut();
  return open(static_cast<std::uint64_t>(*count), true);
}

// Then come the values that it closes over.
Result<void> Torch7Reader::read_function() {
  const auto code = sized();
  if (!code) return std::unexpected(code.error());
  const auto at = static_cast<std::uint64_t>(code->data() - file_.data());
  view_.functions.push_back({name_, at, *code});
  return open(1, false);
}

Result<void> Torch7Reader::open(std::uint64_t count, bool is_table) {
  if (levels_.size() == kMaxLevels) {
    return fail(ErrorCode::kLimit, "objects stand in objects more than 10,000 deep", in_.offset());
  }
  levels_.push_back({count, is_table, is_table, name_.size()});
  return {};
}

Result<ByteSpan> Torch7Reader::sized() {
  const auto size = in_.integer(4);
  if (!size || *size < 0) return cut();
  const auto bytes = in_.bytes(static_cast<std::uint64_t>(*size));
  if (!bytes) return cut();
  return *bytes;
}

// "V 1" and a name, or, before there were versions, the name alone.
Result<std::string_view> Torch7Reader::read_class() {
  auto text = sized();
  if (text && as_text(*text).starts_with("V ")) text = sized();
  if (!text) return std::unexpected(text.error());
  if (!is_class_name(as_text(*text))) return bad("a class whose name is none");
  view_.classes.emplace(as_text(*text), static_cast<std::uint64_t>(text->data() - file_.data()));
  return as_text(*text);
}

Result<void> Torch7Reader::read_torch(std::int64_t index) {
  const auto name = read_class();
  if (!name) return std::unexpected(name.error());
  if (const auto dtype = element_of(*name, "Tensor")) return read_tensor(index, *dtype);
  if (const auto dtype = element_of(*name, "Storage")) {
    const auto storage = read_storage(*dtype);
    if (!storage) return std::unexpected(storage.error());
    known_[index].storage = *storage;
    const std::uint64_t count = storage->bytes.size() / (dtype_bits(*dtype) / 8);
    known_[index].tensor = TensorView{*dtype, {count}, {1}, 0, storage->bytes};
    return add(*known_[index].tensor, storage->offset);
  }
  if (name->starts_with("tds.") || name->starts_with("torch.")) {
    return fail(ErrorCode::kUnsupported, "an object of a class that tare does not read",
                in_.offset());
  }
  // Any other class has one object as its content: a table of its fields.
  return open(1, false);
}

Result<Torch7Reader::Storage> Torch7Reader::read_storage(DType dtype) {
  const auto count = in_.integer(8);
  if (!count || *count < 0) return cut();
  const std::uint64_t at = in_.offset();
  auto owned = std::make_shared<std::vector<std::byte>>();
  const auto bytes = in_.elements(dtype, static_cast<std::uint64_t>(*count), *owned);
  if (!bytes) return cut();
  const ByteSpan stored = file_.subspan(at, in_.offset() - at);
  if (!stored.empty()) view_.data.push_back({name_, PartKind::kTensorData, stored, at, at});
  if (!owned->empty()) view_.contents.owners.push_back(std::move(owned));
  return Storage{dtype, *bytes, at};
}

// The storage of a tensor, which may be none.
Result<std::optional<Torch7Reader::Storage>> Torch7Reader::read_storage_of() {
  const auto type = in_.integer(4);
  if (!type) return cut();
  if (*type == kNil) return std::nullopt;
  const auto index = *type == kTorch ? in_.integer(4) : std::nullopt;
  if (!index) return bad("a tensor without a storage");
  if (!seen_.insert(*index).second) {
    const auto found = known_.find(*index);
    if (found == known_.end() || !found->second.storage) {
      return bad("the storage of a tensor is something else");
    }
    return found->second.storage;
  }
  const auto name = read_class();
  if (!name) return std::unexpected(name.error());
  const auto dtype = element_of(*name, "Storage");
  if (!dtype) return bad("the storage of a tensor is something else");
  const auto storage = read_storage(*dtype);
  if (!storage) return std::unexpected(storage.error());
  known_[*index].storage = *storage;
  return *storage;
}

Result<void> Torch7Reader::read_tensor(std::int64_t index, DType dtype) {
  const std::uint64_t at = in_.offset();
  const auto axes = in_.integer(4);
  if (!axes || *axes < 0) return cut();
  if (std::cmp_greater(*axes, kMaxAxes)) return bad("a tensor of more than 64 axes");
  TensorView view{dtype, {}, {}, 0, {}};
  bool fits = true;
  for (std::vector<std::uint64_t>* list : {&view.shape, &view.strides}) {
    for (std::int64_t i = 0; i < *axes; ++i) {
      const auto value = in_.integer(8);
      if (!value) return cut();
      fits = fits && *value >= 0;
      list->push_back(static_cast<std::uint64_t>(*value));
    }
  }
  const auto start = in_.integer(8);
  if (!start) return cut();
  const auto storage = read_storage_of();
  if (!storage) return std::unexpected(storage.error());
  if (*axes == 0) {
    view.shape = {0};
    view.strides = {1};
  } else {
    fits = fits && *start > 0;
    view.offset = static_cast<std::uint64_t>(*start - 1);
  }
  if (*storage) view.storage = (**storage).bytes;
  fits = fits && (!*storage || (**storage).dtype == dtype) && check_view(view).has_value();
  if (!fits) {
    if (++view_.misfits <= PartList::kMaxTensorNotes) {
      view_.notes.push_back({NoteKind::kTensor, at, name_, "it does not fit its storage"});
    }
    view_.contents.problems.push_back(
        {name_, Error{ErrorCode::kMalformed, 0, at, "it does not fit its storage"}});
    return {};
  }
  known_[index].tensor = view;
  return add(view, at);
}

Result<void> Torch7Reader::add(const TensorView& view, std::uint64_t offset) {
  if (is_utf8(name_)) {
    view_.contents.tensors.push_back({name_, view, ""});
  } else {
    view_.contents.problems.push_back(
        {name_, Error{ErrorCode::kMalformed, 0, offset, "its name is not UTF-8"}});
  }
  return {};
}

// ---- the format

bool recognises(ByteSpan bytes) {
  return source_of(bytes).has_value();
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  auto view = read_torch7(bytes);
  if (!view) return std::unexpected(view.error());
  PartList list;
  list.parts.push_back({"", PartKind::kTorch7, bytes.first(view->end), 0});
  std::ranges::move(view->data, std::back_inserter(list.parts));
  if (view->end < bytes.size()) {
    list.parts.push_back({"", PartKind::kUnknown, bytes.subspan(view->end), view->end, view->end});
  }
  list.notes = std::move(view->notes);
  list.misfits = view->misfits;
  return list;
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  auto view = read_torch7(bytes);
  if (!view) return std::unexpected(view.error());
  return std::move(view->contents);
}

}  // namespace

Result<Torch7View> read_torch7(ByteSpan bytes) {
  const auto source = source_of(bytes);
  if (!source) return fail(ErrorCode::kWrongFormat, "no object of Torch7");
  return Torch7Reader(bytes, *source).read();
}

const Format kTorch7 = {"torch7", "a Torch7 object", recognises, list_parts, read_tensors};

}  // namespace tare::format
