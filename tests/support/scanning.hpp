// Scans of files in memory, for tests of verdicts.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <set>
#include <string>

#include "tare/scan.hpp"

namespace tare {

// For messages of GoogleTest.
inline std::ostream& operator<<(std::ostream& out, Verdict verdict) {
  return out << verdict_name(verdict);
}

}  // namespace tare

namespace tare::test {

inline ScanReport scanned(std::string_view bytes) {
  const auto report = scan(as_bytes(bytes));
  EXPECT_TRUE(report.has_value()) << report.error().what;
  return report.value_or(ScanReport{});
}

inline Verdict verdict_of(std::string_view bytes) {
  return scanned(bytes).verdict;
}

// True unless the file is called safe. What no format recognises has no verdict, and is not safe.
inline bool is_not_safe(std::string_view bytes) {
  const auto report = scan(as_bytes(bytes));
  return !report || report->verdict != Verdict::kSafe;
}

inline std::set<std::string> rules_of(const ScanReport& report) {
  std::set<std::string> ids;
  for (const Finding& finding : report.findings) ids.insert(finding.rule->id);
  return ids;
}
inline std::set<std::string> rules_of(std::string_view bytes) {
  return rules_of(scanned(bytes));
}

// True if a finding says that this line would run.
inline bool runs(const ScanReport& report, std::string_view line) {
  return std::ranges::any_of(report.findings, [line](const Finding& finding) {
    return finding.severity() == Verdict::kDangerous && finding.evidence == line;
  });
}

}  // namespace tare::test
