// What a user adds to the policy of the scanner: names that pickles may use as well, and findings
// that are known and accepted, each with a reason and perhaps a last day.
//
// A Policy is filled once and then only read, by any number of threads. It reads no files and no
// clock: whoever fills it says what day it is. docs/policy.md has the format of policy files.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tare/error.hpp"
#include "tare/scan.hpp"

namespace tare {

// A day of the calendar. Ordered.
struct Day {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  friend auto operator<=>(const Day&, const Day&) = default;
};

// A name that pickles may use, by the words of docs/policy.md.
struct PolicyName {
  std::string module;
  std::string name;
  bool named = true;                // it may also stand as a value
  std::string arguments = "never";  // what it may be called with
  std::string state = "none";       // what state its objects may be given
  std::string items = "none";       // what its objects may hold
  std::string reason;
  std::optional<Day> expires = {};  // the last day that it counts
};

// Findings that do not count. Empty texts match all.
struct Allowance {
  std::string rule;    // the id
  std::string path;    // of the file: a pattern with `*`, `?` and `[...]`; `*` matches slashes too
  std::string sha256;  // of the file: 64 hexadecimal digits
  std::string entry;   // of the container: a pattern
  std::string name;    // what the finding is about: "module.name", exactly
  std::string reason;
  std::optional<Day> expires = {};
};

class Policy {
 public:
  explicit Policy(Day today) : today_(today) {}

  // Errors: kInvalidArgument, with what is wrong: an unknown word, no reason, a known gadget (which
  // no policy makes harmless: a finding about it can be allowed, for one file).
  Result<void> add(PolicyName name);
  // Errors: kInvalidArgument: an unknown rule; no reason; a finding that is dangerous or that hides
  // what was not read, without a file that it is allowed in.
  Result<void> add(Allowance allowance);

  // True if some allowance needs the SHA-256 of a file.
  bool needs_sha256() const { return needs_sha256_; }

  const std::vector<PolicyName>& names() const { return names_; }
  const std::vector<Allowance>& allowances() const { return allowances_; }
  bool has_expired(const std::optional<Day>& expires) const { return expires && *expires < today_; }

  // The name, if it is on the list and has not expired.
  const PolicyName* find(std::string_view module, std::string_view name) const;
  // Why a finding in this file does not count; nothing if it does. `sha256`: as digits, empty if it
  // is not known.
  const Allowance* allowance_for(const Finding& finding, std::string_view path,
                                 std::string_view sha256) const;

 private:
  Day today_;
  std::vector<PolicyName> names_;  // by module and name
  std::vector<Allowance> allowances_;
  bool needs_sha256_ = false;
};

}  // namespace tare
