#include "format/onnx.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "format/onnx_types.hpp"
#include "io/checked.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

constexpr std::size_t kMaxAxes = 64;
constexpr std::size_t kMaxExternal = 64;
constexpr std::size_t kMaxLooseNumbers = std::size_t{1} << 20;

constexpr std::array kFields = {
    MessageField{kOnnxModel, 7, kOnnxGraph},         MessageField{kOnnxModel, 8, kOnnxOpset},
    MessageField{kOnnxModel, 20, kOnnxTraining},     MessageField{kOnnxModel, 25, kOnnxFunction},
    MessageField{kOnnxTraining, 1, kOnnxGraph},      MessageField{kOnnxTraining, 2, kOnnxGraph},
    MessageField{kOnnxGraph, 1, kOnnxNode},          MessageField{kOnnxGraph, 5, kOnnxTensor},
    MessageField{kOnnxGraph, 15, kOnnxSparse},       MessageField{kOnnxNode, 5, kOnnxAttribute},
    MessageField{kOnnxAttribute, 5, kOnnxTensor},    MessageField{kOnnxAttribute, 10, kOnnxTensor},
    MessageField{kOnnxAttribute, 6, kOnnxGraph},     MessageField{kOnnxAttribute, 11, kOnnxGraph},
    MessageField{kOnnxAttribute, 22, kOnnxSparse},   MessageField{kOnnxAttribute, 23, kOnnxSparse},
    MessageField{kOnnxFunction, 7, kOnnxNode},       MessageField{kOnnxFunction, 9, kOnnxOpset},
    MessageField{kOnnxFunction, 11, kOnnxAttribute}, MessageField{kOnnxSparse, 1, kOnnxTensor},
    MessageField{kOnnxSparse, 2, kOnnxTensor},
};

// ---- detection

// Whether bytes are the begin of a graph: its first fields are those of GraphProto.
bool could_be_graph(ByteSpan bytes) {
  ProtobufReader reader(bytes);
  for (int i = 0; i < 8; ++i) {
    const auto field = reader.next();
    if (!field) return i > 0 || reader.failed();
    if (!field->is_bytes() || (field->number > 16 && field->number < 1000)) return false;
  }
  return true;
}

// What is cut off counts if a version and two texts, or a graph, are in front.
class Recogniser {
 public:
  bool run(ByteSpan bytes) {
    ProtobufReader reader(bytes);
    while (const auto field = reader.next()) {
      if (!fits(*field)) return false;
    }
    if (!reader.failed()) return has_graph_;
    return reader.error().code != ErrorCode::kMalformed && has_version_ &&
           (has_graph_ || texts_ > 0);
  }

 private:
  bool fits(const WireField& field) {
    switch (field.number) {
      case 1:
        has_version_ = field.value > 0 && field.value < 1000;
        return field.type == WireType::kVarint && has_version_;
      case 5:
        return field.type == WireType::kVarint;
      case 2:
      case 3:
      case 4:
      case 6:
        ++texts_;
        return field.is_bytes() && is_utf8(field.text());
      case 7:
        has_graph_ = true;
        return field.is_bytes() && could_be_graph(field.bytes);
      case 8:
      case 14:
      case 20:
      case 25:
      case 26:
        return field.is_bytes();
      default:
        return true;
    }
  }

  bool has_version_ = false;
  bool has_graph_ = false;
  unsigned texts_ = 0;
};

bool recognises(ByteSpan bytes) {
  return Recogniser().run(bytes);
}

// ---- tensors

class TensorReader {
 public:
  explicit TensorReader(OnnxTensorView& tensor) : tensor_(tensor) {}

  Result<void> take(const WireField& field);

 private:
  Result<void> take_dims(const WireField& field);
  Result<void> take_external(const WireField& field);
  Result<void> keep(const WireField& field);
  // Notes a field that must not be repeated.
  void once(std::uint32_t number) {
    const std::uint32_t bit = 1U << number;
    if ((seen_ & bit) != 0) tensor_.is_ambiguous = true;
    seen_ |= bit;
  }

  OnnxTensorView& tensor_;
  std::uint32_t seen_ = 0;
};

Result<void> TensorReader::take(const WireField& field) {
  switch (field.number) {
    case 1:
      return take_dims(field);
    case 2:
      once(2);
      tensor_.type = field.value;
      return {};
    case kFloatData:
    case kInt32Data:
    case kInt64Data:
    case kDoubleData:
    case kUint64Data:
      return keep(field);
    case 6:
      ++tensor_.text_count;
      return {};
    case 8:
      once(8);
      tensor_.name = field.text();
      return {};
    case 9:
      once(9);
      tensor_.has_raw = true;
      tensor_.raw = field.bytes;
      return {};
    case 13:
      return take_external(field);
    case 14:
      once(14);
      tensor_.is_external = field.value == 1;
      return {};
    case 12:
    case 16:
      return {};
    default:  // a segment among them, which nothing writes or reads
      tensor_.is_ambiguous = true;
      return {};
  }
}

