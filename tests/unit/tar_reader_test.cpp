#include "archive/tar_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "archive/tar_header.hpp"
#include "support/tar_builder.hpp"

namespace tare::tar {

inline std::ostream& operator<<(std::ostream& out, AnomalyKind kind) {
  return out << '"' << anomaly_text(kind) << '"';
}
inline bool operator==(const Anomaly& a, const Anomaly& b) {
  return a.kind == b.kind && a.offset == b.offset && a.member == b.member;
}

namespace {

using namespace std::string_literals;
using test::gnu_long;
using test::pax_header;
using test::pax_record;
using test::tar_end;
using test::TarMember;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

Reader read(std::string_view archive) {
  auto reader = Reader::open(as_bytes(archive));
  EXPECT_TRUE(reader.has_value());
  return std::move(*reader);
}

std::vector<AnomalyKind> anomalies(std::string_view archive) {
  std::vector<AnomalyKind> kinds;
  const Reader reader = read(archive);
  for (const Anomaly& anomaly : reader.anomalies()) kinds.push_back(anomaly.kind);
  return kinds;
}

std::vector<std::string> names(std::string_view archive) {
  std::vector<std::string> names;
  const Reader reader = read(archive);
  for (const Member& member : reader.members()) names.push_back(member.name);
  return names;
}

// The anomalies of an archive of this one member.
std::vector<AnomalyKind> anomalies_of(const TarMember& member) {
  return anomalies(member.build() + tar_end());
}

std::string text_of(const Reader& reader, std::size_t index) {
  const auto bytes = reader.content(reader.members()[index]);
  EXPECT_TRUE(bytes.has_value());
  return bytes ? std::string(as_text(*bytes)) : "";
}

ErrorCode open_error(std::string_view archive, const Limits& limits = {}) {
  const auto reader = Reader::open(as_bytes(archive), limits);
  EXPECT_FALSE(reader.has_value());
  return reader ? ErrorCode::kIo : reader.error().code;
}

// ---- what is in order

TEST(TarReader, ReadsFilesOfEveryFormat) {
  for (const std::string_view magic : {test::kUstar, test::kGnu, test::kV7}) {
    const std::string archive = TarMember{"a", "first", '0', "", magic}.build() +
                                TarMember{"b/c", std::string(513, 'x'), '\0', "", magic}.build() +
                                TarMember{"empty", "", '7', "", magic}.build() + tar_end();
    const Reader reader = read(archive);
    EXPECT_THAT(reader.anomalies(), IsEmpty());
    ASSERT_EQ(reader.members().size(), 3U);
    EXPECT_EQ(reader.members()[0].name, "a");
    EXPECT_EQ(reader.members()[0].kind, MemberKind::kFile);
    EXPECT_EQ(reader.members()[1].header_offset, 1024U);
    EXPECT_EQ(reader.members()[1].data_offset, 1536U);
    EXPECT_EQ(reader.members()[1].size, 513U);
    EXPECT_EQ(text_of(reader, 0), "first");
    EXPECT_EQ(text_of(reader, 1), std::string(513, 'x'));
    EXPECT_EQ(text_of(reader, 2), "");
  }
}

TEST(TarReader, HandsOutViewsOfTheInput) {
  const std::string archive = TarMember{"a", "first"}.build() + tar_end();
  const Reader reader = read(archive);
  EXPECT_EQ(as_text(*reader.content(reader.members()[0])).data(), archive.data() + 512);
}

TEST(TarReader, TellsTheKindsApart) {
  std::string archive;
  for (const char type : "123456SZ"s) archive += TarMember{{type}, "", type, "target"}.build();
  archive += TarMember{"old/", "", '\0'}.build();
  std::vector<MemberKind> kinds;
  const Reader reader = read(archive + tar_end());
  for (const Member& member : reader.members()) {
    kinds.push_back(member.kind);
    EXPECT_EQ(reader.content(member).has_value(), member.kind == MemberKind::kUnknown);
  }
  EXPECT_THAT(kinds,
              ElementsAre(MemberKind::kHardLink, MemberKind::kSymlink, MemberKind::kDevice,
                          MemberKind::kDevice, MemberKind::kDirectory, MemberKind::kFifo,
                          MemberKind::kSparse, MemberKind::kUnknown, MemberKind::kDirectory));
  EXPECT_EQ(reader.members()[0].link_target, "target");
  EXPECT_EQ(reader.members()[8].name, "old");
}

TEST(TarReader, JoinsThePrefix) {
  TarMember member{"name", "content"};
  member.prefix = "long/path";
  EXPECT_THAT(names(member.build() + tar_end()), ElementsAre("long/path/name"));
  EXPECT_THAT(anomalies_of(member), IsEmpty());
  // Of GNU headers as well, as Python does.
  member.magic = test::kGnu;
  EXPECT_THAT(names(member.build() + tar_end()), ElementsAre("long/path/name"));
  EXPECT_THAT(anomalies_of(member), ElementsAre(AnomalyKind::kForeignPrefix));
}

TEST(TarReader, ReadsNamesThatFillTheirField) {
  TarMember member{std::string(100, 'n'), "", '1', std::string(100, 'l')};
  member.prefix = std::string(155, 'p');
  const Reader reader = read(member.build() + tar_end());
  EXPECT_EQ(reader.members()[0].name, member.prefix + "/" + member.name);
  EXPECT_EQ(reader.members()[0].link_target, member.link_target);
}

TEST(TarReader, ReadsEveryFormOfANumber) {
  for (const std::string& size : {"00000000007\0"s, "000000000007"s, "         7 \0"s,
                                  "7\0garbage!!!"s, test::base256(7, 12)}) {
    TarMember member{"a", "content"};
    member.size = size;
    const std::string archive = member.build() + tar_end();
    EXPECT_EQ(text_of(read(archive), 0), "content") << size;
    EXPECT_THAT(anomalies_of(member), IsEmpty()) << size;
  }
}

TEST(TarReader, ReadsTimesBefore1970) {
  TarMember member{"a", "content"};
  member.mtime = std::string(12, '\xFF');
  EXPECT_THAT(anomalies_of(member), IsEmpty());
}

TEST(TarReader, AcceptsTheSumOfSignedBytes) {
  TarMember member{"\xE9t\xE9", "content"};
  const std::string block = member.header();
  int sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    sum += i >= 148 && i < 156 ? ' ' : static_cast<signed char>(block[i]);
  }
  member.checksum = test::octal(static_cast<std::uint64_t>(sum), 7) + " ";
  EXPECT_THAT(anomalies_of(member), IsEmpty());
}

// ---- pax and GNU extensions

TEST(TarReader, TakesNamesFromPaxHeaders) {
  const std::string name = test::repeat("very/", 40) + "long";
  const std::string archive = pax_header(pax_record("mtime", "1.5") + pax_record("path", name) +
                                         pax_record("linkpath", name + "/target")) +
                              TarMember{name.substr(0, 100), "", '2', "cut"}.build() +
                              TarMember{"b", "x"}.build() + tar_end();
  const Reader reader = read(archive);
  ASSERT_EQ(reader.members().size(), 2U);
  EXPECT_EQ(reader.members()[0].name, name);
  EXPECT_EQ(reader.members()[0].link_target, name + "/target");
  EXPECT_EQ(reader.members()[0].header_offset, 0U);
  EXPECT_EQ(reader.members()[1].name, "b");
  EXPECT_EQ(text_of(reader, 1), "x");
}

TEST(TarReader, TakesSizesFromPaxHeaders) {
  TarMember member{"a", "content"};
  member.size = test::octal(0, 12);
  const std::string archive = pax_header(pax_record("size", "7")) + member.build() +
                              TarMember{"b", "x"}.build() + tar_end();
  EXPECT_THAT(anomalies(archive), IsEmpty());
  EXPECT_EQ(text_of(read(archive), 0), "content");
  EXPECT_EQ(text_of(read(archive), 1), "x");
}

TEST(TarReader, TakesNamesFromGnuHeaders) {
  const std::string name = test::repeat("very/", 40) + "long";
  const std::string archive = gnu_long(name + ".target", 'K') + gnu_long(name) +
                              TarMember{name.substr(0, 100), "", '2', "cut", test::kGnu}.build() +
                              tar_end();
  const Reader reader = read(archive);
  EXPECT_EQ(reader.members()[0].name, name);
  EXPECT_EQ(reader.members()[0].link_target, name + ".target");
  EXPECT_THAT(anomalies(archive), ElementsAre(AnomalyKind::kLink));
}

TEST(TarReader, TakesTheFirstOfSeveralNames) {
  const std::string first(120, 'f');
  const std::string second(120, 's');
  const std::string member = TarMember{"x", ""}.build() + tar_end();
  EXPECT_THAT(names(gnu_long(first) + gnu_long(second) + member), ElementsAre(first));
  EXPECT_THAT(names(pax_header(pax_record("path", first)) + gnu_long(second) + member),
              ElementsAre(first));
  EXPECT_THAT(names(gnu_long(first) + pax_header(pax_record("path", second)) + member),
              ElementsAre(first));
}

TEST(TarReader, AppliesGlobalNamesAndReportsThem) {
  const std::string archive = pax_header(pax_record("path", "all"), 'g') +
                              TarMember{"a", ""}.build() + TarMember{"b", ""}.build() + tar_end();
  EXPECT_THAT(names(archive), ElementsAre("all", "all"));
  EXPECT_THAT(anomalies(archive),
              UnorderedElementsAre(AnomalyKind::kGlobalOverride, AnomalyKind::kDuplicateName));
  // What git writes into its archives says nothing about names.
  const std::string comment =
      pax_header(pax_record("comment", "0123456789"), 'g') + TarMember{"a", ""}.build() + tar_end();
  EXPECT_THAT(anomalies(comment), IsEmpty());
}

TEST(TarReader, KnowsSparseFiles) {
  // One block of the map behind the header, and one more behind that.
  std::string map(512, '\0');
  map[504] = 1;
  TarMember old{"sparse", "data", 'S', "", test::kGnu};
  old.tail = std::string(137, '\0') + "\x01" + test::octal(1 << 20, 12);
  const std::string archive = old.header() + map + std::string(512, '\0') + test::padded("data") +
                              TarMember{"next", "x"}.build() + tar_end();
  const Reader reader = read(archive);
  ASSERT_EQ(reader.members().size(), 2U);
  EXPECT_EQ(reader.members()[0].kind, MemberKind::kSparse);
  EXPECT_EQ(reader.members()[0].data_offset, 1536U);
  EXPECT_EQ(reader.content(reader.members()[0]).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(text_of(reader, 1), "x");
  EXPECT_THAT(anomalies(archive), ElementsAre(AnomalyKind::kSparseFile));

  const std::string pax =
      pax_header(pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
                 pax_record("GNU.sparse.name", "real")) +
      TarMember{"GNUSparseFile.1/real", "0\n"}.build() + tar_end();
  EXPECT_THAT(names(pax), ElementsAre("real"));
  EXPECT_THAT(anomalies(pax), ElementsAre(AnomalyKind::kSparseFile));
}

// ---- what does harm when it is extracted

TEST(TarReader, ReportsNamesThatLeaveTheFolder) {
  EXPECT_THAT(anomalies_of({"/etc/passwd"}), ElementsAre(AnomalyKind::kAbsoluteName));
  EXPECT_THAT(anomalies_of({"../x"}), ElementsAre(AnomalyKind::kParentInName));
  EXPECT_THAT(anomalies_of({"a/../../x"}), ElementsAre(AnomalyKind::kParentInName));
  EXPECT_THAT(anomalies_of({".."}), ElementsAre(AnomalyKind::kParentInName));
  for (const char* harmless : {"..a/b..", "./a", "a..b", "...", "."}) {
    EXPECT_THAT(anomalies_of({harmless}), IsEmpty()) << harmless;
  }
  const std::string long_name = "/" + std::string(200, 'x');
  EXPECT_THAT(
      anomalies(pax_header(pax_record("path", long_name)) + TarMember{"x"}.build() + tar_end()),
      ElementsAre(AnomalyKind::kAbsoluteName));
}

TEST(TarReader, ReportsLinksAndSpecialFiles) {
  EXPECT_THAT(anomalies_of({"a", "", '1', "b"}), ElementsAre(AnomalyKind::kLink));
  EXPECT_THAT(anomalies_of({"a", "", '2', "/b"}), ElementsAre(AnomalyKind::kLink));
  for (const char type : "346"s) {
    EXPECT_THAT(anomalies_of({"a", "", type}), ElementsAre(AnomalyKind::kSpecialFile));
  }
}

// ---- what readers differ about

TEST(TarReader, ReportsDuplicateNames) {
  for (const char* twin : {"a/b", "./a/b", "a//b", "a/./b", "/a/b"}) {
    const std::string archive =
        TarMember{"a/b", "1"}.build() + TarMember{twin, "2"}.build() + tar_end();
    const Reader reader = read(archive);
    const Anomaly expected{AnomalyKind::kDuplicateName, 1024, 1};
    EXPECT_THAT(reader.anomalies(), testing::Contains(expected)) << twin;
  }
  EXPECT_THAT(anomalies(TarMember{"a/b"}.build() + TarMember{"ab"}.build() + tar_end()), IsEmpty());
}

TEST(TarReader, ReportsControlBytesInNames) {
  EXPECT_THAT(anomalies_of({"a\nb"}), ElementsAre(AnomalyKind::kControlInName));
  EXPECT_THAT(anomalies_of({"a\x7F"}), ElementsAre(AnomalyKind::kControlInName));
  EXPECT_THAT(anomalies(pax_header(pax_record("path", std::string(150, 'a') + "\0b"s)) +
                        TarMember{"a"}.build() + tar_end()),
              ElementsAre(AnomalyKind::kControlInName));
}

TEST(TarReader, ReportsUnknownTypes) {
  EXPECT_THAT(anomalies_of({"a", "content", 'V'}), ElementsAre(AnomalyKind::kUnknownType));
}

TEST(TarReader, ReportsASizeWithoutData) {
  // Python reads the next header right behind this one.
  TarMember directory{"d", "", '5'};
  directory.size = test::octal(512, 12);
  const std::string archive = directory.build() + TarMember{"hidden", ""}.build() + tar_end();
  EXPECT_THAT(names(archive), ElementsAre("d", "hidden"));
  EXPECT_THAT(anomalies(archive), ElementsAre(AnomalyKind::kSizeWithoutData));
}

TEST(TarReader, ReportsExtensionsThatContradictTheHeader) {
  const std::string member = TarMember{"good", "content"}.build() + tar_end();
  EXPECT_THAT(anomalies(pax_header(pax_record("path", "evil")) + member),
              ElementsAre(AnomalyKind::kNameDiffers));
  EXPECT_THAT(anomalies(gnu_long("evil") + member), ElementsAre(AnomalyKind::kNameDiffers));
  EXPECT_THAT(anomalies(pax_header(pax_record("size", "3")) + member),
              ElementsAre(AnomalyKind::kSizeDiffers));
  // The same, and what the header cannot say.
  EXPECT_THAT(anomalies(pax_header(pax_record("path", "./good")) + member), IsEmpty());
  EXPECT_THAT(anomalies(pax_header(pax_record("path",
                                              "g\xC3\xB6\xC3\xB6"
                                              "d")) +
                        member),
              IsEmpty());
}

TEST(TarReader, ReportsOddNumbers) {
  for (const char* size : {"+7", "0o7", "0_7", "\t7", "0O07"}) {
    TarMember member{"a", "content"};
    member.size = test::field(size, 12);
    EXPECT_EQ(text_of(read(member.build() + tar_end()), 0), "content");
    EXPECT_THAT(anomalies_of(member), ElementsAre(AnomalyKind::kOddNumber)) << size;
  }
  TarMember negative{"a", ""};
  negative.size = test::field("-700", 12);
  EXPECT_EQ(text_of(read(negative.build() + tar_end()), 0), "");
  EXPECT_THAT(anomalies_of(negative), ElementsAre(AnomalyKind::kOddNumber));
  TarMember member{"a", "content"};
  member.mtime = test::field("-1", 12);
  EXPECT_THAT(anomalies_of(member), ElementsAre(AnomalyKind::kOddNumber));
  EXPECT_THAT(anomalies(pax_header(pax_record("size", "0_7")) + TarMember{"a", "content"}.build() +
                        tar_end()),
              ElementsAre(AnomalyKind::kOddNumber));
}

// ---- damage

TEST(TarReader, EndsAtADamagedHeader) {
  const std::string good = TarMember{"a", "first"}.build();
  TarMember bad{"b", "second"};
  bad.checksum = test::octal(1, 8);
  const Reader reader = read(good + bad.build() + tar_end());
  EXPECT_EQ(reader.members().size(), 1U);
  EXPECT_THAT(reader.anomalies(),
              ElementsAre(Anomaly{AnomalyKind::kBadHeader, 1024, Reader::kNoMember}));
  for (const char* size : {"8", "1 1", "0x1", "_7", "7_", "0__7", "0o", "\xE9"}) {
    TarMember odd{"b", "second"};
    odd.size = test::field(size, 12);
    EXPECT_THAT(anomalies(good + odd.build() + tar_end()), ElementsAre(AnomalyKind::kBadHeader))
        << size;
  }
}

TEST(TarReader, ReportsBrokenPaxRecords) {
  const std::string member = TarMember{"a", "content"}.build() + tar_end();
  for (const char* records :
       {"path=x\n", "9 path=x!", "12 path=xx\n", "8 path=x\n", "4 =\n", "7 path\n", "0 path=x\n",
        "999999999999999999999 path=x\n", "+9 path=x\n", "9  path=x\n"}) {
    EXPECT_THAT(anomalies(pax_header(records) + member), ElementsAre(AnomalyKind::kBadPaxRecord))
        << records;
  }
  for (const char* size : {"x", "", "-7"}) {
    EXPECT_THAT(
        anomalies(pax_header(pax_record("size", size)) + TarMember{"a"}.build() + tar_end()),
        ElementsAre(AnomalyKind::kBadPaxRecord));
  }
  // What stands before the broken record counts.
  const std::string name(150, 'n');
  EXPECT_THAT(names(pax_header(pax_record("path", name) + "broken") + member), ElementsAre(name));
}

TEST(TarReader, ReportsDataPastTheEnd) {
  TarMember large{"a", "content"};
  for (const std::string& size :
       {test::octal(100'000, 12), test::base256(UINT64_MAX, 12), "\x80"s + std::string(11, '\xFF'),
        test::base256(1ULL << 63, 12)}) {
    large.size = size;
    const Reader reader = read(large.build() + tar_end());
    ASSERT_EQ(reader.members().size(), 1U);
    EXPECT_EQ(reader.content(reader.members()[0]).error().code, ErrorCode::kTruncated);
    EXPECT_THAT(anomalies(large.build() + tar_end()), ElementsAre(AnomalyKind::kSizeOutOfBounds));
  }
}

TEST(TarReader, ReadsAndReportsExtensionsBehindTheirSize) {
  const std::string name(150, 'n');
  const std::string member = TarMember{"n"}.build() + tar_end();
  TarMember gnu{"././@LongLink", name, 'L'};
  gnu.size = test::octal(120, 12);
  TarMember pax{"PaxHeaders/x", pax_record("comment", "c") + pax_record("path", name), 'x'};
  pax.size = test::octal(pax_record("comment", "c").size(), 12);
  for (const TarMember& extension : {gnu, pax}) {
    EXPECT_THAT(names(extension.build() + member), ElementsAre(name));
    EXPECT_THAT(anomalies(extension.build() + member), ElementsAre(AnomalyKind::kLongExtension));
  }
}

TEST(TarReader, ReportsAnExtensionWithoutAMember) {
  const std::string good = TarMember{"a", "first"}.build();
  EXPECT_THAT(anomalies(good + gnu_long(std::string(120, 'x')) + tar_end()),
              ElementsAre(AnomalyKind::kLoneExtension));
  TarMember cut{"x", "", 'x'};
  cut.size = test::octal(100'000, 12);
  EXPECT_THAT(anomalies(good + cut.build()),
              ElementsAre(AnomalyKind::kSizeOutOfBounds, AnomalyKind::kLoneExtension));
}

TEST(TarReader, ReportsAMissingEnd) {
  const std::string good = TarMember{"a", "first"}.build();
  EXPECT_THAT(anomalies(good), ElementsAre(AnomalyKind::kNoEnd));
  EXPECT_THAT(anomalies(good + std::string(512, '\0')), ElementsAre(AnomalyKind::kNoEnd));
  EXPECT_THAT(anomalies(good + std::string(100, '\0')), ElementsAre(AnomalyKind::kNoEnd));
  // The data is whole, what fills its block up is not.
  EXPECT_EQ(text_of(read(good.substr(0, 517)), 0), "first");
}

TEST(TarReader, ReportsBytesBehindTheEnd) {
  const std::string good = TarMember{"a", "first"}.build() + tar_end();
  EXPECT_THAT(anomalies(good + std::string(9000, '\0')), IsEmpty());
  const Reader reader = read(good + std::string(700, '\0') + "x");
  EXPECT_THAT(reader.anomalies(), ElementsAre(Anomaly{AnomalyKind::kTrailingBytes,
                                                      good.size() + 700, Reader::kNoMember}));
  const std::string hidden = TarMember{"a", "first"}.build() + std::string(512, '\0') +
                             TarMember{"hidden", "x"}.build() + tar_end();
  EXPECT_THAT(anomalies(hidden), ElementsAre(AnomalyKind::kNoEnd, AnomalyKind::kTrailingBytes));
}

TEST(TarReader, KeepsToItsLimits) {
  const std::string two = TarMember{"a"}.build() + TarMember{"b"}.build() + tar_end();
  EXPECT_EQ(open_error(two, {.max_members = 1}), ErrorCode::kLimit);
  const std::string name(900, 'n');
  const std::string long_names =
      gnu_long(name) + TarMember{"a"}.build() + gnu_long(name) + TarMember{"b"}.build() + tar_end();
  EXPECT_EQ(open_error(long_names, {.max_header_bytes = 2000}), ErrorCode::kLimit);
  EXPECT_TRUE(Reader::open(as_bytes(long_names), {.max_header_bytes = 2048}).has_value());
  // One name for every member: little input, much memory.
  const std::string global = pax_header(pax_record("path", name), 'g') +
                             test::repeat(TarMember{"a"}.build(), 100) + tar_end();
  EXPECT_EQ(open_error(global, {.max_header_bytes = 50'000}), ErrorCode::kLimit);
}

TEST(TarReader, NotesEqualRecordsOnce) {
  const std::string archive =
      pax_header(test::repeat(pax_record("size", "x"), 1000)) + TarMember{"a"}.build() + tar_end();
  EXPECT_THAT(anomalies(archive), ElementsAre(AnomalyKind::kBadPaxRecord));
}

TEST(TarReader, EveryAnomalyHasATextOfItsOwn) {
  std::vector<std::string_view> texts;
  for (int i = 0; i <= static_cast<int>(AnomalyKind::kTrailingBytes); ++i) {
    texts.emplace_back(anomaly_text(static_cast<AnomalyKind>(i)));
    EXPECT_NE(texts.back(), "");
  }
  std::ranges::sort(texts);
  EXPECT_EQ(std::ranges::adjacent_find(texts), texts.end());
}

// ---- detection

TEST(IsTar, KnowsAnyHeader) {
  for (const std::string_view magic : {test::kUstar, test::kGnu, test::kV7}) {
    EXPECT_TRUE(is_tar(as_bytes(TarMember{"a", "", '0', "", magic}.header())));
  }
  EXPECT_TRUE(is_tar(as_bytes(pax_header(pax_record("path", "a")))));
}

TEST(IsTar, DoesNotTakeOtherFilesForTars) {
  EXPECT_FALSE(is_tar(as_bytes("")));
  EXPECT_FALSE(is_tar(as_bytes(std::string(511, '0'))));
  EXPECT_FALSE(is_tar(as_bytes(std::string(10'240, '\0'))));
  EXPECT_FALSE(is_tar(as_bytes(std::string(1024, ' '))));
  EXPECT_FALSE(is_tar(as_bytes(std::string(1024, '0'))));
  EXPECT_FALSE(is_tar(as_bytes(std::string(1024, '\x01'))));
  // The magic alone is not enough.
  std::string magic(1024, '\0');
  magic.replace(257, 8, test::kUstar);
  EXPECT_FALSE(is_tar(as_bytes(magic)));
  EXPECT_EQ(open_error(magic), ErrorCode::kWrongFormat);
}

TEST(IsTar, LooksAtEveryByteOfTheHeader) {
  const std::string header = TarMember{"name", "", '0', "target"}.header();
  for (std::size_t at = 0; at < header.size(); ++at) {
    if (at >= 148 && at < 156) continue;
    std::string changed = header;
    changed[at] = static_cast<char>(changed[at] ^ 0x40);
    EXPECT_FALSE(is_tar(as_bytes(changed))) << at;
  }
}

// ---- hostile input as a whole

void expect_inside(std::string_view archive) {
  const auto reader = Reader::open(as_bytes(archive));
  if (!reader) return;
  for (const Member& member : reader->members()) {
    ASSERT_LT(member.header_offset, archive.size());
    const auto bytes = reader->content(member);
    if (!bytes) continue;
    ASSERT_LE(member.data_offset, archive.size());
    ASSERT_LE(bytes->size(), archive.size() - member.data_offset);
  }
  for (const Anomaly& anomaly : reader->anomalies()) {
    ASSERT_LE(anomaly.offset, archive.size());
    if (anomaly.member != Reader::kNoMember) {
      ASSERT_LT(anomaly.member, reader->members().size());
    }
  }
}

std::string sample_archive() {
  return TarMember{"a", "first"}.build() + pax_header(pax_record("path", std::string(130, 'p'))) +
         TarMember{"b", "second"}.build() + gnu_long(std::string(130, 'g')) +
         TarMember{"c", "third", '0', "", test::kGnu}.build() + tar_end();
}

TEST(TarReader, StaysInsideATruncatedFile) {
  const std::string archive = sample_archive();
  for (std::size_t length = 0; length < archive.size(); ++length) {
    // A string of its own, so that sanitizers see a read behind its end.
    const std::string cut(archive, 0, length);
    expect_inside(cut);
    const auto reader = Reader::open(as_bytes(cut));
    EXPECT_EQ(reader.has_value(), length >= 512) << length;
    if (reader) {
      EXPECT_FALSE(reader->anomalies().empty()) << length;
    }
  }
}

TEST(TarReader, StaysInsideAFileWithAnyByteChanged) {
  const std::string archive = sample_archive();
  for (std::size_t at = 0; at < archive.size(); ++at) {
    for (const char value : {'\0', '7', '\xFF'}) {
      std::string changed = archive;
      changed[at] = value;
      expect_inside(changed);
    }
  }
}

TEST(TarReader, ListsManyMembersInLittleTime) {
  std::string archive;
  for (int i = 0; i < 20'000; ++i) archive += TarMember{"m" + std::to_string(i)}.build();
  archive += tar_end();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(read(archive).members().size(), 20'000U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace tare::tar
