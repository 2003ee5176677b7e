// Policy files: TOML, as docs/policy.md describes it.
#pragma once

#include <expected>
#include <string>

#include "tare/policy.hpp"

namespace tare::cli {

// The day that it is in UTC.
Day today();

// The policy in a file. On failure says on stderr where and why, and returns nothing. Entries that
// have expired are told of on stderr; they stay in the policy, which does not count them.
std::optional<Policy> read_policy_or_tell(const std::string& path);

}  // namespace tare::cli
