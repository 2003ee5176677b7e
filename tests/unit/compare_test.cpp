#include "tare/compare.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/tensors.hpp"

namespace tare {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Model model_of(std::vector<NamedTensor> tensors, std::map<std::string, std::string> metadata = {}) {
  ModelContents contents;
  contents.tensors = std::move(tensors);
  contents.metadata = std::move(metadata);
  return {Input::from_bytes({}), "test", std::move(contents)};
}

NamedTensor tensor(std::string name, DType dtype, Shape shape, std::string_view bytes) {
  return {std::move(name), test::view_of(dtype, std::move(shape), bytes), ""};
}

TEST(Compare, FindsNothingInEqualModels) {
  const auto empty = compare(model_of({}), model_of({}));
  ASSERT_TRUE(empty.has_value());
  EXPECT_THAT(empty->differences, IsEmpty());
  const Model a = model_of({tensor("x", DType::kU8, {2}, "ab"), tensor("y", DType::kF32, {0}, "")});
  const Model b = model_of({tensor("y", DType::kF32, {0}, ""), tensor("x", DType::kU8, {2}, "ab")});
  const auto compared = compare(a, b);
  ASSERT_TRUE(compared.has_value());
  EXPECT_THAT(compared->differences, IsEmpty());
  EXPECT_EQ(compared->equal_tensors, 2U);
  EXPECT_EQ(compared->compared_bytes, 2U);
}

TEST(Compare, SortsDifferencesByName) {
  const Model a = model_of({tensor("d", DType::kU8, {1}, "1"), tensor("b", DType::kU8, {1}, "1")});
  const Model b = model_of({tensor("c", DType::kU8, {1}, "1"), tensor("a", DType::kU8, {1}, "1")});
  const auto compared = compare(a, b);
  ASSERT_TRUE(compared.has_value());
  std::vector<std::string> names;
  for (const Difference& difference : compared->differences) names.push_back(difference.name());
  EXPECT_THAT(names, ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(compared->differences[0].kind, DifferenceKind::kOnlyInB);
  EXPECT_EQ(compared->differences[1].kind, DifferenceKind::kOnlyInA);
}

// Both sides strided, in rows of other lengths: the pieces that come out do not match.
TEST(Compare, WalksTwoStridedTensorsSideBySide) {
  constexpr std::uint64_t kSide = 700;
  std::string rows(kSide * kSide * 4, '\0');
  std::string columns(rows.size(), '\0');
  for (std::uint64_t i = 0; i < kSide; ++i) {
    for (std::uint64_t j = 0; j < kSide; ++j) {
      const auto value = static_cast<std::uint32_t>(i * kSide + j);
      std::memcpy(&rows[(i * kSide + j) * 4], &value, 4);
      std::memcpy(&columns[(j * kSide + i) * 4], &value, 4);
    }
  }
  const auto compare_views = [](const TensorView& a, const TensorView& b) {
    return compare(model_of({{"t", a, ""}}), model_of({{"t", b, ""}}));
  };
  const TensorView whole = test::view_of(DType::kU32, {kSide, kSide}, rows);
  const TensorView by_columns = {
      DType::kU32, {kSide, kSide}, {1, kSide}, 0, as_bytes(std::string_view(columns))};
  // Half the columns of either.
  TensorView left = whole;
  TensorView right = by_columns;
  left.shape[1] = right.shape[1] = kSide / 2;
  for (const auto& [a, b] : {std::pair(whole, by_columns), std::pair(left, right)}) {
    const auto equal = compare_views(a, b);
    ASSERT_TRUE(equal.has_value());
    EXPECT_THAT(equal->differences, IsEmpty());
    EXPECT_EQ(equal->compared_bytes, a.byte_count());
  }
  columns[(10 * kSide + 650) * 4 + 1] ^= 1;  // row 650, column 10
  const auto changed = compare_views(left, right);
  ASSERT_TRUE(changed.has_value());
  ASSERT_EQ(changed->differences.size(), 1U);
  EXPECT_EQ(changed->differences[0].first_element, 650 * (kSide / 2) + 10);
  EXPECT_EQ(changed->differences[0].first_byte, (650 * (kSide / 2) + 10) * 4 + 1);
  EXPECT_EQ(changed->differences[0].differing_bytes, 1U);
}

TEST(Compare, CountsElementsOfPackedTypes) {
  const std::string zeros(3, '\0');
  const auto first_element = [&](DType dtype, const Shape& shape, std::string_view bytes) {
    const auto compared = compare(model_of({tensor("t", dtype, shape, zeros)}),
                                  model_of({tensor("t", dtype, shape, bytes)}));
    return compared->differences.at(0).first_element;
  };
  using namespace std::string_view_literals;
  EXPECT_EQ(first_element(DType::kF4, {6}, "\0\x01\0"sv), 2U);
  EXPECT_EQ(first_element(DType::kF4, {6}, "\0\x10\0"sv), 3U);
  EXPECT_EQ(first_element(DType::kF6E2M3, {4}, "\x80\0\0"sv), 1U);
  EXPECT_EQ(first_element(DType::kF6E2M3, {4}, "\0\0\x80"sv), 3U);
}

TEST(Compare, RefusesWhatWouldTakeForEver) {
  const std::string four(4, '\0');
  const TensorView huge = {DType::kF32, {std::uint64_t{1} << 58}, {0}, 0, as_bytes(four)};
  const auto compared = compare(model_of({{"t", huge, ""}}), model_of({{"t", huge, ""}}));
  ASSERT_FALSE(compared.has_value());
  EXPECT_EQ(compared.error().code, ErrorCode::kLimit);
  EXPECT_EQ(compared.error().subject, "t");
}

TEST(Compare, ListsMetadataByKey) {
  const auto compared = compare(model_of({}, {{"a", "1"}, {"c", "1"}, {"same", "x"}}),
                                model_of({}, {{"b", "1"}, {"c", "2"}, {"same", "x"}}));
  ASSERT_TRUE(compared.has_value());
  std::vector<std::string> keys;
  for (const auto& difference : compared->metadata) keys.push_back(difference.key);
  EXPECT_THAT(keys, ElementsAre("a", "b", "c"));
  EXPECT_EQ(compared->metadata[0].b, std::nullopt);
  EXPECT_EQ(compared->metadata[2].a, "1");
}

TEST(Compare, TellsProgress) {
  const std::string large(std::size_t{20} << 20, 'x');
  std::vector<std::uint64_t> told;
  const Model model = model_of({tensor("t", DType::kU8, {large.size()}, large)});
  ASSERT_TRUE(compare(model, model, [&](std::uint64_t done) { told.push_back(done); }).has_value());
  EXPECT_EQ(told.size(), 2U);
  EXPECT_TRUE(std::ranges::is_sorted(told));
}

}  // namespace
}  // namespace tare
