#include "scan/rules.hpp"

#include <algorithm>
#include <array>

namespace tare {
namespace {

enum RuleIndex : std::size_t {
#define TARE_RULE(identifier, ...) identifier##Index,
#include "scan/rules.def"
#undef TARE_RULE
  kRuleCount,
};

constexpr std::array<Rule, kRuleCount> kRules = {{
#define TARE_RULE(identifier, id, severity, trust, ...) \
  Rule{id, Verdict::severity, Trust::trust, __VA_ARGS__},
#include "scan/rules.def"
#undef TARE_RULE
}};

}  // namespace

namespace scan_rules {

#define TARE_RULE(identifier, ...) const Rule& identifier = kRules[identifier##Index];
#include "scan/rules.def"
#undef TARE_RULE

}  // namespace scan_rules

std::span<const Rule> rules() {
  return kRules;
}

const Rule* rule_by_id(std::string_view id) {
  const auto found = std::ranges::find(rules(), id, &Rule::id);
  return found == rules().end() ? nullptr : &*found;
}

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSafe:
      return "safe";
    case Verdict::kSuspicious:
      return "suspicious";
    case Verdict::kUnreadable:
      return "unreadable";
    case Verdict::kDangerous:
      return "dangerous";
  }
  return "unreadable";
}

}  // namespace tare
