#include "format/openvino.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "format/files_beside.hpp"
#include "format/xml_reader.hpp"
#include "io/checked.hpp"
#include "io/parse_number.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

constexpr std::size_t kMaxItems = 1'000'000;
constexpr std::size_t kMaxAxes = 64;

struct ElementType {
  std::string_view name;
  unsigned bits;  // 0: texts, of any size
  std::optional<DType> dtype;
};
constexpr std::array kTypes = {ElementType{"bf16", 16, DType::kBF16},
                               ElementType{"boolean", 8, DType::kBool},
                               ElementType{"f16", 16, DType::kF16},
                               ElementType{"f32", 32, DType::kF32},
                               ElementType{"f4e2m1", 4, {}},
                               ElementType{"f64", 64, DType::kF64},
                               ElementType{"f8e4m3", 8, DType::kF8E4M3},
                               ElementType{"f8e5m2", 8, DType::kF8E5M2},
                               ElementType{"f8e8m0", 8, DType::kF8E8M0},
                               ElementType{"i16", 16, DType::kI16},
                               ElementType{"i32", 32, DType::kI32},
                               ElementType{"i4", 4, {}},
                               ElementType{"i64", 64, DType::kI64},
                               ElementType{"i8", 8, DType::kI8},
                               ElementType{"nf4", 4, {}},
                               ElementType{"string", 0, {}},
                               ElementType{"u1", 1, {}},
                               ElementType{"u16", 16, DType::kU16},
                               ElementType{"u2", 2, {}},
                               ElementType{"u32", 32, DType::kU32},
                               ElementType{"u4", 4, {}},
                               ElementType{"u64", 64, DType::kU64},
                               ElementType{"u8", 8, DType::kU8}};

// "2, 3"; empty for a scalar.
std::optional<Shape> shape_of(std::string_view text) {
  Shape shape;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view word = text.substr(0, comma);
    word.remove_prefix(std::min(word.find_first_not_of(' '), word.size()));
    const auto length = parse_number(word);
    if (!length || shape.size() == kMaxAxes) return std::nullopt;
    shape.push_back(*length);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return shape;
}

bool recognises(ByteSpan bytes) {
  constexpr std::size_t kFront = std::size_t{64} << 10;
  const std::string_view front = as_text(bytes.first(std::min(bytes.size(), kFront)));
  return front.find("<layers") != std::string_view::npos && xml_root(bytes) == "net";
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kOpenvino, bytes, 0});
  return list;
}

class OpenvinoReader {
 public:
  explicit OpenvinoReader(ByteSpan bytes) : reader_(bytes) {}

  Result<OpenvinoView> read();

 private:
  static bool is_graph(std::string_view name) { return name == "net" || name.ends_with("body"); }
  void start(const XmlEvent& event);
  void add_layer(const XmlEvent& event);

  XmlReader reader_;
  OpenvinoView view_;
  std::vector<std::uint32_t> scopes_;
  std::uint32_t scope_count_ = 0;
  std::vector<std::size_t> layers_;  // those that are open
};

Result<OpenvinoView> OpenvinoReader::read() {
  while (const XmlEvent* event = reader_.next()) {
    if (view_.layers.size() + view_.edges.size() > kMaxItems) {
      return fail(ErrorCode::kLimit, "more than a million layers and edges", event->offset);
    }
    if (event->kind == XmlKind::kStart) start(*event);
    if (event->kind != XmlKind::kEnd) continue;
    if (is_graph(event->name)) scopes_.pop_back();
    if (event->name == "layer") layers_.pop_back();
  }
  if (reader_.failed()) return std::unexpected(reader_.error());
  return std::move(view_);
}

void OpenvinoReader::start(const XmlEvent& event) {
  if (event.name == "net") view_.version = event.attribute("version");
  if (is_graph(event.name)) scopes_.push_back(scope_count_++);
  if (event.name == "layer") add_layer(event);
  if (event.name == "data" && !layers_.empty() && view_.layers[layers_.back()].type == "Const") {
    OpenvinoLayer& layer = view_.layers[layers_.back()];
    layer.is_ambiguous = layer.data.has_value();
    layer.data = {std::string(event.attribute("element_type")),
                  std::string(event.attribute("shape")), std::string(event.attribute("offset")),
                  std::string(event.attribute("size"))};
  }
  if (event.name == "edge") {
    view_.edges.push_back({event.offset, scopes_.empty() ? 0 : scopes_.back(),
                           std::string(event.attribute("from-layer")),
                           std::string(event.attribute("to-layer"))});
  }
}

