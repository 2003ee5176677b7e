#include "io/flatbuffer.hpp"

#include <gtest/gtest.h>

#include "support/flatbuffer_builder.hpp"

namespace tare {
namespace {

using test::Flat;
using test::u16;
using test::u32;

std::string sample() {
  return test::FlatBuilder().build(
      Flat::table({Flat::number(u32(7)), Flat::absent(), Flat::text("text"), Flat::ints({1, -2}),
                   Flat::table({Flat::number(u16(9))}),
                   Flat::tables({Flat::table({}), Flat::table({Flat::number(u32(3))})})}),
      "TEST");
}

TEST(FlatBuffer, ReadsEveryKindOfField) {
  const std::string bytes = sample();
  FlatBuffer buffer(as_bytes(bytes));
  const FlatTable root = buffer.root();
  ASSERT_TRUE(root);
  EXPECT_EQ(root.scalar<std::uint32_t>(0, 1), 7U);
  EXPECT_EQ(root.scalar<std::uint32_t>(1, 1), 1U);
  EXPECT_EQ(root.scalar<std::uint32_t>(99, 1), 1U);
  EXPECT_EQ(root.text(2), "text");
  const FlatVector numbers = root.numbers(3, 4);
  ASSERT_EQ(numbers.count, 2U);
  EXPECT_EQ(root.number_of<std::int32_t>(numbers, 1), -2);
  EXPECT_EQ(root.table(4).scalar<std::uint16_t>(0, 0), 9);
  EXPECT_FALSE(root.table(1));
  EXPECT_EQ(root.table(1).text(0), "");
  const FlatVector tables = root.offsets(5);
  ASSERT_EQ(tables.count, 2U);
  EXPECT_EQ(root.table_of(tables, 1).scalar<std::uint32_t>(0, 0), 3U);
  EXPECT_FALSE(buffer.failed());
}

// Where a field is, its vtable, its table: each changed to what points to nothing.
TEST(FlatBuffer, FailsAtWhatPointsToNothing) {
  const std::string whole = sample();
  const auto fails = [](const std::string& bytes) {
    FlatBuffer buffer(as_bytes(bytes));
    const FlatTable root = buffer.root();
    static_cast<void>(root.scalar<std::uint32_t>(0, 0));
    static_cast<void>(root.text(2));
    return buffer.failed();
  };
  EXPECT_FALSE(fails(whole));
  const std::size_t vtable = 8;
  const std::size_t table = 24;
  const auto changed = [&](std::size_t at, std::string_view to) {
    std::string bytes = whole;
    return bytes.replace(at, to.size(), to);
  };
  EXPECT_TRUE(fails(changed(0, u32(0))));
  EXPECT_TRUE(fails(changed(0, u32(whole.size()))));
  EXPECT_TRUE(fails(changed(0, u32(UINT32_MAX))));
  EXPECT_TRUE(fails(changed(table, u32(table + 1))));
  EXPECT_TRUE(fails(changed(table, u32(0x80000000))));
  EXPECT_TRUE(fails(changed(vtable, u16(2))));
  EXPECT_TRUE(fails(changed(vtable, u16(5))));
  EXPECT_TRUE(fails(changed(vtable, u16(0xFFFE))));
  EXPECT_TRUE(fails(changed(vtable + 2, u16(0xFFFF))));
  EXPECT_TRUE(fails(changed(vtable + 4, u16(3))));
  EXPECT_TRUE(fails(changed(vtable + 4, u16(55))));
  EXPECT_TRUE(fails(changed(whole.find("text") - 4, u32(UINT32_MAX))));
  for (std::size_t length = 0; length < whole.find("text") + 4; ++length) {
    EXPECT_TRUE(fails(whole.substr(0, length))) << length;
  }
}

TEST(FlatBuffer, ReadsSharedBytesAFewTimesAlone) {
  const std::string bytes =
      test::FlatBuilder().build(Flat::table({Flat::text(std::string(1'000'000, 'x'))}), "TEST");
  FlatBuffer buffer(as_bytes(bytes));
  const FlatTable root = buffer.root();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(root.bytes(0).size(), 1'000'000U);
  EXPECT_FALSE(buffer.failed());
  EXPECT_TRUE(root.bytes(0).empty());
  EXPECT_EQ(buffer.error().code, ErrorCode::kLimit);
}

TEST(FlatBuffer, HandsOutAMillionTables) {
  const std::string bytes =
      test::FlatBuilder().build(Flat::table({Flat::table({Flat::number(u32(1))})}), "TEST");
  FlatBuffer buffer(as_bytes(bytes));
  const FlatTable root = buffer.root();
  for (int i = 1; i < 1'000'000; ++i) ASSERT_TRUE(root.table(0));
  EXPECT_FALSE(root.table(0));
  EXPECT_EQ(buffer.error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace tare
