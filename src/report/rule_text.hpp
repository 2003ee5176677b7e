// The table of rules for people and programs: as text, as JSON, and as the pages of docs/rules/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tare/scan.hpp"

namespace tare::report {

// The page of an advisory or a weakness ("CVE-2025-32434"); empty for an id of another kind.
std::string reference_url(std::string_view id);
std::vector<std::string_view> references_of(const Rule& rule);

// "treat it as hostile" as "Treat it as hostile."
std::string sentence(std::string_view text);

// The rule with an id in upper or lower case; null if there is none.
const Rule* find_rule(std::string_view id);
// The ids that are spelled most like one that does not exist: up to three, or none.
std::vector<std::string_view> similar_rules(std::string_view id);

// A line for each rule.
std::string rules_text();
// {"schema_version", "rules": [{"id", "severity", "title", "why", ...}]}
std::string rules_json();
// The index of docs/rules/.
std::string rules_markdown();

// All that the table says about one rule.
std::string rule_text(const Rule& rule);
std::string rule_json(const Rule& rule);
// Its page in docs/rules/.
std::string rule_markdown(const Rule& rule);

}  // namespace tare::report
