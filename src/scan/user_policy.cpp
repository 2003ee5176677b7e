// What users add to the policy.
#include <fnmatch.h>

#include <algorithm>
#include <tuple>

#include "scan/policy.hpp"
#include "tare/policy.hpp"

namespace tare {
namespace {

std::unexpected<Error> wrong(const char* what) {
  return fail(ErrorCode::kInvalidArgument, what);
}

bool is_pattern(std::string_view text) {
  return text.find_first_of("*?[") != std::string_view::npos;
}

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// fnmatch() takes C strings: a name with a NUL matches no pattern.
bool matches(const std::string& pattern, std::string_view text) {
  if (pattern.empty()) return true;
  if (text.contains('\0')) return false;
  return ::fnmatch(pattern.c_str(), std::string(text).c_str(), FNM_NOESCAPE) == 0;
}

bool is_one_file(const Allowance& allowance) {
  return !allowance.sha256.empty() || (!allowance.path.empty() && !is_pattern(allowance.path));
}

auto key_of(const PolicyName& name) {
  return std::tie(name.module, name.name);
}

}  // namespace

Result<void> Policy::add(PolicyName name) {
  using namespace scan_policy;
  if (name.module.empty() || name.name.empty()) return wrong("a name needs a module and a name");
  if (is_pattern(name.module) || is_pattern(name.name)) {
    return wrong("a name is allowed exactly, not by a pattern");
  }
  if (name.reason.empty()) return wrong("there is no reason");
  if (find_gadget(name.module, name.name)) {
    return wrong(
        "this is a known gadget, which no policy makes harmless; allow its finding in one "
        "file");
  }
  if (!argument_shape(name.arguments)) return wrong("'call' has no such word");
  if (!state_shape(name.state)) return wrong("'state' has no such word");
  if (!item_shape(name.items)) return wrong("'items' has no such word");
  const auto at = std::ranges::upper_bound(names_, key_of(name), {}, key_of);
  names_.insert(at, std::move(name));
  return {};
}

Result<void> Policy::add(Allowance allowance) {
  const Rule* const rule = rule_by_id(allowance.rule);
  if (rule == nullptr) return wrong("there is no such rule");
  if (allowance.reason.empty()) return wrong("there is no reason");
  if (allowance.rule == "TARE-GEN-003") return wrong("findings that are not listed have no reason");
  if (!allowance.sha256.empty() && !is_digest(allowance.sha256)) {
    return wrong("'sha256' is not 64 lower-case hexadecimal digits");
  }
  if (rule->severity >= Verdict::kUnreadable && !is_one_file(allowance)) {
    return wrong("such a finding is allowed in one file: give its 'sha256' or its 'path'");
  }
  if (rule->severity == Verdict::kDangerous && allowance.sha256.empty() && allowance.name.empty()) {
    return wrong(
        "a dangerous finding is allowed by the 'sha256' of the file, or by its 'path' and "
        "the 'name' of what it is about");
  }
  needs_sha256_ = needs_sha256_ || !allowance.sha256.empty();
  allowances_.push_back(std::move(allowance));
  return {};
}

const PolicyName* Policy::find(std::string_view module, std::string_view name) const {
  const auto found = std::ranges::equal_range(
      names_, std::tie(module, name), [](const auto& a, const auto& b) { return a < b; },
      [](const PolicyName& entry) {
        return std::tuple(std::string_view(entry.module), std::string_view(entry.name));
      });
  for (const PolicyName& entry : found) {
    if (!has_expired(entry.expires)) return &entry;
  }
  return nullptr;
}

const Allowance* Policy::allowance_for(const Finding& finding, std::string_view path,
                                       std::string_view sha256) const {
  const auto allows = [&](const Allowance& allowance) {
    return allowance.rule == finding.rule->id && !has_expired(allowance.expires) &&
           (allowance.sha256.empty() || allowance.sha256 == sha256) &&
           matches(allowance.path, path) && matches(allowance.entry, finding.entry) &&
           (allowance.name.empty() || allowance.name == finding.name);
  };
  const auto found = std::ranges::find_if(allowances_, allows);
  return found == allowances_.end() ? nullptr : &*found;
}

}  // namespace tare
