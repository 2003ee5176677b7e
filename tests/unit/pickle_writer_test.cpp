#include "tare/pickle_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "pickle/argument.hpp"
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

// One instruction of each opcode, by the function that writes it, as the reader sees it.
struct Written {
  Op op;
  std::string_view argument;  // without lengths and newlines
  std::uint64_t number;
  Writer writer;
};

std::vector<Written> one_of_each() {
  const auto from = [](Op op, std::string_view argument, std::uint64_t number, auto write) {
    Writer writer;
    write(writer);
    return Written{op, argument, number, std::move(writer)};
  };
  const ByteSpan bytes = as_bytes("ab");
  using W = Writer;
  std::vector<Written> all;
  const auto add = [&](Op op, std::string_view argument, std::uint64_t number, auto write) {
    all.push_back(from(op, argument, number, write));
  };
  add(Op::kProto, "", 5, [](W& out) { out.proto(5); });
  add(Op::kFrame, "", 0x1122334455667788, [](W& out) { out.frame(0x1122334455667788); });
  add(Op::kInt, " 0x1", 0, [](W& out) { out.int_line(" 0x1"); });
  add(Op::kLong, "1L", 0, [](W& out) { out.long_line("1L"); });
  add(Op::kFloat, "1e5", 0, [](W& out) { out.float_line("1e5"); });
  add(Op::kBinInt, "", static_cast<std::uint64_t>(-2), [](W& out) { out.binint(-2); });
  add(Op::kBinInt1, "", 255, [](W& out) { out.binint1(255); });
  add(Op::kBinInt2, "", 0x102, [](W& out) { out.binint2(0x102); });
  add(Op::kLong1, "ab", 0, [&](W& out) { out.long1(bytes); });
  add(Op::kLong4, "ab", 0, [&](W& out) { out.long4(bytes); });
  add(Op::kBinFloat, "", 0x3FF8000000000000, [](W& out) { out.binfloat(1.5); });
  add(Op::kString, "'a'", 0, [](W& out) { out.string_line("'a'"); });
  add(Op::kBinString, "ab", 0, [](W& out) { out.binstring("ab"); });
  add(Op::kShortBinString, "ab", 0, [](W& out) { out.short_binstring("ab"); });
  add(Op::kBinBytes, "ab", 0, [&](W& out) { out.binbytes(bytes); });
  add(Op::kShortBinBytes, "ab", 0, [&](W& out) { out.short_binbytes(bytes); });
  add(Op::kBinBytes8, "ab", 0, [&](W& out) { out.binbytes8(bytes); });
  add(Op::kByteArray8, "ab", 0, [&](W& out) { out.bytearray8(bytes); });
  add(Op::kUnicode, "\\u0041", 0, [](W& out) { out.unicode_line("\\u0041"); });
  add(Op::kShortBinUnicode, "ab", 0, [](W& out) { out.short_binunicode("ab"); });
  add(Op::kBinUnicode, "ab", 0, [](W& out) { out.binunicode("ab"); });
  add(Op::kBinUnicode8, "ab", 0, [](W& out) { out.binunicode8("ab"); });
  add(Op::kGet, "1", 0, [](W& out) { out.get_line("1"); });
  add(Op::kPut, "1", 0, [](W& out) { out.put_line("1"); });
  add(Op::kBinGet, "", 200, [](W& out) { out.binget(200); });
  add(Op::kBinPut, "", 200, [](W& out) { out.binput(200); });
  add(Op::kLongBinGet, "", 0x80000001, [](W& out) { out.long_binget(0x80000001); });
  add(Op::kLongBinPut, "", 0x80000001, [](W& out) { out.long_binput(0x80000001); });
  add(Op::kGlobal, "os\nsystem", 0, [](W& out) { out.global_line("os", "system"); });
  add(Op::kInst, "os\nsystem", 0, [](W& out) { out.inst("os", "system"); });
  add(Op::kExt1, "", 240, [](W& out) { out.ext1(240); });
  add(Op::kExt2, "", 0x1234, [](W& out) { out.ext2(0x1234); });
  add(Op::kExt4, "", static_cast<std::uint64_t>(-1), [](W& out) { out.ext4(-1); });
  add(Op::kPersId, "id", 0, [](W& out) { out.persid("id"); });
  for (const OpcodeInfo& info : kOpcodes) {
    if (info.argument != Argument::kNone) continue;
    add(info.op, "", 0, [&](W& out) { out.op(info.op); });
  }
  return all;
}

TEST(PickleWriter, WritesEveryOpcodeAsTheReaderReadsIt) {
  std::set<Op> seen;
  for (const Written& written : one_of_each()) {
    SCOPED_TRACE(std::string(op_name(written.op)));
    EXPECT_TRUE(seen.insert(written.op).second);
    const auto instruction = decode(written.writer.view(), 0);
    ASSERT_TRUE(instruction);
    EXPECT_EQ(instruction->info->op, written.op);
    EXPECT_EQ(instruction->next, written.writer.view().size());
    EXPECT_EQ(as_text(instruction->argument), written.argument);
    EXPECT_EQ(instruction->number, written.number);
  }
  EXPECT_EQ(seen.size(), std::size(kOpcodes));
}

// What does not fit its length is an odd stream, not an error.
TEST(PickleWriter, WritesLengthsModuloTheirField) {
  const std::string long_text(258, 'x');
  EXPECT_EQ(bytes_of(Writer().short_binunicode(long_text)), "\x8c\x02" + long_text);
}

TEST(PickleWriter, InstructionsLeaveTheMemoOfValuesAlone) {
  Writer writer;
  writer.binunicode("a").binput(7).text("a").text("a");
  EXPECT_EQ(bytes_of(writer), long_text("a") + binput(7) + long_text("a") + binput(0) + binget(0));
}

TEST(PickleWriter, WritesAnythingRaw) {
  Writer writer;
  writer.op(Op::kNone).raw(as_bytes("\xFF")).boolean(true).boolean(false);
  EXPECT_EQ(bytes_of(writer), "N\xFF\x88\x89");
  EXPECT_EQ(writer.take().size(), 4U);
}

}  // namespace
}  // namespace tare::pickle
