// One line on stderr that says how far a long run is: only on a terminal that can take it back
// (TERM=dumb cannot), only after a second, and gone at the end. It has no colour.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tare::cli {

// The line itself. One thread at a time.
class TransientLine {
 public:
  TransientLine();
  TransientLine(const TransientLine&) = delete;
  TransientLine& operator=(const TransientLine&) = delete;
  ~TransientLine() { hide(); }

  // Whether it is time for a new text.
  bool is_due();
  void show(const std::string& text);
  // Before something else is written to the terminal.
  void hide();
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;

  bool wanted_;
  bool shown_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_;
};

// Of a run whose length is known.
class ProgressLine {
 public:
  // `verb` is a literal: "comparing".
  ProgressLine(const char* verb, std::uint64_t total_bytes) : verb_(verb), total_(total_bytes) {}

  // Takes the number of bytes done so far.
  void operator()(std::uint64_t done);

 private:
  const char* verb_;
  std::uint64_t total_;
  TransientLine line_;
};

// Of a run over files, whose number nobody knows yet.
class FileProgress {
 public:
  // `verb` is a literal: "scanning".
  explicit FileProgress(const char* verb) : verb_(verb) {}

  // Takes the numbers of files and bytes done so far.
  void operator()(std::uint64_t files, std::uint64_t bytes);
  void hide() { line_.hide(); }

 private:
  const char* verb_;
  TransientLine line_;
};

}  // namespace tare::cli
