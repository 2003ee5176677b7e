// GGUF, the format of llama.cpp (docs/formats/gguf.md), and what GGML had before it.
#include <algorithm>
#include <array>
#include <bit>
#include <unordered_set>

#include "format/format.hpp"
#include "format/ggml_types.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kMaxEntries = std::uint64_t{1} << 20;  // keys, and tensors
constexpr std::uint32_t kMaxAxes = 4;
constexpr std::uint64_t kMaxName = 63;  // bytes, of a tensor
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMaxShownText = 65'536;  // of a key, in the metadata
// The least that a key and a tensor take, by which their numbers are held against the file.
constexpr std::uint64_t kLeastKey = 8 + 4 + 1;
constexpr std::uint64_t kLeastTensor = 8 + 4 + 4 + 8;

enum ValueType : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kText,
  kArray,
  kU64,
  kI64,
  kF64,
};

constexpr std::array<std::string_view, 13> kValueNames = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "text", "array", "u64", "i64", "f64"};
// 0: not of one size.
constexpr std::array<unsigned, 13> kValueBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct TensorInfo {
  std::string_view name;
  std::uint64_t at = 0;  // of the info in the file
  Shape shape;           // outermost first
  std::uint32_t type_number = 0;
  const GgmlType* type = nullptr;
  std::uint64_t offset = 0;  // from the begin of the tensor data; once placed, of the file
  std::uint64_t bytes = 0;
};

struct Template {
  std::string_view key;
  ByteSpan text;
  std::uint64_t offset;
};

struct GgufView {
  bool big_endian = false;
  std::map<std::string, std::string> metadata;
  std::vector<Template> templates;
  std::vector<TensorInfo> tensors;  // those that can be read, in the order of the file
  std::vector<Problem> problems;    // those that cannot
  std::vector<Note> notes;
  std::uint64_t data_offset = 0;
};

bool is_template_key(std::string_view key) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  return key == kKey || (key.starts_with(kKey) && key[kKey.size()] == '.');
}

// Reads the header. What it cannot go on from is an error, anything else a note.
class GgufReader {
 public:
  explicit GgufReader(ByteSpan file) : file_(file), cursor_(file) {}

  Result<GgufView> read();

 private:
  template <typename T>
  bool number(T& out) {
    const auto value = cursor_.read<T>();
    if (!value) return cut();
    out = view_.big_endian ? std::byteswap(*value) : *value;
    return true;
  }
  bool text(std::string_view& out);
  bool read_front();
  bool read_key();
  bool read_value(std::string_view key, std::uint32_t type);
  bool read_text(std::string_view key);
  bool read_scalar(std::string_view key, std::uint32_t type);
  bool read_array(std::string_view key);
  bool skip_texts(std::uint64_t count);
  bool set_alignment(std::uint32_t value);
  bool read_tensor();
  void place_tensors(std::uint64_t header_end);
  bool place(TensorInfo& info);
  bool measure(TensorInfo& info);
  void check_layout();
  bool leave_out(const TensorInfo& info, NoteKind kind, ErrorCode code, const char* what);

  void note(NoteKind kind, std::uint64_t offset, std::string_view subject, const char* what) {
    view_.notes.push_back({kind, offset, std::string(subject), what});
  }
  bool stop(ErrorCode code, const char* what) {
    error_ = Error{code, 0, cursor_.offset(), what};
    return false;
  }
  bool cut() { return stop(ErrorCode::kTruncated, "the header is cut off"); }

  ByteSpan file_;
  Cursor cursor_;
  GgufView view_;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t key_count_ = 0;
  std::uint64_t alignment_ = kDefaultAlignment;
  std::unordered_set<std::string_view> keys_;
  std::unordered_set<std::string_view> names_;
  Error error_{};
};

Result<GgufView> GgufReader::read() {
  if (!read_front()) return std::unexpected(error_);
  for (std::uint64_t i = 0; i < key_count_; ++i) {
    if (!read_key()) return std::unexpected(error_);
  }
  for (std::uint64_t i = 0; i < tensor_count_; ++i) {
    if (!read_tensor()) return std::unexpected(error_);
  }
  place_tensors(cursor_.offset());
  check_layout();
  return std::move(view_);
}

