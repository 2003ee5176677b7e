// The report of a scan for programs.
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
  if (!finding.opcode.empty()) out["opcode"] = finding.opcode;
  if (!finding.evidence.empty()) out["evidence"] = finding.evidence;
  out["title"] = finding.rule->title;
  out["detail"] = finding.detail;
  out["why"] = finding.rule->why;
  out["what_to_do"] = finding.rule->what_to_do;
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
  out["findings"] = Json::array();
  for (const Finding& finding : file.report->findings) {
    out["findings"].push_back(finding_json(finding));
  }
  return out;
}

class JsonWriter : public ScanWriter {
 public:
  std::string add(const ScannedFile& file) override {
    files_.push_back(file_json(file));
    return "";
  }

  std::string finish(const ScanTotals&) override {
    Json document;
    document["schema_version"] = kSchemaVersion;
    document["files"] = std::move(files_);
    return dump(document);
  }

 private:
  Json files_ = Json::array();
};

}  // namespace

std::unique_ptr<ScanWriter> make_json_scan_writer() {
  return std::make_unique<JsonWriter>();
}

}  // namespace tare::report
