#include "pickle/decimal.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tare::pickle {
namespace {

std::string written(std::int64_t value) {
  std::array<char, kDecimalRoom> text{};
  return {text.data(), put_signed_number(text.data(), value)};
}

TEST(Decimal, WritesWhatTheStandardLibraryWrites) {
  std::vector<std::int64_t> values = {INT64_MIN, INT64_MAX};
  for (std::int64_t value = 0; value < 20'000; ++value) values.push_back(value);
  // Around every number of digits, and zeros inside.
  for (std::int64_t power = 10; power < 1'000'000'000'000'000'000; power *= 10) {
    for (std::int64_t distance = -2; distance <= 2; ++distance) {
      values.push_back(power + distance);
      values.push_back(5 * power + distance);
    }
  }
  for (const std::int64_t value : values) {
    EXPECT_EQ(written(value), std::to_string(value));
    if (value == INT64_MIN) continue;
    EXPECT_EQ(written(-value), std::to_string(-value));
  }
}

TEST(Decimal, WritesUnsignedNumbersOf64Bits) {
  std::array<char, kDecimalRoom> text{};
  const std::string written(text.data(), put_number(text.data(), UINT64_MAX));
  EXPECT_EQ(written, "18446744073709551615");
}

}  // namespace
}  // namespace tare::pickle
