#include "tare/digest.hpp"

#include <algorithm>
#include <mutex>
#include <optional>

#include "io/parallel.hpp"
#include "io/sha256.hpp"
#include "tensor/packed_reader.hpp"

namespace tare {
namespace {

// Hashed at a time, between two words of progress.
constexpr std::uint64_t kPiece = std::uint64_t{4} << 20;

// One file or one tensor.
struct Task {
  std::uint64_t bytes;
  ByteSpan file;  // if there is no tensor
  const NamedTensor* tensor;
  std::string* digest;
};

class Hasher {
 public:
  Hasher(std::vector<Task> tasks, const DigestOptions& options)
      : tasks_(std::move(tasks)), options_(&options) {}

  // False if a tensor cannot be walked: see failure().
  bool run();
  const Failure& failure() const { return *failure_; }

 private:
  bool work(const Task& task);
  Result<std::string> hash(const Task& task);
  void add(Sha256& sha256, ByteSpan bytes);
  void tell(std::uint64_t bytes);

  std::vector<Task> tasks_;
  const DigestOptions* options_;
  std::mutex mutex_;  // of what follows
  std::uint64_t done_ = 0;
  std::optional<Failure> failure_;  // the first
};

bool Hasher::run() {
  // The largest first: no thread is left alone with it at the end.
  std::ranges::stable_sort(tasks_, std::greater{}, &Task::bytes);
  return share_tasks(thread_count(options_->threads, tasks_.size()), tasks_.size(),
                     [this](std::size_t, std::size_t number) { return work(tasks_[number]); });
}

bool Hasher::work(const Task& task) {
  auto digest = hash(task);
  if (digest) {
    *task.digest = std::move(*digest);
    return true;
  }
  const std::scoped_lock lock(mutex_);
  if (!failure_) failure_ = Failure(digest.error(), task.tensor->name);
  return false;
}

Result<std::string> Hasher::hash(const Task& task) {
  Sha256 sha256;
  if (task.tensor == nullptr) {
    add(sha256, task.file);
    return sha256.hex_digest();
  }
  if (auto checked = check_expansion(task.tensor->view); !checked) {
    return std::unexpected(checked.error());
  }
  const auto hashed = stream(task.tensor->view, [&](ByteSpan bytes) -> Result<void> {
    add(sha256, bytes);
    return {};
  });
  if (!hashed) return std::unexpected(hashed.error());
  return sha256.hex_digest();
}

void Hasher::add(Sha256& sha256, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ByteSpan piece = bytes.first(std::min<std::uint64_t>(bytes.size(), kPiece));
    sha256.update(piece);
    tell(piece.size());
    bytes = bytes.subspan(piece.size());
  }
}

void Hasher::tell(std::uint64_t bytes) {
  if (!options_->progress) return;
  const std::scoped_lock lock(mutex_);
  done_ += bytes;
  options_->progress(done_);
}

// The digest of the list of tensors. The lengths of the names make every list readable in one way
// only, whatever is in the names.
std::string digest_of_list(const std::vector<TensorDigest>& tensors) {
  Sha256 sha256;
  const auto add = [&sha256](std::string_view text) { sha256.update(as_bytes(text)); };
  add("tare tensors v1\n");
  for (const TensorDigest& entry : tensors) {
    const TensorView& view = entry.tensor->view;
    std::string line = entry.sha256 + " " + std::string(dtype_name(view.dtype)) + " [";
    for (std::size_t axis = 0; axis < view.shape.size(); ++axis) {
      line += (axis == 0 ? "" : ",") + std::to_string(view.shape[axis]);
    }
    line += "] " + std::to_string(entry.tensor->name.size()) + " ";
    add(line);
    add(entry.tensor->name);
    add("\n");
  }
  return sha256.hex_digest();
}

}  // namespace

std::uint64_t digest_work(const Model& model, const DigestOptions& options) {
  std::uint64_t bytes = 0;
  if (options.files) {
    for (const ModelFile& file : model.files()) bytes += file.input.size();
  }
  if (options.tensors) bytes += model.tensor_bytes();
  return bytes;
}

std::expected<ModelDigest, Failure> digest(const Model& model, const DigestOptions& options) {
  ModelDigest result;
  if (options.files) {
    for (const ModelFile& file : model.files()) {
      result.files.push_back({file.name, file.input.size(), ""});
    }
  }
  if (options.tensors) {
    for (const NamedTensor& tensor : model.tensors()) result.tensors.push_back({&tensor, ""});
    std::ranges::stable_sort(result.tensors, {},
                             [](const TensorDigest& entry) { return entry.tensor->name; });
  }
  std::vector<Task> tasks;
  for (std::size_t i = 0; i < result.files.size(); ++i) {
    const ByteSpan bytes = model.files()[i].input.bytes();
    tasks.push_back({bytes.size(), bytes, nullptr, &result.files[i].sha256});
  }
  for (TensorDigest& entry : result.tensors) {
    tasks.push_back({entry.tensor->view.byte_count(), {}, entry.tensor, &entry.sha256});
  }
  Hasher hasher(std::move(tasks), options);
  if (!hasher.run()) return std::unexpected(hasher.failure());
  if (options.tensors && model.contents().problems.empty()) {
    result.tensors_sha256 = digest_of_list(result.tensors);
  }
  return result;
}

}  // namespace tare