Result<void> TensorReader::take_dims(const WireField& field) {
  bool fits = true;
  const auto add = [&](std::uint64_t value) {
    fits = fits && tensor_.dims.size() < kMaxAxes;
    if (fits) tensor_.dims.push_back(static_cast<std::int64_t>(value));
  };
  const bool whole = !field.is_bytes() || each_varint(field.bytes, add);
  if (!field.is_bytes()) add(field.value);
  if (!whole) return fail(ErrorCode::kTruncated, "a shape is cut off", field.offset);
  if (!fits) return fail(ErrorCode::kLimit, "a tensor has more than 64 axes", field.offset);
  return {};
}

Result<void> TensorReader::take_external(const WireField& field) {
  if (tensor_.external.size() == kMaxExternal) {
    return fail(ErrorCode::kLimit, "more than 64 entries of external data", field.offset);
  }
  OnnxExternalView entry{{}, {}, field.offset};
  ProtobufReader reader(field.bytes, field.content);
  while (const auto part = reader.next()) {
    if (part->number == 1) entry.key = part->text();
    if (part->number == 2) entry.value = part->text();
  }
  if (reader.failed()) return std::unexpected(reader.error());
  tensor_.external.push_back(entry);
  return {};
}

Result<void> TensorReader::keep(const WireField& field) {
  if (tensor_.typed.size() == kMaxLooseNumbers) {
    return fail(ErrorCode::kLimit, "a million numbers that are not packed", field.offset);
  }
  tensor_.typed.push_back(field);
  return {};
}

// ---- contents

Shape shape_of(const OnnxTensorView& tensor) {
  return {tensor.dims.begin(), tensor.dims.end()};
}

