#include "archive/zip_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>

#include "support/torch_builder.hpp"
#include "support/zip_builder.hpp"

namespace tare::zip {

inline std::ostream& operator<<(std::ostream& out, AnomalyKind kind) {
  return out << '"' << anomaly_text(kind) << '"';
}

namespace {

using namespace std::string_literals;
using test::ZipBuilder;
using test::ZipEntry;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

// The anomalies of an archive that can be opened.
std::vector<AnomalyKind> anomalies(std::string_view archive) {
  const auto reader = Reader::open(as_bytes(archive));
  EXPECT_TRUE(reader.has_value()) << reader.error().what;
  std::vector<AnomalyKind> kinds;
  if (!reader) return kinds;
  for (const Anomaly& anomaly : reader->anomalies()) kinds.push_back(anomaly.kind);
  return kinds;
}

// An archive of two records, the second one as given.
std::vector<AnomalyKind> anomalies_of(ZipEntry entry) {
  return anomalies(ZipBuilder().add("first", "content").add(std::move(entry)).build());
}

ZipEntry entry(std::string name, std::string content = "some content") {
  ZipEntry entry;
  entry.name = std::move(name);
  entry.content = std::move(content);
  return entry;
}

ErrorCode open_error(std::string_view archive, const Limits& limits = {}) {
  const auto reader = Reader::open(as_bytes(archive), limits);
  EXPECT_FALSE(reader.has_value());
  return reader ? ErrorCode::kIo : reader.error().code;
}

std::string text_of(const Reader& reader, std::size_t index) {
  const auto bytes = reader.stored_bytes(reader.entries()[index]);
  EXPECT_TRUE(bytes.has_value()) << bytes.error().what;
  return bytes ? std::string(as_text(*bytes)) : "";
}

// ---- what is in order

TEST(ZipReader, ReadsStoredEntries) {
  ZipBuilder builder;
  const std::string archive = builder.add("a", "first").add("dir/b", "second").build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value());
  ASSERT_EQ(reader->entries().size(), 2U);
  EXPECT_THAT(reader->anomalies(), IsEmpty());
  EXPECT_EQ(reader->entries()[0].name, "a");
  EXPECT_EQ(reader->entries()[1].name, "dir/b");
  EXPECT_EQ(text_of(*reader, 0), "first");
  EXPECT_EQ(text_of(*reader, 1), "second");
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(reader->entries()[i].header_offset, builder.local_offset(i));
    EXPECT_EQ(reader->entries()[i].central_offset, builder.central_offset(i));
    EXPECT_EQ(reader->entries()[i].data_offset, builder.data_offset(i));
    EXPECT_TRUE(
        Reader::crc_matches(reader->entries()[i], *reader->raw_bytes(reader->entries()[i])));
  }
}

TEST(ZipReader, HandsOutViewsOfTheInput) {
  const std::string archive = ZipBuilder().add("a", "first").build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value());
  const auto bytes = reader->stored_bytes(reader->entries()[0]);
  EXPECT_EQ(as_text(*bytes).data(), archive.data() + reader->entries()[0].data_offset);
}

TEST(ZipReader, FindsNothingOddInTheLayoutOfTorch) {
  EXPECT_THAT(anomalies(test::clean_torch_zip().build()), IsEmpty());
  // Records padded by an extra field, an empty record, several storages.
  ZipEntry padded = test::torch_record("m/data/0", "12345678");
  padded.local_extra = "FB" + test::u16(5) + "ZZZZZ";
  ZipBuilder builder = test::torch_zip("\x80\x02N.", {{"1", ""}, {"2", "x"}});
  EXPECT_THAT(anomalies(builder.add(padded).build()), IsEmpty());
}

TEST(ZipReader, ReadsAnEmptyArchive) {
  const std::string archive = ZipBuilder().build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value());
  EXPECT_THAT(reader->entries(), IsEmpty());
  EXPECT_THAT(reader->anomalies(), IsEmpty());
}

TEST(ZipReader, ReadsAnArchiveWithAComment) {
  ZipBuilder builder;
  builder.comment = std::string(65535, 'c');
  EXPECT_THAT(anomalies(builder.add("a", "first").build()), IsEmpty());
}

