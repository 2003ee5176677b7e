#include "tare/convert.hpp"

#include <cstring>
#include <optional>
#include <unordered_map>

namespace tare {
namespace {

constexpr std::uint64_t kMaxExpandedBytes = std::uint64_t{1} << 30;

std::unexpected<ConvertFailure> failure(const Error& error, std::string subject) {
  return std::unexpected(ConvertFailure{error, std::move(subject)});
}

std::unexpected<ConvertFailure> mismatch(const char* what, std::string_view subject) {
  return failure(Error{ErrorCode::kMismatch, 0, Error::kNoOffset, what}, std::string(subject));
}

// Tensors that start in the same storage as another one: tied weights, or views.
std::uint64_t count_shared(const Model& model) {
  std::unordered_map<const std::byte*, std::uint64_t> users;
  for (const NamedTensor& tensor : model.tensors()) {
    if (tensor.view.byte_count() > 0) ++users[tensor.view.storage.data()];
  }
  std::uint64_t shared = 0;
  for (const auto& [storage, count] : users) shared += count > 1 ? count : 0;
  return shared;
}

// True if the elements of the tensor, in row-major order, are `expected`, byte for byte.
Result<bool> has_bytes(const TensorView& view, ByteSpan expected) {
  bool equal = view.byte_count() == expected.size();
  if (!equal) return false;
  const auto walked = stream(view, [&](ByteSpan bytes) -> Result<void> {
    equal = equal && std::memcmp(bytes.data(), expected.data(), bytes.size()) == 0;
    expected = expected.subspan(bytes.size());
    return {};
  });
  if (!walked) return std::unexpected(walked.error());
  return equal;
}

// An expanded tensor repeats few elements many times: its copy may be larger than any file.
bool is_too_expanded(const TensorView& view) {
  return view.byte_count() > kMaxExpandedBytes && view.byte_count() > view.storage.size();
}

}  // namespace

std::expected<ConvertSummary, ConvertFailure> convert_to_safetensors(
    const Model& model, const std::filesystem::path& output, const ConvertOptions& options) {
  const auto& problems = model.contents().problems;
  if (!problems.empty()) return failure(problems.front().error, problems.front().subject);

  std::vector<safetensors::TensorToSave> tensors;
  ConvertSummary summary;
  for (const NamedTensor& tensor : model.tensors()) {
    if (is_too_expanded(tensor.view)) {
      return failure(
          Error{ErrorCode::kLimit, 0, Error::kNoOffset, "repeats its storage to more than 1 GiB"},
          tensor.name);
    }
    tensors.push_back({tensor.name, tensor.view});
    summary.tensor_bytes += tensor.view.byte_count();
  }
  summary.tensors = tensors.size();
  summary.shared = count_shared(model);
  // Verified before it gets its name: what is not equal to its source never appears.
  std::optional<ConvertFailure> difference;
  const auto verify = [&](const std::filesystem::path& written) -> Result<void> {
    auto verified = verify_safetensors(model, written);
    if (verified) return {};
    difference = verified.error();
    return std::unexpected(difference->error);
  };
  safetensors::WriteOptions how{.overwrite = options.overwrite, .file_sha256 = true};
  how.progress = options.progress;
  if (options.verify) how.before_commit = verify;
  const auto saved = safetensors::save(output, tensors, {{"format", "pt"}}, how);
  if (difference) return std::unexpected(*difference);
  if (!saved) return failure(saved.error(), output.string());
  summary.file_bytes = saved->file_bytes;
  summary.sha256 = saved->sha256;
  summary.verified = options.verify;
  return summary;
}

std::expected<void, ConvertFailure> verify_safetensors(const Model& model,
                                                       const std::filesystem::path& output) {
  const auto written = Input::map(output);
  if (!written) return failure(written.error(), output.string());
  const auto header = safetensors::parse(written->bytes());
  if (!header) return failure(header.error(), output.string());
  if (header->tensors.size() != model.tensors().size()) {
    return mismatch("the output has another number of tensors", output.string());
  }
  std::unordered_map<std::string_view, const safetensors::TensorEntry*> by_name;
  for (const auto& entry : header->tensors) by_name.emplace(entry.name, &entry);

  const ByteSpan data = written->bytes().subspan(header->data_offset);
  std::vector<std::byte> buffer;
  for (const NamedTensor& tensor : model.tensors()) {
    const auto found = by_name.find(tensor.name);
    if (found == by_name.end()) return mismatch("is missing in the output", tensor.name);
    const safetensors::TensorEntry& entry = *found->second;
    if (entry.dtype != tensor.view.dtype || entry.shape != tensor.view.shape) {
      return mismatch("has another dtype or shape in the output", tensor.name);
    }
    const auto equal = has_bytes(tensor.view, data.subspan(entry.begin, entry.end - entry.begin));
    if (!equal) return failure(equal.error(), tensor.name);
    if (!*equal) {
      return mismatch("has other bytes in the output", tensor.name);
    }
  }
  return {};
}

}  // namespace tare
