// Published ways to hide a payload from a scanner, one test each (docs/scan.md). The bytes are our
// own; ids of advisories stand in scan_advisories_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/packed.hpp"
#include "support/pickle_bytes.hpp"
#include "support/scanning.hpp"
#include "support/tar_builder.hpp"
#include "support/torch_builder.hpp"
#include "tare/craft.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::Contains;

constexpr const char* kLine = "os.system('id')";

std::string hostile() {
  return payload() + ".";
}

// ---- the opcodes

// Everything of `tare craft --list`: no recipe comes out safe, and none of those that an unpickler
// runs comes out as less than dangerous.
TEST(ScanHostile, EveryRecipe) {
  // What unpicklers refuse before they reach anything, and a name of no module.
  const std::set<std::string> refused = {"15_float_oddity",    "19_put_neg",    "30_stacked_junk",
                                         "32_proto_255",       "61_surrogate",  "70_int_empty",
                                         "86_string_unquoted", "42_next_buffer"};
  std::size_t count = 0;
  for (const craft::Recipe& recipe : craft::recipes()) {
    ++count;
    const auto bytes = recipe.make(craft::Marker::kNo);
    const std::string file(as_text(bytes));
    EXPECT_TRUE(is_not_safe(file)) << recipe.id;
    if (refused.contains(std::string(recipe.id))) continue;
    EXPECT_EQ(verdict_of(file), Verdict::kDangerous) << recipe.id;
    if (!recipe.is_pickle) continue;
    EXPECT_EQ(verdict_of(torch_file(file)), Verdict::kDangerous) << recipe.id;
  }
  EXPECT_GE(count, 80U);
}

TEST(ScanHostile, TextThatTwoUnpicklersReadDifferently) {
  for (const std::string& text :
       {"I0x10\n0"s, "I0b1\n0"s, "I010\n0"s, "I1_0\n0"s, "I 16 \n0"s, "L0x10L\n0"s, "L1_0L\n0"s,
        "I1\0zz\n0"s, "L1\0zz\n0"s, "F1.5\0zz\n0"s, "F1_0.5\n0"s, "Vx\np0\0zz\n0"s,
        "Vx\np0\n0g0\0\n0"s, "Vx\np 0\n0g 0\n0"s, "S'\xC3\xA9'\n0"s}) {
    const auto report = scanned(text + hostile());
    EXPECT_TRUE(runs(report, kLine)) << text;
    EXPECT_GT(report.findings.size(), 1U) << text;
  }
}

// The payload is in reach of an unpickler before it fails.
TEST(ScanHostile, WhatComesBehindThePayload) {
  for (const std::string& behind :
       {""s, "\xFF\xFF"s, "0c\xC3\xA9\nx\n."s, "0X\1\0\0\0\xFF."s, "0X."s, "N0N."s, "Nb."s, "0."s,
        "\x94."s, "0" + frame(1'000'000) + "."s, "0g99\n."s, "0\x80\xFF."s, "0\x00"s, "N."s}) {
    EXPECT_TRUE(runs(scanned(payload() + behind), kLine)) << behind;
  }
}

TEST(ScanHostile, OperandsThatScannersLoseTrackOf) {
  const std::string call = text("id") + "\x85R.";
  for (const std::string& stream :
       {text("os") + "N0\x94" + "0" + text("system") + "N0\x94" + "0h\x00h\x01\x93"s + call,
        text("os") + "q\x05" + text("system") + "q\x06" + "00h\x05\x94h\x06\x94\x93"s + call,
        "Vcollections\np0\n0Vos\np0\n0Vsystem\np1\n0g0\ng1\n\x93"s + call,
        text("system") + text("os") + "20" + "0" + text("os") + text("system") + "\x93" + call,
        "}" + text("os") + "\x94" + text("x") + "s0h\x00"s + text("system") + "\x93" + call,
        "V\\u006f\\u0073\nVsyst\\u0065m\n\x93" + call, "S'os'\nS'system'\n\x93" + call,
        long_text("os") + "\x8d" + u64(6) + "system\x93" + call}) {
    EXPECT_TRUE(runs(scanned(proto(4) + stream), kLine)) << stream;
    EXPECT_TRUE(runs(scanned(stream), kLine)) << stream;
  }
}