bool GgufReader::read_front() {
  cursor_.take(kMagic.size());
  std::uint32_t version = 0;
  if (!number(version)) return false;
  // As readers do: no version is that large.
  if ((version & 0xFFFF) == 0 && version != 0) {
    view_.big_endian = true;
    version = std::byteswap(version);
  }
  if (version != 2 && version != 3) {
    return stop(ErrorCode::kUnsupported, "a version of GGUF that is neither 2 nor 3");
  }
  view_.metadata.emplace("GGUF.version", std::to_string(version));
  if (!number(tensor_count_) || !number(key_count_)) return false;
  if (key_count_ > cursor_.remaining() / kLeastKey ||
      tensor_count_ > cursor_.remaining() / kLeastTensor) {
    return stop(ErrorCode::kTruncated, "the file is too small for its keys or tensors");
  }
  if (key_count_ > kMaxEntries || tensor_count_ > kMaxEntries) {
    return stop(ErrorCode::kLimit, "more than a million keys or tensors");
  }
  return true;
}

bool GgufReader::text(std::string_view& out) {
  std::uint64_t length = 0;
  if (!number(length)) return false;
  const auto bytes = cursor_.take(length);
  if (!bytes) return cut();
  out = as_text(*bytes);
  return true;
}

bool GgufReader::read_key() {
  const std::uint64_t at = cursor_.offset();
  std::string_view key;
  std::uint32_t type = 0;
  if (!text(key) || !number(type)) return false;
  if (!keys_.insert(key).second) note(NoteKind::kGgufHeader, at, "", "a key stands there twice");
  if (!is_utf8(key)) note(NoteKind::kGgufHeader, at, "", "a key is not UTF-8");
  return read_value(key, type);
}

bool GgufReader::read_value(std::string_view key, std::uint32_t type) {
  if (type >= kValueBytes.size()) {
    return stop(ErrorCode::kUnsupported, "a value of a type that no version of GGUF has");
  }
  if (type == kText) return read_text(key);
  return type == kArray ? read_array(key) : read_scalar(key, type);
}

bool GgufReader::read_text(std::string_view key) {
  std::string_view value;
  if (!text(value)) return false;
  const std::uint64_t at = cursor_.offset() - value.size();
  if (is_template_key(key)) view_.templates.push_back({key, as_bytes(value), at});
  if (!is_utf8(value)) {
    note(NoteKind::kGgufHeader, at, "", "a text is not UTF-8");
  } else if (is_utf8(key)) {
    const bool shown = value.size() <= kMaxShownText;
    view_.metadata.emplace(
        key, shown ? std::string(value) : "[text of " + std::to_string(value.size()) + " bytes]");
  }
  return true;
}

template <typename T>
T as_number(ByteSpan bytes, bool big_endian) {
  std::array<std::byte, sizeof(T)> raw{};
  std::ranges::copy(bytes, raw.begin());
  if (big_endian) std::ranges::reverse(raw);
  return std::bit_cast<T>(raw);
}

std::string scalar_text(std::uint32_t type, ByteSpan bytes, bool big) {
  switch (type) {
    case kU8:
      return std::to_string(as_number<std::uint8_t>(bytes, big));
    case kI8:
      return std::to_string(as_number<std::int8_t>(bytes, big));
    case kU16:
      return std::to_string(as_number<std::uint16_t>(bytes, big));
    case kI16:
      return std::to_string(as_number<std::int16_t>(bytes, big));
    case kU32:
      return std::to_string(as_number<std::uint32_t>(bytes, big));
    case kI32:
      return std::to_string(as_number<std::int32_t>(bytes, big));
    case kF32:
      return std::to_string(as_number<float>(bytes, big));
    case kBool:
      return bytes.front() == std::byte{0} ? "false" : "true";
    case kU64:
      return std::to_string(as_number<std::uint64_t>(bytes, big));
    case kI64:
      return std::to_string(as_number<std::int64_t>(bytes, big));
    default:
      return std::to_string(as_number<double>(bytes, big));
  }
}

bool GgufReader::read_scalar(std::string_view key, std::uint32_t type) {
  const std::uint64_t at = cursor_.offset();
  const auto bytes = cursor_.take(kValueBytes[type]);
  if (!bytes) return cut();
  if (type == kBool && bytes->front() > std::byte{1}) {
    note(NoteKind::kGgufHeader, at, "", "a bool is neither 0 nor 1");
  }
  if (key == "general.alignment") {
    if (type != kU32) return stop(ErrorCode::kMalformed, "general.alignment is no u32");
    return set_alignment(as_number<std::uint32_t>(*bytes, view_.big_endian));
  }
  if (is_utf8(key)) view_.metadata.emplace(key, scalar_text(type, *bytes, view_.big_endian));
  return true;
}

bool GgufReader::set_alignment(std::uint32_t value) {
  if (!std::has_single_bit(value)) {
    return stop(ErrorCode::kMalformed, "general.alignment is no power of two");
  }
  alignment_ = value;
  view_.metadata.emplace("general.alignment", std::to_string(value));
  return true;
}

