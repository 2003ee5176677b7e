// ONNX models whose elements stand in files beside them.
#include <algorithm>

#include "format/files_beside.hpp"
#include "format/onnx.hpp"
#include "format/shards.hpp"
#include "io/checked.hpp"
#include "io/parse_number.hpp"

namespace tare::format {
namespace {

Result<ByteSpan> elements_beside(FilesBeside& files, const OnnxTensorView& tensor,
                                 std::uint64_t bytes) {
  const std::string_view name = tensor.external_value("location");
  if (!is_inside_folder(name)) {
    return fail(ErrorCode::kRefused, "its elements are outside of the folder of the model");
  }
  if (!is_plain_name(name)) {
    return fail(ErrorCode::kUnsupported, "its elements are in a folder beside the model");
  }
  const std::string_view offset_text = tensor.external_value("offset");
  const std::string_view length_text = tensor.external_value("length");
  const auto offset = offset_text.empty() ? 0 : parse_number(offset_text);
  const auto length = length_text.empty() ? bytes : parse_number(length_text);
  if (!offset || !length || *length != bytes) {
    return fail(ErrorCode::kMalformed, "its external data does not fit its shape");
  }
  const auto whole = files.bytes_of(name);
  if (!whole) return whole;
  if (*offset > whole->size() || bytes > whole->size() - *offset) {
    return fail(ErrorCode::kTruncated, "its external data ends behind the file");
  }
  return whole->subspan(*offset, bytes);
}

}  // namespace

bool is_inside_folder(std::string_view path) {
  constexpr std::string_view kSlashes = "/\\";
  if (path.empty() || path.find(':') != std::string_view::npos ||
      path.find('\0') != std::string_view::npos || kSlashes.find(path.front()) != kSlashes.npos) {
    return false;
  }
  while (!path.empty()) {
    const std::size_t end = std::min(path.find_first_of(kSlashes), path.size());
    if (path.substr(0, end) == "..") return false;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return true;
}

std::expected<Model, Failure> open_onnx(const std::filesystem::path& path, Input input,
                                        const OpenInput& open) {
  FilesBeside beside(path.parent_path(), open);
  ReadContext context = context_of(input.bytes());
  auto contents = read_onnx(input.bytes(), context,
                            [&beside](const OnnxTensorView& tensor, std::uint64_t bytes) {
                              return elements_beside(beside, tensor, bytes);
                            });
  if (!contents) return std::unexpected(contents.error());
  std::vector<ModelFile> files = beside.take();
  files.insert(files.begin(), ModelFile{"", std::move(input)});
  return Model(std::move(files), kOnnx.name, std::move(*contents));
}

}  // namespace tare::format