// Operands that the stream computes, and memo slots that were never set.
TEST(ScanHostile, OperandsThatNobodyKnows) {
  const std::string join =
      stack_global("builtins", "str.join") + "(" + text("") + "](" + text("o") + text("s") + "etR";
  for (const std::string& stream : {join + text("system") + "\x93" + text("id") + "\x85R.",
                                    "h\x07" + text("system") + "\x93" + text("id") + "\x85R.",
                                    small(1) + text("system") + "\x93" + text("id") + "\x85R.",
                                    text("os") + "N\x93" + text("id") + "\x85R."}) {
    EXPECT_TRUE(is_not_safe(proto(4) + stream)) << stream;
  }
}

// numpy.prod.a = 'os': what BUILD stores in a function, a dotted name reads back.
TEST(ScanHostile, StateAsAMemory) {
  EXPECT_EQ(verdict_of(proto(4) + stack_global("numpy", "prod") + "N}" + text("a") + text("os") +
                       "s\x86" + "b0" + stack_global("numpy", "prod.a") + text("system") + "\x93" +
                       text("id") + "\x85R."),
            Verdict::kDangerous);
  EXPECT_EQ(verdict_of(proto(2) + global("collections", "OrderedDict") + ")R}" +
                       long_text("__setstate__") + global("os", "system") + "sb" + long_text("id") +
                       "b."),
            Verdict::kDangerous);
}

TEST(ScanHostile, EveryWayToImportAndCall) {
  const std::string add =
      global("copyreg", "add_extension") + long_text("os") + long_text("system");
  for (const std::string& stream :
       {add + "M\xF0\x00\x87R0\x82\xF0"s + long_text("id") + "\x85R.",
        add + "M\x34\x12\x87R0\x83\x34\x12"s + long_text("id") + "\x85R.",
        add + "J\x01\x00\x01\x00\x87R0\x84\x01\x00\x01\x00"s + long_text("id") + "\x85R.",
        "(" + long_text("id") + "ios\nsystem\n."s, "(cos\nsystem\n" + long_text("id") + "o0N.",
        "csubprocess\nPopen\n" + long_text("id") + "\x85\x81.",
        "csubprocess\nPopen\n" + long_text("id") + "\x85}\x92."}) {
    EXPECT_EQ(verdict_of(proto(2) + stream), Verdict::kDangerous) << stream;
    EXPECT_EQ(verdict_of(proto(4) + stream), Verdict::kDangerous) << stream;
  }
}

// Opcodes in front of the payload that other readers do not know.
TEST(ScanHostile, OpcodesThatScannersDoNotKnow) {
  for (const std::string& first :
       {"F1.5\n0"s, "\x96" + u64(1) + "a0", "C\x01"s + "a\x98" + "0", "\x97" + "0"s, "Pabc\n0"s,
        "NQ0"s, "]r\xFF\xFF\xFF\x0F" + "0"s, "\x8B\x01\x00\x00\x00\x05\x30"s, "\x8f" + "0"s,
        "(\x91" + "0"s}) {
    EXPECT_TRUE(runs(scanned(proto(5) + first + hostile()), kLine)) << first;
  }
}

TEST(ScanHostile, ObjectsOfExponentialSize) {
  std::string laughs = "(K\x01t"s;
  for (int i = 0; i < 60; ++i) laughs += "2\x86";
  EXPECT_TRUE(runs(scanned(proto(2) + laughs + "0" + hostile()), kLine));
  std::string list = "]q\x00"s;
  list += "h\x00\x61"s;  // holds itself
  EXPECT_TRUE(runs(scanned(proto(2) + list + "0" + hostile()), kLine));
}

// ---- pickles in pickles

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](std::size_t k) {
      return k < bytes.size() ? static_cast<unsigned char>(bytes[k]) : 0U;
    };
    const unsigned group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    for (unsigned k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
    }
  }
  return out;
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string bytes_value(std::string_view bytes) {
  return "B" + u32(bytes.size()) + std::string(bytes);
}

