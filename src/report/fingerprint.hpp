// What stays the same about a finding from scan to scan.
#pragma once

#include <string>

#include "tare/scan.hpp"

namespace tare::report {

// SHA-256 over the rule, the place in the file (entry, offset, opcode), what was found there
// (detail, evidence) and the bytes around it. Neither the path of the file nor any other finding
// is part of it; a payload that moves or changes is a new finding.
std::string fingerprint(const Finding& finding);

}  // namespace tare::report
