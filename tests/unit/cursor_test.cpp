#include "io/cursor.hpp"

#include <gtest/gtest.h>

#include "io/checked.hpp"

namespace tare {
namespace {

TEST(Cursor, ReadsLittleEndian) {
  Cursor cursor(as_bytes("\x01\x02\x03\x04\x05\x06\x07"));
  EXPECT_EQ(cursor.read<std::uint8_t>(), 0x01);
  EXPECT_EQ(cursor.read<std::uint16_t>(), 0x0302);
  EXPECT_EQ(cursor.read<std::uint32_t>(), 0x07060504U);
  EXPECT_TRUE(cursor.at_end());
}

TEST(Cursor, StaysWhereItIsIfThereIsTooLittle) {
  Cursor cursor(as_bytes("abc"));
  EXPECT_FALSE(cursor.read<std::uint32_t>().has_value());
  EXPECT_FALSE(cursor.take(4).has_value());
  EXPECT_FALSE(cursor.take(UINT64_MAX).has_value());
  EXPECT_FALSE(cursor.take_line().has_value());
  EXPECT_EQ(cursor.offset(), 0U);
  EXPECT_EQ(as_text(*cursor.take(3)), "abc");
  EXPECT_TRUE(cursor.take(0).has_value());
  EXPECT_FALSE(cursor.read<std::uint8_t>().has_value());
}

TEST(Cursor, TakesLines) {
  Cursor cursor(as_bytes("one\n\ntwo"));
  EXPECT_EQ(as_text(*cursor.take_line()), "one");
  EXPECT_EQ(as_text(*cursor.take_line()), "");
  EXPECT_EQ(cursor.offset(), 5U);
  EXPECT_FALSE(cursor.take_line().has_value());
  EXPECT_EQ(cursor.remaining(), 3U);
}

TEST(Cursor, StartsAtTheEndIfTheOffsetIsBehindIt) {
  for (const std::uint64_t offset : {std::uint64_t{3}, std::uint64_t{4}, UINT64_MAX}) {
    Cursor cursor(as_bytes("abc"), offset);
    EXPECT_TRUE(cursor.at_end());
    EXPECT_FALSE(cursor.read<char>().has_value());
  }
  EXPECT_TRUE(Cursor(ByteSpan()).at_end());
}

TEST(Checked, SaysWhatDoesNotFit) {
  EXPECT_EQ(checked_add(UINT64_MAX, 0), UINT64_MAX);
  EXPECT_FALSE(checked_add(UINT64_MAX, 1).has_value());
  EXPECT_EQ(checked_mul(UINT64_MAX, 1), UINT64_MAX);
  EXPECT_EQ(checked_mul(UINT64_MAX, 0), 0U);
  EXPECT_FALSE(checked_mul(std::uint64_t{1} << 32, std::uint64_t{1} << 32).has_value());
  EXPECT_EQ(checked_narrow<std::uint8_t>(255), std::uint8_t{255});
  EXPECT_FALSE(checked_narrow<std::uint8_t>(256).has_value());
  EXPECT_FALSE(checked_narrow<std::uint64_t>(-1).has_value());
}

}  // namespace
}  // namespace tare
