// XGBoost: a model file as a tree of values (docs/formats/xgboost.md).
#pragma once

#include "format/format.hpp"
#include "format/json_tree.hpp"

namespace tare::format {

// A model in JSON or UBJSON; arrays of numbers are packed. Errors: those of JsonTree.
Result<JsonTree> read_xgboost(ByteSpan bytes);

}  // namespace tare::format
