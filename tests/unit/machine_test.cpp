// The pickle machine opcode by opcode: what each one leaves on the stack, what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <set>

#include "support/pickle_bytes.hpp"

namespace tare::pickle {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// ---- every opcode

struct Sample {
  Op op;
  std::string stream;
  std::string result;
};

std::vector<Sample> samples() {
  return {
      {Op::kInt, "I42\n.", "42"},
      {Op::kInt, "I-7\n.", "-7"},
      {Op::kInt, "I00\n.", "False"},
      {Op::kInt, "I01\n.", "True"},
      {Op::kInt, "I9223372036854775807\n.", "9223372036854775807"},
      {Op::kInt, "I9223372036854775808\n.", "9223372036854775808"},
      {Op::kBinInt, "J" + u32(0xFFFFFFFF) + ".", "-1"},
      {Op::kBinInt, "J" + u32(0x7FFFFFFF) + ".", "2147483647"},
      {Op::kBinInt, "J" + u32(0x80000000) + ".", "-2147483648"},
      {Op::kBinInt1, "K" + u8(255) + ".", "255"},
      {Op::kBinInt2, "M" + u16(0xFFFE) + ".", "65534"},
      {Op::kLong, "L123L\n.", "123"},
      {Op::kLong, "L-5\n.", "-5"},
      {Op::kLong, "L01L\n.", "1"},
      {Op::kLong, "L123456789012345678901234567890L\n.", "123456789012345678901234567890"},
      {Op::kLong1, "\x8a" + u8(0) + ".", "0"},
      {Op::kLong1, "\x8a" + u8(1) + "\x80.", "-128"},
      {Op::kLong1, "\x8a" + u8(2) + "\x80\0."s, "128"},
      {Op::kLong1, "\x8a" + u8(8) + u64(std::uint64_t{1} << 63) + ".", "-9223372036854775808"},
      {Op::kLong1, "\x8a" + u8(9) + u64(1) + "\0."s,
       "int.from_bytes(b'\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00', 'little', signed=True)"},
      {Op::kLong4, "\x8b" + u32(2) + "\xFF\x7F.", "32767"},
      {Op::kString, "S'abc'\n.", "'abc'"},
      {Op::kString, "S\"it's\"\n.", "\"it's\""},
      {Op::kString, "S'a\\x41\\n'\n.", "'aA\\n'"},
      {Op::kString, "S''\n.", "''"},
      {Op::kBinString, "T" + u32(2) + "ab.", "'ab'"},
      {Op::kShortBinString, "U" + u8(2) + "ab.", "'ab'"},
      {Op::kBinBytes, "B" + u32(2) + "ab.", "b'ab'"},
      {Op::kShortBinBytes, short_bytes("\xFF\n") + ".", "b'\\xff\\n'"},
      {Op::kBinBytes8, "\x8e" + u64(2) + "ab.", "b'ab'"},
      {Op::kByteArray8, "\x96" + u64(2) + "ab.", "bytearray(b'ab')"},
      {Op::kNextBuffer, "\x97.", "next(buffers)"},
      {Op::kReadonlyBuffer, "\x97\x98.", "next(buffers)"},
      {Op::kReadonlyBuffer, short_bytes("x") + "\x98.", "b'x'"},
      {Op::kNone, "N.", "None"},
      {Op::kNewTrue, "\x88.", "True"},
      {Op::kNewFalse, "\x89.", "False"},
      {Op::kUnicode, "Vabc\n.", "'abc'"},
      {Op::kUnicode, "Va\\u20ac\xE9\n.", "'a\\u20ac\\xe9'"},
      {Op::kUnicode, "V\n.", "''"},
      {Op::kShortBinUnicode, text("ab") + ".", "'ab'"},
      {Op::kBinUnicode, long_text("\xE2\x82\xAC") + ".", "'\\u20ac'"},
      {Op::kBinUnicode, long_text("\xED\xA0\x80") + ".", "'\\ud800'"},  // surrogatepass
      {Op::kBinUnicode8, "\x8d" + u64(1) + "a.", "'a'"},
      {Op::kFloat, "F1.5\n.", "1.5"},
      {Op::kFloat, "F-1e300\n.", "-1e+300"},
      {Op::kFloat, "Fnan\n.", "float('nan')"},
      {Op::kFloat, "F-inf\n.", "float('-inf')"},
      {Op::kBinFloat, "G" + from_hex("3ff8000000000000") + ".", "1.5"},
      {Op::kBinFloat, "G" + from_hex("8000000000000000") + ".", "-0.0"},
      {Op::kEmptyList, "].", "[]"},
      {Op::kAppend, "]" + small(1) + "a.", "[1]"},
      {Op::kAppends, "](" + small(1) + small(2) + "e.", "[1, 2]"},
      {Op::kAppends, "](e.", "[]"},
      {Op::kList, "(" + small(1) + small(2) + "l.", "[1, 2]"},
      {Op::kEmptyTuple, ").", "()"},
      {Op::kTuple, "(" + small(1) + small(2) + small(3) + small(4) + "t.", "(1, 2, 3, 4)"},
      {Op::kTuple, "(t.", "()"},
      {Op::kTuple1, "N\x85.", "(None,)"},
      {Op::kTuple2, "N\x88\x86.", "(None, True)"},
      {Op::kTuple3, "NNN\x87.", "(None, None, None)"},
      {Op::kEmptyDict, "}.", "{}"},
      {Op::kDict, "(" + small(1) + small(2) + "d.", "{1: 2}"},
      {Op::kSetItem, "}" + small(1) + small(2) + "s.", "{1: 2}"},
      {Op::kSetItems, "}(" + small(1) + small(2) + small(3) + "Nu.", "{1: 2, 3: None}"},
      {Op::kEmptySet, "\x8f.", "set()"},
      {Op::kAddItems, "\x8f(" + small(1) + "\x90.", "{1}"},
      {Op::kFrozenSet, "(" + small(1) + "\x91.", "frozenset([1])"},
      {Op::kPop, "N" + small(1) + "0.", "None"},
      {Op::kPop, "N(0.", "None"},  // a mark is popped as well
      {Op::kDup, small(1) + "2\x86.", "(1, 1)"},
      {Op::kMark, "(N((ttt.", "(None, ((),))"},
      {Op::kPopMark, "N(" + small(1) + small(2) + "1.", "None"},
      {Op::kGet, small(7) + "p0\n0g0\n.", "7"},
      {Op::kBinGet, small(7) + binput(3) + "0" + binget(3) + ".", "7"},
      {Op::kLongBinGet, small(7) + binput(3) + "0j" + u32(3) + ".", "7"},
      {Op::kPut, small(7) + "p12\n.", "7"},
      {Op::kBinPut, small(7) + binput(255) + ".", "7"},
      {Op::kLongBinPut, small(7) + "r" + u32(256) + "0j" + u32(256) + ".", "7"},
      {Op::kMemoize, text("a") + "\x94" + text("b") + "\x94" + binget(0) + "\x87.",
       "('a', 'b', 'a')"},
      {Op::kExt1, "\x82" + u8(5) + ".", "copyreg._inverted_registry[5]"},
      {Op::kExt2, "\x83" + u16(500) + ".", "copyreg._inverted_registry[500]"},
      {Op::kExt4, "\x84" + u32(500'000) + ".", "copyreg._inverted_registry[500000]"},
      {Op::kGlobal, global("collections", "OrderedDict") + ".", "collections.OrderedDict"},
      {Op::kStackGlobal, stack_global("a.b", "C.d") + ".", "a.b.C.d"},
      {Op::kReduce, global("m", "f") + "(" + small(1) + "NtR.", "m.f(1, None)"},
      {Op::kBuild, global("m", "C") + ")R}b.", "m.C()"},
      {Op::kInst, "(" + small(1) + "im\nf\n.", "m.f(1)"},
      {Op::kObj, "(" + global("m", "f") + small(1) + "o.", "m.f(1)"},
      {Op::kObj, "(" + global("m", "f") + "o.", "m.f()"},
      {Op::kNewObj, global("m", "C") + small(1) + "\x85\x81.", "m.C.__new__(m.C, 1)"},
      {Op::kNewObjEx, global("m", "C") + "N\x85}" + text("k") + "Ns\x92.",
       "m.C.__new__(m.C, None, **{'k': None})"},
      {Op::kProto, proto(5) + "N.", "None"},
      {Op::kStop, "N.", "None"},
      {Op::kFrame, proto(4) + frame(2) + "N.", "None"},
      {Op::kPersId, "Pabc\n.", "persistent_load('abc')"},
      {Op::kBinPersId, small(1) + "Q.", "persistent_load(1)"},
  };
}

TEST(Machine, RunsEveryOpcode) {
  for (const Sample& sample : samples()) {
    EXPECT_EQ(result_of(sample.stream), sample.result) << op_name(sample.op);
  }
}

TEST(Machine, HasASampleOfEveryOpcode) {
  std::set<Op> sampled;
  for (const Sample& sample : samples()) {
    sampled.insert(sample.op);
    EXPECT_THAT(sample.stream, HasSubstr(op(sample.op)));
  }
  const std::set<Op> all = {
#define TARE_OPCODE(identifier, ...) Op::identifier,
#include "tare/pickle_opcodes.def"
#undef TARE_OPCODE
  };
  EXPECT_EQ(all.size(), 68U);
  EXPECT_EQ(sampled, all);
}

TEST(Machine, KnowsTheNameOfEveryOpcodeAndNoOther) {
  std::set<std::string_view> names;
  for (int byte = 0; byte < 256; ++byte) {
    const auto name = op_name(static_cast<Op>(byte));
    if (name != "?") names.insert(name);
  }
  EXPECT_EQ(names.size(), 68U);
  EXPECT_TRUE(names.contains("STACK_GLOBAL"));
}

TEST(Machine, BreaksAtAByteThatIsNoOpcode) {
  for (int byte = 0; byte < 256; ++byte) {
    if (op_name(static_cast<Op>(byte)) != "?") continue;
    EXPECT_EQ(result_of("N" + u8(static_cast<unsigned>(byte)) + "."),
              "broken: a byte that is no opcode");
  }
}

// Every opcode that needs something finds out that it is not there.
TEST(Machine, BreaksOnAnEmptyStack) {
  const std::string needs_value =
      "\x85\x86\x87\x93\x94\x81\x92\x98"
      "aseulod0"
      "1btR2.Q\x90\x91";
  for (const char c : needs_value) {
    EXPECT_THAT(result_of(std::string(1, c) + "."), HasSubstr("broken")) << c;
  }
  EXPECT_THAT(result_of("q" + u8(0) + "."), HasSubstr("broken"));
  EXPECT_THAT(result_of("r" + u32(0) + "."), HasSubstr("broken"));
  EXPECT_THAT(result_of("p0\n."), HasSubstr("broken"));
  EXPECT_THAT(result_of("im\nf\n."), HasSubstr("broken"));
}

// A mark hides what lies below it, as in CPython.
TEST(Machine, DoesNotReachBelowAMark) {
  for (const std::string& stream : {"N(."s, "N(2."s, "N(\x85."s, "NN(R."s, "N(Q."s, "]N(a."s,
                                    "N(\x94."s, "}NN(s."s, "]((e."s}) {
    EXPECT_THAT(result_of(stream), HasSubstr("broken")) << stream;
  }
}

TEST(Machine, StopsAtStop) {
  const std::string stream = "N.garbage";
  const auto run = pickle::run(as_bytes(stream));
  EXPECT_EQ(run.end, End::kStop);
  EXPECT_EQ(run.end_offset, 2U);
  EXPECT_EQ(run.opcode_count, 2U);
}

TEST(Machine, NeedsAStop) {
  const auto run = pickle::run(as_bytes("N"));
  EXPECT_EQ(run.end, End::kBroken);
  EXPECT_EQ(run.error.code, ErrorCode::kTruncated);
  EXPECT_EQ(run.error.offset, 1U);
  EXPECT_EQ(pickle::run({}).end, End::kBroken);
}

// ---- what other programs wrote

// [1, -1, 300, 70000, -70000, 2**31, 2**40, 2**100, -2**100, 1.5, None, True, False, 'text',
//  '\xe9\u20ac\U0001f600', 'a\nb\\', (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [[]], {},
//  {'k': 'v', 'l': [0]}, 'text'] by CPython 3.11.7, pickle.dumps(value, protocol), protocol 0 to 5.
constexpr std::string_view kGenuine[] = {
    "286c70300a49310a61492d310a61493330300a614937303030300a61492d37303030300a614c32313437343833"
    "3634384c0a614c313039393531313632373737364c0a614c3132363736353036303032323832323934303134393"
    "6373033323035333736"
    "4c0a614c2d313236373635303630303232383232393430313439363730333230353337364c0a6146312e350a614e"
    "614930310a614930300a6156746578740a70310a6156e95c75323061635c5530303031663630300a70320a615661"
    "5c7530303061625c75303035630a70330a612874612849310a7470340a612849310a49320a7470350a612849310a"
    "49320a49330a7470360a612849310a49320a49330a49340a7470370a61286c70380a61286c70390a286c7031300a"
    "616128647031310a6128647031320a566b0a7031330a56760a7031340a73566c0a7031350a286c7031360a49300a"
    "61736167310a612e",
    "5d7100284b014affffffff4d2c014a701101004a90eefeff4c323134373438333634384c0a4c3130393935313136"
    "32373737364c0a4c313236373635303630303232383232393430313439363730333230353337364c0a4c2d313236"
    "373635303630303232383232393430313439363730333230353337364c0a473ff80000000000004e4930310a4930"
    "300a58040000007465787471015809000000c3a9e282acf09f988071025804000000610a625c710329284b017471"
    "04284b014b02747105284b014b024b03747106284b014b024b034b047471075d71085d71095d710a617d710b7d71"
    "0c2858010000006b710d580100000076710e58010000006c710f5d71104b0061756801652e",
    "80025d7100284b014affffffff4d2c014a701101004a90eefeff8a0500000080008a060000000000018a0d000000"
    "000000000000000000108a0d000000000000000000000000f0473ff80000000000004e8889580400000074657874"
    "71015809000000c3a9e282acf09f988071025804000000610a625c7103294b018571044b014b028671054b014b02"
    "4b03877106284b014b024b034b047471075d71085d71095d710a617d710b7d710c2858010000006b710d58010000"
    "0076710e58010000006c710f5d71104b0061756801652e",
    "80035d7100284b014affffffff4d2c014a701101004a90eefeff8a0500000080008a060000000000018a0d000000"
    "000000000000000000108a0d000000000000000000000000f0473ff80000000000004e8889580400000074657874"
    "71015809000000c3a9e282acf09f988071025804000000610a625c7103294b018571044b014b028671054b014b02"
    "4b03877106284b014b024b034b047471075d71085d71095d710a617d710b7d710c2858010000006b710d58010000"
    "0076710e58010000006c710f5d71104b0061756801652e",
    "800495aa000000000000005d94284b014affffffff4d2c014a701101004a90eefeff8a0500000080008a06000000"
    "0000018a0d000000000000000000000000108a0d000000000000000000000000f0473ff80000000000004e88898c"
    "0474657874948c09c3a9e282acf09f9880948c04610a625c94294b0185944b014b0286944b014b024b038794284b"
    "014b024b034b0474945d945d945d94617d947d94288c016b948c0176948c016c945d944b0061756801652e",
    "800595aa000000000000005d94284b014affffffff4d2c014a701101004a90eefeff8a0500000080008a06000000"
    "0000018a0d000000000000000000000000108a0d000000000000000000000000f0473ff80000000000004e88898c"
    "0474657874948c09c3a9e282acf09f9880948c04610a625c94294b0185944b014b0286944b014b024b038794284b"
    "014b024b034b0474945d945d945d94617d947d94288c016b948c0176948c016c945d944b0061756801652e",
};

// 2**100 and its negative, which are shown as bytes where the stream has them so.
std::string genuine_value(unsigned protocol) {
  const std::string big = "1267650600228229401496703205376";
  const std::string zeros = repeat("\\x00", 12);
  const std::string tail = "', 'little', signed=True)";
  const std::string positive = protocol < 2 ? big : "int.from_bytes(b'" + zeros + "\\x10" + tail;
  const std::string negative =
      protocol < 2 ? "-" + big : "int.from_bytes(b'" + zeros + "\\xf0" + tail;
  return "[1, -1, 300, 70000, -70000, 2147483648, 1099511627776, " + positive + ", " + negative +
         ", 1.5, None, True, False, 'text', '\\xe9\\u20ac\\U0001f600', 'a\\nb\\\\', (), (1,), "
         "(1, 2), (1, 2, 3), (1, 2, 3, 4), [], [[]], {}, {'k': 'v', 'l': [0]}, 'text']";
}

TEST(Machine, ReadsWhatPicklersWrite) {
  for (unsigned protocol = 0; protocol < 6; ++protocol) {
    const std::string stream = from_hex(kGenuine[protocol]);
    const auto run = pickle::run(as_bytes(stream));
    EXPECT_EQ(run.end, End::kStop);
    EXPECT_EQ(run.end_offset, stream.size());
    EXPECT_EQ(run.protocol, protocol < 2 ? 0 : protocol);
    EXPECT_THAT(oddities(stream), IsEmpty()) << protocol;
    EXPECT_THAT(run.events, IsEmpty());
    EXPECT_EQ(result_of(stream, 2000), genuine_value(protocol)) << protocol;
  }
}

// [b'bytes', bytearray(b'array'), {1}, frozenset([2]), b'bytes'] by CPython 3.11.7, protocol 5.
TEST(Machine, ReadsSetsAndByteArrays) {
  const std::string stream = from_hex(
      "80059529000000000000005d942843056279746573949605000000000000006172726179948f94284b0190284b02"
      "91946801652e");
  EXPECT_EQ(result_of(stream), "[b'bytes', bytearray(b'array'), {1}, frozenset([2]), b'bytes']");
  EXPECT_THAT(oddities(stream), IsEmpty());
}

// collections.OrderedDict(a=1, b=2) by CPython 3.11.7, protocol 2.
TEST(Machine, KeepsWhatIsStoredInObjects) {
  const std::string stream =
      "\x80\x02"
      "ccollections\nOrderedDict\n" +
      binput(0) + ")R" + binput(1) + "(" + long_text("a") + binput(2) + small(1) + long_text("b") +
      binput(3) + small(2) + "u.";
  EXPECT_THAT(trace(stream),
              ElementsAre("2 GLOBAL from collections import OrderedDict",
                          "30 REDUCE collections.OrderedDict()",
                          "54 SETITEMS collections.OrderedDict().update({'a': 1, 'b': 2})"));
  const auto run = pickle::run(as_bytes(stream));
  std::size_t updates = 0;
  for (const Update update : run.graph.updates(run.result)) {
    EXPECT_EQ(update.kind, UpdateKind::kSetItems);
    EXPECT_EQ(update.items.size(), 4U);
    ++updates;
  }
  EXPECT_EQ(updates, 1U);
}

// ---- the graph

TEST(Machine, TellsKindsApart) {
  const std::string stream = "(N\x88" + small(1) + "L99999999999999999999L\nF1.0\n" + text("s") +
                             "S's'\n" + short_bytes("b") + "\x96" + u64(0) + ")]}\x8f(\x91" +
                             global("m", "n") + global("m", "n") + ")RPid\n\x82" + u8(1) + "\x97t.";
  const auto run = pickle::run(as_bytes(stream));
  ASSERT_EQ(run.end, End::kStop) << run.error.what;
  std::vector<Kind> kinds;
  for (const Value item : run.graph.tuple_items(run.result)) {
    kinds.push_back(run.graph.kind(item));
  }
  EXPECT_THAT(kinds, ElementsAre(Kind::kNone, Kind::kBool, Kind::kInt, Kind::kBigInt, Kind::kFloat,
                                 Kind::kString, Kind::kPy2String, Kind::kBytes, Kind::kByteArray,
                                 Kind::kTuple, Kind::kList, Kind::kDict, Kind::kSet,
                                 Kind::kFrozenSet, Kind::kGlobal, Kind::kCall, Kind::kPersistent,
                                 Kind::kExtension, Kind::kBuffer));
}

TEST(Machine, KeepsIdentity) {
  const std::string stream = "]" + binput(0) + binget(0) + "]\x87.";
  const auto run = pickle::run(as_bytes(stream));
  const auto items = run.graph.tuple_items(run.result);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0], items[1]);
  EXPECT_NE(items[0], items[2]);
}

TEST(Machine, KeepsEveryInteger) {
  for (const std::int64_t value :
       {INT64_MIN, INT64_MIN + 1, -(std::int64_t{1} << 31) - 1, -(std::int64_t{1} << 29) - 1,
        -(std::int64_t{1} << 29), std::int64_t{-1}, std::int64_t{0}, (std::int64_t{1} << 29) - 1,
        std::int64_t{1} << 29, std::int64_t{1} << 40, INT64_MAX}) {
    const std::string stream = "\x8a" + u8(8) + u64(static_cast<std::uint64_t>(value)) + ".";
    const auto run = pickle::run(as_bytes(stream));
    ASSERT_EQ(run.graph.kind(run.result), Kind::kInt);
    EXPECT_EQ(run.graph.integer(run.result), value);
    EXPECT_EQ(result_of("I" + std::to_string(value) + "\n."), std::to_string(value));
    EXPECT_EQ(result_of("L" + std::to_string(value) + "L\n."), std::to_string(value));
  }
}

TEST(Machine, CountsWhatContainersHold) {
  const std::string stream =
      "](" + small(1) + small(2) + "e" + small(3) + "a}(NNNNu\x8f(NN\x90\x87.";
  const auto run = pickle::run(as_bytes(stream));
  const auto items = run.graph.tuple_items(run.result);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(run.graph.length(items[0]), 3U);
  EXPECT_EQ(run.graph.length(items[1]), 2U);  // a repeated key counts twice
  EXPECT_EQ(run.graph.length(items[2]), 2U);
}

// Lists that grow in turns are kept in several chunks.
TEST(Machine, KeepsTheOrderOfInterleavedUpdates) {
  std::string stream = "]" + binput(0) + "]" + binput(1);
  std::string first = "[";
  std::string second = "[";
  for (unsigned i = 0; i < 50; ++i) {
    stream += binget(0) + small(i) + "a0" + binget(1) + small(100 + i) + "a0";
    if (i % 5 == 0) stream += binget(1) + small(0) + "a0";
    first += (i > 0 ? ", " : "") + std::to_string(i);
    second += (i > 0 ? ", " : "") + std::to_string(100 + i) + (i % 5 == 0 ? ", 0" : "");
  }
  EXPECT_EQ(result_of(stream + binget(0) + ".", 1000), first + "]");
  EXPECT_EQ(result_of(stream + binget(1) + ".", 1000), second + "]");
}

TEST(Machine, KnowsWhereAnObjectWasMade) {
  const std::string stream = "N0(" + global("m", "f") + "o.";
  const auto run = pickle::run(as_bytes(stream));
  EXPECT_EQ(run.graph.made_by(run.result), Op::kObj);
  EXPECT_EQ(run.graph.made_at(run.result), stream.size() - 2);
  EXPECT_EQ(run.graph.made_at(run.graph.callable(run.result)), 3U);
}

// ---- what a value cannot do breaks the stream, as it does in every unpickler

TEST(Machine, RefusesWhatPlainValuesCannotDo) {
  for (const std::string& stream :
       {"N)R."s, ")" + small(1) + "a."s, text("x") + "Na."s, "NNNs."s, ")NNs."s, "N(N\x90."s,
        "}]Ns."s, "}(]Nu."s, "}N(Nu."s, "(NNNd."s, "N(Nlb."s, "]" + text("x") + "b."s, "N\x98."s,
        global("m", "f") + "NR."s, global("m", "f") + small(1) + "R."s,
        global("m", "C") + "N\x81."s, global("m", "C") + ")N\x92."s, "N)\x81."s}) {
    EXPECT_THAT(result_of(stream), HasSubstr("broken")) << stream;
  }
}

TEST(Machine, RefusesImportsByAnythingButText) {
  EXPECT_EQ(result_of(small(1) + text("x") + "\x93."),
            "broken: an import by a value that is no str");
  EXPECT_EQ(result_of(text("x") + "N\x93."), "broken: an import by a value that is no str");
  EXPECT_EQ(result_of(short_bytes("os") + text("x") + "\x93."),
            "broken: an import by a value that is no str");
}

TEST(Machine, RefusesTextThatIsNone) {
  EXPECT_EQ(result_of(text("\xFF") + "."), "broken: a string that is not UTF-8");
  EXPECT_EQ(result_of(long_text("\xC0\x80") + "."), "broken: a string that is not UTF-8");
  EXPECT_EQ(result_of("c\xFF\nx\n."), "broken: an import whose name is not UTF-8");
  EXPECT_EQ(result_of("P\xE9\n."), "broken: a persistent id that is not ASCII");
  EXPECT_THAT(result_of("V\\u00\n."), HasSubstr("broken"));
  EXPECT_THAT(result_of("V\\U00110000\n."), HasSubstr("broken"));
}

TEST(Machine, RefusesStringsWithoutQuotes) {
  for (const std::string& stream : {"Sabc\n."s, "S'\n."s, "S'a\"\n."s, "S'a' \n."s, "S\n."s}) {
    EXPECT_EQ(result_of(stream), "broken: a STRING without quotes") << stream;
  }
  EXPECT_EQ(result_of("S'\\x4'\n."), "broken: a STRING with a broken escape");
}

TEST(Machine, RefusesNegativeLengths) {
  EXPECT_THAT(result_of("T" + u32(0x80000000) + "."), HasSubstr("negative"));
  EXPECT_THAT(result_of("\x8b" + u32(0xFFFFFFFF) + "."), HasSubstr("negative"));
  EXPECT_THAT(result_of(frame(UINT64_MAX) + "N."), HasSubstr("negative"));
}

TEST(Machine, RefusesLengthsBehindTheEnd) {
  for (const std::string& start :
       {"X" + u32(0xFFFFFFFF), "B" + u32(10), "\x8d" + u64(UINT64_MAX), "\x8e" + u64(5),
        "\x96" + u64(UINT64_MAX - 3), "C" + u8(9), "U" + u8(9), "\x8c" + u8(9), "\x8a" + u8(200),
        "\x8b" + u32(0x7FFFFFFF)}) {
    const std::string stream = start + "N.";
    const auto run = pickle::run(as_bytes(stream));
    EXPECT_EQ(run.end, End::kBroken);
    EXPECT_EQ(run.error.code, ErrorCode::kTruncated) << start;
    EXPECT_EQ(run.error.offset, 0U);
  }
}

TEST(Machine, RefusesProtocolsThatDoNotExist) {
  for (const unsigned version : {6U, 127U, 255U}) {
    const std::string stream = proto(version) + "N.";
    const auto run = pickle::run(as_bytes(stream));
    EXPECT_EQ(run.end, End::kBroken);
    EXPECT_EQ(run.error.code, ErrorCode::kUnsupported);
  }
}

TEST(Machine, RefusesExtensionCodesBelowOne) {
  EXPECT_THAT(result_of("\x82" + u8(0) + "."), HasSubstr("broken"));
  EXPECT_THAT(result_of("\x83" + u16(0) + "."), HasSubstr("broken"));
  EXPECT_THAT(result_of("\x84" + u32(0xFFFFFFFF) + "."), HasSubstr("broken"));
}

TEST(Machine, RefusesMemoEntriesNeverWritten) {
  const std::string why = "broken: a memo entry is read that was never written";
  EXPECT_EQ(result_of("h" + u8(0) + "."), why);
  EXPECT_EQ(result_of("j" + u32(0xFFFFFFFF) + "."), why);
  EXPECT_EQ(result_of("g99999999999999999999\n."), why);
  // A gap below a slot that was written.
  EXPECT_EQ(result_of("N" + binput(3) + "0" + binget(1) + "."), why);
}

// ---- the memo

TEST(Machine, NumbersMemoizeByTheEntriesSoFar) {
  // PUT 5 makes one entry, so that MEMOIZE takes 1, as len(memo) does.
  EXPECT_EQ(result_of(text("a") + "q" + u8(5) + text("b") + "\x94" + "00" + binget(1) + "."),
            "'b'");
}

TEST(Machine, TakesTheLastValueOfAMemoSlot) {
  const std::string stream = small(1) + binput(0) + small(2) + binput(0) + binget(0) + "\x87.";
  EXPECT_EQ(result_of(stream), "(1, 2, 2)");
  EXPECT_THAT(oddities(stream), ElementsAre(OddityKind::kMemoOverwritten));
}

TEST(Machine, TakesMemoIndexesFarAway) {
  const std::string stream = small(7) + "r" + u32(0x0FFFFFFF) + "0j" + u32(0x0FFFFFFF) + ".";
  EXPECT_EQ(result_of(stream), "7");
  EXPECT_THAT(oddities(stream), ElementsAre(OddityKind::kMemoSparse));
}

// ---- frames and protocols

TEST(Machine, AcceptsFramesAsPicklersWriteThem) {
  EXPECT_THAT(oddities(proto(4) + frame(2) + "N."), IsEmpty());
  EXPECT_THAT(oddities(proto(4) + frame(2) + "N0" + frame(2) + "N."), IsEmpty());
  // A large text stands between two frames.
  EXPECT_THAT(oddities(proto(4) + frame(1) + "(" + long_text("large") + frame(2) + "l."),
              IsEmpty());
}

TEST(Machine, ReportsFramesThatDoNotFit) {
  EXPECT_THAT(oddities(proto(4) + frame(100) + "N."), ElementsAre(OddityKind::kFrameTooLong));
  EXPECT_THAT(oddities(proto(4) + frame(20) + frame(2) + "N0" + repeat("N0", 5) + "N."),
              ElementsAre(OddityKind::kFrameOverlap));
  EXPECT_THAT(oddities(proto(4) + frame(3) + long_text("abc") + "."),
              ElementsAre(OddityKind::kFrameCrossed));
}

TEST(Machine, ReportsALateProtocol) {
  EXPECT_THAT(oddities("N0" + proto(2) + "N."), ElementsAre(OddityKind::kProtocolLate));
  EXPECT_THAT(oddities(proto(2) + proto(2) + "N."), ElementsAre(OddityKind::kProtocolLate));
}

TEST(Machine, EveryOddityHasATextOfItsOwn) {
  std::set<std::string> texts;
  const int last = static_cast<int>(OddityKind::kStateOnLiteral);
  for (int kind = 0; kind <= last; ++kind) {
    texts.insert(oddity_text(static_cast<OddityKind>(kind)));
  }
  EXPECT_EQ(texts.size(), static_cast<std::size_t>(last) + 1);
  EXPECT_FALSE(texts.contains(""));
}

// ---- limits

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

// Runs a stream and its expression in bounded time and memory.
void expect_cheap(const std::string& stream, End end = End::kStop) {
  const std::uint64_t before = peak_memory_bytes();
  const auto start = std::chrono::steady_clock::now();
  {
    const auto run = pickle::run(as_bytes(stream));
    EXPECT_EQ(run.end, end) << run.error.what;
    EXPECT_LT(expression(run.graph, run.result).size(), 2000U);
    for (std::size_t i = 0; i < run.events.size() && i < 1000; ++i) {
      EXPECT_LT(statement(run.graph, run.events[i]).size(), 2000U);
    }
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_LT(peak_memory_bytes() - before, std::uint64_t{400} << 20);
}

TEST(MachineLimits, HugeMemoIndex) {
  expect_cheap("]r" + u32(0x0FFFFFFF) + ".");
  expect_cheap("]r" + u32(0xFFFFFFFF) + "p9223372036854775807\n.");
  expect_cheap("]p99999999999999999999999999\n.");
}

TEST(MachineLimits, MillionNestedTuples) {
  expect_cheap("N" + std::string(1'000'000, '\x85') + ".");
  expect_cheap(std::string(1'000'000, '(') + std::string(1'000'000, 't') + ".");
}

TEST(MachineLimits, MillionNestedLists) {
  expect_cheap(std::string(1'000'000, ']') + std::string(999'999, 'a') + ".");
  expect_cheap(std::string(1'000'000, '(') + std::string(1'000'000, 'l') + ".");
}

TEST(MachineLimits, NestedCalls) {
  expect_cheap(global("m", "f") + binput(0) + ")R" +
               repeat("\x85" + binput(1) + "0" + binget(0) + binget(1) + "R", 100'000) + ".");
}

TEST(MachineLimits, MillionMarksAndPops) {
  expect_cheap("N" + repeat("(0", 500'000) + ".");
  expect_cheap("N" + repeat("N0", 500'000) + ".");
  expect_cheap(std::string(1'000'000, '('), End::kBroken);
}

TEST(MachineLimits, DupBomb) {
  expect_cheap("N" + std::string(1'000'000, '2') + ".");
  expect_cheap("(N" + std::string(1'000'000, '2') + "t.");
}

// Lists of ten times the list before, thirty times over: ten to the thirtieth elements.
TEST(MachineLimits, BillionLaughs) {
  std::string by_dup = "(Vlol\n" + std::string(9, '2') + "l";
  std::string by_memo = "(Vlol\np0\n" + repeat("g0\n", 9) + "l";
  for (unsigned level = 1; level <= 30; ++level) {
    by_dup = "(" + by_dup + std::string(9, '2') + "l";
    const std::string index = std::to_string(level);
    by_memo = "(" + by_memo + "p" + index + "\n" + repeat("g" + index + "\n", 9) + "l";
  }
  expect_cheap(by_dup + ".");
  expect_cheap(by_memo + ".");
}

TEST(MachineLimits, ManyImports) {
  expect_cheap(repeat("cm\nf\n0", 100'000) + "N.");
}

TEST(MachineLimits, SelfContainingObjects) {
  EXPECT_EQ(result_of("]2a."), "[...]");
  EXPECT_EQ(result_of("]" + binput(0) + "(" + binget(0) + binget(0) + "e."), "[..., ...]");
  EXPECT_EQ(result_of("}" + binput(0) + "N" + binget(0) + "s."), "{None: ...}");
  EXPECT_EQ(result_of("]" + binput(0) + binget(0) + "\x85" + "a."), "[(...,)]");
  // An object among its own arguments' items.
  expect_cheap(global("m", "f") + "]" + binput(0) + "\x85R" + binput(1) + "0" + binget(0) +
               binget(1) + "a0" + binget(1) + ".");
}

TEST(MachineLimits, StopsAtTheBudget) {
  Limits nodes;
  nodes.max_nodes = 10;
  const std::string lists = std::string(100, ']') + ".";
  const auto run = pickle::run(as_bytes(lists), nodes);
  EXPECT_EQ(run.end, End::kLimit);
  EXPECT_EQ(run.error.code, ErrorCode::kLimit);
  EXPECT_LE(run.graph.node_count(), 12U);
  Limits edges;
  edges.max_edges = 10;
  EXPECT_EQ(pickle::run(as_bytes("(" + std::string(100, 'N') + "t."), edges).end, End::kLimit);
  EXPECT_EQ(pickle::run(as_bytes("N."), nodes).end, End::kStop);
}

// Indexes that all fall into one bucket of a hash table of the standard library, whose sizes are
// known primes: without care this takes quadratic time.
TEST(MachineLimits, CollidingMemoIndexes) {
  const std::uint64_t step = std::uint64_t{20753} * 42043 * 85229;
  std::string stream = "N";
  for (std::uint64_t i = 1; i <= 40'000; ++i) stream += "p" + std::to_string(i * step) + "\n";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(result_of(stream + "."), "None");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(500));
}

}  // namespace
}  // namespace tare::pickle