TEST(ScanHostile, PicklesInValues) {
  const std::string inner = proto(4) + stack_global("os", "system") + text("id") + "\x85R.";
  const auto call = [](const std::string& module, const std::string& name, const std::string& arg) {
    return global(module, name) + arg + "\x85R";
  };
  for (const std::string& stream :
       {call("pickle", "loads", bytes_value(inner)), call("dill", "loads", bytes_value(inner)),
        call("cPickle", "loads", bytes_value(inner)),
        call("torch.storage", "_load_from_bytes", bytes_value(inner)),
        call("torch.storage", "_load_from_bytes", bytes_value(torch_file(inner))),
        call("joblib", "load", call("io", "BytesIO", bytes_value(zlib_stream(inner)))),
        call("pickle", "loads", call("base64", "b64decode", long_text(base64(inner)))),
        call("pickle", "loads", call("base64", "b64decode", bytes_value(base64(inner)))),
        call("pickle", "loads", call("bytes", "fromhex", long_text(hex(inner)))),
        call("pickle", "loads", call("codecs", "decode", bytes_value(hex(inner)))),
        call("pickle", "loads",
             call("zlib", "decompress",
                  call("base64", "b64decode", long_text(base64(zlib_stream(inner)))))),
        call("mymodule", "load", bytes_value(inner)),
        call("mymodule", "load", "](" + bytes_value(inner) + "e"),
        call("mymodule", "load", "}" + small(1) + bytes_value(inner) + "s"),
        global("mymodule", "Thing") + ")\x81}" + long_text("blob") + bytes_value(inner) + "sb"}) {
    EXPECT_TRUE(runs(scanned(proto(2) + stream + "."), kLine)) << stream;
  }
}

// ---- where pickles stand

// A loader is told where to start.
TEST(ScanHostile, PicklesBehindOtherBytes) {
  const std::string inner = proto(4) + stack_global("os", "system") + text("id") + "\x85R.";
  for (const std::string& pickle :
       {hostile(), inner, "(" + long_text("id") + "ios\nsystem\n."s, "(cos\nsystem\nS'id'\no."s,
        text("os") + text("system") + "\x93" + text("id") + "\x85R."}) {
    for (const std::string& junk : {"\xFF\xFF"s, "hello, world\n"s, std::string(5000, '\0'),
                                    "{\"a\": 1}\n"s, "\x89HDF\r\n\x1a\n"s}) {
      EXPECT_TRUE(runs(scanned(junk + pickle), kLine)) << junk.size() << pickle;
      EXPECT_TRUE(runs(scanned(proto(2) + "N." + junk + pickle), kLine)) << junk.size() << pickle;
    }
  }
  EXPECT_TRUE(
      runs(scanned("{\"policy\": \":serialized:\", \"x\": \"" + base64(inner) + "\"}" + hostile()),
           kLine));
  EXPECT_TRUE(runs(
      scanned(ZipBuilder().add("data", "{\":serialized:\": \"" + base64(inner) + "\"}").build()),
      kLine));
}

std::string legacy(std::size_t where) {
  std::vector<std::string> pickles = {
      proto(2) + "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", proto(2) + "M\xE9\x03.",
      proto(2) + "}.", proto(2) + "}.", proto(2) + "]."};
  const std::string value = pickles[where].substr(2, pickles[where].size() - 3);
  pickles[where] = proto(2) + payload() + "0" + value + ".";
  std::string file;
  for (const std::string& pickle : pickles) file += pickle;
  return file;
}

// Each of the five is run by torch.load, whether or not the magic number is right in the end.
TEST(ScanHostile, EachPickleOfALegacyFile) {
  for (std::size_t where = 0; where < 5; ++where) {
    EXPECT_TRUE(runs(scanned(legacy(where)), kLine)) << where;
    EXPECT_TRUE(runs(scanned(ZipBuilder().add("a.bin", legacy(where)).build()), kLine)) << where;
  }
  EXPECT_TRUE(runs(scanned(legacy(3) + "junk"), kLine));
}

std::string torch_tar(const std::string& storages, const std::string& tensors,
                      const std::string& pickle, const std::string& more = "") {
  std::string tar = TarMember{"storages", storages}.build() +
                    TarMember{"tensors", tensors}.build() + TarMember{"pickle", pickle}.build();
  if (!more.empty()) tar += TarMember{"pickle", more}.build();
  return tar + std::string(1024, '\0');
}

TEST(ScanHostile, EachPickleOfATarOfTorch) {
  const std::string none = proto(2) + "K\x00."s;
  const std::string count = proto(2) + payload() + "0K\x00."s;
  const std::string object = proto(2) + "N.";
  EXPECT_TRUE(runs(scanned(torch_tar(count + proto(2) + "].", none, object)), kLine));
  EXPECT_TRUE(runs(scanned(torch_tar(none + proto(2) + payload() + "0].", none, object)), kLine));
  EXPECT_TRUE(runs(scanned(torch_tar(none + proto(2) + "].", count, object)), kLine));
  EXPECT_TRUE(runs(scanned(torch_tar(none + proto(2) + "].", none, hostile())), kLine));
  // Of two members of one name Python takes the last.
  EXPECT_TRUE(runs(scanned(torch_tar(none + proto(2) + "].", none, object, hostile())), kLine));
  EXPECT_TRUE(runs(scanned(torch_tar(none + proto(2) + "].", none, hostile(), object)), kLine));
  EXPECT_TRUE(runs(scanned(torch_tar(none + proto(2) + "].", none, object) + hostile()), kLine));
}