TEST(ZipReader, FindsTheEndRecordAtEveryDistanceFromTheEnd) {
  for (std::size_t length = 0; length < 600; ++length) {
    ZipBuilder builder;
    builder.comment = std::string(length, 'P');
    const std::string archive = builder.add("a", "first").build();
    const auto reader = Reader::open(as_bytes(archive));
    ASSERT_TRUE(reader.has_value()) << length;
    EXPECT_EQ(reader->entries().size(), 1U) << length;
  }
}

TEST(ZipReader, AcceptsDescriptorsOfEverySize) {
  const std::uint32_t crc = test::crc_of("12345678");
  const std::string with32 = test::u32(crc) + test::u32(8) + test::u32(8);
  const std::string with64 = test::u32(crc) + test::u64(8) + test::u64(8);
  for (const std::string& bytes : {with32, "PK\x07\x08" + with32, with64, "PK\x07\x08" + with64}) {
    ZipEntry record = entry("a", "12345678");
    record.descriptor = true;
    record.descriptor_bytes = bytes;
    EXPECT_THAT(anomalies(ZipBuilder().add(record).add("b", "x").build()), IsEmpty());
  }
}

TEST(ZipReader, ReadsZip64Entries) {
  ZipEntry large = entry("a", "content");
  large.zip64 = true;
  // Other extra fields before the one that counts.
  ZipEntry second = entry("b", "other");
  second.zip64 = true;
  second.central_extra = test::u16(0x5455) + test::u16(1) + "t";
  ZipBuilder builder;
  builder.zip64_end = true;
  const std::string archive = builder.add(large).add(second).build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value());
  EXPECT_THAT(reader->anomalies(), IsEmpty());
  EXPECT_EQ(text_of(*reader, 0), "content");
  EXPECT_EQ(text_of(*reader, 1), "other");
}

TEST(ZipReader, TakesZip64ValuesWhereTheEndRecordPointsToThem) {
  ZipBuilder builder;
  builder.zip64_end = true;
  builder.end_count = UINT16_MAX;
  builder.end_directory_size = UINT32_MAX;
  builder.end_directory_offset = UINT32_MAX;
  const std::string archive = builder.add("a", "first").build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value()) << reader.error().what;
  EXPECT_EQ(text_of(*reader, 0), "first");
  EXPECT_THAT(reader->anomalies(), IsEmpty());
}

TEST(ZipReader, SurvivesAZip64FieldThatIsTooShort) {
  for (std::size_t length = 0; length < 24; ++length) {
    ZipEntry record = entry("a");
    record.central_stored_size = UINT32_MAX;
    record.central_size = UINT32_MAX;
    record.central_offset = UINT32_MAX;
    record.central_extra = test::u16(0x0001) + test::u16(length) + std::string(length, '\x01');
    const auto kinds = anomalies(ZipBuilder().add(record).build());
    EXPECT_FALSE(kinds.empty()) << length;
  }
}

// As in `cat a.pkl b.zip`, which Python reads and PyTorch does not.
TEST(ZipReader, ReadsAnArchiveBehindAPrefixThatItDoesNotCount) {
  ZipBuilder builder;
  builder.prefix = "a pickle, or anything";
  builder.prefix_uncounted = true;
  const std::string archive = builder.add("a", "first").build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ(text_of(*reader, 0), "first");
  EXPECT_THAT(anomalies(archive), Contains(AnomalyKind::kPrefixBytes));
}

// ---- what is no zip archive

TEST(ZipReader, RefusesWhatIsNoArchive) {
  EXPECT_EQ(open_error(""), ErrorCode::kWrongFormat);
  EXPECT_EQ(open_error("PK"), ErrorCode::kWrongFormat);
  EXPECT_EQ(open_error(std::string(1000, 'x')), ErrorCode::kWrongFormat);
  EXPECT_EQ(open_error("PK\x05\x06"), ErrorCode::kWrongFormat);
  EXPECT_EQ(open_error("PK\x05\x06" + std::string(17, '\0')), ErrorCode::kWrongFormat);
}

