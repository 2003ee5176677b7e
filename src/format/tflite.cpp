#include "format/tflite.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "io/checked.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

constexpr std::string_view kIdentifier = "TFL3";
constexpr std::uint64_t kMaxAxes = 64;

// Slots of the tables, by the order of their fields in the schema.
enum ModelSlot : unsigned {
  kVersion,
  kCodes,
  kGraphs,
  kDescription,
  kBuffers,
  kOldMetadata,
  kMetadata
};
enum CodeSlot : unsigned { kOldBuiltin, kCustomName, kCodeVersion, kBuiltin };
enum GraphSlot : unsigned { kTensors, kInputs, kOutputs, kOperators };
enum TensorSlot : unsigned { kShape, kType, kBuffer, kName, kQuantization, kIsVariable, kSparsity };
enum OperatorSlot : unsigned {
  kCodeIndex = 0,
  kOperatorInputs = 1,
  kOperatorOutputs = 2,
  kIntermediates = 8,
  kLargeOffset = 9,
  kLargeSize = 10,
};
enum BufferSlot : unsigned { kData, kOffset, kSize };

struct TfliteType {
  unsigned bits;
  std::optional<DType> dtype;
};

constexpr std::array<TfliteType, 21> kTypes = {{
    {32, DType::kF32},
    {16, DType::kF16},
    {32, DType::kI32},
    {8, DType::kU8},
    {64, DType::kI64},
    {0, {}},  // texts
    {8, DType::kBool},
    {16, DType::kI16},
    {64, DType::kC64},
    {8, DType::kI8},
    {64, DType::kF64},
    {128, DType::kC128},
    {64, DType::kU64},
    {0, {}},  // a resource
    {0, {}},  // a variant
    {32, DType::kU32},
    {16, DType::kU16},
    {4, {}},  // I4
    {16, DType::kBF16},
    {2, {}},  // I2
    {4, {}},  // U4
}};

const TfliteType& type_of(std::int8_t type) {
  const auto index = static_cast<std::size_t>(type);
  return kTypes[type < 0 || index >= kTypes.size() ? 5 : index];
}

class TfliteReader {
 public:
  explicit TfliteReader(ByteSpan bytes) : bytes_(bytes), buffer_(bytes) {}

  Result<TfliteView> read();

 private:
  template <typename Take>
  void each(const FlatTable& table, unsigned slot, const Take& take) {
    const FlatVector vector = table.offsets(slot);
    for (std::uint64_t i = 0; i < vector.count && !buffer_.failed(); ++i) {
      take(table.table_of(vector, i));
    }
  }
  static void add_numbers(const FlatTable& table, unsigned slot, std::vector<std::int32_t>& out);
  // Bytes elsewhere in the file, for what is too large for a vector.
  bool is_outside(std::uint64_t offset, std::uint64_t size) const {
    return offset > bytes_.size() || size > bytes_.size() - offset;
  }
  void add_code(const FlatTable& code);
  void add_graph(const FlatTable& graph);
  void add_tensor(const FlatTable& tensor, TfliteGraphView& graph);
  void add_operator(const FlatTable& table, TfliteGraphView& graph);
  void add_buffer(const FlatTable& buffer);

  ByteSpan bytes_;
  FlatBuffer buffer_;
  TfliteView view_;
};

void TfliteReader::add_numbers(const FlatTable& table, unsigned slot,
                               std::vector<std::int32_t>& out) {
  const FlatVector vector = table.numbers(slot, 4);
  for (std::uint64_t i = 0; i < vector.count; ++i) {
    out.push_back(table.number_of<std::int32_t>(vector, i));
  }
}

Result<TfliteView> TfliteReader::read() {
  const FlatTable model = buffer_.root();
  view_.version = model.scalar<std::uint32_t>(kVersion, 0);
  each(model, kCodes, [this](const FlatTable& code) { add_code(code); });
  each(model, kGraphs, [this](const FlatTable& graph) { add_graph(graph); });
  each(model, kBuffers, [this](const FlatTable& buffer) { add_buffer(buffer); });
  each(model, kMetadata, [this](const FlatTable&) { ++view_.metadata_count; });
  if (buffer_.failed()) return std::unexpected(buffer_.error());
  return std::move(view_);
}

// The old field has the codes up to 127, and 127 for all others.
void TfliteReader::add_code(const FlatTable& code) {
  const std::int32_t old = code.scalar<std::int8_t>(kOldBuiltin, 0);
  const auto builtin = code.scalar<std::int32_t>(kBuiltin, 0);
  view_.codes.push_back({code.offset(), std::max(old, builtin), code.text(kCustomName)});
}

void TfliteReader::add_graph(const FlatTable& graph) {
  TfliteGraphView view;
  view.at = graph.offset();
  each(graph, kTensors, [&](const FlatTable& tensor) { add_tensor(tensor, view); });
  add_numbers(graph, kInputs, view.ends);
  add_numbers(graph, kOutputs, view.ends);
  each(graph, kOperators, [&](const FlatTable& table) { add_operator(table, view); });
  view_.graphs.push_back(std::move(view));
}

