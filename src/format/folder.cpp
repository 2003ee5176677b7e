#include "format/folder.hpp"

#include <algorithm>
#include <optional>

#include "format/shards.hpp"
#include "format/torch_distributed.hpp"

namespace tare::format {
namespace {

using Opened = std::expected<Model, Failure>;

// More are not listed.
constexpr std::size_t kMaxListed = 10;

Failure failure(ErrorCode code, const char* what, const std::string& about = "") {
  return {Error{code, 0, Error::kNoOffset, what}, about};
}

std::unexpected<Failure> several(const std::vector<std::string>& names, const char* what) {
  std::string list;
  for (std::size_t i = 0; i < std::min(names.size(), kMaxListed); ++i) {
    list += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMaxListed) list += ", ...";
  return std::unexpected(failure(ErrorCode::kInvalidArgument, what, list));
}

// Says which file an error is of, if it does not say so itself.
Opened named(Opened model, const std::string& name) {
  if (!model && model.error().subject.empty()) model.error().subject = name;
  return model;
}

Opened open_checkpoint(const std::filesystem::path& path) {
  auto input = Input::map(path);
  if (!input) return std::unexpected(input.error());
  auto metadata = read_distributed_metadata(input->bytes());
  if (!metadata) return std::unexpected(metadata.error());
  return open_distributed(path, std::move(*input), std::move(*metadata));
}

// Neither hidden nor anything but a file.
std::vector<std::string> files_in(const std::filesystem::path& folder,
                                  std::vector<std::string> names) {
  std::erase_if(names, [&](const std::string& name) {
    std::error_code ignored;
    return name.starts_with('.') || !std::filesystem::is_regular_file(folder / name, ignored);
  });
  return names;
}

// False for what no one would take for a model: texts, settings, models without tensors.
bool is_candidate(const Opened& model) {
  if (!model) {
    return model.error().code != ErrorCode::kWrongFormat && model.error().code != ErrorCode::kEmpty;
  }
  const ModelContents& contents = model->contents();
  return !contents.tensors.empty() || !contents.specials.empty() || !contents.problems.empty();
}

Opened open_only_model(const std::filesystem::path& folder, const std::vector<std::string>& names) {
  std::vector<std::string> candidates;
  std::optional<Opened> first;
  for (const std::string& name : names) {
    auto model = open_one(folder / name);
    if (!is_candidate(model)) continue;
    candidates.push_back(name);
    if (!first) first = std::move(model);
    if (candidates.size() > kMaxListed) break;
  }
  if (!first) return std::unexpected(failure(ErrorCode::kNotAFile, "is a folder without a model"));
  if (candidates.size() == 1) return named(std::move(*first), candidates.front());
  return several(candidates,
                 "are several models; name one, or all of them by a pattern like *.bin");
}

// A distributed checkpoint without metadata for all of it: each rank may have written its own.
Opened open_rank(const std::filesystem::path& folder, const std::vector<std::string>& names) {
  std::vector<std::string> ranks;
  std::ranges::copy_if(names, std::back_inserter(ranks), [](const std::string& name) {
    return name.starts_with("__") && name.ends_with(kMetadataName);
  });
  if (ranks.size() == 1) return named(open_checkpoint(folder / ranks.front()), ranks.front());
  if (ranks.size() > 1) return several(ranks, "are the metadata of one rank each; name one");
  return std::unexpected(failure(ErrorCode::kNotFound,
                                 "is missing, without which a distributed checkpoint is no model",
                                 kMetadataName));
}

}  // namespace

Result<std::vector<std::string>> names_in(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (names.size() == kMaxShards) return fail(ErrorCode::kLimit, "a folder of too many files");
    names.push_back(entry->path().filename().string());
  }
  if (error) return std::unexpected(system_error(error.value(), "cannot list"));
  std::ranges::sort(names);
  return names;
}

Opened open_folder(const std::filesystem::path& folder) {
  const auto names = names_in(folder);
  if (!names) return std::unexpected(names.error());
  if (std::ranges::binary_search(*names, kMetadataName)) {
    return named(open_checkpoint(folder / kMetadataName), kMetadataName);
  }
  const auto files = files_in(folder, *names);
  if (std::ranges::any_of(files, [](const auto& name) { return name.ends_with(".distcp"); })) {
    return open_rank(folder, files);
  }
  std::vector<std::string> indexes;
  std::ranges::copy_if(files, std::back_inserter(indexes),
                       [](const std::string& name) { return name.ends_with(".index.json"); });
  if (indexes.size() > 1) return several(indexes, "are several indexes; name one");
  if (indexes.size() == 1) return named(open_model(folder / indexes.front()), indexes.front());
  return open_only_model(folder, files);
}

}  // namespace tare::format
