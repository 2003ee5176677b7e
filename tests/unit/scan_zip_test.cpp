// What the scanner says about archives that readers see differently (docs/formats/zip.md): whatever
// one of them would hand out is judged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "support/pickle_bytes.hpp"
#include "support/scanning.hpp"
#include "support/torch_builder.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::Contains;
using testing::IsEmpty;

constexpr const char* kLine = "os.system('id')";

std::string hostile() {
  return payload() + ".";
}
std::string harmless() {
  return "\x80\x02N."s;
}

// An archive whose data.pkl is harmless, changed.
struct Case {
  const char* name;
  std::function<void(ZipEntry&, ZipBuilder&)> change;
};

std::string built(const Case& test, const std::string& content) {
  ZipEntry entry = torch_record("m/data.pkl", content);
  ZipBuilder builder;
  builder.zip64_end = true;
  test.change(entry, builder);
  return builder.add(entry).add(torch_record("m/version", "3\n")).build();
}

// Some reader hands out the payload in data.pkl.
TEST(ScanZip, APayloadThatSomeReadersRefuse) {
  const std::vector<Case> cases = {
      {"as it is", [](ZipEntry&, ZipBuilder&) {}},
      {"local name", [](ZipEntry& e, ZipBuilder&) { e.local_name = "m/evil.txt"; }},
      {"local size", [](ZipEntry& e, ZipBuilder&) { e.local_size = 4; }},
      {"local stored size", [](ZipEntry& e, ZipBuilder&) { e.local_stored_size = 4; }},
      {"central size", [](ZipEntry& e, ZipBuilder&) { e.central_size = 3; }},
      {"central size of gigabytes", [](ZipEntry& e, ZipBuilder&) { e.central_size = 1U << 31; }},
      {"sizes past the end",
       [](ZipEntry& e, ZipBuilder&) {
         e.central_size = 5000;
         e.central_stored_size = 5000;
       }},
      {"central crc", [](ZipEntry& e, ZipBuilder&) { e.central_crc = 1; }},
      {"both crcs",
       [](ZipEntry& e, ZipBuilder&) {
         e.descriptor = false;
         e.central_crc = 1;
         e.local_crc = 1;
       }},
      {"encrypted, central", [](ZipEntry& e, ZipBuilder&) { e.flags = 1; }},
      {"patched", [](ZipEntry& e, ZipBuilder&) { e.flags = 0x20; }},
      {"strong encryption", [](ZipEntry& e, ZipBuilder&) { e.flags = 0x40; }},
      {"masked headers", [](ZipEntry& e, ZipBuilder&) { e.flags = 0x2000; }},
      {"encrypted, local", [](ZipEntry& e, ZipBuilder&) { e.local_flags = 9; }},
      {"method 99", [](ZipEntry& e, ZipBuilder&) { e.central_method = 99; }},
      {"local method 8", [](ZipEntry& e, ZipBuilder&) { e.local_method = 8; }},
      {"central method 8", [](ZipEntry& e, ZipBuilder&) { e.central_method = 8; }},
      {"deflated, central method 0",
       [](ZipEntry& e, ZipBuilder&) {
         e.method = 8;
         e.central_method = 0;
       }},
      {"deflated, another size",
       [](ZipEntry& e, ZipBuilder&) {
         e.method = 8;
         e.central_size = 3;
       }},
      {"deflated, a wrong crc",
       [](ZipEntry& e, ZipBuilder&) {
         e.method = 8;
         e.central_crc = 3;
       }},
      {"deflated, cut off",
       [](ZipEntry& e, ZipBuilder&) {
         e.method = 8;
         const std::string raw = deflate(e.content + std::string(3000, '\0'));
         e.raw = raw.substr(0, raw.size() - 4);
       }},
      {"prefix", [](ZipEntry&, ZipBuilder& b) { b.prefix = "JUNKJUNK"; }},
      {"uncounted prefix",
       [](ZipEntry&, ZipBuilder& b) {
         b.prefix = "JUNKJUNK";
         b.prefix_uncounted = true;
       }},
      {"suffix",
       [](ZipEntry&, ZipBuilder& b) { b.suffix = std::string(70'000, 'x').substr(5000); }},
      {"comment", [](ZipEntry&, ZipBuilder& b) { b.comment = "hello"; }},
      {"NUL in the name", [](ZipEntry& e, ZipBuilder&) { e.name = "m/data.pkl\0.txt"s; }},
      {"unicode name",
       [](ZipEntry& e, ZipBuilder&) {
         e.name = "m/readme.txt";
         const std::string other = "m/data.pkl";
         e.central_extra = u16(0x7075) + u16(5 + other.size()) + u8(1) + u32(0) + other;
       }},
      {"count too small", [](ZipEntry&, ZipBuilder& b) { b.count = 1; }},
      {"a local header only", [](ZipEntry& e, ZipBuilder&) { e.no_central = true; }},
      {"a deflated local header only",
       [](ZipEntry& e, ZipBuilder&) {
         e.method = 8;
         e.no_central = true;
       }},
  };
  for (const Case& test : cases) {
    const auto report = scanned(built(test, hostile()));
    EXPECT_EQ(report.verdict, Verdict::kDangerous) << test.name;
    EXPECT_TRUE(runs(report, kLine)) << test.name;
    const bool is_plain = &test == &cases.front();
    EXPECT_EQ(verdict_of(built(test, harmless())) > Verdict::kSafe, !is_plain) << test.name;
  }
}

// Behind a name for tensor data, under the other name for whoever takes that.
TEST(ScanZip, TensorDataThatHasAnotherName) {
  for (const int way : {0, 1, 2, 3}) {
    ZipEntry data = torch_record("m/data/0", "cos\nsystem\n(S'id'\ntR.");
    data.content.resize(16 + 16, '0');
    ZipBuilder zip;
    TensorCall call = small_tensor();
    call.numel = 8;
    zip.add(torch_record("m/data.pkl", dict_pickle({{"w", call}})));
    if (way == 0) data.local_name = "m/data.pkl";
    if (way == 1) {
      data.central_extra = u16(0x7075) + u16(5 + 10) + u8(1) + u32(0) + "m/data.pkl";
    }
    if (way == 2) zip.add(torch_record("m/data/0", std::string(32, '0')));
    if (way == 3) zip.add(torch_record("m/DATA/0", std::string(32, '0')));
    EXPECT_EQ(verdict_of(zip.add(data).build()), Verdict::kDangerous) << way;
  }
}

// A second archive in the comment of the first, and the other way round.
TEST(ScanZip, ASecondDirectory) {
  for (const bool is_inner : {false, true}) {
    ZipBuilder second = torch_zip(is_inner ? hostile() : harmless(), {});
    ZipBuilder first = torch_zip(is_inner ? harmless() : hostile(), {});
    first.comment = second.build();
    const auto report = scanned(first.build());
    EXPECT_TRUE(runs(report, kLine)) << is_inner;
    EXPECT_THAT(rules_of(report), Contains("TARE-ZIP-001"));
  }
}

// Two directories, each with its own idea of which bytes are data.pkl; the payload stands in what
// the first lists as the data of a tensor.
TEST(ScanZip, ADirectoryThatSeesTensorsAsPickles) {
  ZipBuilder zip;
  std::string storage = "cos\nsystem\n(S'id'\ntR.";
  storage.resize(32, '0');
  TensorCall call = small_tensor();
  call.numel = 8;
  zip.add(torch_record("m/data.pkl", dict_pickle({{"w", call}})));
  zip.add(torch_record("m/data/0", storage));
  const std::string file = zip.build();
  ASSERT_NE(verdict_of(file), Verdict::kDangerous);
  // Another directory behind it that calls the same bytes data.pkl.
  const std::string name = "m/data.pkl";
  std::string other = "PK\x01\x02" + u16(20) + u16(20) + u16(8) + u16(0) + u32(0);
  other += u32(crc_of(storage)) + u32(storage.size()) + u32(storage.size());
  other += u16(name.size()) + u16(0) + u16(0) + u16(0) + u16(0) + u32(0);
  other += u32(zip.local_offset(1)) + name;
  const std::string end = "PK\x05\x06" + u32(0) + u16(1) + u16(1) + u32(other.size());
  EXPECT_TRUE(runs(scanned(file + other + end + u32(file.size()) + u16(0)), kLine));
}

TEST(ScanZip, PayloadsBetweenTheEntries) {
  const std::vector<Case> cases = {
      {"before", [](ZipEntry& e, ZipBuilder&) { e.before = "xx" + hostile(); }},
      {"descriptor", [](ZipEntry& e, ZipBuilder&) { e.descriptor_bytes = hostile(); }},
      {"prefix", [](ZipEntry&, ZipBuilder& b) { b.prefix = hostile(); }},
      {"prefix with junk", [](ZipEntry&, ZipBuilder& b) { b.prefix = "\xFF\xFF" + hostile(); }},
      {"before the directory", [](ZipEntry&, ZipBuilder& b) { b.before_directory = hostile(); }},
      {"after the directory", [](ZipEntry&, ZipBuilder& b) { b.after_directory = hostile(); }},
      {"suffix", [](ZipEntry&, ZipBuilder& b) { b.suffix = "\n" + hostile(); }},
      {"comment", [](ZipEntry&, ZipBuilder& b) { b.comment = "hello" + hostile(); }},
  };
  for (const Case& test : cases) {
    const auto report = scanned(built(test, harmless()));
    EXPECT_TRUE(runs(report, kLine)) << test.name;
  }
}

// Archives in archives, and other files under any name, deflated or not.
TEST(ScanZip, FilesInEntries) {
  std::string nested = torch_zip(hostile(), {}).build();
  for (int depth = 0; depth < 5; ++depth) {
    for (const std::string name : {"model.pt", "a/in.zip", "x", "data.pkl", "m/data/0", "a.py"}) {
      ZipEntry entry;
      entry.name = name;
      entry.content = nested;
      entry.method = depth % 2 == 0 ? 8 : 0;
      EXPECT_TRUE(runs(scanned(ZipBuilder().add(entry).build()), kLine)) << depth << name;
    }
    nested = ZipBuilder().add("in.zip", nested).build();
  }
}

// Deeper than files are read.
TEST(ScanZip, FilesTooDeepInEntries) {
  std::string nested = hostile();
  for (int depth = 0; depth < 12; ++depth) nested = ZipBuilder().add("in.zip", nested).build();
  EXPECT_GE(verdict_of(nested), Verdict::kUnreadable);
}

TEST(ScanZip, LocalHeadersThatShareOneName) {
  // 3000 headers in a gap, each with what follows as its data.
  std::string gap;
  for (int i = 0; i < 3000; ++i) {
    gap += "PK\x03\x04" + std::string(22, '\0') + u16(10) + u16(0) + "0123456789";
  }
  ZipBuilder zip = clean_torch_zip();
  zip.before_directory = gap;
  EXPECT_GE(verdict_of(zip.build()), Verdict::kSuspicious);
}

}  // namespace
}  // namespace tare
