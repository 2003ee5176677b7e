// Programs, and the archives behind them (docs/formats/program.md).
#include "format/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/packed.hpp"
#include "support/pickle_bytes.hpp"
#include "support/scanning.hpp"
#include "support/sevenzip_builder.hpp"
#include "support/tar_builder.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using format::program_end;
using format::program_text;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kLine = "os.system('id')";

std::string hostile() {
  return payload() + ".";
}

// One segment of code, and a section table behind it.
std::string elf64(std::size_t code = 100) {
  std::string head =
      "\x7F"
      "ELF\2\1\1"s +
      std::string(9, '\0') + u16(3) + u16(62) + u32(1) + u64(0) + u64(64);
  head += u64(64 + 56 + code) + u32(0) + u16(64) + u16(56) + u16(1) + u16(64) + u16(2) + u16(0);
  const std::string segment =
      u32(1) + u32(5) + u64(120) + u64(0) + u64(0) + u64(code) + u64(code) + u64(16);
  // The second section takes no room in the file.
  const std::string sections = std::string(64, '\0') + u32(0) + u32(8) + u64(0) + u64(0) +
                               u64(1000) + u64(1 << 30) + std::string(24, '\0');
  return head + segment + std::string(code, '\x90') + sections;
}

std::string elf32() {
  const std::string head =
      "\x7F"
      "ELF\1\1\1"s +
      std::string(9, '\0') + u16(3) + u16(3) + u32(1) + u32(0) + u32(52) + u32(0) + u32(0) +
      u16(52) + u16(32) + u16(1) + u16(40) + u16(0) + u16(0);
  return head + u32(1) + u32(84) + u32(0) + u32(0) + u32(50) + u32(50) + u32(5) + u32(16) +
         std::string(50, '\x90');
}

std::string pe() {
  std::string head = "MZ" + std::string(58, '\0') + u32(64) + "PE\0\0"s + u16(0x8664) + u16(1);
  head += u32(0) + u32(0) + u32(0) + u16(16) + u16(0) + std::string(16, '\0');
  const std::string section = std::string(16, '\0') + u32(70) + u32(144) + std::string(16, '\0');
  return head + section + std::string(144 + 70 - head.size() - section.size(), '\x90');
}

TEST(Program, IsKnownByItsSignature) {
  EXPECT_THAT(program_text(as_bytes(elf64())), HasSubstr("ELF"));
  EXPECT_THAT(program_text(as_bytes(pe())), HasSubstr("Windows"));
  EXPECT_THAT(program_text(as_bytes("\xCF\xFA\xED\xFE rest")), HasSubstr("macOS"));
  EXPECT_THAT(program_text(as_bytes("\xCA\xFE\xBA\xBE\0\0\0\2"s)), HasSubstr("macOS"));
  EXPECT_THAT(program_text(as_bytes("MZqFpD='\n\1")), HasSubstr("llamafile"));
  // A class of Java; DOS without a header of Windows.
  EXPECT_STREQ(program_text(as_bytes("\xCA\xFE\xBA\xBE\0\0\0\x34"s)), "");
  EXPECT_STREQ(program_text(as_bytes("MZ" + std::string(200, '\0'))), "");
}

TEST(Program, EndsWhereItsHeadersSay) {
  EXPECT_EQ(program_end(as_bytes(elf64() + "behind")), elf64().size());
  EXPECT_EQ(program_end(as_bytes(elf32() + "behind")), elf32().size());
  EXPECT_EQ(program_end(as_bytes(pe() + "behind")), pe().size());
}

TEST(Program, EndsInTheFileWhateverItsHeadersSay) {
  for (const std::string& program : {elf64(), elf32(), pe()}) {
    for (std::size_t i = 0; i < program.size(); ++i) {
      EXPECT_LE(program_end(as_bytes(program.substr(0, i))), i);
      std::string changed = program;
      changed[i] = '\xFF';
      EXPECT_LE(program_end(as_bytes(changed)), program.size());
    }
  }
}

TEST(ScanProgram, IsSuspicious) {
  for (const std::string& program : {elf64(), elf32(), pe(), "MZqFpD='\n\1"s}) {
    const ScanReport report = scanned(program);
    EXPECT_EQ(report.verdict, Verdict::kSuspicious);
    EXPECT_THAT(rules_of(report), ElementsAre("TARE-EXE-001"));
  }
  EXPECT_THAT(rules_of(ZipBuilder().add("a.so", elf64()).build()), Contains("TARE-EXE-001"));
}

TEST(ScanProgram, JudgesTheArchiveBehindIt) {
  const std::string zip = ZipBuilder().add("a.pkl", hostile()).build();
  const std::string seven = SevenZipBuilder().add("a.pkl", hostile()).build();
  const std::string tar = TarMember{"a.pkl", hostile()}.build() + tar_end();
  for (const std::string& archive : {zip, seven, tar, gzip_member(tar)}) {
    for (const std::string& program : {elf64(), pe()}) {
      const ScanReport report = scanned(program + archive);
      EXPECT_TRUE(runs(report, kLine));
      EXPECT_THAT(rules_of(report), Contains("TARE-EXE-001"));
    }
  }
  // The end of such programs is not known: archives are looked for.
  for (const std::string& archive : {zip, seven}) {
    EXPECT_TRUE(runs(scanned("MZqFpD='\n\1 code" + archive), kLine));
  }
}

TEST(ScanProgram, FindsAnArchiveBehindTheTextOfAnInstaller) {
  const std::string seven = SevenZipBuilder().add("a.pkl", hostile()).build();
  const std::string text = ";!@Install@!UTF-8!\nTitle=\"x\"\n;!@InstallEnd@!";
  // The program holds the signature as well, which is no archive.
  const std::string signature = "7z\xBC\xAF\x27\x1C" + std::string(40, '\1');
  EXPECT_TRUE(runs(scanned(pe() + text + signature + seven), kLine));
  EXPECT_TRUE(runs(scanned("MZqFpD='\n\1" + signature + seven), kLine));
}

TEST(ScanProgram, SaysItOnceWithAnArchiveBehind) {
  const std::string zip = ZipBuilder().add("a.npy", "x").build();
  const ScanReport report = scanned(elf64() + zip);
  EXPECT_EQ(std::ranges::count_if(
                report.findings,
                [](const Finding& finding) { return finding.rule->id == "TARE-EXE-001"s; }),
            1);
  EXPECT_THAT(report.formats, ElementsAre("program", "zip"));
}

TEST(ScanProgram, JudgesWhatStandsBetweenProgramAndArchive) {
  const std::string zip = ZipBuilder().add("a.npy", "x").build();
  EXPECT_TRUE(runs(scanned(elf64() + hostile() + zip), kLine));
  EXPECT_TRUE(runs(scanned(elf64() + "junk" + hostile()), kLine));
}

}  // namespace
}  // namespace tare