void OpenvinoReader::add_layer(const XmlEvent& event) {
  layers_.push_back(view_.layers.size());
  view_.layers.push_back({event.offset, scopes_.empty() ? 0 : scopes_.back(),
                          std::string(event.attribute("id")), std::string(event.attribute("name")),
                          std::string(event.attribute("type")),
                          std::string(event.attribute("version")), std::nullopt, false});
}

// The constants of a model, from a file of weights.
void add_constants(const OpenvinoView& view, const Result<ByteSpan>& weights,
                   ModelContents& contents) {
  std::set<std::string> names;
  for (const OpenvinoLayer& layer : view.layers) {
    if (!layer.data) continue;
    std::string name = is_utf8(layer.name) ? layer.name : "constant." + layer.id;
    if (!names.insert(name).second) name += "#" + std::to_string(layer.scope) + "." + layer.id;
    const auto range = openvino_range(*layer.data);
    const auto problem = [&](Error error) {
      error.offset = layer.offset;
      contents.problems.push_back({name, error});
    };
    if (layer.is_ambiguous) {
      problem(
          {ErrorCode::kRefused, 0, 0, "has its elements twice; readers differ in what they take"});
    } else if (!range) {
      problem(range.error());
    } else if (!weights) {
      problem(weights.error());
    } else if (range->offset > weights->size() || range->size > weights->size() - range->offset) {
      problem({ErrorCode::kTruncated, 0, 0, "its elements end behind the file of weights"});
    } else if (!range->dtype) {
      problem({ErrorCode::kUnsupported, 0, 0, "is of a type that no tensor here has"});
    } else {
      auto strides = row_major_strides(range->shape);
      TensorView tensor{*range->dtype, range->shape, std::move(strides), 0,
                        weights->subspan(range->offset, range->size)};
      contents.tensors.push_back({std::move(name), std::move(tensor), ""});
    }
  }
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  const auto view = read_openvino(bytes);
  if (!view) return std::unexpected(view.error());
  ModelContents contents;
  add_constants(*view, fail(ErrorCode::kUnsupported, "its elements are in another file"), contents);
  return contents;
}

}  // namespace

Result<OpenvinoView> read_openvino(ByteSpan bytes) {
  return OpenvinoReader(bytes).read();
}

Result<OpenvinoRange> openvino_range(const OpenvinoConst& data) {
  const auto type = std::ranges::find(kTypes, data.element_type, &ElementType::name);
  if (type == kTypes.end()) {
    return fail(ErrorCode::kMalformed, "is of a type that OpenVINO does not have");
  }
  const auto shape = shape_of(data.shape);
  const auto offset = parse_number(data.offset);
  const auto size = parse_number(data.size);
  if (!shape || !offset || !size || !checked_add(*offset, *size)) {
    return fail(ErrorCode::kMalformed, "its shape, offset or size is no number");
  }
  const auto count = element_count(*shape);
  const auto bits = count ? checked_mul(*count, type->bits) : std::nullopt;
  if (!bits) return fail(ErrorCode::kOverflow, "its shape overflows");
  if (type->bits != 0 && *bits / 8 + (*bits % 8 == 0 ? 0 : 1) != *size) {
    return fail(ErrorCode::kMalformed, "has more or fewer elements than its shape");
  }
  return OpenvinoRange{type->dtype, *shape, *offset, *size};
}

std::expected<Model, Failure> open_openvino(const std::filesystem::path& path, Input input,
                                            const OpenInput& open) {
  const auto view = read_openvino(input.bytes());
  if (!view) return std::unexpected(view.error());
  ModelContents contents;
  FilesBeside beside(path.parent_path(), open);
  const auto weights = beside.bytes_of(path.filename().replace_extension(".bin").string());
  add_constants(*view, weights, contents);
  std::vector<ModelFile> files = beside.take();
  files.insert(files.begin(), ModelFile{"", std::move(input)});
  return Model(std::move(files), kOpenvino.name, std::move(contents));
}

const Format kOpenvino = {"openvino", "an OpenVINO model", recognises, list_parts, read_tensors};

}  // namespace tare::format
