// Parameters of MXNet (docs/formats/mxnet.md).
#include <algorithm>
#include <array>

#include "format/format.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

constexpr std::uint64_t kListMagic = 0x112;
constexpr std::uint32_t kVersion1 = 0xF993FAC8;
constexpr std::uint32_t kVersion2 = 0xF993FAC9;
constexpr std::uint32_t kVersion3 = 0xF993FACA;  // a shape without axes is that of a scalar
constexpr std::uint32_t kMaxAxes = 32;
constexpr std::uint64_t kLeastArray = 4;

// By the numbers of its type flags.
constexpr std::array kTypes = {DType::kF32, DType::kF64, DType::kF16,  DType::kU8,  DType::kI32,
                               DType::kI8,  DType::kI64, DType::kBool, DType::kI16, DType::kU16,
                               DType::kU32, DType::kU64, DType::kBF16};

struct Array {
  DType dtype = DType::kF32;
  Shape shape;
  bool is_sparse = false;
  bool is_none = false;
  ByteSpan data;
  std::uint64_t at = 0;
};

struct MxnetView {
  std::vector<Array> arrays;
  std::vector<std::string_view> names;
  std::uint64_t end = 0;
};

class MxnetReader {
 public:
  explicit MxnetReader(ByteSpan file) : in_(file) {}
  Result<MxnetView> read();

 private:
  bool read_array(Array& array);
  bool read_old_shape(std::uint32_t axes, Shape& shape);
  bool read_shape(Shape& shape, bool& is_known);
  bool read_sparse(std::uint32_t kind, const Shape& stored, Array& array);
  bool read_type(DType& dtype);
  bool take(DType dtype, const Shape& shape, ByteSpan& data);
  bool read_names(MxnetView& view);
  bool stop(ErrorCode code, const char* what) {
    error_ = Error{code, 0, in_.offset(), what};
    return false;
  }
  bool cut() { return stop(ErrorCode::kTruncated, "the arrays are cut off"); }

  Cursor in_;
  Error error_{};
};

Result<MxnetView> MxnetReader::read() {
  MxnetView view;
  in_.take(16);
  const auto count = in_.read<std::uint64_t>();
  if (!count || *count > in_.remaining() / kLeastArray) {
    cut();
    return std::unexpected(error_);
  }
  for (std::uint64_t i = 0; i < *count; ++i) {
    if (!read_array(view.arrays.emplace_back())) return std::unexpected(error_);
  }
  if (!read_names(view)) return std::unexpected(error_);
  view.end = in_.offset();
  return view;
}

// None, or one for each array.
bool MxnetReader::read_names(MxnetView& view) {
  const auto count = in_.read<std::uint64_t>();
  if (!count || *count > in_.remaining() / 8) return cut();
  if (*count != 0 && *count != view.arrays.size()) {
    return stop(ErrorCode::kMalformed, "there are not as many names as arrays");
  }
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto length = in_.read<std::uint64_t>();
    const auto text = length ? in_.take(*length) : std::nullopt;
    if (!text) return cut();
    view.names.push_back(as_text(*text));
  }
  return true;
}

// Of before 0.12: 32 bits for each axis.
bool MxnetReader::read_old_shape(std::uint32_t axes, Shape& shape) {
  if (axes > kMaxAxes) return stop(ErrorCode::kMalformed, "an array of more than 32 axes");
  for (; axes > 0; --axes) {
    const auto size = in_.read<std::uint32_t>();
    if (!size) return cut();
    shape.push_back(*size);
  }
  return true;
}

bool MxnetReader::read_shape(Shape& shape, bool& is_known) {
  const auto axes = in_.read<std::int32_t>();
  if (!axes) return cut();
  is_known = *axes >= 0;
  if (*axes > static_cast<std::int32_t>(kMaxAxes)) {
    return stop(ErrorCode::kMalformed, "an array of more than 32 axes");
  }
  for (std::int32_t i = 0; i < *axes; ++i) {
    const auto size = in_.read<std::int64_t>();
    if (!size) return cut();
    if (*size < 0) return stop(ErrorCode::kMalformed, "an axis of negative size");
    shape.push_back(static_cast<std::uint64_t>(*size));
  }
  return true;
}

bool MxnetReader::read_type(DType& dtype) {
  const auto flag = in_.read<std::uint32_t>();
  if (!flag) return cut();
  if (*flag >= kTypes.size()) {
    return stop(ErrorCode::kUnsupported, "elements of a type that tare does not read");
  }
  dtype = kTypes[*flag];
  return true;
}

