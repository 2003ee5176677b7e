#include "tare/model.hpp"

#include "format/folder.hpp"
#include "format/format.hpp"
#include "format/onnx.hpp"
#include "format/openvino.hpp"
#include "format/shards.hpp"
#include "format/tensor_bundle.hpp"
#include "format/torch_distributed.hpp"
#include "format/zarr.hpp"

namespace tare {
namespace {

// Formats whose tensors stand in files beside the one that says so.
struct OfSeveralFiles {
  const format::Format* format;
  std::expected<Model, Failure> (*open)(const std::filesystem::path& path, Input input,
                                        const OpenInput& open);
};
constexpr OfSeveralFiles kOfSeveralFiles[] = {
    {&format::kOnnx, format::open_onnx},
    {&format::kTensorBundle, format::open_tensor_bundle},
    {&format::kZarr, format::open_zarr},
    {&format::kOpenvino, format::open_openvino},
};

std::expected<Model, Failure> open_input(const std::filesystem::path& path, Input input,
                                         const OpenInput& open) {
  const auto found = format::detect(input.bytes());
  for (const auto& [format, open_with_others] : kOfSeveralFiles) {
    if (found.size() != 1 || found.front() != format) continue;
    return open_with_others(path, std::move(input), open);
  }
  format::ReadContext context = format::context_of(input.bytes());
  auto contents = format::read_nested(input.bytes(), context);
  if (!contents) return std::unexpected(contents.error());
  return Model(std::move(input), contents->format, std::move(*contents));
}

std::unexpected<Failure> failure(ErrorCode code, const char* what) {
  return std::unexpected(Failure(Error{code, 0, Error::kNoOffset, what}));
}

}  // namespace

std::uint64_t ModelContents::tensor_bytes() const {
  std::uint64_t bytes = 0;
  for (const NamedTensor& tensor : tensors) bytes += tensor.view.byte_count();
  return bytes;
}

std::expected<Model, Failure> format::open_one(const std::filesystem::path& path,
                                               const OpenInput& open) {
  auto input = open(path);
  if (!input) return std::unexpected(input.error());
  return open_input(path, std::move(*input), open);
}

std::expected<Model, Failure> open_model(const std::filesystem::path& path, const OpenInput& open) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return format::open_folder(path);
  auto input = open(path);
  if (!input) return std::unexpected(input.error());
  if (format::is_shard_index(input->bytes())) {
    return format::open_shards(path, std::move(*input), open);
  }
  if (format::is_distributed_metadata(input->bytes())) {
    auto metadata = format::read_distributed_metadata(input->bytes());
    if (metadata) {
      return format::open_distributed(path, std::move(*input), std::move(*metadata), open);
    }
    if (metadata.error().code != ErrorCode::kWrongFormat) return std::unexpected(metadata.error());
  }
  return open_input(path, std::move(*input), open);
}

std::expected<Model, Failure> open_models(std::span<const std::filesystem::path> paths) {
  if (paths.empty()) return failure(ErrorCode::kInvalidArgument, "no file is named");
  return paths.size() == 1 ? open_model(paths.front()) : format::join_files(paths);
}

}  // namespace tare
