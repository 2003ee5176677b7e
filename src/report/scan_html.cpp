// The report of a scan as one HTML page that loads nothing and whose policy allows nothing else.
//
// Text from files is printable ASCII, escaped, and stands only between tags. Files are written as
// they come; the totals are at the end, and the script moves them to the top.
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "io/sha256.hpp"
#include "report/base64.hpp"
#include "report/context_view.hpp"
#include "report/markup.hpp"
#include "report/scan_page.hpp"
#include "report/scan_writer.hpp"

namespace tare::report {
namespace {

// 'sha256-...' for a Content-Security-Policy.
std::string policy_digest(std::string_view text) {
  Sha256 hash;
  hash.update(as_bytes(text));
  const std::string hex = hash.hex_digest();
  std::vector<std::byte> digest;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned value = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
    digest.push_back(static_cast<std::byte>(value));
  }
  return "'sha256-" + base64(digest) + "'";
}

std::string check_box(std::string_view verdict, std::string_view label) {
  return fmt::format(
      "<label class=\"{0}\"><input type=\"checkbox\" value=\"{0}\" checked> {1}</label>\n", verdict,
      label);
}

std::string page_head() {
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {}; "
      "script-src {}; base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>tare scan</title>\n<style>{}</style>\n</head>\n<body>\n"
      "<header>\n<h1>tare scan</h1>\n<div id=\"totals-place\"></div>\n"
      "<form id=\"filter\" role=\"search\" hidden>\n"
      "<input type=\"search\" id=\"text\" aria-label=\"Show only what contains this text\" "
      "placeholder=\"name, rule or text ( / )\">\n",
      policy_digest(kPageStyle), policy_digest(kPageScript), kPageStyle);
  for (const Verdict verdict :
       {Verdict::kDangerous, Verdict::kUnreadable, Verdict::kSuspicious, Verdict::kSafe}) {
    out += check_box(verdict_name(verdict), verdict_name(verdict));
  }
  return out + check_box("unscanned", "not scanned") +
         "<button type=\"button\" id=\"open\">open all</button>\n"
         "<button type=\"button\" id=\"close\">close all</button>\n"
         "<span id=\"shown\" role=\"status\" class=\"faint\"></span>\n"
         "</form>\n</header>\n<main>\n";
}

// A row of the hex dump, with the finding's bytes marked.
std::string hex_line(const HexRow& row, std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t row_end = row.offset + row.text.size();
  const auto from = static_cast<std::size_t>(std::clamp(begin, row.offset, row_end) - row.offset);
  const auto to = static_cast<std::size_t>(std::clamp(end, row.offset, row_end) - row.offset);
  const std::string padding(3 * (16 - row.text.size()), ' ');
  if (from >= to) {
    return fmt::format("{:08x}  {}{}  {}\n", row.offset, row.hex, padding, escaped(row.text));
  }
  return fmt::format("{:08x}  {}<mark>{}</mark>{}{}  {}<mark>{}</mark>{}\n", row.offset,
                     row.hex.substr(0, 3 * from), row.hex.substr(3 * from, 3 * (to - from) - 1),
                     row.hex.substr(std::min(3 * to - 1, row.hex.size())), padding,
                     escaped(row.text.substr(0, from)), escaped(row.text.substr(from, to - from)),
                     escaped(row.text.substr(to)));
}

std::string context_details(const Finding& finding) {
  if (finding.context.empty()) return "";
  std::string out = "<details><summary>bytes";
  const std::string opcodes = opcode_view(finding);
  out += opcodes.empty() ? "</summary>\n" : " and opcodes</summary>\n";
  out += "<pre class=\"hex\" tabindex=\"0\" aria-label=\"bytes around the finding\">";
  const std::uint64_t end = finding.offset + finding_length(finding);
  for (const HexRow& row : hex_rows(finding)) out += hex_line(row, finding.offset, end);
  out += "</pre>\n";
  if (!opcodes.empty()) {
    out += "<pre class=\"opcodes\" tabindex=\"0\" aria-label=\"opcodes from the finding on\">" +
           escaped_lines(opcodes) + "</pre>\n";
  }
  return out + "</details>\n";
}

std::string finding_item(const Finding& finding) {
  const char* severity = verdict_name(finding.severity());
  std::string out =
      fmt::format("<li class=\"finding{}\">\n<h3><span class=\"verdict {}\">{}</span> {} {}</h3>\n",
                  finding.suppressed.empty() ? "" : " suppressed", severity, severity,
                  finding.rule->id, escaped(finding.rule->title));
  out += fmt::format("<p class=\"faint\">{}byte {}{}{}</p>\n",
                     finding.entry.empty() ? "" : escaped(finding.entry) + ", ", finding.offset,
                     finding.opcode.empty() ? "" : ", ", escaped(finding.opcode));
  if (!finding.suppressed.empty()) {
    out += fmt::format("<p><strong>suppressed</strong>: {}</p>\n", escaped(finding.suppressed));
  }
  out += fmt::format("<p>{}</p>\n", escaped(finding.detail));
  if (!finding.evidence.empty()) {
    out += fmt::format("<code class=\"evidence\">{}</code>\n", escaped(finding.evidence));
  }
  out += fmt::format("<p><strong>why</strong>: {}</p>\n<p><strong>do</strong>: {}</p>\n",
                     escaped(finding.rule->why), escaped(finding.rule->what_to_do));
  return out + context_details(finding) + "</li>\n";
}

// The heading of a file, and the line below it.
std::string article_head(std::string_view verdict, std::string_view label, std::string_view path,
                         std::string_view facts) {
  return fmt::format(
      "<article data-verdict=\"{0}\">\n<div class=\"head\">\n<h2><span class=\"verdict {0}\">{1}"
      "</span> <code class=\"name\">{2}</code></h2>\n<p class=\"faint\">{3}</p>\n</div>\n",
      verdict, label, escaped(path), escaped(facts));
}

std::string facts_of(const ScanReport& report) {
  return fmt::format("{}, {} in {} part{}", fmt::join(report.formats, " and "),
                     human_bytes(report.size), report.parts, report.parts == 1 ? "" : "s");
}

class HtmlWriter : public ScanWriter {
 public:
  std::string add(const ScannedFile& file) override {
    std::string out = std::exchange(head_, "");
    if (!file.report) {
      return out +
             article_head("unscanned", "not scanned", file.path,
                          unscanned_text(file.report.error())) +
             "</article>\n";
    }
    const char* verdict = verdict_name(file.report->verdict);
    out += article_head(verdict, verdict, file.path, facts_of(*file.report));
    if (!file.report->findings.empty()) out += "<ol>\n";
    for (const Finding& finding : file.report->findings) out += finding_item(finding);
    if (!file.report->findings.empty()) out += "</ol>\n";
    return out + "</article>\n";
  }

  std::string finish(const ScanTotals& totals) override {
    return std::exchange(head_, "") +
           fmt::format("</main>\n<p id=\"totals\">{}</p>\n<script>{}</script>\n</body>\n</html>\n",
                       escaped(totals_text(totals)), kPageScript);
  }

 private:
  std::string head_ = page_head();
};

}  // namespace

std::unique_ptr<ScanWriter> make_html_scan_writer() {
  return std::make_unique<HtmlWriter>();
}

}  // namespace tare::report
