#include "tare/convert.hpp"

#include <optional>
#include <unordered_map>

#include "format/format.hpp"
#include "tare/compare.hpp"

namespace tare {
namespace {

std::unexpected<ConvertFailure> failure(const Error& error, std::string subject) {
  return std::unexpected(ConvertFailure{error, std::move(subject)});
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

const char* mismatch_text(DifferenceKind kind) {
  switch (kind) {
    case DifferenceKind::kOnlyInA:
      return "is missing in the output";
    case DifferenceKind::kOnlyInB:
      return "is in the output only";
    case DifferenceKind::kDType:
    case DifferenceKind::kShape:
      return "has another dtype or shape in the output";
    case DifferenceKind::kBytes:
      return "has other bytes in the output";
  }
  return "";
}

}  // namespace

std::expected<ConvertSummary, ConvertFailure> convert_to_safetensors(
    const Model& model, const std::filesystem::path& output, const ConvertOptions& options) {
  const auto& problems = model.contents().problems;
  if (!problems.empty()) return failure(problems.front().error, problems.front().subject);

  std::vector<safetensors::TensorToSave> tensors;
  ConvertSummary summary;
  for (const NamedTensor& tensor : model.tensors()) {
    if (auto checked = check_expansion(tensor.view); !checked) {
      return failure(checked.error(), tensor.name);
    }
    tensors.push_back({tensor.name, tensor.view});
  }
  summary.tensors = tensors.size();
  summary.tensor_bytes = model.tensor_bytes();
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
  auto written = Input::map(output);
  if (!written) return failure(written.error(), output.string());
  // As safetensors whatever else its tensors make it look like.
  format::ReadContext context;
  auto contents = format::kSafetensors.read_tensors(written->bytes(), context);
  if (!contents) return failure(contents.error(), output.string());
  const Model result(std::move(*written), format::kSafetensors.name, std::move(*contents));
  const auto compared = compare(model, result);
  if (!compared) return failure(compared.error(), compared.error().subject);
  if (compared->differences.empty()) return {};
  const Difference& first = compared->differences.front();
  return failure(Error{ErrorCode::kMismatch, 0, Error::kNoOffset, mismatch_text(first.kind)},
                 first.name());
}

}  // namespace tare
