// CatBoost models: every index that prediction follows (docs/formats/catboost.md).
#include <algorithm>

#include "format/catboost.hpp"
#include "scan/analyzers.hpp"
#include "scan/model_report.hpp"

namespace tare {
namespace {

using format::CatboostView;

constexpr std::int32_t kMaxDepth = 16;
constexpr std::int32_t kMaxDimension = 1'000'000;
// Features with more thresholds take several bytes of a row.
constexpr std::uint64_t kThresholdsOfByte = 254;

class CatboostAnalyzer {
 public:
  CatboostAnalyzer(const CatboostView& model, ModelReport& report)
      : model_(model), report_(report) {}

  void run();

 private:
  void judge_splits();
  void judge_trees();
  void judge_oblivious();
  void judge_steps();
  void judge_rest();
  void outside(const char* what) { report_.bounds(format::kCatboostCore, what); }

  const CatboostView& model_;
  ModelReport& report_;
};

void CatboostAnalyzer::run() {
  if (model_.version != "FlabuffersModel_v1") {
    report_.odd(format::kCatboostCore, "a version that tare does not know", model_.version);
  }
  if (!model_.has_trees || model_.dimension < 1 || model_.dimension > kMaxDimension) {
    return outside("a model without trees, or without a dimension");
  }
  judge_splits();
  judge_trees();
  judge_rest();
}

void CatboostAnalyzer::judge_splits() {
  std::uint64_t thresholds = 0;
  std::uint64_t bytes = 0;
  for (const std::uint64_t count : model_.thresholds) {
    thresholds += count;
    bytes += (count + kThresholdsOfByte - 1) / kThresholdsOfByte;
  }
  const auto is_there = [=](std::int32_t split) {
    return split >= 0 && static_cast<std::uint64_t>(split) < thresholds;
  };
  if (!std::ranges::all_of(model_.splits, is_there)) {
    outside("a tree asks for a threshold that is not there");
  }
  const auto has_feature = [=](std::uint32_t bin) { return (bin & 0xFFFF) < bytes; };
  const bool fit = model_.repacked.empty() || model_.repacked.size() == model_.splits.size();
  if (!fit || !std::ranges::all_of(model_.repacked, has_feature)) {
    outside("a tree asks for a feature that is not there");
  }
}

void CatboostAnalyzer::judge_trees() {
  std::int64_t at = 0;
  const auto splits = static_cast<std::int64_t>(model_.splits.size());
  const bool has_starts = !model_.starts.empty();
  bool fit = !has_starts || model_.starts.size() == model_.sizes.size();
  for (std::size_t i = 0; fit && i < model_.sizes.size(); ++i) {
    fit = model_.sizes[i] >= 0 && (!has_starts || model_.starts[i] == at);
    at += model_.sizes[i];
  }
  if (!fit || at != splits) return outside("the sizes of the trees do not fit their splits");
  if (model_.biases != 0 && model_.biases != static_cast<std::uint64_t>(model_.dimension)) {
    outside("more or fewer biases than dimensions");
  }
  if (model_.steps.empty() && model_.leaf_ids.empty()) return judge_oblivious();
  judge_steps();
}

// Every tree has all leaves of its depth.
void CatboostAnalyzer::judge_oblivious() {
  std::uint64_t leaves = 0;
  for (const std::int32_t size : model_.sizes) {
    if (size > kMaxDepth) return outside("a tree is deeper than any that CatBoost makes");
    leaves += std::uint64_t{1} << size;
  }
  const auto values = leaves * static_cast<std::uint64_t>(model_.dimension);
  if (model_.leaf_values != values || (model_.leaf_weights != 0 && model_.leaf_weights != leaves)) {
    outside("the trees have more or fewer leaves than values");
  }
}

// From each split it goes on by a number of splits, or ends at its leaf.
void CatboostAnalyzer::judge_steps() {
  if (model_.steps.size() != model_.splits.size() ||
      model_.leaf_ids.size() != model_.splits.size()) {
    return outside("more or fewer steps than splits");
  }
  std::uint64_t begin = 0;
  for (const std::int32_t size : model_.sizes) {
    const std::uint64_t end = begin + static_cast<std::uint64_t>(size);
    for (std::uint64_t i = begin; i < end; ++i) {
      for (const std::uint32_t step : {model_.steps[i] & 0xFFFF, model_.steps[i] >> 16}) {
        const std::uint64_t last =
            std::uint64_t{model_.leaf_ids[i]} + static_cast<std::uint64_t>(model_.dimension);
        const bool is_there = step == 0 ? last <= model_.leaf_values : step < end - i;
        if (!is_there) return outside("a step leads out of its tree, or to no leaf");
      }
    }
    begin = end;
  }
}

void CatboostAnalyzer::judge_rest() {
  const std::uint64_t end = format::kCatboostCore;
  if (model_.parts > 0 || model_.ctr_features > 0 || model_.other_features > 0) {
    report_.odd(end,
                "features of categories, texts or embeddings, whose tables tare does not read");
  } else if (model_.rest > 0) {
    report_.odd(end, "bytes stand behind the trees");
  }
}

}  // namespace

void analyze_catboost(const format::Part& part, Findings& findings) {
  ModelReport report(part, findings);
  const auto model = format::read_catboost(part.bytes);
  if (!model && model.error().code == ErrorCode::kMalformed) {
    return report.bounds(model.error().offset, model.error().what);
  }
  if (!model) return report.add(model.error());
  CatboostAnalyzer(*model, report).run();
}

}  // namespace tare