void TfliteReader::add_tensor(const FlatTable& tensor, TfliteGraphView& graph) {
  TfliteTensorView view;
  view.at = tensor.offset();
  view.name = tensor.text(kName);
  add_numbers(tensor, kShape, view.shape);
  view.type = tensor.scalar<std::int8_t>(kType, 0);
  view.buffer = tensor.scalar<std::uint32_t>(kBuffer, 0);
  // Quantized if it has scales: the table is there for minima and maxima as well.
  view.is_quantized = tensor.table(kQuantization).numbers(2, 4).count > 0;
  view.is_sparse = static_cast<bool>(tensor.table(kSparsity));
  graph.tensors.push_back(std::move(view));
}

void TfliteReader::add_operator(const FlatTable& table, TfliteGraphView& graph) {
  TfliteOperatorView view;
  view.at = table.offset();
  view.code = table.scalar<std::uint32_t>(kCodeIndex, 0);
  for (const unsigned slot : {kOperatorInputs, kOperatorOutputs, kIntermediates}) {
    add_numbers(table, slot, view.tensors);
  }
  const auto offset = table.scalar<std::uint64_t>(kLargeOffset, 0);
  view.is_outside = offset > 1 && is_outside(offset, table.scalar<std::uint64_t>(kLargeSize, 0));
  graph.operators.push_back(std::move(view));
}

// An offset of 0 or 1 means: in the vector.
void TfliteReader::add_buffer(const FlatTable& buffer) {
  const auto offset = buffer.scalar<std::uint64_t>(kOffset, 0);
  const auto size = buffer.scalar<std::uint64_t>(kSize, 0);
  if (offset <= 1) {
    view_.buffers.push_back({buffer.bytes(kData)});
  } else if (is_outside(offset, size)) {
    view_.buffers.push_back({{}, true});
  } else {
    view_.buffers.push_back({bytes_.subspan(offset, size)});
  }
}

// ---- the format

bool recognises(ByteSpan bytes) {
  return bytes.size() >= 8 && as_text(bytes.subspan(4, 4)) == kIdentifier;
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kTflite, bytes, 0});
  return list;
}

// A name for every tensor: its own, if it is the first that has it in the file.
class Names {
 public:
  std::string name(const TfliteTensorView& tensor, std::size_t graph, std::size_t index) {
    const std::string place = std::to_string(graph) + "." + std::to_string(index);
    std::string name =
        is_utf8(tensor.name) && !tensor.name.empty() ? std::string(tensor.name) : "tensor." + place;
    if (seen_.insert(name).second) return name;
    name += "#" + place;
    seen_.insert(name);
    return name;
  }

 private:
  std::set<std::string> seen_;
};

Result<TensorView> view_of(const TfliteTensorView& tensor, const TfliteBuffer& buffer) {
  if (buffer.is_outside) return fail(ErrorCode::kTruncated, "its buffer ends behind the file");
  if (tensor.is_sparse) return fail(ErrorCode::kUnsupported, "is sparse");
  const auto dtype = type_of(tensor.type).dtype;
  if (!dtype) return fail(ErrorCode::kUnsupported, "is of a type that no tensor here has");
  const auto count = tflite_element_count(tensor);
  const auto bytes = count ? packed_bytes(*dtype, *count) : std::unexpected(count.error());
  if (!bytes) return std::unexpected(bytes.error());
  if (*bytes != buffer.data.size()) {
    return fail(ErrorCode::kMalformed, "has more or fewer elements than its shape");
  }
  Shape shape(tensor.shape.begin(), tensor.shape.end());
  auto strides = row_major_strides(shape);
  return TensorView{*dtype, std::move(shape), std::move(strides), 0, buffer.data};
}

// Constants: the tensors that have bytes. All others are made while the model runs.
Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  const auto model = read_tflite(bytes);
  if (!model) return std::unexpected(model.error());
  ModelContents contents;
  Names names;
  for (std::size_t g = 0; g < model->graphs.size(); ++g) {
    const auto& tensors = model->graphs[g].tensors;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const TfliteTensorView& tensor = tensors[i];
      if (tensor.buffer == 0 || tensor.buffer >= model->buffers.size()) continue;
      const TfliteBuffer& buffer = model->buffers[tensor.buffer];
      if (buffer.data.empty() && !buffer.is_outside) continue;
      std::string name = names.name(tensor, g, i);
      auto view = view_of(tensor, buffer);
      if (view) {
        contents.tensors.push_back({std::move(name), std::move(*view), ""});
      } else {
        Error error = view.error();
        error.offset = tensor.at;
        contents.problems.push_back({std::move(name), error});
      }
    }
  }
  return contents;
}

}  // namespace

Result<TfliteView> read_tflite(ByteSpan bytes) {
  return TfliteReader(bytes).read();
}

Result<std::uint64_t> tflite_element_count(const TfliteTensorView& tensor) {
  if (tensor.shape.size() > kMaxAxes) return fail(ErrorCode::kMalformed, "has more than 64 axes");
  std::uint64_t count = 1;
  for (const std::int32_t length : tensor.shape) {
    if (length < 0) return fail(ErrorCode::kMalformed, "its shape has a negative length");
    const auto product = checked_mul(count, static_cast<std::uint64_t>(length));
    if (!product) return fail(ErrorCode::kOverflow, "its shape overflows");
    count = *product;
  }
  return count;
}

unsigned tflite_type_bits(std::int8_t type) {
  return type_of(type).bits;
}

const Format kTflite = {"tflite", "a TensorFlow Lite model", recognises, list_parts, read_tensors};

}  // namespace tare::format
