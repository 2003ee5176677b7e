// CatBoost: the trees of a model file (docs/formats/catboost.md).
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "format/format.hpp"
#include "io/flatbuffer.hpp"

namespace tare::format {

// Where the FlatBuffer begins.
inline constexpr std::uint64_t kCatboostCore = 8;

// As it stands there: nothing was checked.
struct CatboostView {
  std::string_view version;
  std::vector<std::pair<std::string_view, std::string_view>> info;
  std::uint64_t parts = 0;  // tables of categories that stand behind the trees
  std::uint64_t rest = 0;   // bytes behind the trees
  bool has_trees = false;
  std::int32_t dimension = 0;
  std::vector<std::int32_t> splits;  // by tree: which threshold
  std::vector<std::int32_t> sizes;   // by tree: how many splits
  std::vector<std::int32_t> starts;  // by tree: its first split
  std::vector<std::uint32_t> steps;  // by split: how far on left (low half) and right (high half)
  std::vector<std::uint32_t> leaf_ids;    // by split: its value, where the way ends
  std::vector<std::uint32_t> repacked;    // by split: its feature (low half)
  std::vector<std::uint64_t> thresholds;  // by feature: how many
  std::uint64_t leaf_values = 0;
  std::uint64_t leaf_weights = 0;
  std::uint64_t biases = 0;
  std::uint64_t ctr_features = 0;    // that need the tables behind the trees
  std::uint64_t other_features = 0;  // of texts and embeddings
};

// Errors: kTruncated, and those of FlatBuffer, by their place in the file.
Result<CatboostView> read_catboost(ByteSpan bytes);

}  // namespace tare::format