bool GgufReader::read_array(std::string_view key) {
  std::uint32_t type = 0;
  std::uint64_t count = 0;
  if (!number(type) || !number(count)) return false;
  if (type >= kValueBytes.size() || type == kArray) {
    return stop(ErrorCode::kUnsupported,
                "an array of arrays, or of a type that GGUF does not have");
  }
  if (is_utf8(key)) {
    view_.metadata.emplace(
        key, "[" + std::to_string(count) + " x " + std::string(kValueNames[type]) + "]");
  }
  if (type == kText) return skip_texts(count);
  const auto bytes = checked_mul(count, kValueBytes[type]);
  return (bytes && cursor_.take(*bytes)) || cut();
}

bool GgufReader::skip_texts(std::uint64_t count) {
  std::string_view ignored;
  for (; count > 0; --count) {
    if (!text(ignored)) return false;
  }
  return true;
}

bool GgufReader::read_tensor() {
  TensorInfo info;
  info.at = cursor_.offset();
  std::uint32_t axes = 0;
  if (!text(info.name) || !number(axes)) return false;
  if (axes > kMaxAxes) return stop(ErrorCode::kMalformed, "a tensor has more than 4 axes");
  info.shape.resize(axes);
  for (std::uint64_t& size : info.shape) {
    if (!number(size)) return false;
  }
  std::ranges::reverse(info.shape);
  if (!number(info.type_number) || !number(info.offset)) return false;
  info.type = ggml_type(info.type_number);
  view_.tensors.push_back(std::move(info));
  return true;
}

void GgufReader::place_tensors(std::uint64_t header_end) {
  const std::uint64_t aligned = (header_end + alignment_ - 1) / alignment_ * alignment_;
  view_.data_offset = std::min<std::uint64_t>(aligned, file_.size());
  std::erase_if(view_.tensors, [this](TensorInfo& info) { return !place(info); });
}

// Whether the tensor can be read; then where it is.
bool GgufReader::place(TensorInfo& info) {
  const bool is_new = names_.insert(info.name).second;
  if (info.name.size() > kMaxName) {
    note(NoteKind::kGgufHeader, info.at, "", "a tensor has a name of 64 bytes or more");
  }
  if (!is_utf8(info.name)) {
    return leave_out(info, NoteKind::kGgufHeader, ErrorCode::kMalformed, "its name is not UTF-8");
  }
  if (!is_new) {
    return leave_out(info, NoteKind::kGgufHeader, ErrorCode::kMalformed, "is there twice");
  }
  if (info.type == nullptr) {
    return leave_out(info, NoteKind::kGgufHeader, ErrorCode::kUnsupported,
                     "is of a type that tare does not know");
  }
  const auto offset = measure(info) ? checked_add(view_.data_offset, info.offset) : std::nullopt;
  if (!offset) {
    return leave_out(info, NoteKind::kGgufOverflow, ErrorCode::kOverflow,
                     "its shape or offset has no size that a reader could compute");
  }
  if (info.offset % alignment_ != 0) {
    note(NoteKind::kGgufHeader, info.at, info.name, "the offset of a tensor is not aligned");
  }
  info.offset = *offset;
  if (info.offset > file_.size() || info.bytes > file_.size() - info.offset) {
    return leave_out(info, NoteKind::kGgufBounds, ErrorCode::kTruncated, "ends behind the file");
  }
  return true;
}

// Signed in readers: sizes, and the number of elements.
bool GgufReader::measure(TensorInfo& info) {
  std::uint64_t count = 1;
  for (const std::uint64_t size : info.shape) {
    const auto product = checked_mul(count, size);
    if (!std::in_range<std::int64_t>(size)) return false;
    if (!product || !std::in_range<std::int64_t>(*product)) return false;
    count = *product;
  }
  const std::uint64_t row = info.shape.empty() ? 1 : info.shape.back();
  if (row % info.type->block_elements != 0) return false;
  const auto bytes = checked_mul(count / info.type->block_elements, info.type->block_bytes);
  if (!bytes || !std::in_range<std::int64_t>(*bytes)) return false;
  info.bytes = *bytes;
  return true;
}

bool GgufReader::leave_out(const TensorInfo& info, NoteKind kind, ErrorCode code,
                           const char* what) {
  note(kind, info.at, info.name, what);
  view_.problems.push_back({std::string(info.name), Error{code, 0, info.at, what}});
  return false;
}