TEST(ZipReader, CallsAnArchiveWithoutDirectoryTruncated) {
  const std::string archive = ZipBuilder().add("a", std::string(1000, 'x')).build();
  EXPECT_EQ(open_error(archive.substr(0, 500)), ErrorCode::kTruncated);
}

TEST(ZipReader, RefusesADirectoryOutsideOfTheFile) {
  for (const std::uint64_t offset : {std::uint64_t{1} << 31, std::uint64_t{UINT32_MAX}}) {
    ZipBuilder builder;
    builder.directory_offset = offset;
    EXPECT_EQ(open_error(builder.add("a", "x").build()), ErrorCode::kTruncated);
  }
  ZipBuilder wraps;
  wraps.zip64_end = true;
  wraps.directory_offset = UINT64_MAX - 10;
  EXPECT_EQ(open_error(wraps.add("a", "x").build()), ErrorCode::kTruncated);
}

TEST(ZipReader, RefusesMoreEntriesThanTheLimit) {
  ZipBuilder builder;
  for (int i = 0; i < 11; ++i) builder.add(std::to_string(i), "x");
  Limits limits;
  limits.max_entries = 10;
  EXPECT_EQ(open_error(builder.build(), limits), ErrorCode::kLimit);
  builder.count = 1;  // fewer declared than there are
  EXPECT_EQ(open_error(builder.build(), limits), ErrorCode::kLimit);
  // A count that nobody could hold costs no memory.
  ZipBuilder many;
  many.zip64_end = true;
  many.count = UINT64_MAX;
  EXPECT_EQ(open_error(many.add("a", "x").build()), ErrorCode::kLimit);
}

TEST(ZipReader, RefusesACutCentralHeader) {
  ZipBuilder builder;
  builder.add("a", "x");
  builder.build();
  const std::uint64_t whole = builder.end_record() - builder.directory_start();
  for (std::uint64_t missing = 1; missing < whole; ++missing) {
    builder.directory_size = whole - missing;
    const std::string cut = builder.build();
    const auto reader = Reader::open(as_bytes(cut));
    if (reader) {
      EXPECT_FALSE(reader->anomalies().empty()) << missing;
    }
  }
}

// ---- every anomaly

TEST(ZipReader, ReportsDuplicateCentralEntry) {
  const std::string archive = ZipBuilder().add("a", "first").add("b", "x").add("a", "2").build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value());
  ASSERT_EQ(reader->anomalies().size(), 1U);
  EXPECT_EQ(reader->anomalies()[0].kind, AnomalyKind::kDuplicateName);
  EXPECT_EQ(reader->anomalies()[0].entry, 2U);
  EXPECT_EQ(reader->entries().size(), 3U);  // all of them are there to be looked at
}

TEST(ZipReader, ReportsNamesThatDifferInCaseOnly) {
  EXPECT_THAT(anomalies(ZipBuilder().add("m/data.pkl", "1").add("m/DATA.pkl", "2").build()),
              ElementsAre(AnomalyKind::kCaseCollision));
}

TEST(ZipReader, ReportsEveryOneOfManyEqualNames) {
  EXPECT_THAT(anomalies(ZipBuilder().add("a", "1").add("a", "2").add("A", "3").build()).size(), 2U);
}

TEST(ZipReader, ReportsLocalNameThatDiffers) {
  ZipEntry liar = entry("name");
  liar.local_name = "other";
  EXPECT_THAT(anomalies_of(liar), ElementsAre(AnomalyKind::kLocalNameDiffers));
  liar.local_name = "";
  EXPECT_THAT(anomalies_of(liar), ElementsAre(AnomalyKind::kLocalNameDiffers));
}

TEST(ZipReader, ReportsLocalMethodThatDiffers) {
  ZipEntry liar = entry("name");
  liar.local_method = 8;
  EXPECT_THAT(anomalies_of(liar), ElementsAre(AnomalyKind::kLocalMethodDiffers));
}

