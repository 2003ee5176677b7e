// The analyzers: one kind of part each. They add findings; they never decide what a file is.
#pragma once

#include "format/format.hpp"
#include "scan/findings.hpp"

namespace tare {

// Every stream in a pickle part: what it imports, calls and changes; where it breaks; what follows.
void analyze_pickle(const format::Part& part, Findings& findings);

// TorchScript source: what it could do when a loader compiles and runs it.
void analyze_torchscript(const format::Part& part, Findings& findings);

}  // namespace tare
