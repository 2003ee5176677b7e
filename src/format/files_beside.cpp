#include "format/files_beside.hpp"

#include "format/shards.hpp"

namespace tare::format {

Result<ByteSpan> FilesBeside::bytes_of(std::string_view name) {
  auto found = files_.find(name);
  if (found == files_.end()) {
    if (files_.size() == kMaxShards) return fail(ErrorCode::kLimit, "more than 16,384 files");
    const auto path = folder_ / name;
    std::error_code ignored;
    auto input = std::filesystem::is_symlink(path, ignored)
                     ? fail(ErrorCode::kRefused, "its elements are behind a link")
                     : open_(path);
    found = files_.emplace(std::string(name), std::move(input)).first;
  }
  if (!found->second) return std::unexpected(found->second.error());
  return found->second->bytes();
}

std::vector<ModelFile> FilesBeside::take() {
  std::vector<ModelFile> files;
  for (auto& [name, input] : files_) {
    if (!input) continue;
    ModelFile& file = files.emplace_back(ModelFile{name, std::move(*input)});
    file.is_raw = true;
  }
  return files;
}

}  // namespace tare::format