// Tensors that share bytes, and bytes between them that belong to none.
void GgufReader::check_layout() {
  std::vector<const TensorInfo*> order;
  for (const TensorInfo& info : view_.tensors) order.push_back(&info);
  std::ranges::sort(order, {},
                    [](const TensorInfo* info) { return std::pair(info->offset, info->at); });
  std::uint64_t end = view_.data_offset;
  for (const TensorInfo* info : order) {
    if (info->offset < end && info->bytes > 0) {
      note(NoteKind::kGgufHeader, info->at, info->name, "a tensor overlaps another one");
    }
    if (info->offset > end && info->offset - end >= alignment_) {
      note(NoteKind::kGgufHeader, info->at, info->name, "bytes that no tensor has lie before it");
    }
    end = std::max(end, info->offset + info->bytes);
  }
}

// ---- the format

bool recognises(ByteSpan bytes) {
  return as_text(bytes.first(std::min(bytes.size(), kMagic.size()))) == kMagic;
}

// Where the last tensor ends, with what fills it up.
std::uint64_t data_end(const GgufView& view, std::uint64_t file_size) {
  std::uint64_t end = view.data_offset;
  for (const TensorInfo& info : view.tensors) end = std::max(end, info.offset + info.bytes);
  const auto found = view.metadata.find("general.alignment");
  const std::uint64_t alignment =
      found == view.metadata.end() ? kDefaultAlignment : std::stoull(found->second);
  return std::min((end + alignment - 1) / alignment * alignment, file_size);
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  auto view = GgufReader(bytes).read();
  if (!view) return std::unexpected(view.error());
  PartList list;
  list.notes = std::move(view->notes);
  const std::uint64_t start = view->data_offset;
  const std::uint64_t end = data_end(*view, bytes.size());
  list.parts.push_back({"", PartKind::kTensorHeader, bytes.first(start), 0});
  for (const Template& found : view->templates) {
    list.parts.push_back(
        {std::string(found.key), PartKind::kTemplate, found.text, found.offset, 0});
  }
  list.parts.push_back(
      {"", PartKind::kTensorData, bytes.subspan(start, end - start), start, start});
  // A file that is cut off or has tensors that cannot be placed has an end that means nothing.
  if (end < bytes.size() && view->problems.empty()) {
    list.parts.push_back({"", PartKind::kUnknown, bytes.subspan(end), end, end});
  }
  return list;
}

TensorView dense_view(const TensorInfo& info, ByteSpan data, bool big_endian) {
  const DType dtype = *info.type->dtype;
  TensorView view{dtype, info.shape, row_major_strides(info.shape), 0, data};
  if (big_endian && info.type->block_bytes > 1) {
    view.stored = Stored{.dtype = dtype, .big_endian = true};
  }
  return view;
}

// The blocks as they stand, row by row.
SpecialTensor block_tensor(const TensorInfo& info, ByteSpan data) {
  SpecialTensor tensor;
  tensor.name = info.name;
  tensor.kind = SpecialKind::kBlockQuantized;
  tensor.shape = info.shape;
  tensor.class_name = info.type->name;
  Shape blocks = info.shape;
  if (!blocks.empty())
    blocks.back() = blocks.back() / info.type->block_elements * info.type->block_bytes;
  auto strides = row_major_strides(blocks);
  tensor.parts.push_back(
      {"blocks", {DType::kU8, std::move(blocks), std::move(strides), 0, data}, ""});
  return tensor;
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  auto view = GgufReader(bytes).read();
  if (!view) return std::unexpected(view.error());
  ModelContents contents;
  contents.metadata = std::move(view->metadata);
  contents.problems = std::move(view->problems);
  for (const TensorInfo& info : view->tensors) {
    const ByteSpan data = bytes.subspan(info.offset, info.bytes);
    if (info.type->is_quantized()) {
      contents.specials.push_back(block_tensor(info, data));
    } else {
      contents.tensors.push_back(
          {std::string(info.name), dense_view(info, data, view->big_endian), ""});
    }
  }
  return contents;
}

// ---- what came before

bool recognises_ggml(ByteSpan bytes) {
  constexpr std::array<std::string_view, 4> kMagics = {"lmgg", "fmgg", "tjgg", "algg"};
  return bytes.size() >= 8 && std::ranges::find(kMagics, as_text(bytes.first(4))) != kMagics.end();
}

Result<PartList> list_ggml(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kRecognised, bytes, 0});
  return list;
}

}  // namespace

const Format kGguf = {"gguf", "a GGUF model", recognises, list_parts, read_tensors};
const Format kGgml = {"ggml", "a GGML model of before GGUF", recognises_ggml, list_ggml, nullptr};

}  // namespace tare::format
