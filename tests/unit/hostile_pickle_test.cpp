// Published ways to hide a payload in a pickle from scanners, written out by hand, and what the
// machine must see in them: the import and the call, at the right offset. The last line of each
// trace is what the C unpickler of CPython does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/pickle_bytes.hpp"

namespace tare::pickle {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// The trace of payload() at an offset: an import of 11 bytes, then a text and a call.
std::vector<std::string> payload_trace(std::size_t offset) {
  return {std::to_string(offset) + " GLOBAL from os import system",
          std::to_string(offset + 18) + " REDUCE os.system('id')"};
}

// `before` is put in front of the payload, and must not hide it.
void expect_payload_behind(const std::string& before) {
  const auto lines = trace(before + payload() + ".");
  const auto expected = payload_trace(before.size());
  ASSERT_GE(lines.size(), 2U) << before;
  EXPECT_EQ(lines[lines.size() - 2], expected[0]) << before;
  EXPECT_EQ(lines[lines.size() - 1], expected[1]) << before;
}

// ---- the plain forms

TEST(HostilePickle, GlobalAndReduce) {
  EXPECT_EQ(trace(payload() + "."), payload_trace(0));
  EXPECT_THAT(oddities(payload() + "."), IsEmpty());
}

TEST(HostilePickle, StackGlobal) {
  const std::string stream = proto(4) + stack_global("os", "system") + text("id") + "\x85R.";
  EXPECT_THAT(trace(stream),
              ElementsAre("14 STACK_GLOBAL from os import system", "20 REDUCE os.system('id')"));
}

TEST(HostilePickle, Inst) {
  EXPECT_THAT(trace("(S'id'\nios\nsystem\n."),
              ElementsAre("7 INST from os import system", "7 INST os.system('id')"));
}

TEST(HostilePickle, Obj) {
  EXPECT_THAT(trace("(cos\nsystem\nS'id'\no."),
              ElementsAre("1 GLOBAL from os import system", "18 OBJ os.system('id')"));
}

// The call has happened even if its result is thrown away.
TEST(HostilePickle, ObjAndPop) {
  const std::string stream =
      proto(4) + "(" + stack_global("smtplib", "SMTP") + text("127.0.0.1") + "o0N.";
  EXPECT_THAT(trace(stream), ElementsAre("18 STACK_GLOBAL from smtplib import SMTP",
                                         "30 OBJ smtplib.SMTP('127.0.0.1')"));
  EXPECT_EQ(result_of(stream), "None");
}

TEST(HostilePickle, NewObj) {
  EXPECT_THAT(trace(proto(2) + global("subprocess", "Popen") + long_text("id") + "\x85\x81."),
              ElementsAre(HasSubstr("GLOBAL from subprocess import Popen"),
                          EndsWith("NEWOBJ subprocess.Popen.__new__(subprocess.Popen, 'id')")));
  EXPECT_THAT(
      trace(proto(4) + global("subprocess", "Popen") + text("id") + "\x85}\x92."),
      Contains(EndsWith("NEWOBJ_EX subprocess.Popen.__new__(subprocess.Popen, 'id', **{})")));
}

// ---- A: text that linear readers misread or refuse, and the C unpickler reads

TEST(HostilePickle, IntegersInOtherBases) {  // A1, A2, A7
  for (const std::string& before :
       {"I0x10\n0"s, "L0x10L\n0"s, "I0b1\n0"s, "I0o17\n0"s, "I010\n0"s, "L0b101\n0"s, "I 16 \n0"s,
        "I1_0\n0"s, "I+5\n0"s, "I-0x10\n0"s}) {
    expect_payload_behind(before);
    EXPECT_THAT(oddities(before + payload() + "."), ElementsAre(OddityKind::kNumberText)) << before;
  }
  EXPECT_EQ(result_of("I010\n."), "8");
  EXPECT_EQ(result_of("I0x10\n."), "16");
}

TEST(HostilePickle, NulInsideNumbers) {  // A3
  for (const std::string& before : {"I1\0zz\n0"s, "L1\0zz\n0"s, "F1.5\0zz\n0"s}) {
    expect_payload_behind(before);
    EXPECT_THAT(oddities(before + payload() + "."), ElementsAre(OddityKind::kNulInLine)) << before;
  }
}

TEST(HostilePickle, NulInsideMemoIndexes) {  // A4
  for (const std::string& before : {"Vx\np0\0zz\n0"s, "Vx\np0\ng0\0\n00"s}) {
    expect_payload_behind(before);
    EXPECT_THAT(oddities(before + payload() + "."), ElementsAre(OddityKind::kNulInLine)) << before;
  }
}

TEST(HostilePickle, StringThatIsNotAscii) {  // A5
  expect_payload_behind("S'\xC3\xA9'\n0");
  EXPECT_THAT(oddities("S'\xC3\xA9'\n."), ElementsAre(OddityKind::kNonAsciiString));
  EXPECT_THAT(oddities("S'\\xe9'\n."), ElementsAre(OddityKind::kNonAsciiString));
  EXPECT_THAT(oddities("U" + u8(1) + "\xE9."), ElementsAre(OddityKind::kNonAsciiString));
  EXPECT_THAT(oddities("T" + u32(1) + "\xE9."), ElementsAre(OddityKind::kNonAsciiString));
  EXPECT_THAT(oddities("S'ascii'\n."), IsEmpty());
}

TEST(HostilePickle, FrameShorterThanAnArgument) {  // A6
  const std::string stream = proto(4) + two_readings("0N.");
  const auto run = pickle::run(as_bytes(stream));
  EXPECT_EQ(run.end, End::kStop) << run.error.what;
  EXPECT_EQ(run.end_offset, stream.size());
  EXPECT_THAT(run.events, IsEmpty());
  EXPECT_THAT(oddities(stream), ElementsAre(OddityKind::kFrameCrossed));
  ASSERT_NE(run.other_reading, nullptr);
  const auto& other = *run.other_reading;
  EXPECT_EQ(other.end, End::kStop) << other.error.what;
  ASSERT_EQ(other.events.size(), 2U);
  EXPECT_EQ(statement(other.graph, other.events[1]), "os.system('id')");
}

TEST(HostilePickle, OneReadingIsEnoughForMostStreams) {
  for (const std::string& stream :
       {payload() + ".", proto(4) + frame(2) + "N.", proto(4) + frame(100) + "N."}) {
    EXPECT_EQ(pickle::run(as_bytes(stream)).other_reading, nullptr);
  }
}

TEST(HostilePickle, NonAsciiGlobalBehindThePayload) {  // A8
  const std::string stream = payload() + "0c\xC3\xA9\nx\n.";
  auto expected = payload_trace(0);
  expected.emplace_back("20 GLOBAL from \\xc3\\xa9 import x");
  EXPECT_EQ(trace(stream), expected);
}

// Every stream starts with an empty memo.
TEST(HostilePickle, MemoOfAnEarlierStream) {  // A9
  const std::string first =
      proto(4) + text("collections") + "\x94" + text("OrderedDict") + "\x94\x93.";
  const std::string second = proto(4) + text("os") + "\x94" + text("system") + "\x94" + binget(0) +
                             binget(1) + "\x93" + text("id") + "\x85R.";
  const std::string both = first + second;
  const auto run = pickle::run(as_bytes(both));
  EXPECT_EQ(run.end_offset, first.size());
  EXPECT_THAT(statements(both), ElementsAre("from collections import OrderedDict"));
  EXPECT_THAT(statements(std::string_view(both).substr(run.end_offset)),
              ElementsAre("from os import system", "os.system('id')"));
}

// What only the unpickler written in Python reads.
TEST(HostilePickle, NumbersThatOnlyPythonReads) {  // A10
  expect_payload_behind("F1_0.5\n0");
  expect_payload_behind("F 1.5\n0");
  EXPECT_THAT(result_of("Vx\np0\ng0x0\n."), HasSubstr("broken"));
}

// ---- B: operands of STACK_GLOBAL that are not the two opcodes before it

TEST(HostilePickle, MemoPoisonedByNone) {  // B1
  const std::string stream = proto(4) + text("os") + "N0\x94" + "0" + text("system") + "N0\x94" +
                             "0" + binget(0) + binget(1) + "\x93" + text("id") + "\x85R.";
  EXPECT_THAT(statements(stream), ElementsAre("from os import system", "os.system('id')"));
}

TEST(HostilePickle, MemoizedMemoEntries) {  // B2
  const std::string stream = proto(4) + text("os") + "\x94" + text("system") + "\x94" + "00" +
                             binget(0) + "\x94" + binget(1) + "\x94\x93" + text("id") + "\x85R.";
  EXPECT_THAT(statements(stream), ElementsAre("from os import system", "os.system('id')"));
}

TEST(HostilePickle, MemoSlotWrittenAgain) {  // B3
  const std::string stream =
      "Vcollections\np0\n0VOrderedDict\np1\n0Vos\nN0p0\n0Vsystem\nN0p1\n0g0\ng1\n\x93S'id'\n\x85R.";
  EXPECT_THAT(statements(stream), ElementsAre("from os import system", "os.system('id')"));
  EXPECT_THAT(oddities(stream), Contains(OddityKind::kMemoOverwritten));
}

TEST(HostilePickle, OperandsComputedByJoin) {  // B4
  const std::string join =
      stack_global("builtins", "str.join") + text("") + "](" + text("o") + text("s") + "e\x86R";
  const std::string stream = proto(4) + join + text("system") + "\x93" + text("id") + "\x85R.";
  EXPECT_THAT(
      statements(stream),
      ElementsAre("from builtins import str.join", "builtins.str.join('', ['o', 's'])",
                  "getattr(__import__(builtins.str.join('', ['o', 's'])), 'system')",
                  "getattr(__import__(builtins.str.join('', ['o', 's'])), 'system')('id')"));
  EXPECT_THAT(oddities(stream), ElementsAre(OddityKind::kComputedName));
}

TEST(HostilePickle, OperandsStoredByBuild) {  // B5
  const std::string stream = proto(4) + stack_global("numpy", "prod") + "N}" + text("a") +
                             text("os") + "s\x86" + "b0" + stack_global("numpy", "prod.a") +
                             text("system") + "\x93" + text("id") + "\x85R.";
  EXPECT_THAT(statements(stream),
              ElementsAre("from numpy import prod", "numpy.prod.__setstate__((None, {'a': 'os'}))",
                          "from numpy import prod.a", "getattr(__import__(numpy.prod.a), 'system')",
                          "getattr(__import__(numpy.prod.a), 'system')('id')"));
}

TEST(HostilePickle, SetStateMadeByBuild) {  // B6
  const std::string stream = proto(4) + stack_global("m", "C") + ")\x81}" + text("__setstate__") +
                             stack_global("os", "system") + "sb" + text("id") + "b.";
  EXPECT_THAT(statements(stream),
              ElementsAre("from m import C", "m.C.__new__(m.C)", "from os import system",
                          "m.C.__new__(m.C).__setstate__({'__setstate__': os.system})",
                          "m.C.__new__(m.C).__setstate__('id')"));
}

TEST(HostilePickle, BreakBehindThePayload) {  // B7
  EXPECT_EQ(trace(payload() + "0" + binget(77) + "."), payload_trace(0));
  EXPECT_EQ(trace(payload() + "0" + small(1) + small(2) + "\x93."), payload_trace(0));
}

TEST(HostilePickle, OperandsAtTheFirstOpcodes) {  // B8
  EXPECT_THAT(trace("S'os'\nS'system'\n\x93S'ls'\n\x85R."),
              ElementsAre("16 STACK_GLOBAL from os import system", "24 REDUCE os.system('ls')"));
  EXPECT_THAT(trace("V\\u006f\\u0073\nVsyst\\u0065m\n\x93Vid\n\x85R."),
              ElementsAre("27 STACK_GLOBAL from os import system", "33 REDUCE os.system('id')"));
  EXPECT_THAT(trace("S'\\x6fs'\nS'\\163ystem'\n\x93S'id'\n\x85R."),
              ElementsAre("22 STACK_GLOBAL from os import system", "30 REDUCE os.system('id')"));
}

TEST(HostilePickle, OperandsMovedByPopAndDup) {
  const std::string stream = proto(4) + text("system") + text("os") + "20" + text("system") +
                             "\x93" + text("id") + "\x85R.";
  EXPECT_THAT(statements(stream), ElementsAre("from os import system", "os.system('id')"));
}

// ---- C: other opcodes

TEST(HostilePickle, ExtensionsThatTheStreamRegisters) {  // C1
  const std::string add =
      proto(2) + global("copyreg", "add_extension") + long_text("os") + long_text("system");
  for (const std::string& stream :
       {add + small(240) + "\x87R0\x82" + u8(240) + long_text("id") + "\x85R.",
        add + "M" + u16(4660) + "\x87R0\x83" + u16(4660) + long_text("id") + "\x85R.",
        add + "J" + u32(70'000) + "\x87R0\x84" + u32(70'000) + long_text("id") + "\x85R."}) {
    const auto lines = statements(stream);
    ASSERT_EQ(lines.size(), 4U) << stream;
    EXPECT_THAT(lines[1], StartsWith("copyreg.add_extension('os', 'system', "));
    EXPECT_EQ(lines[2], "from os import system");
    EXPECT_EQ(lines[3], "os.system('id')");
    EXPECT_THAT(oddities(stream), ElementsAre(OddityKind::kSelfRegistered));
  }
  // The same under the name that Python 2 has for it.
  EXPECT_THAT(statements("ccopy_reg\nadd_extension\n(Vos\nVsystem\nI5\ntR0\x82" + u8(5) + "."),
              Contains("from os import system"));
}

TEST(HostilePickle, ExtensionsOfTheLoader) {
  EXPECT_THAT(trace("\x82" + u8(240) + "Vid\n\x85R."),
              ElementsAre("0 EXT1 copyreg._inverted_registry[240]",
                          "7 REDUCE copyreg._inverted_registry[240]('id')"));
  EXPECT_THAT(oddities("\x82" + u8(240) + "."), ElementsAre(OddityKind::kExtensionUnknown));
}

TEST(HostilePickle, OpcodesThatScannersLack) {  // C3, C4
  for (const std::string& before :
       {"F1.5\n0"s, "\x96" + u64(1) + "a0",
        "\x97"
        "0"s,
        "\x97\x98"
        "0"s,
        "Pid\n0"s, "NQ0"s, "\x8d" + u64(1) + "a0", "\x8e" + u64(1) + "a0",
        "(\x91"
        "0"s,
        "\x8f(N\x90"
        "0"s,
        "\x8b" + u32(1) +
            "\x01"
            "0",
        "(((111"s}) {
    expect_payload_behind(before);
  }
  EXPECT_THAT(oddities("\x97."), ElementsAre(OddityKind::kOutOfBand));
}

TEST(HostilePickle, NestedPickles) {  // C7, C8
  const std::string inner = payload() + ".";
  EXPECT_THAT(
      statements(global("torch.storage", "_load_from_bytes") + short_bytes(inner) + "\x85R."),
      ElementsAre("from torch.storage import _load_from_bytes",
                  "torch.storage._load_from_bytes("
                  "b\"cos\\nsystem\\nS'id'\\n\\x85R.\")"));
}

// ---- D: names

TEST(HostilePickle, DottedNames) {  // D1, D2, D4
  EXPECT_THAT(statements(proto(4) + stack_global("pathlib", "os.system") + "."),
              ElementsAre("from pathlib import os.system"));
  EXPECT_THAT(statements(proto(4) + global("pathlib", "os.system") + "."),
              ElementsAre("from pathlib import os.system"));
  EXPECT_THAT(statements(proto(4) + stack_global("builtins", "exec.__call__") + "."),
              ElementsAre("from builtins import exec.__call__"));
  EXPECT_THAT(statements(proto(4) + stack_global("random", "_os.system") + "."),
              ElementsAre("from random import _os.system"));
}

TEST(HostilePickle, NamesOfPython2) {  // D3, D5
  const auto imported = [](std::string_view module, std::string_view name) {
    return statements(global(module, name) + ".").front();
  };
  EXPECT_EQ(imported("commands", "getoutput"), "from subprocess import getoutput");
  EXPECT_EQ(imported("__builtin__", "eval"), "from builtins import eval");
  EXPECT_EQ(imported("cPickle", "loads"), "from pickle import loads");
  EXPECT_EQ(imported("urllib2", "urlopen"), "from urllib.request import urlopen");
  EXPECT_EQ(imported("urllib", "urlretrieve"), "from urllib.request import urlretrieve");
  EXPECT_EQ(imported("thread", "start_new_thread"), "from _thread import start_new_thread");
  EXPECT_EQ(imported("StringIO", "open"), "from io import open");
  EXPECT_EQ(imported("cStringIO", "FileIO"), "from io import FileIO");
  EXPECT_EQ(imported("multiprocessing.forking", "Popen"),
            "from multiprocessing.popen_fork import Popen");
}

TEST(HostilePickle, NamesOfPython2OnlyBelowProtocol3) {
  const auto imported = [](const std::string& stream) { return statements(stream).front(); };
  EXPECT_EQ(imported(proto(2) + global("commands", "getoutput") + "."),
            "from subprocess import getoutput");
  EXPECT_EQ(imported(proto(2) + stack_global("commands", "getoutput") + "."),
            "from subprocess import getoutput");
  EXPECT_EQ(imported(proto(3) + global("commands", "getoutput") + "."),
            "from commands import getoutput");
  EXPECT_EQ(imported(proto(4) + stack_global("__builtin__", "eval") + "."),
            "from __builtin__ import eval");
  // The protocol that counts is the last one seen.
  EXPECT_EQ(imported(proto(4) + proto(0) + global("__builtin__", "eval") + "."),
            "from builtins import eval");
}

TEST(HostilePickle, NamesAreKeptAsWritten) {
  const std::string stream = global("commands", "getoutput") + ".";
  const auto run = pickle::run(as_bytes(stream));
  EXPECT_EQ(run.graph.module_text(run.result), "subprocess");
  EXPECT_EQ(run.graph.text(run.graph.written_module(run.result)), "commands");
  EXPECT_EQ(run.graph.text(run.graph.written_name(run.result)), "getoutput");
}

TEST(HostilePickle, NamesWithControlBytes) {
  EXPECT_THAT(statements("c\x1B[31mos\r\nsys\ttem\n."),
              ElementsAre("from \\x1b[31mos\\x0d import sys\\x09tem"));
  EXPECT_THAT(statements(proto(4) + stack_global("\xED\xA0\x80", "x") + "."),
              ElementsAre("from \\xed\\xa0\\x80 import x"));
}

// ---- G: what stands before a break has run

TEST(HostilePickle, BrokenStreamsKeepTheirEvents) {
  for (const std::string& behind : {""s, "\xFF\xFF"s, "X" + u32(1000) + "x", "t."s, "\x80\xFF."s,
                                    "S'no end"s, "R."s, "b"s, "\x8d" + u64(UINT64_MAX)}) {
    const std::string stream = payload() + behind;
    EXPECT_EQ(trace(stream), payload_trace(0)) << behind;
    EXPECT_EQ(pickle::run(as_bytes(stream)).end, End::kBroken) << behind;
  }
}

// A mark, a text, a tuple, a call, and then a text that is cut (nullifAI).
TEST(HostilePickle, TheShapeOfNullifAi) {
  EXPECT_THAT(statements("cbuiltins\nexec\n(Vprint(1)\ntRX."),
              ElementsAre("from builtins import exec", "builtins.exec('print(1)')"));
}

// The unpickler in Python reads a last line without its end, less one byte, and calls.
TEST(HostilePickle, LastLineWithoutEnd) {
  EXPECT_THAT(statements("(S'id'\nios\nsystemX"),
              ElementsAre("from os import system", "os.system('id')"));
  EXPECT_THAT(oddities("(S'id'\nios\nsystemX"), ElementsAre(OddityKind::kPickleCut));
  EXPECT_THAT(statements("cos\nsystemX"), ElementsAre("from os import system"));
  // Even without a name the module is imported.
  EXPECT_THAT(statements("cos\nX"), ElementsAre("from os import "));
  EXPECT_THAT(statements("cosX"), ElementsAre("from os import "));
}

// The unpicklers in Python call with *args, whatever it is.
TEST(HostilePickle, ArgumentsThatAreNoTuple) {
  const std::string stream = "cos\nsystem\n](Vid\neR.";
  EXPECT_THAT(statements(stream), ElementsAre("from os import system", "os.system(*['id'])"));
  EXPECT_THAT(oddities(stream), ElementsAre(OddityKind::kArgumentsNoTuple));
}

TEST(HostilePickle, StateOfPlainValues) {
  EXPECT_THAT(oddities("]Nb."), ElementsAre(OddityKind::kStateOnLiteral));
  EXPECT_THAT(oddities("]}b."), ElementsAre(OddityKind::kStateOnLiteral));
  EXPECT_THAT(oddities("N]b."), ElementsAre(OddityKind::kStateOnLiteral));
}

TEST(HostilePickle, ItemsOfObjects) {
  const std::string object = global("m", "C") + ")R";
  EXPECT_THAT(statements(object + "NNs."), Contains("m.C()[None] = None"));
  EXPECT_THAT(statements(object + "Na."), Contains("m.C().append(None)"));
  EXPECT_THAT(statements(object + "(N\x90."), Contains("m.C().update((None,))"));
  EXPECT_THAT(statements(object + "(NNe."), Contains("m.C().extend((None, None))"));
  // Nothing is done with nothing.
  EXPECT_EQ(statements(object + "(e(u(\x90.").size(), 2U);
}

TEST(HostilePickle, PersistentIds) {
  EXPECT_THAT(trace("Pos.system\n."), ElementsAre("0 PERSID persistent_load('os.system')"));
  EXPECT_THAT(trace("(Vstorage\nN"
                    "tQ."),
              ElementsAre("12 BINPERSID persistent_load(('storage', None))"));
}

// ---- prefixes

std::vector<std::string> prefix_samples() {
  const std::string add = proto(2) + global("copyreg", "add_extension") + long_text("os") +
                          long_text("system") + small(240) + "\x87R0\x82" + u8(240);
  return {
      payload() + ".",
      proto(4) + stack_global("os", "system") + text("id") + "\x85R.",
      "(S'id'\nios\nsystem\n.",
      "(cos\nsystem\nS'id'\no.",
      proto(2) + global("m", "C") + ")\x81}b.",
      proto(4) + global("m", "C") + "N\x85}" + text("k") + "Ns\x92.",
      add + long_text("id") + "\x85R.",
      "I0x10\n0L0b1L\n0F1.5\0zz\n0"s + payload() + ".",
      "(Vlol\np0\ng0\ng0\nlp1\ng1\n\x86.",
      "}(" + text("k") + "]" + small(1) + "a" + text("l") + ")u.",
      proto(5) + frame(30) + "(" + "\x96" + u64(3) + "abc" + short_bytes("x") + "\x97\x98t.",
      "G" + from_hex("3ff8000000000000") + "J" + u32(5) + "M" + u16(6) + "\x87.",
      "\x8a" + u8(9) + u64(1) + "\0\x8b"s + u32(2) + "ab\x86.",
      "S'it\\x41'\nS\"b\"\nV\\u20ac\n\x87.",
      "T" + u32(2) + "abU" + u8(1) + "c\x86.",
      "\x8d" + u64(2) + "ab\x8e" + u64(1) + "c\x86.",
      "(" + small(1) + "\x91(" + small(2) + "1\x8f(N\x90\x86.",
      global("m", "f") + "]" + binput(0) + "\x85R" + binget(0) + "NNsb.",
      "Pabc\n(VidN" + std::string("tQ\x86."),
      "N" + std::string(200, '2') + "r" + u32(1000) + "j" + u32(1000) + "\x87.",
      proto(3) + "(" + repeat("N", 50) + "te0.",
      payload() + "\xFF",
  };
}

// A stream that is cut off anywhere shows what has happened up to there, and nothing else.
TEST(HostilePickle, EveryPrefixShowsThePrefixOfTheEvents) {
  for (const std::string& stream : prefix_samples()) {
    const auto whole = pickle::run(as_bytes(stream));
    for (std::size_t length = 0; length < stream.size(); ++length) {
      const std::string cut(stream.data(), length);
      const auto run = pickle::run(as_bytes(cut));
      ASSERT_NE(run.end, End::kLimit);
      ASSERT_LE(run.end_offset, cut.size());
      if (run.end == End::kBroken) {
        ASSERT_LE(run.error.offset, cut.size());
        ASSERT_STRNE(run.error.what, "");
      }
      // The last line of an import counts even if it is cut: other names, one event more.
      const bool guessed = std::ranges::any_of(
          run.oddities, [](const Oddity& oddity) { return oddity.kind == OddityKind::kPickleCut; });
      std::size_t certain = run.events.size();
      while (guessed && certain > 0 &&
             run.events[certain - 1].offset == run.oddities.back().offset) {
        --certain;
      }
      ASSERT_LE(certain, whole.events.size());
      for (std::size_t i = 0; i < certain; ++i) {
        ASSERT_EQ(run.events[i].kind, whole.events[i].kind);
        ASSERT_EQ(run.events[i].offset, whole.events[i].offset);
      }
      for (const Event& event : run.events) {
        ASSERT_LT(event.offset, cut.size());
        ASSERT_LT(statement(run.graph, event).size(), 2000U);
      }
    }
  }
}

// No stream of one, two or three bytes does anything unexpected.
TEST(HostilePickle, ShortStreams) {
  const auto check = [](const std::string& stream) {
    const auto run = pickle::run(as_bytes(stream));
    ASSERT_LE(run.end_offset, stream.size());
    if (run.end == End::kStop) {
      ASSERT_LT(expression(run.graph, run.result).size(), 1000U);
    }
  };
  for (unsigned a = 0; a < 256; ++a) {
    check(u8(a));
    for (unsigned b = 0; b < 256; ++b) check(u8(a) + u8(b));
  }
  const std::string interesting = "(.0129tlsdeaubRio\x81\x85\x90\x93\x94\x97\x98Q)]}N\x8f";
  for (const char a : interesting) {
    for (const char b : interesting) {
      for (const char c : interesting) {
        check(std::string{a, b, c});
        check("NN" + std::string{a, b, c, '.'});
      }
    }
  }
}

}  // namespace
}  // namespace tare::pickle
