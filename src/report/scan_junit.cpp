// The report of a scan as JUnit XML: a test case for each file, a failure for each finding.
//
// What is read first by services that show one failure a case is the worst finding. Text is
// printable ASCII, so that no name makes the XML invalid.
#include <fmt/format.h>

#include <algorithm>

#include "report/markup.hpp"
#include "report/scan_writer.hpp"

namespace tare::report {
namespace {

std::string finding_text(const Finding& finding) {
  std::string out = fmt::format("{} {}", finding.rule->id, verdict_name(finding.severity()));
  if (!finding.entry.empty()) out += "  " + finding.entry;
  out += fmt::format("  offset {}\n", finding.offset);
  if (!finding.evidence.empty()) out += ">>> " + finding.evidence + "\n";
  return out + fmt::format("why: {}\ndo:  {}\n", finding.rule->why, finding.rule->what_to_do);
}

// <failure>, or <error> for what makes a file unreadable.
std::string problem(std::string_view element, std::string_view type, std::string_view message,
                    std::string_view text) {
  return fmt::format("      <{0} type=\"{1}\" message=\"{2}\">{3}</{0}>\n", element, escaped(type),
                     escaped(message), escaped_lines(text));
}

std::string problems_of(const ScanReport& report) {
  std::vector<const Finding*> counted;
  std::string suppressed;
  for (const Finding& finding : report.findings) {
    if (finding.suppressed.empty()) {
      counted.push_back(&finding);
    } else {
      suppressed += fmt::format("suppressed: {}\n{}", finding.suppressed, finding_text(finding));
    }
  }
  std::ranges::stable_sort(counted, std::greater{}, &Finding::severity);
  std::string out;
  for (const Finding* finding : counted) {
    const bool is_error =
        report.verdict == Verdict::kUnreadable && finding->severity() == Verdict::kUnreadable;
    out += problem(is_error ? "error" : "failure", finding->rule->id,
                   fmt::format("{}: {}", finding->rule->title, finding->detail),
                   finding_text(*finding));
  }
  if (suppressed.empty()) return out;
  return out + fmt::format("      <system-out>{}</system-out>\n", escaped_lines(suppressed));
}

class JunitWriter : public ScanWriter {
 public:
  // The counts stand in front of the cases, so nothing is written before the end.
  std::string add(const ScannedFile& file) override {
    cases_ += fmt::format("    <testcase classname=\"tare.scan\" name=\"{0}\" file=\"{0}\">\n",
                          escaped(file.path));
    if (file.report) {
      cases_ += problems_of(*file.report);
    } else if (is_unknown(file.report.error())) {
      cases_ += fmt::format("      <skipped message=\"{}\"/>\n",
                            escaped(unscanned_text(file.report.error())));
    } else {
      const std::string text = unscanned_text(file.report.error());
      cases_ += problem("error", error_code_name(file.report.error().code), text, text);
    }
    cases_ += "    </testcase>\n";
    return "";
  }

  std::string finish(const ScanTotals& totals) override {
    const std::string counts = fmt::format(
        "name=\"tare scan\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        totals.files(), totals.suspicious + totals.dangerous,
        totals.files() - totals.judged() - totals.unknown + totals.unreadable, totals.unknown);
    return fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {0}>\n  <testsuite {0}>\n{1}"
        "  </testsuite>\n</testsuites>\n",
        counts, cases_);
  }

 private:
  std::string cases_;
};

}  // namespace

std::unique_ptr<ScanWriter> make_junit_scan_writer() {
  return std::make_unique<JunitWriter>();
}

}  // namespace tare::report