bool MxnetReader::take(DType dtype, const Shape& shape, ByteSpan& data) {
  const auto count = element_count(shape);
  const auto size = count ? packed_bytes(dtype, *count) : count;
  if (!size) return stop(ErrorCode::kOverflow, "a shape whose size overflows");
  const auto bytes = in_.take(*size);
  if (!bytes) return cut();
  data = *bytes;
  return true;
}

// Types and shapes of the indexes, the values, the indexes: one vector for rows, two for CSR.
bool MxnetReader::read_sparse(std::uint32_t kind, const Shape& stored, Array& array) {
  struct Index {
    DType dtype = DType::kI64;
    Shape shape = {};
  };
  std::vector<Index> indexes(kind);
  for (Index& index : indexes) {
    bool is_known = false;
    if (!read_type(index.dtype) || !read_shape(index.shape, is_known)) return false;
  }
  if (!take(array.dtype, stored, array.data)) return false;
  ByteSpan ignored;
  return std::ranges::all_of(
      indexes, [&](const Index& index) { return take(index.dtype, index.shape, ignored); });
}

bool MxnetReader::read_array(Array& array) {
  array.at = in_.offset();
  const auto magic = in_.read<std::uint32_t>();
  if (!magic) return cut();
  std::uint32_t kind = 0;
  Shape stored;
  bool is_known = true;
  if (*magic == kVersion2 || *magic == kVersion3) {
    const auto storage = in_.read<std::uint32_t>();
    if (!storage) return cut();
    kind = *storage;
    if (kind > 2) return stop(ErrorCode::kMalformed, "an array of a kind that MXNet does not have");
    if (kind > 0 && !read_shape(stored, is_known)) return false;
    if (!read_shape(array.shape, is_known)) return false;
  } else if (*magic == kVersion1) {
    if (!read_shape(array.shape, is_known)) return false;
  } else if (!read_old_shape(*magic, array.shape)) {
    return false;
  }
  array.is_sparse = kind > 0;
  array.is_none = !is_known || (array.shape.empty() && *magic != kVersion3);
  if (array.is_none) return true;
  // The device that it was on.
  if (!in_.take(8)) return cut();
  if (!read_type(array.dtype)) return false;
  return kind > 0 ? read_sparse(kind, stored, array) : take(array.dtype, array.shape, array.data);
}

// ---- the format

bool recognises(ByteSpan bytes) {
  Cursor in(bytes);
  return in.read<std::uint64_t>() == kListMagic && in.read<std::uint64_t>() == 0U;
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  const auto view = MxnetReader(bytes).read();
  if (!view) return std::unexpected(view.error());
  PartList list;
  list.parts.push_back({"", PartKind::kTensorHeader, bytes.first(view->end), 0});
  for (const Array& array : view->arrays) {
    if (array.data.empty()) continue;
    const auto at = static_cast<std::uint64_t>(array.data.data() - bytes.data());
    list.parts.push_back({"", PartKind::kTensorData, array.data, at, at});
  }
  std::vector<std::string_view> names = view->names;
  std::ranges::sort(names);
  if (std::ranges::adjacent_find(names) != names.end()) {
    list.notes.push_back({NoteKind::kContradiction, 0, "", "two arrays have the same name"});
  }
  if (view->end < bytes.size()) {
    list.parts.push_back({"", PartKind::kUnknown, bytes.subspan(view->end), view->end, view->end});
  }
  return list;
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  const auto view = MxnetReader(bytes).read();
  if (!view) return std::unexpected(view.error());
  ModelContents contents;
  for (std::size_t i = 0; i < view->arrays.size(); ++i) {
    const Array& array = view->arrays[i];
    std::string name = view->names.empty() ? std::to_string(i) : std::string(view->names[i]);
    const char* const problem = !is_utf8(name)    ? "its name is not UTF-8"
                                : array.is_none   ? "is an array that was never filled"
                                : array.is_sparse ? "is a sparse array"
                                                  : nullptr;
    if (problem != nullptr) {
      contents.problems.push_back(
          {std::move(name), Error{ErrorCode::kUnsupported, 0, array.at, problem}});
      continue;
    }
    TensorView tensor{array.dtype, array.shape, row_major_strides(array.shape), 0, array.data};
    contents.tensors.push_back({std::move(name), std::move(tensor), ""});
  }
  return contents;
}

}  // namespace

const Format kMxnet = {"mxnet", "parameters of MXNet", recognises, list_parts, read_tensors};

}  // namespace tare::format
