#include "report/json.hpp"

#include <nlohmann/json.hpp>

#include "report/text.hpp"

namespace tare::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

// Names are bytes: what is not UTF-8 becomes U+FFFD, so that the document always is.
std::string dump(const Json& document) {
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

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

}  // namespace

std::string scan_json(const std::vector<ScannedFile>& files) {
  Json document;
  document["schema_version"] = kSchemaVersion;
  document["files"] = Json::array();
  for (const ScannedFile& file : files) {
    Json out;
    out["path"] = file.path;
    if (file.report) {
      out["verdict"] = verdict_name(file.report->verdict);
      out["formats"] = file.report->formats;
      out["size"] = file.report->size;
      out["parts"] = file.report->parts;
      out["tensor_bytes"] = file.report->tensor_bytes;
      out["findings"] = Json::array();
      for (const Finding& finding : file.report->findings) {
        out["findings"].push_back(finding_json(finding));
      }
    } else {
      out["error"] = error_code_name(file.report.error().code);
      out["message"] = error_text(file.report.error());
    }
    document["files"].push_back(std::move(out));
  }
  return dump(document);
}

std::string inspect_json(std::string_view path, const Model& model) {
  const ModelContents& contents = model.contents();
  Json document;
  document["schema_version"] = kSchemaVersion;
  document["path"] = path;
  document["format"] = model.format();
  document["tensors"] = Json::array();
  for (const NamedTensor& tensor : contents.tensors) {
    document["tensors"].push_back({{"name", tensor.name},
                                   {"dtype", dtype_name(tensor.view.dtype)},
                                   {"shape", tensor.view.shape},
                                   {"bytes", tensor.view.byte_count()},
                                   {"entry", tensor.entry}});
  }
  document["metadata"] = contents.metadata;
  document["imports"] = contents.imports;
  document["problems"] = Json::array();
  for (const Problem& problem : contents.problems) {
    document["problems"].push_back({{"subject", problem.subject},
                                    {"error", error_code_name(problem.error.code)},
                                    {"message", error_text(problem.error)}});
  }
  return dump(document);
}

}  // namespace tare::report
