// One line on stderr that says how far a long run is: only on a terminal, only after a second, and
// gone at the end.
#pragma once

#include <chrono>
#include <cstdint>

namespace tare::cli {

class ProgressLine {
 public:
  // `verb` is a literal: "comparing".
  ProgressLine(const char* verb, std::uint64_t total_bytes);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();

  // Takes the number of bytes done so far. One thread at a time.
  void operator()(std::uint64_t done);

 private:
  using Clock = std::chrono::steady_clock;

  const char* verb_;
  std::uint64_t total_;
  bool wanted_;
  bool shown_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_;
};

}  // namespace tare::cli