std::string npy(const std::string& descr, const std::string& data) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (1,), }";
  header.resize(117, ' ');
  return "\x93NUMPY\x01"s + u8(0) + u16(118) + header + "\n" + data;
}

TEST(ScanHostile, ArraysOfNumpy) {
  EXPECT_TRUE(runs(scanned(npy("|O", hostile())), kLine));
  EXPECT_TRUE(runs(scanned(npy("|O", "I0x10\n0" + hostile())), kLine));
  EXPECT_TRUE(runs(scanned(npy("<f4", "1234" + hostile())), kLine));
  EXPECT_TRUE(runs(scanned(npy("<f4", "1234" + npy("|O", hostile()))), kLine));
  EXPECT_TRUE(runs(scanned(npy("<f4", "12" + hostile()).insert(0, "\n")), kLine));
  for (const std::string name : {"a.npy", "a", "a.txt"}) {
    EXPECT_TRUE(runs(scanned(ZipBuilder().add(name, npy("|O", hostile())).build()), kLine));
    ZipEntry deflated;
    deflated.name = name;
    deflated.content = npy("|O", hostile());
    deflated.method = 8;
    EXPECT_TRUE(runs(scanned(ZipBuilder().add(deflated).build()), kLine));
  }
}

// An array of joblib between opcodes: its bytes are data for joblib, and opcodes for pickle.load.
std::string joblib_array(const std::string& dtype, const std::string& data,
                         const std::string& behind) {
  const std::string kind = global("numpy", "dtype") + long_text(dtype) + small(0) + small(1) +
                           "\x87R(" + small(3) + long_text(dtype == "O8" ? "|" : "<") + "NNN" +
                           "J\xff\xff\xff\xffJ\xff\xff\xff\xff" + small(dtype == "O8" ? 63 : 0) +
                           "tb";
  return proto(2) + global("joblib.numpy_pickle", "NumpyArrayWrapper") + ")\x81}(" +
         long_text("subclass") + global("numpy", "ndarray") + long_text("shape") + small(8) +
         "\x85" + long_text("order") + long_text("C") + long_text("dtype") + kind +
         long_text("allow_mmap") + "\x89ub" + data + behind;
}

TEST(ScanHostile, ArraysOfJoblib) {
  const std::string data = "12.45.78";
  EXPECT_FALSE(runs(scanned(joblib_array("u1", data, ".")), kLine));
  EXPECT_TRUE(runs(scanned(joblib_array("u1", data, "0" + hostile())), kLine));
  EXPECT_TRUE(runs(scanned(joblib_array("O8", hostile(), "0N.")), kLine));
  EXPECT_TRUE(runs(scanned(joblib_array("u1", data, "." + hostile())), kLine));
  EXPECT_TRUE(runs(scanned(zlib_stream(joblib_array("O8", hostile(), "0N."))), kLine));
  // In the data: for an unpickler that does not know of arrays.
  std::string inside = "cos\nsystem\n(S'id'\ntR0";
  inside.resize(24, 'N');
  std::string stream = joblib_array("u1", inside, "N.");
  stream.replace(stream.find(small(8) + "\x85"), 2, small(24));
  EXPECT_TRUE(runs(scanned(stream), kLine));
}

TEST(ScanHostile, CompressedStreams) {
  for (const std::string& stream :
       {zlib_stream(hostile()), zlib_stream(hostile()) + "x", zlib_stream("\xFF\xFF" + hostile()),
        zlib_stream(torch_file(hostile())), zlib_stream(zlib_stream(hostile())),
        zlib_stream(proto(2) + "N.") + hostile(), zlib_stream(npy("|O", hostile()))}) {
    EXPECT_TRUE(runs(scanned(stream), kLine));
  }
}

TEST(ScanHostile, ArchivesThatAreNotRead) {
  for (const std::string& magic : {"7z\xBC\xAF\x27\x1C"s, "Rar!\x1A\x07\x01\x00"s}) {
    EXPECT_EQ(verdict_of(magic + std::string(100, '\x01')), Verdict::kUnreadable);
    EXPECT_TRUE(runs(scanned(magic + std::string(100, '\x01') + hostile()), kLine));
    EXPECT_TRUE(is_not_safe(ZipBuilder().add("a.7z", magic + "xxxx").build()));
  }
}

}  // namespace
}  // namespace tare
