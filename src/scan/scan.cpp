#include "tare/scan.hpp"

#include <algorithm>
#include <tuple>

#include "format/format.hpp"
#include "scan/analyzers.hpp"
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

void add_note(const format::Note& note, ScanReport& report) {
  Finding& finding = report.findings.emplace_back();
  finding.rule = &rule_of(note.kind);
  finding.entry = note.path;
  finding.offset = note.offset == Error::kNoOffset ? 0 : note.offset;
  finding.detail = note.text;
}

void analyze_part(const format::Part& part, ScanReport& report) {
  ++report.parts;
  switch (part.kind) {
    case format::PartKind::kPickle:
      analyze_pickle(part, report.findings);
      return;
    case format::PartKind::kTorchScript:
      analyze_torchscript(part, report.findings);
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
  Finding& finding = report.findings.emplace_back();
  finding.rule = &scan_rules::kUnknownPart;
  finding.entry = part.path;
  finding.detail =
      std::to_string(part.bytes.size()) + " bytes: " + std::string(describe_content(part.bytes));
}

// One format's reading of the file.
void scan_as(const format::Format& format, ByteSpan bytes, ScanReport& report) {
  report.formats.emplace_back(format.name);
  const auto list = format.list_parts(bytes);
  if (!list) {
    Finding& finding = report.findings.emplace_back();
    finding.rule = &scan_rules::kUnreadableFile;
    finding.offset = list.error().has_offset() ? list.error().offset : 0;
    finding.detail = list.error().what;
    return;
  }
  for (const format::Note& note : list->notes) add_note(note, report);
  for (const format::Part& part : list->parts) analyze_part(part, report);
}

}  // namespace

Result<ScanReport> scan(ByteSpan bytes) {
  const auto found = format::detect(bytes);
  if (found.empty()) return fail(ErrorCode::kWrongFormat, describe_content(bytes).data());
  ScanReport report;
  report.size = bytes.size();
  for (const format::Format* format : found) scan_as(*format, bytes, report);
  std::ranges::stable_sort(report.findings, [](const Finding& a, const Finding& b) {
    return std::tie(a.entry, a.offset) < std::tie(b.entry, b.offset);
  });
  for (const Finding& finding : report.findings) {
    report.verdict = std::max(report.verdict, finding.severity());
  }
  return report;
}

}  // namespace tare
