#include <algorithm>
#include <array>

#include "archive/decoder.hpp"
#include "format/format.hpp"
#include "format/program.hpp"
#include "format/shards.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

constexpr std::array kFormats = {&kProgram,
                                 &kTar,
                                 &k7z,
                                 &kZip,
                                 &kTorchLegacy,
                                 &kNpy,
                                 &kHdf5,
                                 &kCompressed,
                                 &kSafetensors,
                                 &kHfConfig,
                                 &kKerasConfig,
                                 &kImage,
                                 &kHydra,
                                 &kJinja,
                                 &kGguf,
                                 &kGgml,
                                 &kOnnx,
                                 &kTflite,
                                 &kTensorflow,
                                 &kFlax,
                                 &kTensorBundle,
                                 &kCheckpointState,
                                 &kSkops,
                                 &kTorch7,
                                 &kRdata,
                                 &kXgboost,
                                 &kLightgbm,
                                 &kCatboost,
                                 &kPmml,
                                 &kOpenvino,
                                 &kCoreml,
                                 &kCoremlManifest,
                                 &kCoremlWeights,
                                 &kPaddle,
                                 &kPaddleParams,
                                 &kMxnet,
                                 &kMxnetGraph,
                                 &kZarr,
                                 &kRecognised,
                                 &kPickle};

constexpr const char* kUnknownContent = "no format that tare knows";

bool starts_with(ByteSpan bytes, std::string_view prefix) {
  return as_text(bytes.first(std::min(bytes.size(), prefix.size()))) == prefix;
}

struct Signature {
  std::string_view bytes;
  const char* description;
};

using namespace std::string_view_literals;

// Files that people meet instead of a model, and formats that are known but not read here.
constexpr std::array kSignatures = {
    Signature{"version https://git-lfs"sv,
              "a git-lfs pointer, not the file itself: run `git lfs pull`"},
    Signature{"<!DOCTYPE"sv, "an HTML page, not a model: the download gave an error page"},
    Signature{"<!doctype"sv, "an HTML page, not a model: the download gave an error page"},
    Signature{"<html"sv, "an HTML page, not a model: the download gave an error page"},
    Signature{"<HTML"sv, "an HTML page, not a model: the download gave an error page"},
    Signature{"GGUF"sv, "a GGUF model"},
    Signature{"BZh"sv, "damaged bzip2 data"},
    Signature{"Rar!\x1A\x07"sv, "a RAR archive, which this version does not read"},
    Signature{"PYTORCH1"sv, "a 2018 preview archive of PyTorch, which PyTorch itself refuses"},
    Signature{"{\""sv, "JSON text, not a model and no index of shards"},
    Signature{"{\n"sv, "JSON text, not a model and no index of shards"},
    Signature{"PK\x03\x04"sv, "a damaged zip archive: an incomplete download?"},
};

bool all_zero(ByteSpan bytes) {
  return std::ranges::all_of(bytes.first(std::min<std::size_t>(bytes.size(), 4096)),
                             [](std::byte b) { return b == std::byte{0}; });
}

const char* by_signature(ByteSpan bytes) {
  for (const auto& signature : kSignatures) {
    if (starts_with(bytes, signature.bytes)) return signature.description;
  }
  if (bytes.size() >= 16 && all_zero(bytes)) {
    return "nothing but zero bytes: an incomplete download?";
  }
  return "";
}

}  // namespace

std::span<const Format* const> formats() {
  return kFormats;
}

std::vector<const Format*> detect(ByteSpan bytes) {
  std::vector<const Format*> found;
  for (const Format* format : kFormats) {
    if (format->recognises(bytes)) found.push_back(format);
  }
  return found;
}

ReadContext context_of(std::uint64_t size) {
  constexpr std::uint64_t kLeast = std::uint64_t{256} << 20;
  constexpr std::uint64_t kGrowth = 20;
  const auto most = checked_mul(size, kGrowth);
  return {.depth = 0, .inflate_left = std::max(kLeast, most.value_or(UINT64_MAX))};
}

Result<ModelContents> read_nested(ByteSpan bytes, ReadContext& context) {
  if (context.depth >= kMaxDepth) {
    return fail(ErrorCode::kLimit, "files stand inside files more than 8 deep");
  }
  for (const Format* format : detect(bytes)) {
    if (format->read_tensors == nullptr) continue;
    ++context.depth;
    auto contents = format->read_tensors(bytes, context);
    --context.depth;
    if (contents && contents->format.empty()) contents->format = format->name;
    return contents;
  }
  return std::unexpected(wrong_format(bytes));
}

Error wrong_format(ByteSpan bytes) {
  Error error{ErrorCode::kWrongFormat, 0, Error::kNoOffset, describe_content(bytes)};
  if (error.what == kUnknownContent) {
    const ByteSpan front = bytes.first(std::min(bytes.size(), error.beginning.size()));
    std::ranges::copy(front, error.beginning.begin());
    error.beginning_size = static_cast<std::uint8_t>(front.size());
  }
  return error;
}

}  // namespace tare::format

namespace tare {
namespace {

const char* compressed_text(ByteSpan bytes) {
  switch (codec_of(bytes).value_or(Codec::kDeflate)) {
    case Codec::kGzip:
      return "gzip data";
    case Codec::kBzip2:
      return "bzip2 data";
    case Codec::kXz:
      return "xz data";
    case Codec::kLzma:
      return "lzma data";
    case Codec::kLz4:
      return "lz4 data";
    case Codec::kZstd:
      return "zstd data";
    case Codec::kJoblibZ:
      return "a file that joblib before 0.10 compressed";
    case Codec::kZlib:
    case Codec::kDeflate:
      break;
  }
  return "zlib data";
}

}  // namespace

const char* describe_content(ByteSpan bytes) {
  if (bytes.empty()) return "an empty file";
  const auto found = format::detect(bytes);
  if (!found.empty() && found.front() == &format::kCompressed) return compressed_text(bytes);
  if (!found.empty() && found.front() == &format::kProgram) return format::program_text(bytes);
  if (!found.empty() && found.front() == &format::kRecognised)
    return format::recognised_text(bytes);
  if (!found.empty()) return found.front()->description;
  if (format::is_shard_index(bytes)) return "an index of shards, which holds no tensors itself";
  const char* const content = format::by_signature(bytes);
  return *content == '\0' ? format::kUnknownContent : content;
}

const char* foreign_content(ByteSpan front) {
  // The directory of a zip archive stands at its end, which may not be at hand.
  if (format::starts_with(front, "PK\x03\x04")) return "a zip archive: a PyTorch checkpoint?";
  if (front.size() > 1 && front[0] == std::byte{0x80} && front[1] >= std::byte{2} &&
      front[1] <= std::byte{5}) {
    return "a pickle";
  }
  if (codec_of(front)) return compressed_text(front);
  const char* const program = format::program_text(front);
  return *program == '\0' ? format::by_signature(front) : program;
}

}  // namespace tare