TEST(ZipReader, ReportsLocalSizeThatDiffers) {
  ZipEntry stored = entry("name");
  stored.local_stored_size = 3;
  EXPECT_THAT(anomalies_of(stored), ElementsAre(AnomalyKind::kLocalSizeDiffers));
  ZipEntry size = entry("name");
  size.local_size = 3;
  EXPECT_THAT(anomalies_of(size), ElementsAre(AnomalyKind::kLocalSizeDiffers));
  // With bit 3 the fields may be zero, and nothing else.
  ZipEntry deferred = entry("name");
  deferred.descriptor = true;
  deferred.local_stored_size = 3;
  deferred.local_size = 3;
  EXPECT_THAT(anomalies_of(deferred), ElementsAre(AnomalyKind::kLocalSizeDiffers));
}

TEST(ZipReader, ReportsLocalFlagsThatDiffer) {
  ZipEntry liar = entry("name");
  liar.local_flags = 1;
  EXPECT_THAT(anomalies_of(liar), ElementsAre(AnomalyKind::kLocalFlagsDiffer));
}

TEST(ZipReader, ReportsEncryptedEntries) {
  for (const std::uint16_t flag : std::to_array<std::uint16_t>({0x01, 0x20, 0x40, 0x2000})) {
    ZipEntry liar = entry("name");
    liar.flags = flag;
    EXPECT_THAT(anomalies_of(liar), ElementsAre(AnomalyKind::kEncrypted)) << flag;
  }
}

TEST(ZipReader, ReportsUnknownMethods) {
  for (const std::uint16_t method : std::to_array<std::uint16_t>({1, 9, 12, 14, 93, 99})) {
    ZipEntry other = entry("name");
    other.method = method;
    EXPECT_THAT(anomalies_of(other), ElementsAre(AnomalyKind::kUnknownMethod)) << method;
  }
}

TEST(ZipReader, ReportsSizesThatReachOutside) {
  ZipEntry large = entry("name");
  large.central_stored_size = 100'000;
  large.central_size = 100'000;
  EXPECT_THAT(anomalies_of(large), Contains(AnomalyKind::kSizeOutOfBounds));
  // A stored entry has one size.
  ZipEntry two = entry("name");
  two.central_size = 5;
  EXPECT_THAT(anomalies_of(two), Contains(AnomalyKind::kSizeOutOfBounds));
  ZipEntry wraps = entry("name");
  wraps.zip64 = true;
  wraps.central_stored_size = UINT64_MAX - 10;
  wraps.central_size = UINT64_MAX - 10;
  EXPECT_THAT(anomalies_of(wraps), Contains(AnomalyKind::kSizeOutOfBounds));
}

TEST(ZipReader, ReportsAMissingLocalHeader) {
  ZipEntry lost = entry("name");
  lost.central_offset = 5;
  EXPECT_THAT(anomalies_of(lost), Contains(AnomalyKind::kBadLocalHeader));
  lost.central_offset = 1'000'000;
  EXPECT_THAT(anomalies_of(lost), Contains(AnomalyKind::kBadLocalHeader));
  lost.zip64 = true;
  lost.central_offset = UINT64_MAX;
  EXPECT_THAT(anomalies_of(lost), Contains(AnomalyKind::kBadLocalHeader));
}

TEST(ZipReader, ReportsOverlap) {
  // Two directory entries, one local header.
  ZipEntry twin = entry("twin");
  twin.no_local = true;
  twin.central_offset = 0;
  twin.central_size = 12;
  EXPECT_THAT(anomalies(ZipBuilder().add(entry("first")).add(twin).build()),
              Contains(AnomalyKind::kOverlap));
  // The content of one entry is another entry.
  const std::string inner = ZipBuilder().add("inner", "x").build().substr(0, 36);
  ZipEntry outer = entry("outer", inner);
  ZipEntry nested = entry("inner", "x");
  nested.no_local = true;
  nested.central_offset = 35;
  EXPECT_THAT(anomalies(ZipBuilder().add(outer).add(nested).build()),
              ElementsAre(AnomalyKind::kOverlap));
}

