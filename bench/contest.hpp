// Two ways to the same bytes, timed in turns.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "tare/bytes.hpp"

namespace tare::bench {

// What a contender does once; the sum of the bytes that it got to.
using Contender = std::function<std::uint64_t()>;

inline std::uint64_t sum_of(ByteSpan bytes) {
  std::uint64_t sum = 0;
  const std::byte* at = bytes.data();
  for (std::size_t left = bytes.size() / 8; left > 0; --left, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    sum += word;
  }
  return sum;
}

inline double seconds_of(const Contender& contender, std::uint64_t& sum) {
  const auto start = std::chrono::steady_clock::now();
  sum = contender();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// What is measured, and how many bytes each of the two moves.
struct Measure {
  const char* what;
  std::uint64_t bytes;
  std::uint64_t plain_bytes;
};

// Runs both in turns, the first one first in every other run.
inline void compare(const Measure& measure, int runs, const Contender& tare,
                    const Contender& plain) {
  std::vector<double> ours;
  std::vector<double> theirs;
  std::uint64_t sum = 0;
  std::uint64_t other = 0;
  seconds_of(plain, other);
  for (int run = 0; run < runs; ++run) {
    if (run % 2 == 0) ours.push_back(seconds_of(tare, sum));
    theirs.push_back(seconds_of(plain, other));
    if (run % 2 != 0) ours.push_back(seconds_of(tare, sum));
    if (sum != other) {
      std::fprintf(stderr, "%s: the sums differ\n", measure.what);
      std::exit(2);
    }
  }
  const auto speed = [](std::uint64_t bytes, std::vector<double> seconds) {
    return static_cast<double>(bytes) / median(std::move(seconds)) / 1e9;
  };
  std::printf("{\"what\": \"%s\", \"tare\": %.3f, \"plain\": %.3f}\n", measure.what,
              speed(measure.bytes, ours), speed(measure.plain_bytes, theirs));
  std::fflush(stdout);
}

}  // namespace tare::bench
