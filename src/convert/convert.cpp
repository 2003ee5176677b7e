#include "tare/convert.hpp"

#include "convert/plan.hpp"
#include "convert/shard_plan.hpp"
#include "convert/source_files.hpp"
#include "convert/targets.hpp"
#include "io/sha256.hpp"

namespace tare {
namespace {

// The files of a conversion. They get their names together, when all of them are written and
// verified, the index last: without it, shards are no model.
class Conversion {
 public:
  Conversion(ConvertPlan plan, std::span<const ModelFile> sources,
             const std::filesystem::path& output, const ConvertOptions& options)
      : plan_(std::move(plan)), sources_(sources), output_(output), options_(options) {}

  std::expected<ConvertSummary, Failure> run();

 private:
  using Outcome = std::expected<void, Failure>;

  std::unexpected<Failure> failed(const Error& error, const std::filesystem::path& path) const {
    return std::unexpected(Failure(error, path.string()));
  }
  std::span<const PlannedTensor> tensors_of(const Shard& shard) const {
    return std::span(plan_.tensors).subspan(shard.first, shard.count);
  }
  Outcome write(const Shard& shard);
  Outcome write_index();
  Outcome commit();

  ConvertPlan plan_;
  std::span<const ModelFile> sources_;
  std::filesystem::path output_;
  const ConvertOptions& options_;
  std::vector<Shard> shards_;
  std::vector<AtomicFile> files_;  // in the order of summary_.files
  std::uint64_t done_ = 0;         // tensor bytes of the shards before
  ConvertSummary summary_;
};

std::expected<ConvertSummary, Failure> Conversion::run() {
  summary_.tensors = plan_.tensors.size();
  summary_.tensor_bytes = plan_.tensor_bytes();
  summary_.tied = plan_.tied;
  summary_.overlapping = plan_.overlapping;
  shards_ = plan_shards(plan_, output_, options_.max_shard_bytes);
  if (options_.dry_run) {
    for (const Shard& shard : shards_) summary_.files.push_back({shard.path, 0, ""});
    if (shards_.size() > 1) summary_.files.push_back({index_path(output_), 0, ""});
    return std::move(summary_);
  }
  for (const Shard& shard : shards_) {
    if (auto written = write(shard); !written) return std::unexpected(written.error());
  }
  if (shards_.size() > 1) {
    if (auto written = write_index(); !written) return std::unexpected(written.error());
  }
  if (auto committed = commit(); !committed) return std::unexpected(committed.error());
  for (const WrittenFile& file : summary_.files) summary_.file_bytes += file.bytes;
  summary_.verified = options_.verify;
  return std::move(summary_);
}

Conversion::Outcome Conversion::write(const Shard& shard) {
  auto file = AtomicFile::create(shard.path, options_.overwrite == safetensors::Overwrite::kYes
                                                 ? AtomicFile::Replace::kYes
                                                 : AtomicFile::Replace::kNo);
  if (!file) return failed(file.error(), shard.path);
  // Where the ties are: in the file, or in the index of several.
  safetensors::Metadata metadata = plan_.metadata;
  if (shards_.size() == 1) {
    for (const auto& [name, kept] : plan_.tied) metadata.insert_or_assign(name, kept);
  }
  const auto progress = [&](std::uint64_t bytes) {
    if (options_.progress) options_.progress(done_ + bytes);
  };
  auto written =
      write_target(*file, shard.path, tensors_of(shard), metadata, options_, sources_, progress);
  if (!written) return std::unexpected(written.error());
  if (options_.verify) {
    const std::string digest = are_paged(sources_) ? written->sha256 : "";
    auto verified = verify_target(file->temporary(), tensors_of(shard), options_, sources_, digest);
    if (!verified) return verified;
  }
  if (!options_.file_sha256) written->sha256.clear();
  for (const PlannedTensor& tensor : tensors_of(shard)) done_ += byte_count(tensor);
  files_.push_back(std::move(*file));
  summary_.files.push_back(std::move(*written));
  return {};
}

Conversion::Outcome Conversion::write_index() {
  const auto path = index_path(output_);
  const auto text = index_text(plan_, shards_);
  if (!text) return failed(text.error(), path);
  auto file = AtomicFile::create(path, options_.overwrite == safetensors::Overwrite::kYes
                                           ? AtomicFile::Replace::kYes
                                           : AtomicFile::Replace::kNo);
  if (!file) return failed(file.error(), path);
  if (auto written = file->write(as_bytes(*text)); !written) return failed(written.error(), path);
  WrittenFile index{path, text->size(), ""};
  if (options_.file_sha256) {
    Sha256 sha256;
    sha256.update(as_bytes(*text));
    index.sha256 = sha256.hex_digest();
  }
  files_.push_back(std::move(*file));
  summary_.files.push_back(std::move(index));
  return {};
}

Conversion::Outcome Conversion::commit() {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    auto committed = files_[i].commit();
    if (committed) continue;
    // What this conversion has put in place before; what it replaced is gone.
    std::error_code ignored;
    for (std::size_t done = 0; done < i; ++done) {
      std::filesystem::remove(summary_.files[done].path, ignored);
    }
    return failed(committed.error(), summary_.files[i].path);
  }
  if (shards_.size() > 1 && options_.overwrite == safetensors::Overwrite::kYes) {
    std::error_code ignored;
    for (const auto& path : stale_shards(shards_, output_)) std::filesystem::remove(path, ignored);
  }
  return {};
}

}  // namespace

std::expected<ConvertSummary, Failure> convert(const Selection& selection,
                                               const std::filesystem::path& output,
                                               const ConvertOptions& options) {
  auto plan = plan_conversion(selection, options);
  if (!plan) return std::unexpected(plan.error());
  return Conversion(std::move(*plan), selection.files, output, options).run();
}

std::expected<void, Failure> verify_converted(const Selection& selection,
                                              const std::filesystem::path& file,
                                              const ConvertOptions& options) {
  const auto plan = plan_conversion(selection, options);
  if (!plan) return std::unexpected(plan.error());
  return verify_target(file, plan->tensors, options, selection.files);
}

}  // namespace tare
