// Times the pickle machine: tare_pickle_bench RUNS FILE... prints a line of JSON for each file, and
// with several files of the same folder one for all of them together. Driven by pickle_bench.py.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "memory.hpp"
#include "tare/input.hpp"
#include "tare/pickle.hpp"

namespace {

// The processor time of this process, in seconds.
double now() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Seconds over all inputs.
struct Timing {
  double median = 0;
  double best = 0;
};

Timing time_all(const std::vector<tare::Input>& inputs, int runs, std::uint64_t& opcodes) {
  std::vector<double> seconds;
  for (int run = 0; run < runs; ++run) {
    opcodes = 0;
    const double start = now();
    for (const tare::Input& input : inputs) {
      opcodes += tare::pickle::run(input.bytes()).opcode_count;
    }
    seconds.push_back(now() - start);
  }
  std::ranges::sort(seconds);
  return {seconds[seconds.size() / 2], seconds.front()};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 4;
  const int runs = std::max(1, std::atoi(argv[1]));
  std::vector<tare::Input> inputs;
  std::uint64_t bytes = 0;
  for (int i = 2; i < argc; ++i) {
    auto input = tare::Input::map(argv[i]);
    if (!input) {
      std::fprintf(stderr, "%s: %s\n", argv[i], input.error().what);
      return 2;
    }
    bytes += input->size();
    inputs.push_back(std::move(*input));
  }
  std::uint64_t opcodes = 0;
  const Timing timing = time_all(inputs, runs, opcodes);
  std::printf(
      "{\"seconds\": %.9f, \"best\": %.9f, \"opcodes\": %lu, \"bytes\": %lu, "
      "\"peak_kib\": %ld}\n",
      timing.median, timing.best, static_cast<unsigned long>(opcodes),
      static_cast<unsigned long>(bytes), tare::bench::peak_kib());
}
