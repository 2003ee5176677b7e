#include "convert/targets.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "format/format.hpp"
#include "format/npy_writer.hpp"
#include "format/torch_writer.hpp"
#include "io/sha256.hpp"
#include "tensor/packed_reader.hpp"

namespace tare {
namespace {

// The bytes of an output on their way to the file.
class Output {
 public:
  Output(AtomicFile& file, const ConvertOptions& options) : file_(file) {
    if (options.file_sha256) sha256_.emplace();
  }

  Result<void> write(ByteSpan bytes) {
    if (sha256_) sha256_->update(bytes);
    return file_.write(bytes);
  }
  WrittenFile finish(const std::filesystem::path& path) {
    return {path, file_.size(), sha256_ ? sha256_->hex_digest() : ""};
  }

 private:
  AtomicFile& file_;
  std::optional<Sha256> sha256_;
};

// Counts what goes through it, and remembers the tensor that failed.
class Streams {
 public:
  explicit Streams(const WriteProgress& progress) : progress_(progress) {}

  Result<void> run(const PlannedTensor& tensor, const ByteSink& sink) {
    auto streamed = stream(tensor, [&](ByteSpan bytes) -> Result<void> {
      auto taken = sink(bytes);
      if (!taken) {
        sink_failed_ = true;
        return taken;
      }
      done_ += bytes.size();
      if (progress_) progress_(done_);
      return {};
    });
    if (!streamed && !sink_failed_) failed_ = tensor.name;
    return streamed;
  }
  // The tensor that could not be read; empty if the file could not be written.
  const std::string& failed() const { return failed_; }

 private:
  const WriteProgress& progress_;
  std::uint64_t done_ = 0;
  bool sink_failed_ = false;
  std::string failed_;
};

std::vector<safetensors::TensorPlan> plans_of(std::span<const PlannedTensor> tensors) {
  std::vector<safetensors::TensorPlan> plans;
  plans.reserve(tensors.size());
  for (const PlannedTensor& tensor : tensors) {
    plans.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  return plans;
}

Result<void> write_safetensors(AtomicFile& file, Output& output,
                               std::span<const PlannedTensor> tensors,
                               const safetensors::Metadata& metadata, Streams& streams) {
  const auto plan = safetensors::plan_file(plans_of(tensors), metadata);
  if (!plan) return std::unexpected(plan.error());
  if (auto reserved = file.reserve(plan->file_bytes); !reserved) return reserved;
  if (auto written = output.write(plan->header); !written) return written;
  for (const safetensors::PlacedTensor& placed : plan->order) {
    const auto streamed =
        streams.run(tensors[placed.index], [&](ByteSpan bytes) { return output.write(bytes); });
    if (!streamed) return streamed;
  }
  return {};
}

std::vector<torch::StreamedTensor> streamed(std::span<const PlannedTensor> tensors,
                                            Streams& streams) {
  std::vector<torch::StreamedTensor> out;
  out.reserve(tensors.size());
  for (const PlannedTensor& tensor : tensors) {
    out.push_back(
        {{tensor.name, tensor.dtype, tensor.shape},
         [&tensor, &streams](const ByteSink& sink) { return streams.run(tensor, sink); }});
  }
  return out;
}

Result<void> write_archive(Output& output, const std::filesystem::path& path,
                           std::span<const PlannedTensor> tensors, ConvertTarget target,
                           Streams& streams) {
  zip::Writer archive([&](ByteSpan bytes) { return output.write(bytes); });
  const auto sources = streamed(tensors, streams);
  if (target == ConvertTarget::kNpz) return npy::write_npz(archive, sources);
  return torch::write_state_dict(archive, path.stem().string(), sources, torch::Layout::kTorch2);
}

// ---- verification

std::unexpected<Failure> mismatch(const char* what, const std::string& name) {
  return std::unexpected(Failure(Error{ErrorCode::kMismatch, 0, Error::kNoOffset, what}, name));
}

Result<ModelContents> read_written(ByteSpan bytes, ConvertTarget target) {
  format::ReadContext context = format::context_of(bytes);
  // As what it is, whatever its tensors make it look like.
  const format::Format& format =
      target == ConvertTarget::kSafetensors ? format::kSafetensors : format::kZip;
  return format.read_tensors(bytes, context);
}

// Whether the tensor is what `written` reads.
Result<bool> is_equal(const PlannedTensor& tensor, const TensorView& written) {
  auto reader = PackedReader::make(written);
  if (!reader) return std::unexpected(reader.error());
  bool equal = true;
  const auto streamed = stream(tensor, [&](ByteSpan bytes) -> Result<void> {
    while (equal && !bytes.empty()) {
      const ByteSpan there = reader->peek();
      const std::size_t size = std::min(bytes.size(), there.size());
      equal = size > 0 && std::memcmp(bytes.data(), there.data(), size) == 0;
      reader->skip(size);
      bytes = bytes.subspan(size);
    }
    return {};
  });
  if (!streamed) return std::unexpected(streamed.error());
  return equal && reader->peek().empty();
}

}  // namespace

std::expected<WrittenFile, Failure> write_target(AtomicFile& file,
                                                 const std::filesystem::path& path,
                                                 std::span<const PlannedTensor> tensors,
                                                 const safetensors::Metadata& metadata,
                                                 const ConvertOptions& options,
                                                 const WriteProgress& progress) {
  Output output(file, options);
  Streams streams(progress);
  const auto written = options.target == ConvertTarget::kSafetensors
                           ? write_safetensors(file, output, tensors, metadata, streams)
                           : write_archive(output, path, tensors, options.target, streams);
  if (!written) {
    return std::unexpected(
        Failure(written.error(), streams.failed().empty() ? path.string() : streams.failed()));
  }
  if (auto flushed = file.flush(); !flushed) {
    return std::unexpected(Failure(flushed.error(), path.string()));
  }
  return output.finish(path);
}

std::expected<void, Failure> verify_target(const std::filesystem::path& place,
                                           std::span<const PlannedTensor> tensors,
                                           const ConvertOptions& options) {
  const auto input = Input::map(place);
  if (!input) return std::unexpected(Failure(input.error(), place.string()));
  const auto contents = read_written(input->bytes(), options.target);
  if (!contents) return std::unexpected(Failure(contents.error(), place.string()));
  if (!contents->problems.empty()) {
    const Problem& first = contents->problems.front();
    return std::unexpected(Failure(first.error, first.subject));
  }
  std::unordered_map<std::string_view, const TensorView*> written;
  for (const NamedTensor& tensor : contents->tensors) written.emplace(tensor.name, &tensor.view);
  for (const PlannedTensor& tensor : tensors) {
    const auto found = written.find(tensor.name);
    if (found == written.end()) return mismatch("is missing in the output", tensor.name);
    if (found->second->dtype != tensor.dtype || found->second->shape != tensor.shape) {
      return mismatch("has another dtype or shape in the output", tensor.name);
    }
    const auto equal = is_equal(tensor, *found->second);
    if (!equal) return std::unexpected(Failure(equal.error(), tensor.name));
    if (!*equal) return mismatch("has other bytes in the output", tensor.name);
    written.erase(found);
  }
  if (written.empty()) return {};
  return mismatch("is in the output only", std::string(written.begin()->first));
}

}  // namespace tare
