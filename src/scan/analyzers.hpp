// The analyzers: one kind of part each. They add findings; they never decide what a file is.
#pragma once

#include <vector>

#include "format/format.hpp"
#include "tare/scan.hpp"

namespace tare {

// Every stream in a pickle part: what it imports, calls and changes; where it breaks; what follows.
void analyze_pickle(const format::Part& part, std::vector<Finding>& findings);

// TorchScript source: what it could do when a loader compiles and runs it.
void analyze_torchscript(const format::Part& part, std::vector<Finding>& findings);

}  // namespace tare
