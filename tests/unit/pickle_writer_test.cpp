#include "tare/pickle_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/pickle_bytes.hpp"

namespace tare::pickle {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

std::string bytes_of(const Writer& writer) {
  return std::string(as_text(writer.view()));
}

// As CPython's pickler writes them from protocol 2.
TEST(PickleWriter, WritesIntegersAsShortAsPossible) {
  const auto written = [](std::int64_t value) { return bytes_of(Writer().integer(value)); };
  EXPECT_EQ(written(0), "K" + u8(0));
  EXPECT_EQ(written(255), "K" + u8(255));
  EXPECT_EQ(written(256), "M" + u16(256));
  EXPECT_EQ(written(65535), "M" + u16(65535));
  EXPECT_EQ(written(65536), "J" + u32(65536));
  EXPECT_EQ(written(-1), "J" + u32(0xFFFFFFFF));
  EXPECT_EQ(written(INT32_MAX), "J" + u32(0x7FFFFFFF));
  EXPECT_EQ(written(INT32_MIN), "J" + u32(0x80000000));
  EXPECT_EQ(written(std::int64_t{1} << 31), "\x8a" + u8(5) + little(std::uint64_t{1} << 31, 5));
  EXPECT_EQ(written(std::int64_t{1} << 40), "\x8a" + u8(6) + little(std::uint64_t{1} << 40, 6));
  EXPECT_EQ(written(INT64_MAX), "\x8a" + u8(8) + u64(INT64_MAX));
  EXPECT_EQ(written(INT64_MIN), "\x8a" + u8(8) + u64(std::uint64_t{1} << 63));
}

TEST(PickleWriter, IntegersReadBack) {
  for (int shift = 0; shift < 63; ++shift) {
    for (const std::int64_t around : {-1, 0, 1}) {
      for (const std::int64_t sign : {-1, 1}) {
        const std::int64_t value = sign * ((std::int64_t{1} << shift) + around);
        Writer writer;
        writer.proto(2).integer(value).op(Op::kStop);
        EXPECT_EQ(result_of(bytes_of(writer)), std::to_string(value));
      }
    }
  }
}

// pickle.dumps({'a': 'b', 'b': ['a']}, 2) by CPython 3.11.7.
TEST(PickleWriter, WritesWhatPythonWrites) {
  Writer writer;
  writer.proto(2).op(Op::kEmptyDict).put();
  writer.op(Op::kMark).text("a").text("b").text("b").op(Op::kEmptyList).put();
  writer.text("a").op(Op::kAppend).op(Op::kSetItems).op(Op::kStop);
  EXPECT_EQ(bytes_of(writer), from_hex("80027d710028580100000061710158010000006271026802"
                                       "5d71036801617"
                                       "52e"));
}

TEST(PickleWriter, WritesGlobalsOnce) {
  Writer writer;
  writer.proto(2).global("m", "f").global("m", "f").global("m", "g").op(Op::kTuple3).op(Op::kStop);
  EXPECT_THAT(statements(bytes_of(writer)), ElementsAre("from m import f", "from m import g"));
  EXPECT_EQ(result_of(bytes_of(writer)), "(m.f, m.f, m.g)");
}

// A text may look like the name of a global.
TEST(PickleWriter, KeepsTextsAndGlobalsApart) {
  Writer writer;
  writer.global("m", "f").text("m\nf").global("sm", "f").op(Op::kTuple3).op(Op::kStop);
  EXPECT_EQ(result_of(bytes_of(writer)), "(m.f, 'm\\nf', sm.f)");
}

TEST(PickleWriter, UsesLongIndexesFrom256) {
  Writer writer;
  writer.op(Op::kMark);
  for (int i = 0; i < 300; ++i) writer.text(std::to_string(i));
  for (int i = 0; i < 300; ++i) writer.text(std::to_string(i));
  writer.op(Op::kTuple).op(Op::kStop);
  const std::string stream = bytes_of(writer);
  EXPECT_NE(stream.find("r" + u32(256)), std::string::npos);
  EXPECT_NE(stream.find("j" + u32(299)), std::string::npos);
  EXPECT_THAT(oddities(stream), IsEmpty());
  const auto run = pickle::run(as_bytes(stream));
  const auto items = run.graph.tuple_items(run.result);
  ASSERT_EQ(items.size(), 600U);
  for (std::size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(items[i], items[i + 300]);
    EXPECT_EQ(run.graph.text(items[i]), std::to_string(i));
  }
}

TEST(PickleWriter, WritesAnythingRaw) {
  Writer writer;
  writer.op(Op::kNone).raw(as_bytes("\xFF")).boolean(true).boolean(false);
  EXPECT_EQ(bytes_of(writer), "N\xFF\x88\x89");
  EXPECT_EQ(writer.take().size(), 4U);
}

}  // namespace
}  // namespace tare::pickle
