#include "format/zarr.hpp"

#include <algorithm>
#include <array>

#include "archive/decoder.hpp"
#include "format/files_beside.hpp"
#include "format/format.hpp"
#include "format/json_tree.hpp"
#include "io/checked.hpp"
#include "io/parse_number.hpp"
#include "tensor/block_grid.hpp"
#include "tensor/numpy_dtype.hpp"

namespace tare::format {
namespace {

using namespace std::string_view_literals;

constexpr std::uint64_t kMaxChunks = 16'384;
constexpr std::size_t kMaxAxes = 64;

// ---- metadata

struct Metadata {
  Shape shape;
  Shape chunks;
  DType dtype = DType::kF32;
  bool big_endian = false;
  std::optional<Codec> codec;
};

std::unexpected<Error> bad(const char* what) {
  return fail(ErrorCode::kMalformed, what);
}
std::unexpected<Error> unread(const char* what) {
  return fail(ErrorCode::kUnsupported, what);
}

std::optional<std::uint64_t> number_of(const JsonNode& node) {
  return node.kind == JsonKind::kNumber ? parse_number(node.text) : std::nullopt;
}

std::optional<Shape> shape_of(const JsonTree& tree, std::string_view key) {
  const JsonNode* const list = tree.member(tree.root(), key);
  if (list == nullptr || list->kind != JsonKind::kArray) return std::nullopt;
  Shape shape;
  for (std::uint32_t at = list->first; at != JsonNode::kNone; at = tree.at(at).next) {
    const auto size = number_of(tree.at(at));
    if (!size || shape.size() == kMaxAxes) return std::nullopt;
    shape.push_back(*size);
  }
  return shape;
}

bool is_absent(const JsonNode* node) {
  return node == nullptr || node->kind == JsonKind::kNull;
}

// Nothing for an array that is not compressed.
Result<std::optional<Codec>> codec_of(const JsonTree& tree) {
  const JsonNode* const compressor = tree.member(tree.root(), "compressor");
  if (is_absent(compressor)) return std::nullopt;
  const JsonNode* const id = tree.member(*compressor, "id");
  if (id != nullptr && id->is_text("zstd")) return Codec::kZstd;
  if (id != nullptr && id->is_text("zlib")) return Codec::kZlib;
  if (id != nullptr && id->is_text("gzip")) return Codec::kGzip;
  if (id != nullptr && id->is_text("bz2")) return Codec::kBzip2;
  return unread("its chunks are compressed in a way that tare does not read");
}

Result<void> read_type(const JsonTree& tree, Metadata& metadata) {
  const JsonNode* const name = tree.member(tree.root(), "dtype");
  if (name == nullptr || name->kind != JsonKind::kText) {
    return unread("its elements are of a type that tare does not read");
  }
  if (name->text == "bfloat16") {
    metadata.dtype = DType::kBF16;
    return {};
  }
  const auto type = numpy_scalar(name->text);
  const auto dtype = type ? to_tensor_dtype(*type) : std::nullopt;
  if (!dtype) return unread("its elements are of a type that tare does not read");
  metadata.dtype = *dtype;
  metadata.big_endian = type->order == NumpyDType::Order::kBig;
  return {};
}

Result<Metadata> read_metadata(ByteSpan bytes) {
  const auto tree = JsonTree::parse(as_text(bytes));
  if (!tree) return std::unexpected(tree.error());
  const JsonNode* const version = tree->member(tree->root(), "zarr_format");
  if (version == nullptr || version->text != "2") {
    return unread("an array of zarr of another version than 2");
  }
  Metadata metadata;
  const auto shape = shape_of(*tree, "shape");
  const auto chunks = shape_of(*tree, "chunks");
  if (!shape || !chunks || shape->size() != chunks->size() ||
      std::ranges::find(*chunks, 0U) != chunks->end()) {
    return bad("an array of zarr without a shape, or chunks of another one");
  }
  metadata.shape = *shape;
  metadata.chunks = *chunks;
  if (auto read = read_type(*tree, metadata); !read) return std::unexpected(read.error());
  const auto codec = codec_of(*tree);
  if (!codec) return std::unexpected(codec.error());
  metadata.codec = *codec;
  const JsonNode* const order = tree->member(tree->root(), "order");
  if (!is_absent(tree->member(tree->root(), "filters")) ||
      (order != nullptr && !order->is_text("C"))) {
    return unread("its elements are filtered or stand column by column");
  }
  const JsonNode* const separator = tree->member(tree->root(), "dimension_separator");
  if (separator != nullptr && separator->is_text("/")) {
    return unread("its chunks are in folders");
  }
  return metadata;
}

// ---- chunks

class ChunkReader {
 public:
  ChunkReader(const Metadata& metadata, FilesBeside& files) : metadata_(metadata), files_(files) {}
  Result<TensorView> read(std::vector<std::shared_ptr<const void>>& owners);

 private:
  Result<ByteSpan> chunk(const std::string& name, std::uint64_t size,
                         std::vector<std::shared_ptr<const void>>& owners);
  TensorView block(const Shape& start, ByteSpan bytes) const;

