// Reports of a scan, file by file, in the formats that people and programs read.
//
// A new format is one class behind this interface, and one line in make_scan_writer().
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "report/text.hpp"
#include "tare/scan.hpp"

namespace tare::report {

// A scanned file: its report, or why there is none.
struct ScannedFile {
  std::string path;
  Result<ScanReport> report;
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
  std::uint64_t bytes = 0;         // of the files that were judged
  double seconds = 0;

  void add(const ScannedFile& file);
  std::uint64_t judged() const { return safe + suspicious + unreadable + dangerous; }
  std::uint64_t files() const { return judged() + unknown + failed + skipped; }
};

// Writes one report. What it returns goes to the report's file at once, in order, so that nothing
// but what a format must know first is kept.
class ScanWriter {
 public:
  virtual ~ScanWriter() = default;
  virtual std::string add(const ScannedFile& file) = 0;
  virtual std::string finish(const ScanTotals& totals) = 0;
};

enum class ScanFormat : std::uint8_t { kText, kJson };

// "json" and its kind; nothing for any other text.
std::optional<ScanFormat> scan_format_of(std::string_view name);

// Colours are for text alone.
std::unique_ptr<ScanWriter> make_scan_writer(ScanFormat format, Colour colour);

std::unique_ptr<ScanWriter> make_json_scan_writer();
std::unique_ptr<ScanWriter> make_text_scan_writer(Colour colour);

}  // namespace tare::report