TEST(ZipReader, ReportsEntriesThatReachIntoTheDirectory) {
  ZipBuilder builder;
  ZipEntry large = entry("name", "12");
  large.central_stored_size = 10;
  large.central_size = 10;
  EXPECT_THAT(anomalies(builder.add(large).build()), Contains(AnomalyKind::kOverlap));
}

TEST(ZipReader, ReportsBytesBeforeTheFirstEntry) {
  ZipBuilder builder;
  builder.prefix = "N.";
  EXPECT_THAT(anomalies(builder.add("a", "x").build()), ElementsAre(AnomalyKind::kPrefixBytes));
  ZipBuilder empty;
  empty.prefix = "prefix";
  EXPECT_THAT(anomalies(empty.build()), ElementsAre(AnomalyKind::kPrefixBytes));
}

TEST(ZipReader, ReportsBytesBehindTheEnd) {
  for (const std::size_t length : {1UL, 100UL, 60'000UL}) {
    ZipBuilder builder;
    builder.suffix = std::string(length, 'x');
    EXPECT_THAT(anomalies(builder.add("a", "x").build()), ElementsAre(AnomalyKind::kSuffixBytes));
  }
}

TEST(ZipReader, ReportsHiddenEntry) {
  ZipEntry hidden = entry("hidden");
  hidden.no_central = true;
  EXPECT_THAT(anomalies(ZipBuilder().add("a", "x").add(hidden).add("b", "y").build()),
              ElementsAre(AnomalyKind::kHiddenBytes));
  EXPECT_THAT(anomalies(ZipBuilder().add("a", "x").add(hidden).build()),
              ElementsAre(AnomalyKind::kHiddenBytes));
  EXPECT_THAT(anomalies(ZipBuilder().add(hidden).add("a", "x").build()),
              ElementsAre(AnomalyKind::kPrefixBytes));
}

TEST(ZipReader, ReportsHiddenBytes) {
  ZipEntry second = entry("b");
  second.before = "x";
  EXPECT_THAT(anomalies(ZipBuilder().add("a", "x").add(second).build()),
              ElementsAre(AnomalyKind::kHiddenBytes));
  // As long as a data descriptor, but the entry before has none.
  second.before = std::string(16, 'x');
  EXPECT_THAT(anomalies(ZipBuilder().add("a", "x").add(second).build()),
              ElementsAre(AnomalyKind::kHiddenBytes));
  ZipBuilder builder;
  builder.before_directory = "hidden";
  EXPECT_THAT(anomalies(builder.add("a", "x").build()), ElementsAre(AnomalyKind::kHiddenBytes));
}

TEST(ZipReader, ReportsSecondDirectory) {
  // A whole archive in the comment of another one: both end records fit.
  ZipBuilder outer;
  outer.add("a", "outer");
  ZipBuilder inner;
  const std::string plain = outer.build();
  inner.prefix = plain;
  inner.add("a", "inner");
  outer.comment = inner.build().substr(plain.size());
  const auto kinds = anomalies(outer.build());
  EXPECT_THAT(kinds, Contains(AnomalyKind::kSecondDirectory));
}

// Python's zipfile takes the directory that ends at the end record, PyTorch the one at the offset.
TEST(ZipReader, ReportsTwoDirectoriesBehindEachOther) {
  ZipBuilder builder;
  builder.add("name", "x");
  const std::string plain = builder.build();
  std::string second = plain.substr(builder.directory_start());
  second.resize(builder.end_record() - builder.directory_start());
  builder.after_directory = second.replace(second.find("name"), 4, "evil");
  EXPECT_THAT(anomalies(builder.build()), Contains(AnomalyKind::kSecondDirectory));
}

TEST(ZipReader, ReportsEntryCountsThatDiffer) {
  for (const std::uint64_t count : {0UL, 1UL, 3UL, 60'000UL}) {
    ZipBuilder builder;
    builder.count = count;
    const std::string archive = builder.add("a", "x").add("b", "y").build();
    const auto reader = Reader::open(as_bytes(archive));
    ASSERT_TRUE(reader.has_value());
    EXPECT_EQ(reader->entries().size(), 2U);
    EXPECT_THAT(anomalies(archive), Contains(AnomalyKind::kDirectoryTruncated)) << count;
  }
}

TEST(ZipReader, ReportsBytesInsideTheDirectory) {
  ZipBuilder builder;
  builder.after_directory = "gap";
  builder.add("a", "x").build();
  builder.directory_size = builder.end_record() - builder.directory_start();
  EXPECT_THAT(anomalies(builder.build()), Contains(AnomalyKind::kDirectoryTruncated));
}

// Python's zipfile takes the directory that ends at the end record and moves all offsets by the
// gap: it reads the second directory and other local headers than PyTorch.
TEST(ZipReader, ReportsBytesBetweenTheDirectoryAndTheEnd) {
  ZipBuilder builder;
  builder.after_directory = "hidden";
  EXPECT_THAT(anomalies(builder.add("a", "x").build()), Contains(AnomalyKind::kHiddenBytes));
}

TEST(ZipReader, ReportsEndRecordsThatDisagree) {
  ZipBuilder builder;
  builder.zip64_end = true;
  builder.end_directory_offset = 0;
  EXPECT_THAT(anomalies(builder.add("a", "x").build()),
              ElementsAre(AnomalyKind::kEndRecordsDiffer));
  ZipBuilder counts;
  counts.zip64_end = true;
  counts.end_count = 7;
  EXPECT_THAT(anomalies(counts.add("a", "x").build()), ElementsAre(AnomalyKind::kEndRecordsDiffer));
  ZipBuilder sizes;
  sizes.zip64_end = true;
  sizes.end_directory_size = 1;
  EXPECT_THAT(anomalies(sizes.add("a", "x").build()), ElementsAre(AnomalyKind::kEndRecordsDiffer));
}

TEST(ZipReader, ReportsADescriptorThatDiffers) {
  ZipEntry liar = entry("a", "12345678");
  liar.descriptor = true;
  liar.descriptor_bytes = "PK\x07\x08" + test::u32(1) + test::u32(2) + test::u32(2);
  EXPECT_THAT(anomalies(ZipBuilder().add(liar).add("b", "x").build()),
              ElementsAre(AnomalyKind::kDescriptorDiffers));
  liar.descriptor_bytes = "cos\nsystem\n(S'id'\ntR.x";
  liar.descriptor_bytes->resize(24, 'x');
  EXPECT_THAT(anomalies(ZipBuilder().add(liar).add("b", "x").build()),
              ElementsAre(AnomalyKind::kDescriptorDiffers));
}

TEST(ZipReader, ReportsALocalZip64SizeThatDiffers) {
  ZipEntry liar = entry("a", "12345678");
  liar.local_stored_size = UINT32_MAX;
  liar.local_size = UINT32_MAX;
  liar.local_extra = test::u16(0x0001) + test::u16(16) + test::u64(3) + test::u64(3);
  EXPECT_THAT(anomalies(ZipBuilder().add(liar).build()), Contains(AnomalyKind::kLocalSizeDiffers));
}

// libzip takes the name from the Unicode path field when its checksum fits.
TEST(ZipReader, ReportsAUnicodePathThatDiffers) {
  ZipEntry renamed = entry("data.pkl");
  const std::string other = "evil.pkl";
  renamed.central_extra = test::u16(0x7075) + test::u16(5 + other.size()) + test::u8(1) +
                          test::u32(test::crc_of("data.pkl")) + other;
  EXPECT_THAT(anomalies_of(renamed), ElementsAre(AnomalyKind::kUnicodeNameDiffers));
  // The same name there is fine.
  renamed.central_extra = test::u16(0x7075) + test::u16(13) + test::u8(1) +
                          test::u32(test::crc_of("data.pkl")) + "data.pkl";
  EXPECT_THAT(anomalies_of(renamed), IsEmpty());
}

TEST(ZipReader, ReportsControlBytesInNames) {
  for (const std::string& name : {"data.pkl\0.txt"s, "a\nb"s, "\x1B[31m"s, "tab\t"s}) {
    EXPECT_THAT(anomalies_of(entry(name)), ElementsAre(AnomalyKind::kControlInName));
  }
}

TEST(ZipReader, OrdersAnomaliesByOffset) {
  ZipBuilder builder;
  builder.prefix = "x";
  builder.suffix = "y";
  ZipEntry liar = entry("A");
  liar.local_name = "b";
  liar.method = 99;
  const std::string archive = builder.add(liar).add("a", "x").build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value());
  EXPECT_GE(reader->anomalies().size(), 4U);
  EXPECT_TRUE(std::ranges::is_sorted(reader->anomalies(), {}, &Anomaly::offset));
}

TEST(ZipReader, EveryAnomalyHasATextOfItsOwn) {
  std::vector<std::string> texts;
  for (int kind = 0; kind <= static_cast<int>(AnomalyKind::kDescriptorDiffers); ++kind) {
    texts.emplace_back(anomaly_text(static_cast<AnomalyKind>(kind)));
    EXPECT_NE(texts.back(), "");
  }
  std::ranges::sort(texts);
  EXPECT_EQ(std::ranges::adjacent_find(texts), texts.end());
}

// ---- reading entries

TEST(ZipReader, Inflates) {
  ZipEntry deflated = entry("a", test::repeat("content ", 1000));
  deflated.method = 8;
  const std::string archive = ZipBuilder().add(deflated).add("b", "stored").build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value());
  EXPECT_THAT(reader->anomalies(), IsEmpty());
  const auto content = reader->inflate(reader->entries()[0]);
  ASSERT_TRUE(content.has_value()) << content.error().what;
  EXPECT_EQ(as_text(*content), deflated.content);
  EXPECT_TRUE(Reader::crc_matches(reader->entries()[0], *content));
  EXPECT_EQ(as_text(*reader->inflate(reader->entries()[1])), "stored");
  const auto stored = reader->stored_bytes(reader->entries()[0]);
  ASSERT_FALSE(stored.has_value());
  EXPECT_EQ(stored.error().code, ErrorCode::kUnsupported);
}

