// The findings of an earlier run, which do not count again.
//
// What is known is told by the path of the file, the rule, the entry, the opcode, and the texts
// about it; not by its offset, which a file that is saved again does not keep. A baseline says what
// is known, not that a file is the same: for that, allow it by its SHA-256 (docs/scan.md).
// A line of evidence that the report cuts short could go on in any way, so such a finding is never
// known; nor is one in a file whose path is not UTF-8, which JSON cannot tell from others.
#pragma once

#include <string>
#include <unordered_map>

#include "report/scan_writer.hpp"

namespace tare::cli {

class Baseline {
 public:
  // Reads the JSON report of a run of `tare scan`. Errors: those of reading the file, kMalformed.
  static Result<Baseline> read(const std::string& path);

  // Marks the findings that are known, each of the baseline once, and judges the file by the
  // others.
  void apply(report::ScannedFile& file);

 private:
  std::unordered_map<std::string, std::uint64_t> known_;  // how often
};

}  // namespace tare::cli
