// Reports of a scan, file by file, in the formats that people and programs read.
//
// A new format is one class behind this interface, and one line in make_scan_writer().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "remote/fetched.hpp"
#include "report/text.hpp"
#include "tare/scan.hpp"

namespace tare::report {

// A scanned file: its report, or why there is none.
struct ScannedFile {
  std::string path;
  Result<ScanReport> report;
  std::optional<remote::Fetched> fetched{};  // of a file on a server
};

// What a scan came to.
struct ScanTotals {
  std::uint64_t safe = 0;
  std::uint64_t suspicious = 0;
  std::uint64_t unreadable = 0;
  std::uint64_t dangerous = 0;
  std::uint64_t unknown = 0;       // of no format that tare knows: nothing to scan
  std::uint64_t failed = 0;        // could not be opened or read
  std::uint64_t out_of_time = 0;   // of those that were judged, not to the end
  std::uint64_t skipped = 0;       // larger than was asked for (ErrorCode::kLimit)
  std::uint64_t excluded = 0;      // files and folders that a pattern leaves out; no files()
  std::uint64_t folder_links = 0;  // links to folders, which were not followed; no files()
  std::uint64_t findings = 0;      // that count for a verdict
  std::uint64_t suppressed = 0;    // that do not
  std::uint64_t bytes = 0;         // of the files that were judged
  double seconds = 0;

  void add(const ScannedFile& file);
  std::uint64_t judged() const { return safe + suspicious + unreadable + dangerous; }
  std::uint64_t files() const { return judged() + unknown + failed + skipped; }
};

// Why a file has no report.
std::string unscanned_text(const Error& error);
inline bool is_unknown(const Error& error) {
  return error.code == ErrorCode::kWrongFormat;
}

// "3 files: 1 safe, 1 dangerous, 1 not read", and the findings that do not count.
std::string totals_text(const ScanTotals& totals);

// Writes one report. What it returns goes to the report's file at once, in order, so that nothing
// but what a format must know first is kept.
class ScanWriter {
 public:
  virtual ~ScanWriter() = default;
  virtual std::string add(const ScannedFile& file) = 0;
  virtual std::string finish(const ScanTotals& totals) = 0;
};

enum class ScanFormat : std::uint8_t { kText, kJson, kNdjson, kSarif, kJunit, kHtml, kMarkdown };

// The format with a name: "json", "sarif"; nothing for any other text.
std::optional<ScanFormat> scan_format_of(std::string_view name);

// Colours are for text alone.
std::unique_ptr<ScanWriter> make_scan_writer(ScanFormat format, Colour colour);

// For people: a verdict for each file, then each finding.
std::unique_ptr<ScanWriter> make_text_scan_writer(Colour colour);
// For programs: docs/schema/.
std::unique_ptr<ScanWriter> make_json_scan_writer();
std::unique_ptr<ScanWriter> make_ndjson_scan_writer();
// SARIF 2.1.0 with the errata 01 of OASIS.
std::unique_ptr<ScanWriter> make_sarif_scan_writer();
// A test case for each file, in the dialect that Jenkins and GitLab read.
std::unique_ptr<ScanWriter> make_junit_scan_writer();
// One page that needs nothing else.
std::unique_ptr<ScanWriter> make_html_scan_writer();
// For comments and summaries on GitHub and GitLab: at most 60,000 characters.
std::unique_ptr<ScanWriter> make_markdown_scan_writer();

}  // namespace tare::report