void append(std::vector<std::byte>& out, const std::uint64_t& value, std::size_t width) {
  const ByteSpan bytes = std::as_bytes(std::span(&value, 1)).first(width);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// The elements of a typed field, as they would stand in raw data, `bytes` of them.
Result<std::vector<std::byte>> typed_elements(const OnnxTensorView& tensor, std::uint64_t bytes) {
  const OnnxTypedField number = onnx_typed_field(tensor.type);
  const bool as_they_are = number == kFloatData || number == kDoubleData;
  const std::size_t width = onnx_type_bits(tensor.type) / 8;
  std::vector<std::byte> out;
  const auto add = [&](std::uint64_t value) {
    if (out.size() <= bytes) append(out, value, width);
  };
  for (const WireField& field : tensor.typed) {
    if (field.number != number) {
      return fail(ErrorCode::kMalformed, "has elements in the field of another type", tensor.at);
    }
    if (as_they_are && field.is_bytes()) {
      out.insert(out.end(), field.bytes.begin(), field.bytes.end());
    } else if (as_they_are) {
      append(out, field.value, number == kFloatData ? 4 : 8);
    } else if (!field.is_bytes()) {
      add(field.value);
    } else if (!each_varint(field.bytes, add)) {
      return fail(ErrorCode::kTruncated, "its elements are cut off", field.offset);
    }
  }
  if (out.size() == bytes) return out;
  return fail(ErrorCode::kMalformed, "has more or fewer elements than its shape", tensor.at);
}

// Takes the initializers of the outermost graph.
class Collector {
 public:
  Collector(ModelContents& contents, ReadContext& context, const OnnxElements& external)
      : contents_(contents), context_(context), external_(external) {}

  void begin(unsigned kind, const WireField& field);
  void field(unsigned kind, const WireField& field);
  void end(unsigned) { --depth_; }

 private:
  void add(const WireField& field);
  Result<void> add_tensor(const OnnxTensorView& tensor);
  Result<ByteSpan> elements_of(const OnnxTensorView& tensor, std::uint64_t bytes);
  void problem(std::string_view name, const Error& error) {
    contents_.problems.push_back({is_utf8(name) ? std::string(name) : "an initializer", error});
  }

  ModelContents& contents_;
  ReadContext& context_;
  const OnnxElements& external_;
  std::unordered_set<std::string_view> names_;
  unsigned depth_ = 1;
};

void Collector::begin(unsigned kind, const WireField& field) {
  // Model, graph, tensor.
  if (kind == kOnnxTensor && depth_ == 2) add(field);
  ++depth_;
}

void Collector::field(unsigned kind, const WireField& field) {
  if (kind != kOnnxModel) return;
  if (field.number == 2 && is_utf8(field.text())) {
    contents_.metadata.insert_or_assign("producer_name", field.text());
  } else if (field.number == 1) {
    contents_.metadata.insert_or_assign("ir_version", std::to_string(field.value));
  } else if (field.number == 14 && field.is_bytes()) {
    std::string_view key;
    std::string_view value;
    ProtobufReader reader(field.bytes);
    while (const auto part = reader.next()) {
      if (part->number == 1) key = part->text();
      if (part->number == 2) value = part->text();
    }
    if (is_utf8(key) && is_utf8(value))
      contents_.metadata.insert_or_assign(std::string(key), value);
  }
}

void Collector::add(const WireField& field) {
  const auto tensor = read_onnx_tensor(field.bytes, field.content);
  if (!tensor) return problem("an initializer", tensor.error());
  if (auto added = add_tensor(*tensor); !added) problem(tensor->name, added.error());
}

Result<void> Collector::add_tensor(const OnnxTensorView& tensor) {
  if (!is_utf8(tensor.name)) return fail(ErrorCode::kMalformed, "its name is not UTF-8", tensor.at);
  if (tensor.is_ambiguous) {
    return fail(ErrorCode::kRefused, "is written as parsers do not agree upon", tensor.at);
  }
  if (!names_.insert(tensor.name).second) {
    return fail(ErrorCode::kRefused, "is there twice; readers differ in what they take", tensor.at);
  }
  const auto dtype = onnx_dtype(tensor.type);
  if (!dtype)
    return fail(ErrorCode::kUnsupported, "is of a type that no tensor here has", tensor.at);
  const auto count = onnx_element_count(tensor.dims);
  const auto bytes = count ? packed_bytes(*dtype, *count) : std::unexpected(count.error());
  if (!bytes) return std::unexpected(bytes.error());
  const auto data = elements_of(tensor, *bytes);
  if (!data) return std::unexpected(data.error());
  Shape shape = shape_of(tensor);
  auto strides = row_major_strides(shape);
  TensorView view{*dtype, std::move(shape), std::move(strides), 0, *data};
  if (auto checked = check_view(view); !checked) return checked;
  contents_.tensors.push_back({std::string(tensor.name), std::move(view), ""});
  return {};
}

Result<ByteSpan> Collector::elements_of(const OnnxTensorView& tensor, std::uint64_t bytes) {
  if (tensor.is_external) return external_(tensor, bytes);
  if (tensor.has_raw) {
    if (tensor.raw.size() == bytes && tensor.typed.empty()) return tensor.raw;
    return fail(ErrorCode::kMalformed, "has more or fewer elements than its shape", tensor.at);
  }
  if (bytes > context_.inflate_left) {
    return fail(ErrorCode::kLimit, "its elements take more memory than the file is worth",
                tensor.at);
  }
  auto made = typed_elements(tensor, bytes);
  if (!made) return std::unexpected(made.error());
  context_.inflate_left -= made->size();
  const auto owner = std::make_shared<std::vector<std::byte>>(std::move(*made));
  contents_.owners.push_back(owner);
  return ByteSpan(*owner);
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext& context) {
  return read_onnx(bytes, context, [](const OnnxTensorView& tensor, std::uint64_t) {
    return fail(ErrorCode::kUnsupported, "its elements are in another file", tensor.at);
  });
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kOnnx, bytes, 0});
  return list;
}

}  // namespace

std::span<const MessageField> onnx_fields() {
  return kFields;
}

std::string_view OnnxTensorView::external_value(std::string_view key) const {
  std::string_view value;
  for (const OnnxExternalView& entry : external) {
    if (entry.key == key) value = entry.value;
  }
  return value;
}

Result<OnnxTensorView> read_onnx_tensor(ByteSpan message, std::uint64_t offset) {
  OnnxTensorView tensor;
  tensor.at = offset;
  TensorReader taker(tensor);
  ProtobufReader reader(message, offset);
  while (const auto field = reader.next()) {
    if (auto taken = taker.take(*field); !taken) return std::unexpected(taken.error());
  }
  if (reader.failed()) return std::unexpected(reader.error());
  return tensor;
}

Result<std::uint64_t> onnx_element_count(std::span<const std::int64_t> dims) {
  std::uint64_t count = 1;
  for (const std::int64_t length : dims) {
    if (length < 0) return fail(ErrorCode::kMalformed, "its shape has a negative length");
    const auto product = checked_mul(count, static_cast<std::uint64_t>(length));
    if (!product) return fail(ErrorCode::kOverflow, "its shape overflows");
    count = *product;
  }
  return count;
}

Result<ModelContents> read_onnx(ByteSpan bytes, ReadContext& context,
                                const OnnxElements& external) {
  ModelContents contents;
  Collector collector(contents, context, external);
  const auto walked = walk_messages(bytes, kOnnxModel, kFields, collector);
  if (!walked) return std::unexpected(walked.error());
  return contents;
}

const Format kOnnx = {"onnx", "an ONNX model", recognises, list_parts, read_tensors};

}  // namespace tare::format
