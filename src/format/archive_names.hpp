// Entries of archives that loaders know by their names, whatever they hold.
#pragma once

#include <string_view>

#include "format/format.hpp"

namespace tare::format {

// kMarManifest for MAR-INF/MANIFEST.json, kHydraConfig for model_config.yaml of NeMo; kNested for
// any other name.
PartKind kind_by_name(std::string_view name);

}  // namespace tare::format
