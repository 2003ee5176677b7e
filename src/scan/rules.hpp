// The rules by name, for the analyzers.
#pragma once

#include "tare/scan.hpp"

namespace tare::scan_rules {

#define TARE_RULE(identifier, ...) extern const Rule& identifier;
#include "scan/rules.def"
#undef TARE_RULE

}  // namespace tare::scan_rules
