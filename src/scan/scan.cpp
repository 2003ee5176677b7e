#include "tare/scan.hpp"

#include <algorithm>
#include <tuple>

#include "format/format.hpp"
#include "scan/analyzers.hpp"
#include "scan/findings.hpp"
#include "scan/rules.hpp"

namespace tare {
namespace {

const Rule& rule_of(format::NoteKind kind) {
  switch (kind) {
    case format::NoteKind::kAmbiguous:
      return scan_rules::kContainerAmbiguous;
    case format::NoteKind::kDamaged:
      return scan_rules::kContainerDamaged;
    case format::NoteKind::kUnreadable:
      return scan_rules::kContainerUnreadable;
    case format::NoteKind::kTensor:
      return scan_rules::kTensorBounds;
    case format::NoteKind::kTrailing:
      return scan_rules::kContainerTrailing;
  }
  return scan_rules::kUnknownPart;
}

void add(Findings& findings, const Rule& rule, std::string entry, std::uint64_t offset,
         std::string detail) {
  Finding* finding = findings.add(rule);
  if (finding == nullptr) return;
  finding->entry = std::move(entry);
  finding->offset = offset == Error::kNoOffset ? 0 : offset;
  finding->detail = std::move(detail);
}

void analyze_part(const format::Part& part, Findings& findings, ScanReport& report) {
  ++report.parts;
  switch (part.kind) {
    case format::PartKind::kPickle:
      analyze_pickle(part, findings);
      return;
    case format::PartKind::kTorchScript:
      analyze_torchscript(part, findings);
      return;
    case format::PartKind::kTensorData:
      report.tensor_bytes += part.bytes.size();
      return;
    case format::PartKind::kPlainText:
    case format::PartKind::kTensorHeader:
      return;
    case format::PartKind::kUnknown:
      break;
  }
  add(findings, scan_rules::kUnknownPart, part.path, 0,
      std::to_string(part.bytes.size()) + " bytes: " + std::string(describe_content(part.bytes)));
}

// One format's reading of the file.
void scan_as(const format::Format& format, ByteSpan bytes, Findings& findings, ScanReport& report) {
  const auto list = format.list_parts(bytes);
  report.formats.emplace_back(list && !list->format.empty() ? list->format : format.name);
  if (!list) {
    add(findings, scan_rules::kUnreadableFile, "", list.error().offset, list.error().what);
    return;
  }
  for (const format::Note& note : list->notes) {
    add(findings, rule_of(note.kind), note.path, note.offset, note.text);
  }
  for (const format::Part& part : list->parts) analyze_part(part, findings, report);
}

}  // namespace

Result<ScanReport> scan(ByteSpan bytes) {
  const auto found = format::detect(bytes);
  if (found.empty()) return fail(ErrorCode::kWrongFormat, describe_content(bytes));
  ScanReport report;
  report.size = bytes.size();
  Findings findings;
  for (const format::Format* format : found) scan_as(*format, bytes, findings, report);
  if (const std::uint64_t left_out = findings.left_out(); left_out > 0) {
    add(findings, scan_rules::kFindingsLeftOut, "", 0,
        std::to_string(left_out) + " findings are not listed");
  }
  report.findings = findings.take();
  std::ranges::stable_sort(report.findings, [](const Finding& a, const Finding& b) {
    return std::tie(a.entry, a.offset) < std::tie(b.entry, b.offset);
  });
  for (const Finding& finding : report.findings) {
    report.verdict = std::max(report.verdict, finding.severity());
  }
  return report;
}

}  // namespace tare
