// Times one durable save: tare_safetensors_bench HOW OUTPUT BYTES [SOURCE] prints a line of JSON.
// HOW is "memory" (tensors of 64 MiB in memory), "sha256" (the same, with the digest of the file)
// or "range" (from ranges of the file SOURCE). Driven by safetensors_bench.py.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>

#include "tare/safetensors_writer.hpp"

namespace {

using namespace tare;
using namespace tare::safetensors;

constexpr std::uint64_t kTensorBytes = std::uint64_t{64} << 20;

std::vector<TensorPlan> plans_of(std::uint64_t bytes) {
  std::vector<TensorPlan> plans;
  for (std::uint64_t at = 0; at < bytes; at += kTensorBytes) {
    plans.push_back({"layer" + std::to_string(plans.size()) + ".weight",
                     DType::kU8,
                     {std::min(kTensorBytes, bytes - at)}});
  }
  return plans;
}

// Words that no disk can make smaller.
std::vector<std::uint64_t> random_words(std::uint64_t bytes) {
  std::vector<std::uint64_t> words(bytes / 8 + 1);
  std::ranges::generate(words, std::mt19937_64(7));
  return words;
}

Result<WriteSummary> save_ranges(const char* output, const std::vector<TensorPlan>& plans, int fd) {
  auto writer = Writer::create(output, plans, {});
  if (!writer) return std::unexpected(writer.error());
  for (const PlacedTensor& placed : writer->order()) {
    if (auto begun = writer->begin(placed.tensor.name); !begun) {
      return std::unexpected(begun.error());
    }
    auto written = writer->write_range(fd, placed.begin, placed.end - placed.begin);
    if (!written) return std::unexpected(written.error());
  }
  return writer->finish();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 4;
  const std::string_view how = argv[1];
  const std::uint64_t bytes = std::strtoull(argv[3], nullptr, 10);
  const std::vector<TensorPlan> plans = plans_of(bytes);
  const std::vector<std::uint64_t> words = random_words(how == "range" ? 0 : bytes);
  const int fd = argc > 4 ? ::open(argv[4], O_RDONLY | O_CLOEXEC) : -1;

  std::vector<TensorToSave> tensors;
  for (std::uint64_t at = 0; how != "range" && at < bytes; at += kTensorBytes) {
    const TensorPlan& plan = plans[tensors.size()];
    const ByteSpan storage = std::as_bytes(std::span(words)).subspan(at, plan.shape[0]);
    tensors.push_back({plan.name, {plan.dtype, plan.shape, {1}, 0, storage}});
  }

  const auto start = std::chrono::steady_clock::now();
  const auto saved = how == "range" ? save_ranges(argv[2], plans, fd)
                                    : save(argv[2], tensors, {}, {.file_sha256 = how == "sha256"});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (fd >= 0) ::close(fd);
  if (!saved) {
    std::fprintf(stderr, "%s: %s\n", argv[2], saved.error().what);
    return 2;
  }
  std::printf("{\"seconds\": %.6f, \"bytes\": %llu}\n", seconds.count(),
              static_cast<unsigned long long>(saved->file_bytes));
  return 0;
}
