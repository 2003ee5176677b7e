// Judges all files of a distributed checkpoint.
#include <algorithm>

#include "format/distributed_metadata.hpp"
#include "format/folder.hpp"
#include "scan/checkpoint_parts.hpp"
#include "tare/scan.hpp"

namespace tare {

CheckpointParts checkpoint_parts(ByteSpan bytes) {
  CheckpointParts parts;
  auto metadata = format::read_distributed_metadata(bytes);
  if (!metadata) return parts;
  for (auto& file : metadata->files) parts.emplace(file.name, std::move(file.ranges));
  return parts;
}

namespace {

CheckpointParts parts_of(const std::filesystem::path& folder) {
  const auto input = Input::map(folder / format::kMetadataName);
  return input ? checkpoint_parts(input->bytes()) : CheckpointParts();
}

Result<ScanReport> scan_one(const std::filesystem::path& path, std::vector<FileRange> parts,
                            const Policy* policy) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return fail(ErrorCode::kNotAFile, "is a directory, which is not scanned");
  }
  auto input = Input::map(path);
  if (!input) return std::unexpected(input.error());
  return scan_file(ModelFile{"", std::move(*input), false, std::move(parts)},
                   {policy, path.string()});
}

std::vector<FileReport> scan_checkpoint(const std::filesystem::path& folder,
                                        std::vector<std::string> names, const Policy* policy) {
  CheckpointParts parts = parts_of(folder);
  for (const auto& [name, ranges] : parts) {
    if (!std::ranges::binary_search(names, name)) names.push_back(name);
  }
  std::ranges::sort(names);
  std::vector<FileReport> reports;
  reports.reserve(names.size());
  for (const std::string& name : names) {
    reports.push_back({folder / name, scan_one(folder / name, std::move(parts[name]), policy)});
  }
  return reports;
}

}  // namespace

std::vector<FileReport> scan_path(const std::filesystem::path& path, const Policy* policy) {
  std::error_code ignored;
  std::vector<FileReport> reports;
  if (std::filesystem::is_directory(path, ignored)) {
    auto names = format::names_in(path);
    if (names && std::ranges::binary_search(*names, format::kMetadataName)) {
      return scan_checkpoint(path, std::move(*names), policy);
    }
    reports.push_back({path, names ? fail(ErrorCode::kNotAFile, "is a directory")
                                   : std::unexpected(names.error())});
    return reports;
  }
  reports.push_back({path, scan_one(path, {}, policy)});
  return reports;
}

}  // namespace tare
