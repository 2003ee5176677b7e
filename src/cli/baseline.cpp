#include "cli/baseline.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/utf8.hpp"
#include "scan/rules.hpp"
#include "tare/input.hpp"

namespace tare::cli {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30;
constexpr const char* kKnown = "known from the baseline";
constexpr const char* kNoReport = "is no JSON report of tare scan";

// No text of a report holds a NUL that is not escaped.
std::string key_of(std::string_view path, std::initializer_list<std::string_view> texts) {
  std::string key(path);
  for (const std::string_view text : texts) (key += '\0') += text;
  return key;
}

std::string key_of(std::string_view path, const Finding& finding) {
  return key_of(
      path, {finding.rule->id, finding.entry, finding.opcode, finding.evidence, finding.detail});
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool is_recognisable(std::string_view path, const Finding& finding) {
  if (finding.rule == &scan_rules::kFindingsLeftOut) return false;
  return finding.evidence.find("...") == std::string::npos && is_utf8(path) &&
         is_utf8(finding.entry) && is_utf8(finding.detail);
}

// Other reasons for which a finding did not count need not hold any more.
bool is_known(const Json& finding) {
  const std::string suppressed = text_of(finding, "suppressed");
  return finding.is_object() && (suppressed.empty() || suppressed == kKnown);
}

}  // namespace

Result<Baseline> Baseline::read(const std::string& path) {
  const auto input = Input::copy_of(path, kMaxBytes);
  if (!input) return std::unexpected(input.error());
  const std::string_view text = as_text(input->bytes());
  const Json document = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!document.is_object()) return fail(ErrorCode::kMalformed, kNoReport);
  const auto files = document.find("files");
  if (files == document.end() || !files->is_array()) return fail(ErrorCode::kMalformed, kNoReport);
  Baseline baseline;
  for (const Json& file : *files) {
    const auto findings = file.is_object() ? file.find("findings") : file.end();
    if (findings == file.end()) continue;
    for (const Json& finding : *findings) {
      if (!is_known(finding)) continue;
      ++baseline.known_[key_of(
          text_of(file, "path"),
          {text_of(finding, "rule"), text_of(finding, "entry"), text_of(finding, "opcode"),
           text_of(finding, "evidence"), text_of(finding, "detail")})];
    }
  }
  return baseline;
}

void Baseline::apply(report::ScannedFile& file) {
  if (!file.report) return;
  Verdict verdict = Verdict::kSafe;
  for (Finding& finding : file.report->findings) {
    if (finding.suppressed.empty() && is_recognisable(file.path, finding)) {
      const auto known = known_.find(key_of(file.path, finding));
      if (known != known_.end() && known->second > 0) {
        --known->second;
        finding.suppressed = kKnown;
      }
    }
    if (finding.suppressed.empty()) verdict = std::max(verdict, finding.severity());
  }
  file.report->verdict = verdict;
}

}  // namespace tare::cli
