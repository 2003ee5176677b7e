// CatBoost models: a mark, a size, a FlatBuffer of the trees, tables of categories behind it.
// Format: docs/formats/catboost.md.
#include "format/catboost.hpp"

#include "io/cursor.hpp"

namespace tare::format {
namespace {

constexpr std::string_view kMark = "CBM1";

enum CoreSlot : unsigned { kVersion, kTrees, kInfo, kParts };
enum TreesSlot : unsigned {
  kDimension,
  kSplits,
  kSizes,
  kStarts,
  kCategories,
  kFloats,
  kOneHots,
  kCtrs,
  kLeafValues,
  kLeafWeights,
  kSteps,
  kLeafIds,
  kTexts,
  kEstimated,
  kScale,
  kBias,
  kMultiBias,
  kRepacked,
  kEmbeddings,
};

bool recognises(ByteSpan bytes) {
  return as_text(bytes).starts_with(kMark);
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kCatboost, bytes, 0});
  return list;
}

class CatboostReader {
 public:
  explicit CatboostReader(ByteSpan core) : buffer_(core) {}

  Result<CatboostView> read();

 private:
  template <typename Take>
  void each(const FlatTable& table, unsigned slot, const Take& take) {
    const FlatVector vector = table.offsets(slot);
    for (std::uint64_t i = 0; i < vector.count && !buffer_.failed(); ++i) {
      take(table.table_of(vector, i));
    }
  }
  template <typename T>
  static void add_numbers(const FlatTable& table, unsigned slot, std::vector<T>& out) {
    const FlatVector vector = table.numbers(slot, sizeof(T));
    for (std::uint64_t i = 0; i < vector.count; ++i) out.push_back(table.number_of<T>(vector, i));
  }
  void read_trees(const FlatTable& trees);

  FlatBuffer buffer_;
  CatboostView view_;
};

Result<CatboostView> CatboostReader::read() {
  const FlatTable core = buffer_.root();
  view_.version = core.text(kVersion);
  each(core, kInfo,
       [this](const FlatTable& entry) { view_.info.emplace_back(entry.text(0), entry.text(1)); });
  view_.parts = core.offsets(kParts).count;
  const FlatTable trees = core.table(kTrees);
  view_.has_trees = static_cast<bool>(trees);
  read_trees(trees);
  if (buffer_.failed()) return std::unexpected(buffer_.error());
  return std::move(view_);
}

void CatboostReader::read_trees(const FlatTable& trees) {
  view_.dimension = trees.scalar<std::int32_t>(kDimension, 0);
  add_numbers(trees, kSplits, view_.splits);
  add_numbers(trees, kSizes, view_.sizes);
  add_numbers(trees, kStarts, view_.starts);
  add_numbers(trees, kSteps, view_.steps);
  add_numbers(trees, kLeafIds, view_.leaf_ids);
  add_numbers(trees, kRepacked, view_.repacked);
  view_.leaf_values = trees.numbers(kLeafValues, 8).count;
  view_.leaf_weights = trees.numbers(kLeafWeights, 8).count;
  view_.biases = trees.numbers(kMultiBias, 8).count;
  // The thresholds of each feature: FloatFeature.Borders, EstimatedFeature.Borders,
  // OneHotFeature.Values, CtrFeature.Borders.
  each(trees, kFloats, [this](const FlatTable& feature) {
    view_.thresholds.push_back(feature.numbers(3, 4).count);
  });
  each(trees, kEstimated, [this](const FlatTable& feature) {
    view_.thresholds.push_back(feature.numbers(3, 4).count);
  });
  each(trees, kOneHots, [this](const FlatTable& feature) {
    view_.thresholds.push_back(feature.numbers(1, 4).count);
  });
  each(trees, kCtrs, [this](const FlatTable& feature) {
    view_.thresholds.push_back(feature.numbers(1, 4).count);
  });
  view_.other_features = trees.offsets(kTexts).count + trees.offsets(kEstimated).count +
                         trees.offsets(kEmbeddings).count;
  view_.ctr_features = trees.offsets(kCtrs).count;
}

}  // namespace

Result<CatboostView> read_catboost(ByteSpan bytes) {
  Cursor in(bytes, kMark.size());
  const auto size = in.read<std::uint32_t>();
  const auto core = size ? in.take(*size) : std::nullopt;
  if (!core) return fail(ErrorCode::kTruncated, "the trees end behind the file", kMark.size());
  auto view = CatboostReader(*core).read();
  if (!view) {
    Error error = view.error();
    if (error.has_offset()) error.offset += kCatboostCore;
    return std::unexpected(error);
  }
  view->rest = in.remaining();
  return view;
}

const Format kCatboost = {"catboost", "a CatBoost model", recognises, list_parts, nullptr};

}  // namespace tare::format
