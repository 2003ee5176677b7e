// A scan of many files: several threads judge them, one report at a time is written, in order.
#pragma once

#include <cstddef>

#include "cli/baseline.hpp"
#include "cli/file_judge.hpp"
#include "cli/scan_outputs.hpp"
#include "cli/scan_source.hpp"

namespace tare::cli {

struct ScanRun {
  ScanSource& source;
  const JudgeOptions& judge;
  ScanOutputs& outputs;
  Baseline* baseline = nullptr;  // none if null
  std::size_t threads = 0;       // 0: one for each processor
};

// Scans all files of the source and counts them. Nothing if the outputs could not be written.
std::optional<report::ScanTotals> scan_all(const ScanRun& run);

}  // namespace tare::cli
