// The report of a scan for people.
#include <fmt/format.h>

#include "report/scan_writer.hpp"

namespace tare::report {
namespace {

class TextWriter : public ScanWriter {
 public:
  explicit TextWriter(Colour colour) : colour_(colour) {}

  std::string add(const ScannedFile& file) override {
    if (file.report) {
      return scan_text(file.path, *file.report, colour_, file.fetched ? &*file.fetched : nullptr);
    }
    return fmt::format("{}: not scanned: {}\n", printable(file.path),
                       unscanned_text(file.report.error()));
  }

  std::string finish(const ScanTotals& totals) override;

 private:
  Colour colour_;
};

std::string TextWriter::finish(const ScanTotals& totals) {
  return totals_text(totals) + fmt::format("  ({:.1f} ms)\n", totals.seconds * 1000);
}

}  // namespace

std::unique_ptr<ScanWriter> make_text_scan_writer(Colour colour) {
  return std::make_unique<TextWriter>(colour);
}

}  // namespace tare::report
