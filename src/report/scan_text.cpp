// The report of a scan for people.
#include <fmt/format.h>

#include "report/scan_writer.hpp"

namespace tare::report {
namespace {

class TextWriter : public ScanWriter {
 public:
  explicit TextWriter(Colour colour) : colour_(colour) {}

  // Files that were not scanned are errors, and told on stderr.
  std::string add(const ScannedFile& file) override {
    return file.report ? scan_text(file.path, *file.report, colour_) : std::string();
  }

  std::string finish(const ScanTotals& totals) override;

 private:
  Colour colour_;
};

std::string TextWriter::finish(const ScanTotals& totals) {
  std::string out = fmt::format("{} file{}:", totals.files(), totals.files() == 1 ? "" : "s");
  const char* separator = " ";
  const auto count = [&](std::uint64_t number, const char* what) {
    if (number == 0) return;
    out += fmt::format("{}{} {}", separator, number, what);
    separator = ", ";
  };
  count(totals.safe, verdict_name(Verdict::kSafe));
  count(totals.suspicious, verdict_name(Verdict::kSuspicious));
  count(totals.unreadable, verdict_name(Verdict::kUnreadable));
  count(totals.dangerous, verdict_name(Verdict::kDangerous));
  count(totals.unknown, "nothing to scan");
  count(totals.failed, "not read");
  count(totals.skipped, "too large");
  count(totals.out_of_time, "out of time");
  count(totals.excluded, "left out");
  count(totals.folder_links, "links to folders not followed");
  return out + fmt::format("  ({:.1f} ms)\n", totals.seconds * 1000);
}

}  // namespace

std::unique_ptr<ScanWriter> make_text_scan_writer(Colour colour) {
  return std::make_unique<TextWriter>(colour);
}

}  // namespace tare::report