  const Metadata& metadata_;
  FilesBeside& files_;
  // Of the chunks so far, as they are in their files, and without compression.
  std::uint64_t packed_ = 0;
  std::uint64_t unpacked_ = 0;
};

Result<ByteSpan> ChunkReader::chunk(const std::string& name, std::uint64_t size,
                                    std::vector<std::shared_ptr<const void>>& owners) {
  const auto bytes = files_.bytes_of(name);
  if (!bytes) return bytes;
  if (!metadata_.codec) {
    if (bytes->size() != size) return bad("a chunk is not as long as its shape");
    return bytes;
  }
  packed_ += bytes->size();
  const std::uint64_t most = context_of(packed_).inflate_left;
  if (unpacked_ > most || size > most - unpacked_) {
    return fail(ErrorCode::kLimit, "chunks that grow too large");
  }
  DecodeLimits limits;
  limits.max_output = size;
  auto unpacked = unpack(*metadata_.codec, *bytes, limits);
  if (!unpacked) return std::unexpected(unpacked.error());
  if (!unpacked->decoded) return std::unexpected(unpacked->decoded.error());
  if (unpacked->decoded->produced != size || unpacked->decoded->consumed != bytes->size()) {
    return bad("a chunk is not as long as its shape");
  }
  unpacked_ += size;
  const auto owned = std::make_shared<Input>(std::move(unpacked->content));
  owners.push_back(owned);
  return owned->bytes();
}

// What of a chunk lies in the array: those at its end are as large as the others.
TensorView ChunkReader::block(const Shape& start, ByteSpan bytes) const {
  TensorView view{metadata_.dtype, {}, row_major_strides(metadata_.chunks), 0, bytes};
  for (std::size_t axis = 0; axis < start.size(); ++axis) {
    view.shape.push_back(std::min(metadata_.chunks[axis], metadata_.shape[axis] - start[axis]));
  }
  if (metadata_.big_endian) {
    view.stored = Stored{.dtype = metadata_.dtype, .big_endian = true};
  }
  return view;
}

Result<TensorView> ChunkReader::read(std::vector<std::shared_ptr<const void>>& owners) {
  const auto count = element_count(metadata_.chunks);
  const auto size = count ? packed_bytes(metadata_.dtype, *count) : count;
  if (!size || !element_count(metadata_.shape)) return bad("a shape whose size overflows");
  TensorView whole{metadata_.dtype, metadata_.shape, row_major_strides(metadata_.shape), 0, {}};
  if (*element_count(metadata_.shape) == 0) return whole;
  Shape index(metadata_.shape.size(), 0);
  Shape counts;
  for (std::size_t axis = 0; axis < index.size(); ++axis) {
    counts.push_back((metadata_.shape[axis] - 1) / metadata_.chunks[axis] + 1);
  }
  const auto chunks = element_count(counts);
  if (!chunks || *chunks > kMaxChunks) return fail(ErrorCode::kLimit, "more than 16,384 chunks");
  do {
    std::string name;
    Shape start;
    for (std::size_t axis = 0; axis < index.size(); ++axis) {
      if (axis > 0) name += '.';
      name += std::to_string(index[axis]);
      start.push_back(index[axis] * metadata_.chunks[axis]);
    }
    const auto bytes = chunk(name.empty() ? "0" : name, *size, owners);
    if (!bytes) return std::unexpected(bytes.error());
    whole.blocks.push_back({start, block(start, *bytes)});
  } while (count_up(index, counts));
  if (auto checked = check_view(whole); !checked) return std::unexpected(checked.error());
  return whole;
}

// ---- the format

bool recognises(ByteSpan bytes) {
  return has_top_level_key(bytes, [](std::string_view key) {
    return key == "zarr_format" || key == "zarr_consolidated_format";
  });
}

// Filters of numcodecs whose data is a pickle, or that tare does not know.
bool is_harmless_codec(std::string_view id) {
  constexpr std::array kKnown = {"zstd"sv,
                                 "zlib"sv,
                                 "gzip"sv,
                                 "bz2"sv,
                                 "lz4"sv,
                                 "lzma"sv,
                                 "blosc"sv,
                                 "shuffle"sv,
                                 "delta"sv,
                                 "crc32"sv,
                                 "crc32c"sv,
                                 "adler32"sv,
                                 "fixedscaleoffset"sv,
                                 "quantize"sv,
                                 "packbits"sv,
                                 "astype"sv,
                                 "vlen-utf8"sv,
                                 "vlen-bytes"sv,
                                 "vlen-array"sv,
                                 "bytes"sv,
                                 "transpose"sv,
                                 "sharding_indexed"sv,
                                 "regular"sv,
                                 "default"sv};
  return std::ranges::find(kKnown, id) != kKnown.end();
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  const auto tree = JsonTree::parse(as_text(bytes));
  if (!tree) return std::unexpected(tree.error());
  PartList list;
  list.parts.push_back({"", PartKind::kTensorHeader, bytes, 0});
  for (const JsonNode& node : tree->nodes()) {
    if (node.kind != JsonKind::kText || (node.key != "id" && node.key != "name")) continue;
    if (is_harmless_codec(node.text)) continue;
    const ByteSpan part = bytes.subspan(
        node.offset, std::min<std::uint64_t>(node.text.size() + 2, bytes.size() - node.offset));
    list.parts.push_back({"", PartKind::kUnknown, part, node.offset, node.offset});
  }
  return list;
}

}  // namespace

std::expected<Model, Failure> open_zarr(const std::filesystem::path& path, Input input,
                                        const OpenInput& open) {
  const auto metadata = read_metadata(input.bytes());
  if (!metadata) return std::unexpected(metadata.error());
  FilesBeside beside(path.parent_path(), open);
  ModelContents contents;
  const std::string name = std::filesystem::absolute(path).parent_path().filename().string();
  auto view = ChunkReader(*metadata, beside).read(contents.owners);
  if (view) {
    contents.tensors.push_back({name, std::move(*view), ""});
  } else {
    contents.problems.push_back({name, view.error()});
  }
  std::vector<ModelFile> files = beside.take();
  files.insert(files.begin(), ModelFile{"", std::move(input)});
  return Model(std::move(files), kZarr.name, std::move(contents));
}

const Format kZarr = {"zarr", "the metadata of an array of zarr, which holds no elements itself",
                      recognises, list_parts, nullptr};

}  // namespace tare::format
