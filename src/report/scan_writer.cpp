#include "report/scan_writer.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace tare::report {
namespace {

constexpr std::array kFormats = {
    std::pair{"text", ScanFormat::kText},         std::pair{"json", ScanFormat::kJson},
    std::pair{"ndjson", ScanFormat::kNdjson},     std::pair{"sarif", ScanFormat::kSarif},
    std::pair{"junit", ScanFormat::kJunit},       std::pair{"html", ScanFormat::kHtml},
    std::pair{"markdown", ScanFormat::kMarkdown},
};

}  // namespace

void ScanTotals::add(const ScannedFile& file) {
  if (!file.report) {
    const ErrorCode code = file.report.error().code;
    ++(code == ErrorCode::kWrongFormat ? unknown : code == ErrorCode::kLimit ? skipped : failed);
    return;
  }
  bytes += file.report->size;
  for (const Finding& finding : file.report->findings) {
    ++(finding.suppressed.empty() ? findings : suppressed);
  }
  if (file.report->out_of_time) ++out_of_time;
  switch (file.report->verdict) {
    case Verdict::kSafe:
      ++safe;
      return;
    case Verdict::kSuspicious:
      ++suspicious;
      return;
    case Verdict::kUnreadable:
      ++unreadable;
      return;
    case Verdict::kDangerous:
      ++dangerous;
      return;
  }
}

std::string unscanned_text(const Error& error) {
  return (is_unknown(error) ? "nothing to scan: " : "") + error_text(error);
}

std::string totals_text(const ScanTotals& totals) {
  std::string out = fmt::format("{} file{}", totals.files(), totals.files() == 1 ? "" : "s");
  const char* separator = ": ";
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
  if (totals.suppressed > 0) {
    out += fmt::format("; {} finding{} suppressed", totals.suppressed,
                       totals.suppressed == 1 ? "" : "s");
  }
  return out;
}

std::optional<ScanFormat> scan_format_of(std::string_view name) {
  for (const auto& [known, format] : kFormats) {
    if (name == known) return format;
  }
  return std::nullopt;
}

std::unique_ptr<ScanWriter> make_scan_writer(ScanFormat format, Colour colour) {
  switch (format) {
    case ScanFormat::kText:
      return make_text_scan_writer(colour);
    case ScanFormat::kJson:
      return make_json_scan_writer();
    case ScanFormat::kNdjson:
      return make_ndjson_scan_writer();
    case ScanFormat::kSarif:
      return make_sarif_scan_writer();
    case ScanFormat::kJunit:
      return make_junit_scan_writer();
    case ScanFormat::kHtml:
      return make_html_scan_writer();
    case ScanFormat::kMarkdown:
      return make_markdown_scan_writer();
  }
  return nullptr;
}

}  // namespace tare::report
