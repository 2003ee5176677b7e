// The report of a scan as SARIF 2.1.0 (OASIS, errata 01), for code scanning services.
//
// A result lies in the file that was scanned, by bytes; GitHub asks for a line as well, and gets
// line 1. The same place in the entry of the archive is a related location, in a nested artifact.
// Results are written as they come; the artifacts and what went wrong follow behind them.
#include <fmt/format.h>

#include <map>

#include "report/base64.hpp"
#include "report/context_view.hpp"
#include "report/fingerprint.hpp"
#include "report/json_text.hpp"
#include "report/rule_text.hpp"
#include "report/scan_writer.hpp"
#include "tare/version.hpp"

namespace tare::report {
namespace {

constexpr const char* kSchema =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
// Files inside of files are scanned 8 deep; an entry with more "!" in its name has them itself.
constexpr unsigned kMaxNested = 9;
constexpr const char* kNotScanned = "TARE-NOT-SCANNED";

const char* level_of(Verdict verdict) {
  return verdict == Verdict::kSuspicious ? "warning" : verdict == Verdict::kSafe ? "none" : "error";
}

// All but what RFC 3986 calls unreserved, and slashes, as %XX. Names are bytes.
std::string uri_encoded(std::string_view name) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : name) {
    if (kPlain.contains(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
  }
  return out;
}

// A relative path stays relative: it means a place in the repository that is scanned.
std::string file_uri(std::string_view path) {
  while (path.starts_with("./")) path.remove_prefix(2);
  return (path.starts_with('/') ? "file://" : "") + uri_encoded(path);
}

// The place of an entry in what holds it: a path from the root. Further slashes in front would
// make the name of a host of it.
std::string entry_uri(std::string_view entry) {
  std::string out = "/";
  for (; entry.starts_with('/'); entry.remove_prefix(1)) out += "%2F";
  return out + uri_encoded(entry);
}

// Text that is not ours must not become a link: [text](url) is one in the messages of SARIF.
std::string message_text(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '[' || c == ']' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

Json text_object(std::string_view text) {
  return {{"text", text}};
}

Json tags_of(const Rule& rule) {
  Json tags{"security", "model-file"};
  for (const std::string_view id : references_of(rule)) {
    if (id.starts_with("CWE-")) tags.push_back(fmt::format("external/cwe/cwe-{}", id.substr(4)));
  }
  return tags;
}

Json rule_object(const Rule& rule) {
  return {{"id", rule.id},
          {"shortDescription", text_object(rule.title)},
          {"fullDescription", text_object(sentence(rule.why))},
          {"help", {{"text", rule_text(rule)}, {"markdown", rule_markdown(rule)}}},
          {"defaultConfiguration", {{"level", level_of(rule.severity)}}},
          {"properties",
           {{"tags", tags_of(rule)},
            {"precision", rule.trust == Trust::kHostile ? "very-high" : "medium"},
            {"security-severity", rule.security_severity}}}};
}

Json tool_object() {
  Json rule_objects = Json::array();
  for (const Rule& rule : rules()) rule_objects.push_back(rule_object(rule));
  const Json not_scanned{{"id", kNotScanned},
                         {"shortDescription", text_object("a file could not be scanned")}};
  return {{"driver",
           {{"name", "tare"},
            {"version", version()},
            {"semanticVersion", version()},
            {"rules", std::move(rule_objects)},
            {"notifications", Json::array({not_scanned})}}}};
}

std::string result_text(const Finding& finding) {
  std::string text = fmt::format("{}: {}.", finding.rule->title, finding.detail);
  if (!finding.evidence.empty()) text += " >>> " + finding.evidence;
  return message_text(text);
}

// Adds where a finding is in an artifact, and the bytes around it.
void add_region(Json& place, const Finding& finding, std::uint64_t offset) {
  place["region"].update({{"byteOffset", offset}, {"byteLength", finding_length(finding)}});
  if (finding.context.empty()) return;
  place["contextRegion"] = {{"byteOffset", offset - finding.context_before},
                            {"byteLength", finding.context.size()},
                            {"snippet", {{"binary", base64(finding.context)}}}};
}

Json suppression_object(const Finding& finding) {
  return {{"kind", "external"},
          {"status", "accepted"},
          {"justification", printable(finding.suppressed)}};
}

Json properties_of(const Finding& finding) {
  Json out{{"severity", verdict_name(finding.severity())},
           {"entry", finding.entry},
           {"offset", finding.offset},
           {"whatToDo", finding.rule->what_to_do}};
  if (!finding.opcode.empty()) out["opcode"] = finding.opcode;
  if (!finding.evidence.empty()) out["evidence"] = finding.evidence;
  return out;
}

Json logical_location(std::string_view path, const Finding& finding) {
  std::string name = printable(path);
  for (const char c : "!" + printable(finding.entry)) {
    name += c;
    if (c == '!') name += '/';
  }
  return {{"name", printable(finding.entry)}, {"fullyQualifiedName", name}, {"kind", "resource"}};
}

class SarifWriter : public ScanWriter {
 public:
  SarifWriter();
  std::string add(const ScannedFile& file) override;
  std::string finish(const ScanTotals& totals) override;

 private:
  // The index of what was appended.
  std::size_t add_artifact(const Json& artifact);
  // The artifact of an entry, and those of the archives around it.
  Json nested_location(std::size_t root, const std::string& entry);
  Json related_location(std::size_t root, const Finding& finding);
  Json result_of(const ScannedFile& file, std::size_t root, const Finding& finding);
  void add_notification(const ScannedFile& file, std::size_t root);
  std::string next_result(const Json& result);

  std::string head_;
  bool has_results_ = false;
  std::string artifacts_;
  std::size_t artifact_count_ = 0;
  std::map<std::string, std::size_t, std::less<>> nested_;  // entries of the current file
  Json notifications_ = Json::array();
};

SarifWriter::SarifWriter() {
  const Json tool = tool_object();
  head_ = fmt::format(
      "{{\n  \"$schema\": \"{}\",\n  \"version\": \"2.1.0\",\n  \"runs\": [\n    {{\n"
      "      \"tool\": {},\n      \"results\": [",
      kSchema, nested_dump(tool, 6));
}

std::size_t SarifWriter::add_artifact(const Json& artifact) {
  artifacts_ += (artifact_count_ == 0 ? "\n        " : ",\n        ") + nested_dump(artifact, 8);
  return artifact_count_++;
}

Json SarifWriter::nested_location(std::size_t root, const std::string& entry) {
  std::size_t parent = root;
  std::string uri;
  unsigned depth = 0;
  for (std::size_t begin = 0; begin <= entry.size();) {
    const std::size_t cut = depth++ < kMaxNested ? entry.find('!', begin) : std::string::npos;
    const std::size_t end = std::min(cut, entry.size());
    uri = entry_uri(std::string_view(entry).substr(begin, end - begin));
    const auto [known, is_new] = nested_.try_emplace(entry.substr(0, end), artifact_count_);
    if (is_new) add_artifact({{"location", {{"uri", uri}}}, {"parentIndex", parent}});
    parent = known->second;
    begin = end + 1;
  }
  return {{"uri", uri}, {"index", parent}};
}

Json SarifWriter::related_location(std::size_t root, const Finding& finding) {
  Json place{{"artifactLocation", nested_location(root, finding.entry)}};
  if (!finding.context.empty()) add_region(place, finding, finding.offset);
  return {{"id", 1}, {"message", text_object("in the entry")}, {"physicalLocation", place}};
}

Json SarifWriter::result_of(const ScannedFile& file, std::size_t root, const Finding& finding) {
  Json out{{"ruleId", finding.rule->id},
           {"ruleIndex", finding.rule - rules().data()},
           {"level", level_of(finding.severity())},
           {"message", text_object(result_text(finding))}};
  Json place{{"artifactLocation", {{"uri", file_uri(file.path)}, {"index", root}}},
             {"region", {{"startLine", 1}}}};
  if (finding.file_offset != Error::kNoOffset) add_region(place, finding, finding.file_offset);
  Json location{{"physicalLocation", std::move(place)}};
  if (!finding.entry.empty()) {
    location["logicalLocations"] = Json::array({logical_location(file.path, finding)});
    out["relatedLocations"] = Json::array({related_location(root, finding)});
  }
  out["locations"] = Json::array({std::move(location)});
  out["partialFingerprints"] = {{"tareFinding/v1", fingerprint(finding)}};
  if (!finding.suppressed.empty()) {
    out["suppressions"] = Json::array({suppression_object(finding)});
  }
  out["properties"] = properties_of(finding);
  return out;
}

void SarifWriter::add_notification(const ScannedFile& file, std::size_t root) {
  const Error& error = file.report.error();
  const std::string text =
      message_text(fmt::format("{}: not scanned: {}", file.path, unscanned_text(error)));
  const Json location{{"physicalLocation",
                       {{"artifactLocation", {{"uri", file_uri(file.path)}, {"index", root}}}}}};
  notifications_.push_back({{"descriptor", {{"id", kNotScanned}, {"index", 0}}},
                            {"level", is_unknown(error) ? "warning" : "error"},
                            {"message", text_object(text)},
                            {"locations", Json::array({location})}});
}

std::string SarifWriter::next_result(const Json& result) {
  const char* separator = has_results_ ? ",\n        " : "\n        ";
  has_results_ = true;
  return separator + nested_dump(result, 8);
}

std::string SarifWriter::add(const ScannedFile& file) {
  std::string out = std::exchange(head_, "");
  nested_.clear();
  Json artifact{{"location", {{"uri", file_uri(file.path)}}}, {"roles", {"analysisTarget"}}};
  if (file.report) {
    artifact["length"] = file.report->size;
    artifact["properties"] = {{"verdict", verdict_name(file.report->verdict)},
                              {"formats", file.report->formats}};
  }
  const std::size_t root = add_artifact(artifact);
  if (!file.report) {
    add_notification(file, root);
    return out;
  }
  for (const Finding& finding : file.report->findings) {
    out += next_result(result_of(file, root, finding));
  }
  return out;
}

std::string SarifWriter::finish(const ScanTotals& totals) {
  const Json invocation{
      {"executionSuccessful", totals.failed + totals.skipped == 0},
      {"toolExecutionNotifications", std::move(notifications_)},
      {"properties",
       {{"files", totals.files()}, {"notScanned", totals.files() - totals.judged()}}}};
  return fmt::format(
      "{}{}],\n      \"artifacts\": [{}\n      ],\n      \"invocations\": [\n"
      "        {}\n      ]\n    }}\n  ]\n}}\n",
      std::exchange(head_, ""), has_results_ ? "\n      " : "", artifacts_,
      nested_dump(invocation, 8));
}

}  // namespace

std::unique_ptr<ScanWriter> make_sarif_scan_writer() {
  return std::make_unique<SarifWriter>();
}

}  // namespace tare::report