TEST(ZipReader, InflatesNothing) {
  ZipEntry empty = entry("a", "");
  empty.method = 8;
  const std::string archive = ZipBuilder().add(empty).build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value());
  const auto content = reader->inflate(reader->entries()[0]);
  ASSERT_TRUE(content.has_value());
  EXPECT_THAT(*content, IsEmpty());
}

ErrorCode inflate_error(const ZipEntry& entry, const Limits& limits = {}) {
  const std::string archive = ZipBuilder().add(entry).build();
  const auto reader = Reader::open(as_bytes(archive), limits);
  EXPECT_TRUE(reader.has_value());
  const auto content = reader->inflate(reader->entries()[0]);
  EXPECT_FALSE(content.has_value());
  return content ? ErrorCode::kIo : content.error().code;
}

TEST(ZipReader, RefusesAStreamOfAnotherSize) {
  ZipEntry deflated = entry("a", test::repeat("content ", 1000));
  deflated.method = 8;
  for (const std::uint64_t size : {0UL, 1UL, 7999UL, 8001UL, 20'000UL}) {
    deflated.central_size = size;
    EXPECT_EQ(inflate_error(deflated), ErrorCode::kMismatch) << size;
  }
}

TEST(ZipReader, RefusesADamagedStream) {
  ZipEntry damaged = entry("a", std::string(100, 'x'));
  damaged.method = 8;
  damaged.raw = std::string(20, '\xFF');
  EXPECT_FALSE(inflate_error(damaged) == ErrorCode::kIo);
  ZipEntry cut = entry("a", test::repeat("content ", 1000));
  cut.method = 8;
  cut.raw = test::deflate(cut.content);
  cut.raw->resize(cut.raw->size() - 1);
  EXPECT_FALSE(inflate_error(cut) == ErrorCode::kIo);
}

TEST(ZipReader, RefusesBytesBehindTheStream) {
  ZipEntry longer = entry("a", test::repeat("content ", 1000));
  longer.method = 8;
  longer.raw = test::deflate(longer.content) + "hidden";
  EXPECT_EQ(inflate_error(longer), ErrorCode::kMismatch);
}

TEST(ZipReader, RefusesToInflateBeyondTheLimits) {
  ZipEntry bomb = entry("a", std::string(2'000'000, '\0'));
  bomb.method = 8;
  Limits small;
  small.max_inflated_bytes = 1'999'999;
  EXPECT_EQ(inflate_error(bomb, small), ErrorCode::kLimit);
  Limits strict;
  strict.max_ratio = 100;
  EXPECT_EQ(inflate_error(bomb, strict), ErrorCode::kLimit);
  // What deflate cannot do is a lie, refused before any memory is taken for it.
  ZipEntry liar = entry("a", std::string(1000, '\0'));
  liar.method = 8;
  liar.central_size = 900'000'000;
  EXPECT_EQ(inflate_error(liar), ErrorCode::kLimit);
}

TEST(ZipReader, DoesNotReadUnknownMethods) {
  ZipEntry other = entry("a");
  other.method = 12;
  EXPECT_EQ(inflate_error(other), ErrorCode::kUnsupported);
}

TEST(ZipReader, DoesNotReadEntriesOutsideOfTheFile) {
  ZipEntry large = entry("a");
  large.central_stored_size = 100'000;
  large.central_size = 100'000;
  EXPECT_EQ(inflate_error(large), ErrorCode::kMalformed);
}

TEST(ZipReader, ComparesChecksums) {
  ZipEntry liar = entry("a");
  liar.central_crc = 1;
  const std::string archive = ZipBuilder().add(liar).build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value());
  EXPECT_FALSE(Reader::crc_matches(reader->entries()[0], as_bytes(liar.content)));
}

