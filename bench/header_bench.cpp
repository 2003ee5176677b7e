// Times the validation of safetensors headers: tare_header_bench RUNS FILE prints a line of JSON.
// Driven by header_bench.py.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "memory.hpp"
#include "tare/safetensors_file.hpp"

int main(int argc, char** argv) {
  using namespace tare::safetensors;
  using Clock = std::chrono::steady_clock;
  if (argc != 3) return 4;
  std::vector<double> seconds;
  std::size_t tensors = 0;
  for (int run = std::max(1, std::atoi(argv[1])); run > 0; --run) {
    const auto start = Clock::now();
    const auto file = File::open(argv[2], {.access = Access::kMap});
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    if (!file) {
      std::fprintf(stderr, "%s: %s\n", argv[2], file.error().what);
      return 2;
    }
    tensors = file->header().tensors().size();
  }
  std::ranges::sort(seconds);
  std::printf("{\"seconds\": %.9f, \"best\": %.9f, \"tensors\": %zu, \"peak_kib\": %ld}\n",
              seconds[seconds.size() / 2], seconds.front(), tensors, tare::bench::peak_kib());
}
