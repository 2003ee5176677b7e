#include "tensor/elements.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "support/binary.hpp"
#include "support/tensors.hpp"
#include "tensor/block_grid.hpp"

namespace tare {
namespace {

template <typename To, typename From>
std::vector<To> read_as(const Stored& stored, DType dtype, const std::vector<From>& values) {
  const std::string bytes = test::memory_of(values);
  std::vector<To> out(bytes.size() * 8 / dtype_bits(stored.dtype) * dtype_bits(dtype) / 8 /
                      sizeof(To));
  read_elements(stored, as_bytes(bytes), dtype, reinterpret_cast<std::byte*>(out.data()));
  return out;
}

template <typename To, typename From>
To read_one(DType from, DType to, From value) {
  return read_as<To>(Stored{.dtype = from}, to, std::vector<From>{value}).front();
}

// ---- a slow oracle: every finite number of a type, and the nearest of them

struct Number {
  double value;
  std::uint16_t bits;
};

double value_of(std::uint16_t bits, unsigned exponent_bits, unsigned mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int power = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const double fraction = bits & ((1 << mantissa_bits) - 1);
  const double size = std::ldexp(fraction, -static_cast<int>(mantissa_bits)) + (power > 0 ? 1 : 0);
  return std::ldexp(size, std::max(power, 1) - bias);
}

std::vector<Number> positive_numbers(unsigned exponent_bits, unsigned mantissa_bits) {
  std::vector<Number> numbers;
  const unsigned infinity = ((1U << exponent_bits) - 1) << mantissa_bits;
  for (unsigned bits = 0; bits <= infinity; ++bits) {
    // Infinity stands where the next number would.
    const double value =
        bits < infinity ? value_of(static_cast<std::uint16_t>(bits), exponent_bits, mantissa_bits)
                        : std::ldexp(1.0, (1 << (exponent_bits - 1)));
    numbers.push_back({value, static_cast<std::uint16_t>(bits)});
  }
  return numbers;
}

std::uint16_t nearest(const std::vector<Number>& numbers, double value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const double size = std::fabs(value);
  const auto above = std::ranges::lower_bound(numbers, size, {}, &Number::value);
  if (above == numbers.end()) return sign | numbers.back().bits;
  if (above->value == size) return sign | above->bits;
  const auto below = above - 1;
  const double up = above->value - size;
  const double down = size - below->value;
  const bool take_above = up < down || (up == down && above->bits % 2 == 0);
  return sign | (take_above ? above->bits : below->bits);
}

// Floats of all sizes, and those around the middle between two numbers of the type.
std::vector<float> trial_floats(const std::vector<Number>& numbers) {
  test::Random random(5);
  std::vector<float> floats;
  for (int i = 0; i < 100'000; ++i) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isfinite(value)) floats.push_back(value);
  }
  for (std::size_t i = 0; i + 1 < numbers.size(); ++i) {
    const auto middle = static_cast<float>((numbers[i].value + numbers[i + 1].value) / 2);
    for (const float value : {middle, std::nextafterf(middle, 0), std::nextafterf(middle, 1e38F),
                              static_cast<float>(numbers[i].value)}) {
      if (!std::isfinite(value)) continue;
      floats.push_back(value);
      floats.push_back(-value);
    }
  }
  return floats;
}

void expect_nearest(DType dtype, unsigned exponent_bits, unsigned mantissa_bits) {
  const auto numbers = positive_numbers(exponent_bits, mantissa_bits);
  const auto floats = trial_floats(numbers);
  const auto converted = read_as<std::uint16_t>(Stored{.dtype = DType::kF32}, dtype, floats);
  ASSERT_GT(floats.size(), 150'000U);
  for (std::size_t i = 0; i < floats.size(); ++i) {
    ASSERT_EQ(converted[i], nearest(numbers, static_cast<double>(floats[i]))) << floats[i];
  }
}

TEST(Casts, RoundToTheNearestHalf) {
  expect_nearest(DType::kF16, 5, 10);
}

TEST(Casts, RoundToTheNearestBFloat16) {
  expect_nearest(DType::kBF16, 8, 7);
}

TEST(Casts, ReadEveryHalfExactly) {
  for (unsigned bits = 0; bits < 0x7C00; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const double value = value_of(half, 5, 10);
    ASSERT_EQ((read_one<float, std::uint16_t>(DType::kF16, DType::kF32, half)), value);
    const auto negative = static_cast<std::uint16_t>(half | 0x8000);
    ASSERT_EQ((read_one<float, std::uint16_t>(DType::kF16, DType::kF32, negative)), -value);
  }
}

TEST(Casts, KeepInfinityAndNaN) {
  const float infinity = INFINITY;
  EXPECT_EQ((read_one<std::uint16_t>(DType::kF32, DType::kF16, infinity)), 0x7C00);
  EXPECT_EQ((read_one<std::uint16_t>(DType::kF32, DType::kF16, -infinity)), 0xFC00);
  EXPECT_EQ((read_one<std::uint16_t>(DType::kF32, DType::kBF16, -infinity)), 0xFF80);
  EXPECT_EQ((read_one<std::uint16_t>(DType::kF32, DType::kF16, 65519.0F)), 0x7BFF);
  EXPECT_EQ((read_one<std::uint16_t>(DType::kF32, DType::kF16, 65520.0F)), 0x7C00);
  // The least NaN would lose all of its bits and become an infinity.
  for (const std::uint32_t nan : {0x7F800001U, 0x7FC00000U, 0xFFFFFFFFU}) {
    const auto half = read_one<std::uint16_t>(DType::kF32, DType::kF16, nan);
    EXPECT_EQ(half & 0x7C00, 0x7C00);
    EXPECT_NE(half & 0x3FF, 0);
    const auto brain = read_one<std::uint16_t>(DType::kF32, DType::kBF16, nan);
    EXPECT_EQ(brain & 0x7F80, 0x7F80);
    EXPECT_NE(brain & 0x7F, 0);
    EXPECT_TRUE(std::isnan(read_one<float>(DType::kF16, DType::kF32, half)));
  }
}

TEST(Casts, GoFromDoubleByWayOfFloat) {
  EXPECT_EQ((read_one<float>(DType::kF64, DType::kF32, 0.1)), 0.1F);
  EXPECT_EQ((read_one<std::uint16_t>(DType::kF64, DType::kF16, 1.0)), 0x3C00);
  EXPECT_EQ((read_one<float>(DType::kF64, DType::kF32, 1e300)), INFINITY);
}

TEST(Casts, ReadEightBitNumbers) {
  const auto read = [](DType dtype, std::uint8_t bits) {
    return read_one<float, std::uint8_t>(dtype, DType::kF32, bits);
  };
  EXPECT_EQ(read(DType::kF8E4M3, 0x38), 1.0F);
  EXPECT_EQ(read(DType::kF8E4M3, 0x7E), 448.0F);
  EXPECT_EQ(read(DType::kF8E4M3, 0x01), std::ldexp(1.0F, -9));
  EXPECT_TRUE(std::isnan(read(DType::kF8E4M3, 0xFF)));
  EXPECT_EQ(read(DType::kF8E5M2, 0x3C), 1.0F);
  EXPECT_EQ(read(DType::kF8E5M2, 0xFB), -57344.0F);
  EXPECT_EQ(read(DType::kF8E5M2, 0x7C), INFINITY);
  EXPECT_EQ(read(DType::kF8E4M3FNUZ, 0x40), 1.0F);
  EXPECT_EQ(read(DType::kF8E4M3FNUZ, 0x7F), 240.0F);
  EXPECT_TRUE(std::isnan(read(DType::kF8E4M3FNUZ, 0x80)));
  EXPECT_EQ(read(DType::kF8E5M2FNUZ, 0x40), 1.0F);
  EXPECT_EQ(read(DType::kF8E5M2FNUZ, 0x7F), 57344.0F);
  EXPECT_TRUE(std::isnan(read(DType::kF8E5M2FNUZ, 0x80)));
  EXPECT_EQ(read(DType::kF8E8M0, 127), 1.0F);
  EXPECT_EQ(read(DType::kF8E8M0, 0), std::ldexp(1.0F, -127));
  EXPECT_TRUE(std::isnan(read(DType::kF8E8M0, 255)));
}

TEST(Casts, AreOnlyBetweenFloatingPointTypes) {
  EXPECT_TRUE(can_cast(DType::kI32, DType::kI32));
  EXPECT_TRUE(can_cast(DType::kF8E4M3, DType::kBF16));
  EXPECT_FALSE(can_cast(DType::kI32, DType::kF32));
  EXPECT_FALSE(can_cast(DType::kF32, DType::kF64));
  EXPECT_FALSE(can_cast(DType::kF32, DType::kI32));
  EXPECT_FALSE(can_cast(DType::kC64, DType::kF32));
  EXPECT_FALSE(can_cast(DType::kF4, DType::kF32));
}

// ---- byte order, conjugates, negatives

TEST(StoredElements, AreSwappedByNumber) {
  const Stored big{.dtype = DType::kU32, .big_endian = true};
  EXPECT_THAT((read_as<std::uint32_t>(big, DType::kU32, std::vector<std::uint32_t>{0x01020304})),
              testing::ElementsAre(0x04030201));
  const Stored complex{.dtype = DType::kC64, .big_endian = true};
  EXPECT_THAT((read_as<std::uint32_t>(complex, DType::kC64,
                                      std::vector<std::uint32_t>{0x01020304, 0x05060708})),
              testing::ElementsAre(0x04030201, 0x08070605));
  const Stored byte{.dtype = DType::kU8, .big_endian = true};
  EXPECT_THAT((read_as<std::uint8_t>(byte, DType::kU8, std::vector<std::uint8_t>{1, 2, 3})),
              testing::ElementsAre(1, 2, 3));
}

TEST(StoredElements, AreConjugatedAndNegated) {
  const std::vector<float> numbers = {1, 2, -3, -4};
  EXPECT_THAT(
      (read_as<float>(Stored{.dtype = DType::kC64, .conjugated = true}, DType::kC64, numbers)),
      testing::ElementsAre(1, -2, -3, 4));
  EXPECT_THAT((read_as<float>(Stored{.dtype = DType::kC64, .negated = true}, DType::kC64, numbers)),
              testing::ElementsAre(-1, -2, 3, 4));
  EXPECT_THAT((read_as<float>(Stored{.dtype = DType::kF32, .negated = true}, DType::kF32, numbers)),
              testing::ElementsAre(-1, -2, 3, 4));
  EXPECT_THAT((read_as<std::int16_t>(Stored{.dtype = DType::kI16, .negated = true}, DType::kI16,
                                     std::vector<std::int16_t>{5, -6, INT16_MIN, 0})),
              testing::ElementsAre(-5, 6, INT16_MIN, 0));
}

TEST(StoredElements, AreSwappedBeforeTheyAreCast) {
  const auto swapped = std::byteswap(std::bit_cast<std::uint32_t>(1.5F));
  const Stored big{.dtype = DType::kF32, .big_endian = true, .negated = true};
  EXPECT_THAT((read_as<std::uint16_t>(big, DType::kF16, std::vector<std::uint32_t>{swapped})),
              testing::ElementsAre(0xBE00));
}

// ---- views

std::string streamed(const TensorView& view) {
  const auto checked = check_view(view);
  EXPECT_TRUE(checked.has_value()) << checked.error().what;
  std::vector<std::byte> out(view.byte_count());
  const auto copied = gather(view, out);
  EXPECT_TRUE(copied.has_value()) << copied.error().what;
  return std::string(as_text(out));
}

TEST(StoredViews, ConvertStridedElements) {
  const std::vector<float> numbers = {1, 2, 3, 4, 5, 6};
  const std::string storage = test::memory_of(numbers);
  TensorView view{DType::kF16, {3, 2}, {1, 3}, 0, as_bytes(storage)};
  view.stored = Stored{.dtype = DType::kF32};
  EXPECT_FALSE(view.is_contiguous());
  EXPECT_EQ(view.byte_count(), 12U);
  EXPECT_EQ(streamed(view), test::memory_of(std::vector<std::uint16_t>{0x3C00, 0x4400, 0x4000,
                                                                       0x4500, 0x4200, 0x4600}));
}

TEST(StoredViews, ReachTheEndOfAStorageOfOtherElements) {
  const std::string storage(12, '\0');
  TensorView view{DType::kF16, {3}, {1}, 0, as_bytes(storage)};
  view.stored = Stored{.dtype = DType::kF32};
  EXPECT_TRUE(check_view(view).has_value());
  view.offset = 1;
  EXPECT_EQ(check_view(view).error().code, ErrorCode::kMalformed);
  view.stored = Stored{.dtype = DType::kI32};
  EXPECT_EQ(check_view(view).error().code, ErrorCode::kUnsupported);
}

TEST(StoredViews, ConvertMoreThanOnePiece) {
  std::string storage(std::size_t{5} << 20, '\0');
  test::Random random(9);
  for (std::size_t i = 0; i < storage.size(); i += 997) storage[i] = static_cast<char>(random());
  TensorView view{DType::kU16, {storage.size() / 2}, {1}, 0, as_bytes(storage)};
  view.stored = Stored{.dtype = DType::kU16, .big_endian = true};
  std::string expected = storage;
  for (std::size_t i = 0; i < expected.size(); i += 2) std::swap(expected[i], expected[i + 1]);
  EXPECT_EQ(streamed(view), expected);
}

// ---- blocks

// A tensor of consecutive numbers, cut into blocks at random; `bytes` holds those.
struct Cut {
  TensorView view;
  std::vector<std::string> bytes;
  std::vector<std::uint32_t> expected;
};

std::vector<std::uint64_t> random_cuts(test::Random& random, std::uint64_t size) {
  std::vector<std::uint64_t> cuts = {0, size};
  for (std::uint64_t i = test::up_to(random, 2); i > 0; --i) {
    cuts.push_back(test::up_to(random, size));
  }
  std::ranges::sort(cuts);
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  return cuts;
}

std::uint64_t flat_index(const Shape& shape, const Shape& index) {
  std::uint64_t flat = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) flat = flat * shape[axis] + index[axis];
  return flat;
}

// The numbers of the block from `start` on, in its row-major order.
std::vector<std::uint32_t> block_numbers(const Shape& shape, const Shape& start,
                                         const Shape& size) {
  std::vector<std::uint32_t> numbers;
  std::vector<std::uint64_t> index(shape.size(), 0);
  do {
    Shape place = start;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) place[axis] += index[axis];
    numbers.push_back(static_cast<std::uint32_t>(flat_index(shape, place)));
  } while (count_up(index, size));
  return numbers;
}

Cut random_cut(test::Random& random) {
  Cut cut;
  cut.view.dtype = DType::kU32;
  std::vector<std::vector<std::uint64_t>> cuts;
  std::uint64_t count = 1;
  for (std::uint64_t rank = test::up_to(random, 3); rank > 0; --rank) {
    cut.view.shape.push_back(1 + test::up_to(random, 5));
    count *= cut.view.shape.back();
    cuts.push_back(random_cuts(random, cut.view.shape.back()));
  }
  cut.view.strides = row_major_strides(cut.view.shape);
  for (std::uint64_t i = 0; i < count; ++i) {
    cut.expected.push_back(static_cast<std::uint32_t>(i));
  }
  Shape cells;
  for (const auto& axis : cuts) cells.push_back(axis.size() - 1);
  std::vector<std::uint64_t> cell(cells.size(), 0);
  std::vector<std::pair<Shape, Shape>> places;
  do {
    Shape start;
    Shape size;
    for (std::size_t axis = 0; axis < cells.size(); ++axis) {
      start.push_back(cuts[axis][cell[axis]]);
      size.push_back(cuts[axis][cell[axis] + 1] - start.back());
    }
    places.emplace_back(start, size);
  } while (count_up(cell, cells));
  std::ranges::shuffle(places, random);
  for (const auto& [start, size] : places) {
    cut.bytes.push_back(test::memory_of(block_numbers(cut.view.shape, start, size)));
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    cut.view.blocks.push_back(
        {places[i].first, test::view_of(DType::kU32, places[i].second, cut.bytes[i])});
  }
  return cut;
}

TEST(Blocks, AreReadInTheOrderOfTheTensor) {
  test::Random random(3);
  for (int round = 0; round < 500; ++round) {
    const Cut cut = random_cut(random);
    ASSERT_EQ(streamed(cut.view), test::memory_of(cut.expected)) << "round " << round;
  }
}

TEST(Blocks, OfLongRowsAreHandedOutInPlace) {
  const std::string first(std::size_t{3} << 20, 'a');
  const std::string second(std::size_t{1} << 20, 'b');
  TensorView view{DType::kU8, {4, 1U << 20}, {1U << 20, 1}, 0, {}};
  view.blocks.push_back({{3, 0}, test::view_of(DType::kU8, {1, 1U << 20}, second)});
  view.blocks.push_back({{0, 0}, test::view_of(DType::kU8, {3, 1U << 20}, first)});
  ASSERT_TRUE(check_view(view).has_value());
  std::vector<const std::byte*> places;
  std::string all;
  ASSERT_TRUE(stream(view, [&](ByteSpan bytes) -> Result<void> {
                places.push_back(bytes.data());
                all += as_text(bytes);
                return {};
              }).has_value());
  EXPECT_EQ(all, first + second);
  EXPECT_THAT(places, testing::Contains(as_bytes(second).data()));
}

TEST(Blocks, MayBeStridedAndConverted) {
  const std::string numbers = test::memory_of(std::vector<float>{1, 2, 3, 4});
  TensorView view{DType::kF16, {2, 3}, {3, 1}, 0, {}};
  TensorView left{DType::kF16, {2, 2}, {1, 2}, 0, as_bytes(numbers)};
  left.stored = Stored{.dtype = DType::kF32};
  view.blocks.push_back({{0, 0}, left});
  const std::string right = test::memory_of(std::vector<std::uint16_t>{0x4500, 0x4600});
  view.blocks.push_back({{0, 2}, test::view_of(DType::kF16, {2, 1}, right)});
  EXPECT_EQ(streamed(view), test::memory_of(std::vector<std::uint16_t>{0x3C00, 0x4200, 0x4500,
                                                                       0x4000, 0x4400, 0x4600}));
}

ErrorCode blocks_error(Shape shape, const std::vector<std::pair<Shape, Shape>>& places) {
  static const std::string storage(4096, '\0');
  TensorView view{DType::kU8, shape, row_major_strides(shape), 0, {}};
  for (const auto& [start, size] : places) {
    view.blocks.push_back({start, test::view_of(DType::kU8, size, storage)});
  }
  const auto checked = check_view(view);
  return checked ? ErrorCode::kIo : checked.error().code;
}

TEST(Blocks, MustCoverTheTensorExactly) {
  constexpr ErrorCode kFine = ErrorCode::kIo;
  EXPECT_EQ(blocks_error({4}, {{{0}, {2}}, {{2}, {2}}}), kFine);
  EXPECT_EQ(blocks_error({4}, {{{0}, {2}}, {{1}, {0}}, {{2}, {2}}}), kFine);  // an empty one
  EXPECT_EQ(blocks_error({4}, {{{0}, {2}}}), ErrorCode::kMalformed);
  EXPECT_EQ(blocks_error({4}, {{{0}, {3}}, {{2}, {2}}}), ErrorCode::kMalformed);
  EXPECT_EQ(blocks_error({4}, {{{0}, {5}}}), ErrorCode::kMalformed);
  EXPECT_EQ(blocks_error({4}, {{{UINT64_MAX}, {5}}}), ErrorCode::kMalformed);
  EXPECT_EQ(blocks_error({4}, {{{0, 0}, {4, 1}}}), ErrorCode::kMalformed);
  EXPECT_EQ(blocks_error({2, 2}, {{{0, 0}, {1, 2}}, {{1, 0}, {1, 1}}}), ErrorCode::kMalformed);
  EXPECT_EQ(blocks_error({}, {{{}, {}}}), kFine);
  EXPECT_EQ(blocks_error({}, {{{}, {}}, {{}, {}}}), ErrorCode::kMalformed);
  EXPECT_EQ(blocks_error({0}, {{{0}, {0}}}), kFine);
}

TEST(Blocks, AreLimitedInTheirCells) {
  std::vector<std::pair<Shape, Shape>> places;
  for (std::uint64_t i = 0; i < 1001; ++i) places.push_back({{i, i}, {1, 1}});
  EXPECT_EQ(blocks_error({1001, 1001}, places), ErrorCode::kLimit);
}

TEST(Blocks, AreOfTheTypeOfTheTensor) {
  const std::string storage(4, '\0');
  TensorView view{DType::kU8, {4}, {1}, 0, {}};
  view.blocks.push_back({{0}, test::view_of(DType::kI8, {4}, storage)});
  EXPECT_EQ(check_view(view).error().code, ErrorCode::kMalformed);
  view.blocks.front().view = test::view_of(DType::kU8, {4}, storage);
  view.blocks.front().view.blocks.push_back({{0}, test::view_of(DType::kU8, {4}, storage)});
  EXPECT_EQ(check_view(view).error().code, ErrorCode::kMalformed);
}

}  // namespace
}  // namespace tare
