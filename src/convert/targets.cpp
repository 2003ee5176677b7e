#include "convert/targets.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "convert/source_files.hpp"
#include "format/format.hpp"
#include "format/npy_writer.hpp"
#include "format/torch_writer.hpp"
#include "io/background_sha256.hpp"
#include "tensor/packed_reader.hpp"

namespace tare {
namespace {

// The bytes of an output on their way to the file.
class Output {
 public:
  Output(AtomicFile& file, const ConvertOptions& options, std::span<const ModelFile> sources)
      : file_(file), sources_(sources) {
    // What cannot be read again is verified by its digest.
    if (!options.file_sha256 && !(options.verify && are_paged(sources))) return;
    sha256_.emplace([this](ByteSpan bytes) { sources_.drop(bytes); });
  }

  Result<void> write(ByteSpan bytes) {
    if (sources_.is_paged(bytes)) return write_paged(bytes);
    if (sha256_) sha256_->add(bytes);
    return file_.write(bytes);
  }
  // Bytes that stay as they are: by the kernel, if they are part of a file.
  Result<void> write_stable(ByteSpan bytes);
  WrittenFile finish(const std::filesystem::path& path) {
    return {path, file_.size(), sha256_ ? sha256_->hex_digest() : ""};
  }

 private:
  // Piece by piece: each is brought, used and given back.
  Result<void> write_paged(ByteSpan bytes);

  AtomicFile& file_;
  SourceFiles sources_;
  std::optional<BackgroundSha256> sha256_;
};

Result<void> Output::write_paged(ByteSpan bytes) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  sources_.expect(bytes);
  while (!bytes.empty()) {
    const ByteSpan piece = bytes.first(std::min(bytes.size(), kPiece));
    if (sha256_) sha256_->add(piece);
    if (auto written = file_.write(piece); !written) return written;
    sources_.drop(piece);
    bytes = bytes.subspan(piece.size());
  }
  return {};
}

Result<void> Output::write_stable(ByteSpan bytes) {
  if (sources_.is_paged(bytes)) return write_paged(bytes);
  if (sha256_) sha256_->add_stable(bytes);
  if (const auto range = sources_.find(bytes)) {
    const auto copied = file_.copy_range(range->fd, range->offset, bytes.size());
    if (!copied) return std::unexpected(copied.error());
    bytes = bytes.subspan(*copied);
  }
  return file_.write(bytes);
}

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

// Its bytes stand in memory as they are to be written.
bool is_in_place(const PlannedTensor& tensor) {
  return tensor.special == nullptr && tensor.view.is_contiguous();
}

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
                               const safetensors::Metadata& metadata, bool verify,
                               Streams& streams) {
  const auto plan = safetensors::plan_file(plans_of(tensors), metadata);
  if (!plan) return std::unexpected(plan.error());
  // Past the cache what is neither there yet nor read again.
  const bool cached = verify || std::ranges::all_of(tensors, is_in_place);
  const auto cache = cached ? AtomicFile::Cache::kThrough : AtomicFile::Cache::kPast;
  if (auto reserved = file.reserve(plan->file_bytes, cache); !reserved) return reserved;
  if (auto written = output.write(plan->header); !written) return written;
  for (const safetensors::PlacedTensor& placed : plan->order) {
    const PlannedTensor& tensor = tensors[placed.index];
    const bool in_place = is_in_place(tensor);
    const auto streamed = streams.run(tensor, [&](ByteSpan bytes) {
      return in_place ? output.write_stable(bytes) : output.write(bytes);
    });
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

// What is compared at a time; the memory of both sides is given back then.
constexpr std::size_t kComparedBytes = std::size_t{4} << 20;

// Compares tensors with what was written.
class Verifier {
 public:
  Verifier(const Input& output, std::span<const ModelFile> sources)
      : output_(output), sources_(sources) {}

  // Whether the tensor is what `written` reads.
  Result<bool> is_equal(const PlannedTensor& tensor, const TensorView& written) const;

 private:
  const Input& output_;
  SourceFiles sources_;
};

Result<bool> Verifier::is_equal(const PlannedTensor& tensor, const TensorView& written) const {
  auto reader = PackedReader::make(written);
  if (!reader) return std::unexpected(reader.error());
  bool equal = true;
  const bool in_place = written.is_contiguous();
  const auto streamed = stream(tensor, [&](ByteSpan bytes) -> Result<void> {
    while (equal && !bytes.empty()) {
      ByteSpan there = reader->peek();
      there = there.first(std::min({bytes.size(), there.size(), kComparedBytes}));
      const ByteSpan here = bytes.first(there.size());
      equal = !there.empty() && std::memcmp(here.data(), there.data(), there.size()) == 0;
      sources_.drop(here);
      if (in_place) output_.drop(there);
      reader->skip(there.size());
      bytes = bytes.subspan(there.size());
    }
    return {};
  });
  if (!streamed) return std::unexpected(streamed.error());
  return equal && reader->peek().empty();
}

std::string digest_of(const Input& input) {
  Sha256 sha256;
  for (ByteSpan bytes = input.bytes(); !bytes.empty();) {
    const ByteSpan piece = bytes.first(std::min(bytes.size(), kComparedBytes));
    sha256.update(piece);
    input.drop(piece);
    bytes = bytes.subspan(piece.size());
  }
  return sha256.hex_digest();
}

}  // namespace

std::expected<WrittenFile, Failure> write_target(
    AtomicFile& file, const std::filesystem::path& path, std::span<const PlannedTensor> tensors,
    const safetensors::Metadata& metadata, const ConvertOptions& options,
    std::span<const ModelFile> sources, const WriteProgress& progress) {
  Output output(file, options, sources);
  Streams streams(progress);
  const auto written =
      options.target == ConvertTarget::kSafetensors
          ? write_safetensors(file, output, tensors, metadata, options.verify, streams)
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
                                           const ConvertOptions& options,
                                           std::span<const ModelFile> sources,
                                           const std::string& digest) {
  const auto input = Input::map(place);
  if (!input) return std::unexpected(Failure(input.error(), place.string()));
  const auto contents = read_written(input->bytes(), options.target);
  if (!contents) return std::unexpected(Failure(contents.error(), place.string()));
  if (!contents->problems.empty()) {
    const Problem& first = contents->problems.front();
    return std::unexpected(Failure(first.error, first.subject));
  }
  const bool compares = digest.empty();
  if (!compares && digest_of(*input) != digest) {
    return std::unexpected(
        Failure(Error{ErrorCode::kMismatch, 0, Error::kNoOffset, "is not what was written"},
                place.string()));
  }
  const Verifier verifier(*input, sources);
  std::unordered_map<std::string_view, const TensorView*> written;
  for (const NamedTensor& tensor : contents->tensors) written.emplace(tensor.name, &tensor.view);
  for (const PlannedTensor& tensor : tensors) {
    const auto found = written.find(tensor.name);
    if (found == written.end()) return mismatch("is missing in the output", tensor.name);
    if (found->second->dtype != tensor.dtype || found->second->shape != tensor.shape) {
      return mismatch("has another dtype or shape in the output", tensor.name);
    }
    if (compares) {
      const auto equal = verifier.is_equal(tensor, *found->second);
      if (!equal) return std::unexpected(Failure(equal.error(), tensor.name));
      if (!*equal) return mismatch("has other bytes in the output", tensor.name);
    }
    written.erase(found);
  }
  if (written.empty()) return {};
  return mismatch("is in the output only", std::string(written.begin()->first));
}

}  // namespace tare
