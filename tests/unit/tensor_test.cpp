#include "tare/tensor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/binary.hpp"
#include "support/tensors.hpp"

namespace tare {
namespace {

using test::view_of;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kMax = UINT64_MAX;

TEST(DTypes, HaveTheNamesOrderAndBitsOfSafetensors) {
  const std::vector<std::pair<std::string_view, unsigned>> expected = {
      {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
      {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
      {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
      {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
      {"I64", 64},        {"U64", 64},
  };
  ASSERT_EQ(expected.size(), static_cast<std::size_t>(kDTypeCount));
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    const auto& [name, bits] = expected[static_cast<std::size_t>(i)];
    EXPECT_EQ(dtype_name(dtype), name);
    EXPECT_EQ(dtype_bits(dtype), bits);
    EXPECT_EQ(dtype_from_name(name), dtype);
  }
}

TEST(DTypes, NamesAreExact) {
  for (const std::string_view name : {"", "f32", "F32 ", "C128", "INT4", "F", "F320", "float32"}) {
    EXPECT_FALSE(dtype_from_name(name).has_value()) << name;
  }
}

TEST(ElementCount, MultipliesFromTheLeft) {
  EXPECT_EQ(element_count(Shape{}), 1U);
  EXPECT_EQ(element_count(Shape{7}), 7U);
  EXPECT_EQ(element_count(Shape{2, 3, 4}), 24U);
  EXPECT_EQ(element_count(Shape{0, kMax}), 0U);
  EXPECT_EQ(element_count(Shape{0, kMax, kMax}), 0U);
  EXPECT_EQ(element_count(Shape{kMax, 1}), kMax);
  EXPECT_EQ(element_count(Shape{kMax, 0, 2}), 0U);
  for (const Shape& shape : {Shape{kMax, 2, 0}, Shape{2, kMax - 1}, Shape{2, kMax / 2 + 1},
                             Shape{1UL << 32, 1UL << 32}, Shape(9, 1UL << 8)}) {
    const auto count = element_count(shape);
    ASSERT_FALSE(count.has_value());
    EXPECT_EQ(count.error().code, ErrorCode::kOverflow);
  }
}

TEST(PackedBytes, FillsWholeBytes) {
  EXPECT_EQ(packed_bytes(DType::kF32, 3), 12U);
  EXPECT_EQ(packed_bytes(DType::kF4, 2), 1U);
  EXPECT_EQ(packed_bytes(DType::kF6E2M3, 4), 3U);
  EXPECT_EQ(packed_bytes(DType::kBool, 0), 0U);
  EXPECT_EQ(packed_bytes(DType::kF4, 3).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(packed_bytes(DType::kF6E3M2, 2).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(packed_bytes(DType::kU64, 1UL << 58).error().code, ErrorCode::kOverflow);
  EXPECT_EQ(packed_bytes(DType::kU8, kMax).error().code, ErrorCode::kOverflow);
}

TEST(RowMajorStrides, AreThoseOfC) {
  EXPECT_THAT(row_major_strides({}), IsEmpty());
  EXPECT_THAT(row_major_strides({5}), ElementsAre(1));
  EXPECT_THAT(row_major_strides({2, 3, 4}), ElementsAre(12, 4, 1));
  EXPECT_THAT(row_major_strides({2, 0, 4}), ElementsAre(4, 4, 1));
}

// ---- views

// Sixteen numbers.
std::string sixteen() {
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t i = 0; i < 16; ++i) numbers.push_back(i);
  return test::memory_of(numbers);
}

ErrorCode view_error(Shape shape, std::vector<std::uint64_t> strides, std::uint64_t offset,
                     std::size_t bytes = 64, DType dtype = DType::kU32) {
  const std::string storage(bytes, '\0');
  const auto checked =
      check_view({dtype, std::move(shape), std::move(strides), offset, as_bytes(storage)});
  return checked ? ErrorCode::kIo : checked.error().code;
}

constexpr ErrorCode kFine = ErrorCode::kIo;

TEST(CheckView, AcceptsWhatLiesInside) {
  EXPECT_EQ(view_error({16}, {1}, 0), kFine);
  EXPECT_EQ(view_error({4, 4}, {4, 1}, 0), kFine);
  EXPECT_EQ(view_error({4, 4}, {1, 4}, 0), kFine);
  EXPECT_EQ(view_error({}, {}, 15), kFine);
  EXPECT_EQ(view_error({8}, {2}, 1), kFine);
  EXPECT_EQ(view_error({1'000'000}, {0}, 15), kFine);      // expanded
  EXPECT_EQ(view_error({1, 1}, {kMax, kMax}, 15), kFine);  // strides that are never taken
  EXPECT_EQ(view_error({128}, {1}, 0, 64, DType::kF4), kFine);
}

TEST(CheckView, RefusesWhatReachesPastTheEnd) {
  EXPECT_EQ(view_error({17}, {1}, 0), ErrorCode::kMalformed);
  EXPECT_EQ(view_error({16}, {1}, 1), ErrorCode::kMalformed);
  EXPECT_EQ(view_error({}, {}, 16), ErrorCode::kMalformed);
  EXPECT_EQ(view_error({2}, {16}, 0), ErrorCode::kMalformed);
  EXPECT_EQ(view_error({16}, {1}, 0, 63), ErrorCode::kMalformed);
  EXPECT_EQ(view_error({1}, {1}, 0, 0), ErrorCode::kMalformed);
  EXPECT_EQ(view_error({130}, {1}, 0, 64, DType::kF4), ErrorCode::kMalformed);
}

TEST(CheckView, RefusesOverflow) {
  EXPECT_EQ(view_error({3}, {kMax}, 0), ErrorCode::kOverflow);
  EXPECT_EQ(view_error({2}, {1}, kMax), ErrorCode::kOverflow);
  EXPECT_EQ(view_error({2, 2}, {kMax / 2 + 1, kMax / 2 + 1}, 0), ErrorCode::kOverflow);
  EXPECT_EQ(view_error({1UL << 32, 1UL << 32}, {0, 0}, 0), ErrorCode::kOverflow);
  EXPECT_EQ(view_error({}, {}, kMax), ErrorCode::kOverflow);
  EXPECT_EQ(view_error({}, {}, kMax / 8), ErrorCode::kOverflow);
  EXPECT_EQ(view_error({1UL << 60}, {0}, 0), ErrorCode::kOverflow);  // of the size in bits
}

TEST(CheckView, RefusesRanksThatDiffer) {
  EXPECT_EQ(view_error({2, 2}, {1}, 0), ErrorCode::kMalformed);
  EXPECT_EQ(view_error({}, {1}, 0), ErrorCode::kMalformed);
  EXPECT_EQ(view_error({0}, {}, 0), ErrorCode::kMalformed);
}

TEST(CheckView, AcceptsNothingAnywhere) {
  EXPECT_EQ(view_error({0}, {1}, 0, 0), kFine);
  EXPECT_EQ(view_error({4, 0}, {kMax, kMax}, kMax, 0), kFine);
}

TEST(CheckView, RefusesPackedElementsThatFillNoBytes) {
  EXPECT_EQ(view_error({3}, {1}, 0, 64, DType::kF4), ErrorCode::kMalformed);
  EXPECT_EQ(view_error({}, {}, 0, 64, DType::kF4), ErrorCode::kMalformed);
}

TEST(CheckView, RefusesPackedElementsThatStartInsideAByte) {
  EXPECT_EQ(view_error({2}, {1}, 1, 64, DType::kF4), ErrorCode::kMalformed);
  EXPECT_EQ(view_error({2}, {1}, 2, 64, DType::kF4), kFine);
}

TEST(TensorView, KnowsWhetherItIsContiguous) {
  const auto contiguous = [](Shape shape, std::vector<std::uint64_t> strides) {
    return TensorView{DType::kU8, std::move(shape), std::move(strides), 0, {}}.is_contiguous();
  };
  EXPECT_TRUE(contiguous({}, {}));
  EXPECT_TRUE(contiguous({3}, {1}));
  EXPECT_TRUE(contiguous({2, 3}, {3, 1}));
  EXPECT_TRUE(contiguous({2, 1, 3}, {3, 77, 1}));  // the stride of a single element is never taken
  EXPECT_TRUE(contiguous({1, 1}, {0, 0}));
  EXPECT_TRUE(contiguous({2, 0, 3}, {9, 9, 9}));
  EXPECT_FALSE(contiguous({3}, {2}));
  EXPECT_FALSE(contiguous({3}, {0}));
  EXPECT_FALSE(contiguous({2, 3}, {1, 2}));
  EXPECT_FALSE(contiguous({2, 3}, {4, 1}));
}

TEST(TensorView, HandsOutContiguousBytesInPlace) {
  const std::string storage = sixteen();
  TensorView view = view_of(DType::kU32, {2, 3}, storage);
  view.offset = 4;
  ASSERT_TRUE(check_view(view).has_value());
  EXPECT_EQ(view.byte_count(), 24U);
  EXPECT_EQ(as_text(view.contiguous_bytes()), storage.substr(16, 24));
  EXPECT_THAT(view_of(DType::kU32, {0, 3}, "").contiguous_bytes(), IsEmpty());
}

// ---- gather

std::string gathered(const TensorView& view) {
  EXPECT_TRUE(check_view(view).has_value());
  std::vector<std::byte> out(view.byte_count());
  const auto copied = gather(view, out);
  EXPECT_TRUE(copied.has_value()) << copied.error().what;
  return std::string(as_text(out));
}

// One element at a time, the last axis fastest.
std::string gathered_slowly(const TensorView& view) {
  const std::uint64_t element = dtype_bits(view.dtype) / 8;
  std::uint64_t count = 1;
  for (const std::uint64_t size : view.shape) count *= size;
  std::string out;
  for (std::uint64_t flat = 0; flat < count; ++flat) {
    std::uint64_t rest = flat;
    std::uint64_t position = view.offset;
    for (std::size_t axis = view.shape.size(); axis-- > 0;) {
      position += rest % view.shape[axis] * view.strides[axis];
      rest /= view.shape[axis];
    }
    out += as_text(view.storage.subspan(position * element, element));
  }
  return out;
}

std::vector<std::uint32_t> numbers_of(Shape shape, std::vector<std::uint64_t> strides,
                                      std::uint64_t offset) {
  const std::string storage = sixteen();
  const std::string bytes =
      gathered({DType::kU32, std::move(shape), std::move(strides), offset, as_bytes(storage)});
  std::vector<std::uint32_t> numbers(bytes.size() / 4);
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

TEST(Gather, FollowsTheStrides) {
  EXPECT_THAT(numbers_of({2, 3}, {3, 1}, 0), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(numbers_of({3, 2}, {1, 3}, 0), ElementsAre(0, 3, 1, 4, 2, 5));  // transposed
  EXPECT_THAT(numbers_of({2, 3}, {0, 1}, 5), ElementsAre(5, 6, 7, 5, 6, 7));  // expanded
  EXPECT_THAT(numbers_of({4}, {0}, 9), ElementsAre(9, 9, 9, 9));
  EXPECT_THAT(numbers_of({2, 2}, {8, 2}, 1), ElementsAre(1, 3, 9, 11));  // sliced
  EXPECT_THAT(numbers_of({}, {}, 7), ElementsAre(7));
  EXPECT_THAT(numbers_of({1, 1, 1}, {9, 9, 9}, 7), ElementsAre(7));
  EXPECT_THAT(numbers_of({3, 0}, {1, 1}, 0), IsEmpty());
  EXPECT_THAT(numbers_of({2, 1, 2}, {4, 99, 2}, 0), ElementsAre(0, 2, 4, 6));
}

TEST(Gather, AgreesWithTheNaiveLoop) {
  test::Random random(1);
  for (int round = 0; round < 2000; ++round) {
    TensorView view;
    do {
      view.dtype = static_cast<DType>(test::up_to(random, kDTypeCount - 1));
    } while (dtype_bits(view.dtype) % 8 != 0);
    std::uint64_t last = view.offset = test::up_to(random, 5);
    for (std::uint64_t rank = test::up_to(random, 5); rank > 0; --rank) {
      view.shape.push_back(test::up_to(random, 4));
      view.strides.push_back(test::up_to(random, 6));
    }
    // Half of them row-major from some axis on, so that rows are copied as a whole.
    if (round % 2 == 0) {
      const auto row_major = row_major_strides(view.shape);
      for (std::size_t axis = view.shape.size() / 2; axis < view.shape.size(); ++axis) {
        view.strides[axis] = row_major[axis];
      }
    }
    for (std::size_t axis = 0; axis < view.shape.size(); ++axis) {
      last += view.shape[axis] > 0 ? (view.shape[axis] - 1) * view.strides[axis] : 0;
    }
    const std::string storage = test::random_bytes(random, (last + 1) * dtype_bits(view.dtype) / 8);
    view.storage = as_bytes(storage);
    ASSERT_EQ(gathered(view), gathered_slowly(view)) << "round " << round;
  }
}

TEST(Gather, NeedsABufferOfTheRightSize) {
  const std::string storage = sixteen();
  const TensorView view = view_of(DType::kU32, {16}, storage);
  std::vector<std::byte> small(63);
  EXPECT_EQ(gather(view, small).error().code, ErrorCode::kInvalidArgument);
  std::vector<std::byte> large(65);
  EXPECT_EQ(gather(view, large).error().code, ErrorCode::kInvalidArgument);
}

TEST(Gather, RefusesStridedPackedElements) {
  const std::string storage(8, '\xAB');
  std::vector<std::byte> out(4);
  const TensorView strided{DType::kF4, {8}, {2}, 0, as_bytes(storage)};
  ASSERT_TRUE(check_view(strided).has_value());
  EXPECT_EQ(gather(strided, out).error().code, ErrorCode::kUnsupported);
  const TensorView packed{DType::kF4, {8}, {1}, 0, as_bytes(storage)};
  EXPECT_TRUE(gather(packed, out).has_value());
}

}  // namespace
}  // namespace tare
