// The report of a scan as Markdown, for comments and summaries on GitHub and GitLab.
//
// Text from files stands in code spans only. A comment holds 65,536 characters: the totals come
// first, the worst files next, and what did not fit is counted.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "report/markup.hpp"
#include "report/scan_writer.hpp"

namespace tare::report {
namespace {

constexpr std::size_t kMaxText = 60'000;
constexpr std::size_t kMaxFindings = 10;  // of one file

std::string finding_item(const Finding& finding) {
  std::string out = fmt::format("- **{}** {}: {}", finding.rule->id,
                                verdict_name(finding.severity()), finding.rule->title);
  if (!finding.detail.empty()) out += ": " + code_span(finding.detail);
  out += "\n";
  if (!finding.evidence.empty()) out += "  - runs " + code_span(finding.evidence) + "\n";
  const std::string entry = finding.entry.empty() ? "" : " of " + code_span(finding.entry);
  return out +
         fmt::format("  - at byte {}{}\n  - {}\n", finding.offset, entry, finding.rule->what_to_do);
}

std::string suppressed_item(const Finding& finding) {
  return fmt::format("- {} suppressed: {}\n", finding.rule->id, code_span(finding.suppressed));
}

// The findings that count, the worst first, then those that do not.
std::vector<const Finding*> in_order(const ScanReport& report) {
  std::vector<const Finding*> findings;
  for (const Finding& finding : report.findings) findings.push_back(&finding);
  std::ranges::stable_sort(findings, [](const Finding* a, const Finding* b) {
    if (a->suppressed.empty() != b->suppressed.empty()) return a->suppressed.empty();
    return a->severity() > b->severity();
  });
  return findings;
}

std::string section_of(const ScannedFile& file) {
  if (!file.report) {
    return fmt::format("### not scanned: {}\n\n{}\n\n", code_span(file.path),
                       code_span(unscanned_text(file.report.error())));
  }
  std::string out =
      fmt::format("### {}: {}\n\n", verdict_name(file.report->verdict), code_span(file.path));
  const auto findings = in_order(*file.report);
  for (std::size_t i = 0; i < std::min(findings.size(), kMaxFindings); ++i) {
    const Finding& finding = *findings[i];
    out += finding.suppressed.empty() ? finding_item(finding) : suppressed_item(finding);
  }
  if (findings.size() > kMaxFindings) {
    out += fmt::format("- and {} more findings\n", findings.size() - kMaxFindings);
  }
  return out + "\n";
}

// The sections of files with one verdict, as far as they could fit.
struct Sections {
  std::vector<std::string> list;
  std::size_t size = 0;
  std::uint64_t left_out = 0;

  void add(std::string section) {
    if (size + section.size() > kMaxText) {
      ++left_out;
      return;
    }
    size += section.size();
    list.push_back(std::move(section));
  }
};

class MarkdownWriter : public ScanWriter {
 public:
  std::string add(const ScannedFile& file) override {
    if (!file.report) {
      unscanned_.add(section_of(file));
    } else if (file.report->verdict != Verdict::kSafe || !file.report->findings.empty()) {
      by_verdict_[static_cast<std::size_t>(file.report->verdict)].add(section_of(file));
    }
    return "";
  }

  std::string finish(const ScanTotals& totals) override {
    std::string out = fmt::format("## tare scan\n\n{}\n\n", totals_text(totals));
    std::uint64_t left_out = 0;
    auto& [safe, suspicious, unreadable, dangerous] = by_verdict_;
    for (const Sections* sections : {&dangerous, &unreadable, &unscanned_, &suspicious, &safe}) {
      left_out += sections->left_out;
      for (const std::string& section : sections->list) {
        if (out.size() + section.size() <= kMaxText) {
          out += section;
        } else {
          ++left_out;
        }
      }
    }
    if (left_out == 0) return out;
    return out +
           fmt::format("**{} more files** are not shown here; other formats show all.\n", left_out);
  }

 private:
  std::array<Sections, 4> by_verdict_;
  Sections unscanned_;
};

}  // namespace

std::unique_ptr<ScanWriter> make_markdown_scan_writer() {
  return std::make_unique<MarkdownWriter>();
}

}  // namespace tare::report
