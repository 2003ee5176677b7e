// The report of a scan for programs: one JSON document, or a line of JSON for each file. Their
// schemas are in docs/schema/. Same files, same report: there are no times in it.
#include "report/fingerprint.hpp"
#include "report/json_text.hpp"
#include "report/scan_writer.hpp"

namespace tare::report {
namespace {

Json finding_json(const Finding& finding) {
  Json out;
  out["rule"] = finding.rule->id;
  out["severity"] = verdict_name(finding.severity());
  out["entry"] = finding.entry;
  out["offset"] = finding.offset;
  if (finding.file_offset != Error::kNoOffset) out["file_offset"] = finding.file_offset;
  if (!finding.opcode.empty()) out["opcode"] = finding.opcode;
  if (!finding.evidence.empty()) out["evidence"] = finding.evidence;
  out["title"] = finding.rule->title;
  out["detail"] = finding.detail;
  out["why"] = finding.rule->why;
  out["what_to_do"] = finding.rule->what_to_do;
  out["fingerprint"] = fingerprint(finding);
  if (!finding.suppressed.empty()) out["suppressed"] = finding.suppressed;
  return out;
}

Json file_json(const ScannedFile& file) {
  Json out;
  out["path"] = file.path;
  if (!file.report) {
    out["error"] = error_code_name(file.report.error().code);
    out["message"] = error_text(file.report.error());
    return out;
  }
  out["verdict"] = verdict_name(file.report->verdict);
  out["formats"] = file.report->formats;
  out["size"] = file.report->size;
  out["parts"] = file.report->parts;
  out["tensor_bytes"] = file.report->tensor_bytes;
  if (file.fetched) out["fetched"] = fetched_json(*file.fetched);
  out["findings"] = Json::array();
  for (const Finding& finding : file.report->findings) {
    out["findings"].push_back(finding_json(finding));
  }
  return out;
}

Json totals_json(const ScanTotals& totals) {
  return {{"files", totals.files()},
          {"safe", totals.safe},
          {"suspicious", totals.suspicious},
          {"unreadable", totals.unreadable},
          {"dangerous", totals.dangerous},
          {"unknown", totals.unknown},
          {"failed", totals.failed},
          {"skipped", totals.skipped},
          {"excluded", totals.excluded},
          {"out_of_time", totals.out_of_time},
          {"folder_links", totals.folder_links},
          {"findings", totals.findings},
          {"suppressed", totals.suppressed},
          {"bytes", totals.bytes}};
}

class JsonWriter : public ScanWriter {
 public:
  std::string add(const ScannedFile& file) override {
    const std::string out = separator_ + "\n    " + nested_dump(file_json(file), 4);
    separator_ = ",";
    return out;
  }

  std::string finish(const ScanTotals& totals) override {
    const std::string end = separator_ == "," ? "\n  ],\n" : separator_ + "],\n";
    return end + "  \"totals\": " + nested_dump(totals_json(totals), 2) + "\n}\n";
  }

 private:
  std::string separator_ =
      "{\n  \"schema_version\": " + std::to_string(kSchemaVersion) + ",\n  \"files\": [";
};

class NdjsonWriter : public ScanWriter {
 public:
  std::string add(const ScannedFile& file) override { return line("file", file_json(file)); }
  std::string finish(const ScanTotals& totals) override {
    return line("totals", totals_json(totals));
  }

 private:
  static std::string line(const char* kind, const Json& fields) {
    Json out{{"schema_version", kSchemaVersion}, {"kind", kind}};
    out.update(fields);
    return dump(out, -1);
  }
};

}  // namespace

std::unique_ptr<ScanWriter> make_json_scan_writer() {
  return std::make_unique<JsonWriter>();
}

std::unique_ptr<ScanWriter> make_ndjson_scan_writer() {
  return std::make_unique<NdjsonWriter>();
}

}  // namespace tare::report