// ---- hostile input as a whole

// Everything that a reader hands out must lie inside of the file.
void expect_inside(std::string_view archive) {
  const auto reader = Reader::open(as_bytes(archive));
  if (!reader) return;
  for (const Entry& entry : reader->entries()) {
    const auto bytes = reader->raw_bytes(entry);
    if (!bytes) continue;
    const auto begin = as_text(*bytes).data() - archive.data();
    ASSERT_GE(begin, 0);
    ASSERT_LE(static_cast<std::size_t>(begin) + bytes->size(), archive.size());
  }
  for (const Anomaly& anomaly : reader->anomalies()) {
    ASSERT_LE(anomaly.offset, archive.size());
    if (anomaly.entry != Reader::kNoEntry) {
      ASSERT_LT(anomaly.entry, reader->entries().size());
    }
  }
}

std::string sample_archive() {
  ZipBuilder builder = test::clean_torch_zip();
  ZipEntry deflated = entry("m/extra", test::repeat("text ", 100));
  deflated.method = 8;
  ZipEntry zip64 = entry("m/zip64");
  zip64.zip64 = true;
  builder.comment = "comment";
  return builder.add(deflated).add(zip64).build();
}

TEST(ZipReader, StaysInsideATruncatedFile) {
  const std::string archive = sample_archive();
  for (std::size_t length = 0; length < archive.size(); ++length) {
    // A string of its own, so that sanitizers see a read behind its end.
    const std::string cut(archive.data(), length);
    expect_inside(cut);
    const auto reader = Reader::open(as_bytes(cut));
    // Only the comment may be missing.
    EXPECT_EQ(reader.has_value(), length >= archive.size() - 7) << length;
  }
}

TEST(ZipReader, StaysInsideAFileWithAnyByteChanged) {
  const std::string archive = sample_archive();
  for (std::size_t at = 0; at < archive.size(); ++at) {
    for (const char value : {'\x00', '\x01', '\x7F', '\x80', '\xFF'}) {
      std::string changed = archive;
      changed[at] = value;
      expect_inside(changed);
    }
  }
}

TEST(ZipReader, OpensManyEntriesInLittleTime) {
  ZipBuilder builder;
  for (int i = 0; i < 10'000; ++i) builder.add("dir/" + std::to_string(i % 5'000), "");
  builder.zip64_end = true;
  const std::string archive = builder.build();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(anomalies(archive).size(), 5'000U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace tare::zip
