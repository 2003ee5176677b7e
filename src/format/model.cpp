#include "tare/model.hpp"

#include "format/format.hpp"
#include "format/shards.hpp"

namespace tare {
namespace {

std::expected<Model, Failure> open_input(Input input) {
  format::ReadContext context = format::context_of(input.bytes());
  auto contents = format::read_nested(input.bytes(), context);
  if (!contents) return std::unexpected(contents.error());
  return Model(std::move(input), contents->format, std::move(*contents));
}

}  // namespace

std::uint64_t ModelContents::tensor_bytes() const {
  std::uint64_t bytes = 0;
  for (const NamedTensor& tensor : tensors) bytes += tensor.view.byte_count();
  return bytes;
}

std::expected<Model, Failure> format::open_one(const std::filesystem::path& path) {
  auto input = Input::map(path);
  if (!input) return std::unexpected(input.error());
  return open_input(std::move(*input));
}

std::expected<Model, Failure> open_model(const std::filesystem::path& path) {
  auto input = Input::map(path);
  if (!input) return std::unexpected(input.error());
  if (format::is_shard_index(input->bytes())) return format::open_shards(path, std::move(*input));
  return open_input(std::move(*input));
}

}  // namespace tare
