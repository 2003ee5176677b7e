#include "report/rule_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <numeric>

#include "report/json_text.hpp"

namespace tare::report {
namespace {

struct ReferenceKind {
  std::string_view prefix;
  std::string_view url;  // what comes before the id, or before what follows the prefix
  bool keeps_prefix;
};
constexpr ReferenceKind kReferenceKinds[] = {
    {"CVE-", "https://www.cve.org/CVERecord?id=", true},
    {"GHSA-", "https://github.com/advisories/", true},
    {"CWE-", "https://cwe.mitre.org/data/definitions/", false},
};

std::string upper(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

// Lines of a text, each behind an indentation.
std::string indented(std::string_view text, std::string_view indent) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out += fmt::format("{}{}\n", indent, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// How many letters must be inserted, deleted or replaced to make one text of the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replaced});
    }
  }
  return row.back();
}

Json references_json(const Rule& rule) {
  Json out = Json::array();
  for (const std::string_view id : references_of(rule)) {
    out.push_back({{"id", id}, {"url", reference_url(id)}});
  }
  return out;
}

Json rule_object(const Rule& rule) {
  return {{"id", rule.id},
          {"severity", verdict_name(rule.severity)},
          {"security_severity", rule.security_severity},
          {"hostile", rule.trust == Trust::kHostile},
          {"title", rule.title},
          {"why", rule.why},
          {"what_to_do", rule.what_to_do},
          {"example", rule.example},
          {"fix", rule.fix},
          {"references", references_json(rule)}};
}

const char* trust_text(const Rule& rule) {
  return rule.trust == Trust::kHostile ? "no honest program writes such a file"
                                       : "honest files have it as well";
}

}  // namespace

std::string reference_url(std::string_view id) {
  for (const ReferenceKind& kind : kReferenceKinds) {
    if (!id.starts_with(kind.prefix)) continue;
    const std::size_t from = kind.keeps_prefix ? 0 : kind.prefix.size();
    return fmt::format("{}{}{}", kind.url, id.substr(from), kind.keeps_prefix ? "" : ".html");
  }
  return "";
}

std::vector<std::string_view> references_of(const Rule& rule) {
  std::vector<std::string_view> out;
  std::string_view rest = rule.references;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    out.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

std::string sentence(std::string_view text) {
  std::string out(text);
  const std::string_view word = text.substr(0, text.find(' '));
  // Names in code, as in "torch.load", keep their case.
  const bool plain =
      std::ranges::all_of(word, [](unsigned char c) { return std::isalpha(c) != 0; });
  if (plain && !out.empty()) out[0] = upper(text.substr(0, 1))[0];
  return out + ".";
}

const Rule* find_rule(std::string_view id) {
  return rule_by_id(upper(id));
}

std::vector<std::string_view> similar_rules(std::string_view id) {
  constexpr std::size_t kMaxShown = 3;
  constexpr std::size_t kMaxDistance = 6;  // half of an id: what is further off is no typing error
  const std::string wanted = upper(id.substr(0, 64));
  std::vector<std::pair<std::size_t, std::string_view>> near;
  for (const Rule& rule : rules()) near.emplace_back(edit_distance(wanted, rule.id), rule.id);
  std::ranges::stable_sort(near, {}, &std::pair<std::size_t, std::string_view>::first);
  std::vector<std::string_view> out;
  for (const auto& [distance, name] : near) {
    if (out.size() == kMaxShown || distance > kMaxDistance) break;
    if (distance <= near.front().first + 1) out.push_back(name);
  }
  return out;
}

std::string rules_text() {
  std::string out;
  for (const Rule& rule : rules()) {
    out += fmt::format("{}  {:<10}  {}\n", rule.id, verdict_name(rule.severity), rule.title);
  }
  return out;
}

std::string rules_json() {
  Json document{{"schema_version", kSchemaVersion}, {"rules", Json::array()}};
  for (const Rule& rule : rules()) document["rules"].push_back(rule_object(rule));
  return dump(document);
}

std::string rule_json(const Rule& rule) {
  Json document{{"schema_version", kSchemaVersion}};
  document.update(rule_object(rule));
  return dump(document);
}

std::string rule_text(const Rule& rule) {
  std::string out =
      fmt::format("{}  {}\nseverity {} ({}), {}\n", rule.id, rule.title,
                  verdict_name(rule.severity), rule.security_severity, trust_text(rule));
  const auto section = [&out](const char* name, std::string_view text) {
    out += fmt::format("\n{}\n{}", name, indented(text, "  "));
  };
  section("Why it matters", sentence(rule.why));
  section("What to do", sentence(rule.what_to_do));
  section("How to fix the program that wrote it", sentence(rule.fix));
  section("Example", rule.example);
  out += "\nReferences\n";
  for (const std::string_view id : references_of(rule)) {
    out += fmt::format("  {}  {}\n", id, reference_url(id));
  }
  return out;
}

std::string rules_markdown() {
  std::string out =
      "# Rules\n\n"
      "What `tare scan` reports. This page and those behind it are made of the table in\n"
      "`src/scan/rules.def`: change that, then write them anew as CONTRIBUTING.md says.\n"
      "`tare explain ID` prints a page as text. `ids.txt` keeps every id for ever.\n\n"
      "| rule | severity | score | what was found |\n| --- | --- | --- | --- |\n";
  for (const Rule& rule : rules()) {
    out += fmt::format("| [{0}]({0}.md) | {1} | {2} | {3} |\n", rule.id,
                       verdict_name(rule.severity), rule.security_severity, rule.title);
  }
  return out;
}

std::string rule_markdown(const Rule& rule) {
  std::string out = fmt::format(
      "# {}: {}\n\nSeverity: **{}**, {} on the scale of CVSS. {}\n\n"
      "## Why it matters\n\n{}\n\n## What to do\n\n{}\n\n"
      "## How to fix the program that wrote it\n\n{}\n\n## Example\n\n```\n{}```\n\n"
      "## References\n\n",
      rule.id, rule.title, verdict_name(rule.severity), rule.security_severity,
      sentence(trust_text(rule)), sentence(rule.why), sentence(rule.what_to_do), sentence(rule.fix),
      indented(rule.example, ""));
  for (const std::string_view id : references_of(rule)) {
    out += fmt::format("- [{}]({})\n", id, reference_url(id));
  }
  return out;
}

}  // namespace tare::report
