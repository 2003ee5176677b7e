// Where the reports of a scan go: at most one to stdout, the others to files, which appear whole at
// the end or not at all.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/atomic_file.hpp"
#include "report/scan_writer.hpp"

namespace tare::cli {

// "json", or "json=report.json".
struct OutputRequest {
  report::ScanFormat format = report::ScanFormat::kText;
  std::string path;  // empty: stdout
};

// Errors: what is wrong with it, for people.
std::expected<OutputRequest, std::string> parse_output(const std::string& text);

class ScanOutputs {
 public:
  // Opens what is asked for, before anything is scanned; says on stderr what cannot be opened.
  static std::optional<ScanOutputs> open(const std::vector<OutputRequest>& requests);

  // All of these are false after saying on stderr why an output cannot be written.
  bool add(const report::ScannedFile& file);
  bool finish(const report::ScanTotals& totals);
  // Writes what is kept for stdout: before something else is said.
  bool flush();
  // Files that are being written.
  std::vector<std::filesystem::path> temporaries() const;

 private:
  using Clock = std::chrono::steady_clock;

  struct Output {
    std::unique_ptr<report::ScanWriter> writer;
    std::string path;
    std::optional<AtomicFile> file;  // none: stdout
  };

  bool write(Output& output, std::string text);

  std::vector<Output> outputs_;
  std::string kept_;  // for stdout
  Clock::time_point flushed_;
};

}  // namespace tare::cli
