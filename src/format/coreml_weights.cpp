// The file of weights in a CoreML package (weight.bin). Format: docs/formats/coreml.md.
#include <algorithm>
#include <array>

#include "format/format.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

constexpr std::uint64_t kHeader = 64;  // of the file, and of each blob
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kSentinel = 0xDEADBEEF;

struct BlobType {
  unsigned bits;
  std::optional<DType> dtype;
};
// By number; 0 is none.
constexpr std::array<BlobType, 18> kTypes = {{{0, {}},
                                              {16, DType::kF16},
                                              {32, DType::kF32},
                                              {8, DType::kU8},
                                              {8, DType::kI8},
                                              {16, DType::kBF16},
                                              {16, DType::kI16},
                                              {16, DType::kU16},
                                              {4, {}},
                                              {1, {}},
                                              {2, {}},
                                              {4, {}},
                                              {3, {}},
                                              {6, {}},
                                              {32, DType::kI32},
                                              {32, DType::kU32},
                                              {8, DType::kF8E4M3},
                                              {8, DType::kF8E5M2}}};

struct Blob {
  std::uint32_t type = 0;
  std::uint64_t at = 0;  // of its header
  ByteSpan data;
};

bool is_zero(std::byte byte) {
  return byte == std::byte{0};
}

bool recognises(ByteSpan bytes) {
  Cursor in(bytes);
  const auto count = in.read<std::uint32_t>();
  const auto version = in.read<std::uint32_t>();
  const auto reserved = in.take(kHeader - 8);
  const auto sentinel = in.read<std::uint32_t>();
  return count && *count > 0 && version == kVersion && sentinel == kSentinel &&
         std::ranges::all_of(*reserved, is_zero);
}

// The blob whose header stands here.
Result<Blob> read_blob(ByteSpan bytes, std::uint64_t at) {
  Cursor in(bytes, at);
  const auto sentinel = in.read<std::uint32_t>();
  const auto type = in.read<std::uint32_t>();
  const auto size = in.read<std::uint64_t>();
  const auto offset = in.read<std::uint64_t>();
  if (!offset) return fail(ErrorCode::kTruncated, "the header of a blob is cut off", at);
  if (*sentinel != kSentinel) return fail(ErrorCode::kMalformed, "no header of a blob", at);
  if (*type == 0 || *type >= kTypes.size()) {
    return fail(ErrorCode::kUnsupported, "a blob of a type that is not known", at);
  }
  if (*offset != at + kHeader || *offset > bytes.size() || *size > bytes.size() - *offset) {
    return fail(ErrorCode::kMalformed, "a blob ends behind the file", at);
  }
  return Blob{*type, at, bytes.subspan(*offset, *size)};
}

// One behind the other, each at a multiple of 64.
Result<std::vector<Blob>> read_blobs(ByteSpan bytes) {
  const auto count = Cursor(bytes).read<std::uint32_t>();
  std::vector<Blob> blobs;
  std::uint64_t at = kHeader;
  for (std::uint32_t i = 0; count && i < *count; ++i) {
    auto blob = read_blob(bytes, at);
    if (!blob) return std::unexpected(blob.error());
    const std::uint64_t end = at + kHeader + blob->data.size();
    at = (end + kHeader - 1) / kHeader * kHeader;
    const auto padding = bytes.subspan(end, std::min<std::uint64_t>(at, bytes.size()) - end);
    if (!std::ranges::all_of(padding, is_zero)) {
      return fail(ErrorCode::kMalformed, "bytes between two blobs", end);
    }
    blobs.push_back(*blob);
  }
  if (at < bytes.size()) return fail(ErrorCode::kMalformed, "bytes behind the last blob", at);
  return blobs;
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  const auto blobs = read_blobs(bytes);
  if (!blobs) return std::unexpected(blobs.error());
  PartList list;
  for (const Blob& blob : *blobs) {
    list.parts.push_back({"blob at " + std::to_string(blob.at), PartKind::kTensorData, blob.data,
                          static_cast<std::uint64_t>(blob.data.data() - bytes.data())});
  }
  return list;
}

// Blobs have no shape of their own: the model that refers to them has it.
Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  const auto blobs = read_blobs(bytes);
  if (!blobs) return std::unexpected(blobs.error());
  ModelContents contents;
  for (const Blob& blob : *blobs) {
    std::string name = "blob." + std::to_string(blob.at);
    const BlobType& type = kTypes[blob.type];
    const std::uint64_t width = type.bits / 8;
    if (!type.dtype || blob.data.size() % width != 0) {
      contents.problems.push_back({std::move(name), Error{ErrorCode::kUnsupported, 0, blob.at,
                                                          "is of a type that no tensor here has"}});
      continue;
    }
    const Shape shape{blob.data.size() / width};
    contents.tensors.push_back(
        {std::move(name), TensorView{*type.dtype, shape, row_major_strides(shape), 0, blob.data},
         ""});
  }
  return contents;
}

}  // namespace

const Format kCoremlWeights = {"coreml-weights", "the weights of a CoreML package", recognises,
                               list_parts, read_tensors};

}  // namespace tare::format
