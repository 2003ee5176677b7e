#include "archive/sevenzip_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/effort.hpp"
#include "support/packed.hpp"
#include "support/sevenzip_builder.hpp"

namespace tare::sevenzip {

inline std::ostream& operator<<(std::ostream& out, AnomalyKind kind) {
  return out << '"' << anomaly_text(kind) << '"';
}

namespace {

using namespace std::string_literals;
using test::repeat;
using test::SevenZipBuilder;
using test::SevenZipFile;
using test::SevenZipFolder;
using test::sz_coder;
using test::sz_number;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kPlenty = std::uint64_t{64} << 20;

Reader read(const std::string& archive) {
  auto reader = Reader::open(as_bytes(archive));
  EXPECT_TRUE(reader.has_value()) << reader.error().what;
  return std::move(*reader);
}

ErrorCode error_of(const std::string& archive) {
  const auto reader = Reader::open(as_bytes(archive));
  return reader ? ErrorCode::kInvalidArgument : reader.error().code;
}

std::vector<std::string> names(const Reader& reader) {
  std::vector<std::string> names;
  for (const Entry& entry : reader.entries()) names.push_back(entry.name);
  return names;
}

std::vector<AnomalyKind> anomalies(const std::string& archive) {
  std::vector<AnomalyKind> kinds;
  const Reader reader = read(archive);
  for (const Anomaly& anomaly : reader.anomalies()) kinds.push_back(anomaly.kind);
  return kinds;
}

std::string text_of(const Reader& reader, std::size_t index) {
  const Entry& entry = reader.entries()[index];
  const auto content = reader.unpack(entry.folder, kPlenty);
  EXPECT_TRUE(content.has_value());
  EXPECT_TRUE(content->complete.has_value()) << content->complete.error().what;
  const ByteSpan bytes = Reader::bytes_of(entry, *content);
  EXPECT_TRUE(Reader::crc_matches(entry, bytes));
  return std::string(as_text(bytes));
}

// Why the content of an archive of one folder cannot be read.
Error reason(const std::string& archive, std::uint64_t max_output = kPlenty) {
  const Reader reader = read(archive);
  const auto content = reader.unpack(0, max_output);
  EXPECT_TRUE(content.has_value());
  EXPECT_FALSE(content->complete.has_value());
  return content->complete ? Error{} : content->complete.error();
}

// An archive of one file, compressed by a row of coders: the last to decode stands first.
std::string archive_of(std::string content, std::string packed, std::vector<std::string> coders) {
  SevenZipFolder folder{{{"a", std::move(content)}}};
  folder.coders = sz_number(coders.size());
  for (const std::string& coder : coders) folder.coders += coder;
  for (std::size_t i = 0; i + 1 < coders.size(); ++i) {
    folder.coders += sz_number(i) + sz_number(i + 1);
    folder.sizes.push_back(folder.files[0].content.size());
  }
  if (!folder.sizes.empty()) folder.sizes.push_back(folder.files[0].content.size());
  folder.packed = {std::move(packed)};
  SevenZipBuilder builder;
  builder.folders.push_back(std::move(folder));
  return builder.build();
}

// ---- what is listed

TEST(SevenZipReader, ListsFilesOfSeveralFolders) {
  SevenZipBuilder builder;
  builder.folders.push_back({{{"a.txt", "first"}, {"dir/b.txt", "second one"}}});
  builder.folders.push_back({{{"c.txt", "third"}}});
  const std::string archive = builder.build();
  const Reader reader = read(archive);
  EXPECT_THAT(names(reader), ElementsAre("a.txt", "dir/b.txt", "c.txt"));
  EXPECT_EQ(text_of(reader, 0), "first");
  EXPECT_EQ(text_of(reader, 1), "second one");
  EXPECT_EQ(text_of(reader, 2), "third");
  EXPECT_THAT(reader.anomalies(), IsEmpty());
  EXPECT_THAT(reader.gaps(), IsEmpty());
}

TEST(SevenZipReader, LeavesStoredDataInPlace) {
  const std::string archive = SevenZipBuilder().add("a", "stored").build();
  const Reader reader = read(archive);
  const auto content = reader.unpack(0, 0);
  ASSERT_TRUE(content && content->complete);
  EXPECT_FALSE(content->unpacked.has_value());
  EXPECT_EQ(content->offset, 32U);
  EXPECT_EQ(content->bytes.data(), as_bytes(archive).data() + 32);
}

TEST(SevenZipReader, TellsEmptyFilesFromFoldersAndAntiItems) {
  SevenZipBuilder builder;
  builder.add("full", "x");
  builder.without_data = {
      {"empty"}, {.name = "folder", .is_directory = true}, {.name = "gone", .is_anti = true}};
  const std::string archive = builder.build();
  const Reader reader = read(archive);
  std::vector<EntryKind> kinds;
  for (const Entry& entry : reader.entries()) kinds.push_back(entry.kind);
  EXPECT_THAT(kinds, ElementsAre(EntryKind::kFile, EntryKind::kFile, EntryKind::kDirectory,
                                 EntryKind::kAnti));
  EXPECT_THAT(anomalies(archive), ElementsAre(AnomalyKind::kAntiItem));
}

TEST(SevenZipReader, ReadsNamesInUtf16) {
  SevenZipFile file{"", "x"};
  file.raw_name = u"\u6a21\U0001F600";
  EXPECT_THAT(names(read(SevenZipBuilder().add(file).build())),
              ElementsAre("\xE6\xA8\xA1\xF0\x9F\x98\x80"));
  file.raw_name = std::u16string(1, char16_t{0xD800}) + u"x";
  const std::string archive = SevenZipBuilder().add(file).build();
  EXPECT_THAT(names(read(archive)), ElementsAre("\xEF\xBF\xBDx"));
  EXPECT_THAT(anomalies(archive), ElementsAre(AnomalyKind::kBadName));
}

TEST(SevenZipReader, ReadsAPackedHeader) {
  SevenZipBuilder builder;
  builder.add("a", "stored");
  for (const unsigned packings : {1U, 3U}) {
    builder.packings = packings;
    const std::string archive = builder.build();
    EXPECT_EQ(text_of(read(archive), 0), "stored");
    EXPECT_THAT(anomalies(archive), IsEmpty());
  }
  builder.packings = 4;
  EXPECT_EQ(error_of(builder.build()), ErrorCode::kLimit);
}

TEST(SevenZipReader, ReadsAnArchiveOfNothing) {
  SevenZipBuilder builder;
  builder.header = "";
  EXPECT_THAT(read(builder.build()).entries(), IsEmpty());
}

// ---- coders

TEST(SevenZipReader, ReadsEachMethod) {
  const std::string content = repeat("some text ", 5000) + "end";
  std::vector<std::pair<std::string, std::string>> methods = {
      {sz_coder("\x04\x01\x08"), test::deflate(content)}};
  if (has_codec(Codec::kBzip2)) {
    methods.emplace_back(sz_coder("\x04\x02\x02"), test::bzip2_stream(content));
  }
  if (has_codec(Codec::kZstd)) {
    methods.emplace_back(sz_coder("\x04\xF7\x11\x01"), test::zstd_frame(content));
    methods.emplace_back(sz_coder("\x04\xF7\x11\x01"), test::zstd_frame(content.substr(0, 1000)) +
                                                           test::zstd_frame(content.substr(1000)));
  }
  if (has_codec(Codec::kLzma)) {
    // "alone": five bytes of properties, a size, the data.
    const std::string alone = test::packed(Codec::kLzma, content);
    methods.emplace_back(sz_coder("\x03\x01\x01", alone.substr(0, 5)), alone.substr(13));
  }
  if (has_codec(Codec::kXz)) {
    // Behind a header of 12 bytes, and one of the block that says how long it is.
    const std::string xz = test::packed(Codec::kXz, content);
    const std::size_t header = 12 + (static_cast<unsigned char>(xz[12]) + 1UL) * 4;
    methods.emplace_back(sz_coder("\x21", "\x10"), xz.substr(header));
  }
  for (const auto& [coder, packed] : methods) {
    EXPECT_EQ(text_of(read(archive_of(content, packed, {coder})), 0), content);
  }
}

TEST(SevenZipReader, ReadsFiltersAndRowsOfCoders) {
  if (!has_codec(Codec::kXz)) GTEST_SKIP();
  // Delta at distance 4: each byte is what is added to the one four before it.
  std::string content;
  for (int i = 0; i < 200'000; ++i) content += static_cast<char>(i * i % 251);
  std::string differences = content;
  for (std::size_t i = content.size(); i-- > 4;) {
    differences[i] = static_cast<char>(content[i] - content[i - 4]);
  }
  const std::string delta = sz_coder("\x03", "\x03");
  EXPECT_EQ(text_of(read(archive_of(content, differences, {delta})), 0), content);
  EXPECT_EQ(text_of(read(archive_of(content, test::deflate(differences),
                                    {delta, sz_coder("\x04\x01\x08")})),
                    0),
            content);
  const std::string copy = sz_coder("\0"s);
  EXPECT_EQ(text_of(read(archive_of(content, differences, {copy, delta, copy})), 0), content);
}

TEST(SevenZipReader, SaysWhatItDoesNotRead) {
  const auto reason_for = [](const std::string& coder) {
    return std::string(reason(archive_of("abc", "xyz", {coder})).what);
  };
  EXPECT_THAT(reason_for(sz_coder("\x06\xF1\x07\x01", "\x13")), HasSubstr("encrypted"));
  EXPECT_THAT(reason_for(sz_coder("\x03\x04\x01", "12345")), HasSubstr("PPMd"));
  EXPECT_THAT(reason_for(sz_coder("\x04\x01\x09")), HasSubstr("Deflate64"));
  EXPECT_THAT(reason_for(sz_coder("\x7F\x01")), HasSubstr("does not know"));
  const std::string copy = sz_coder("\0"s);
  EXPECT_EQ(reason(archive_of("abc", "abc", {copy, copy, copy, copy, copy})).code,
            ErrorCode::kUnsupported);
}

TEST(SevenZipReader, RefusesBadPropertiesOfCoders) {
  if (!has_codec(Codec::kXz)) GTEST_SKIP();
  for (const std::string& coder :
       {sz_coder("\x21"), sz_coder("\x21", "\x29"), sz_coder("\x03\x01\x01", "]"),
        sz_coder("\x03\x01\x01", "\xFF\0\0\1\0"s), sz_coder("\x03"), sz_coder("\x04", "ab")}) {
    EXPECT_NE(reason(archive_of("abc", "xyz", {coder})).code, ErrorCode::kIo);
  }
}

TEST(SevenZipReader, KeepsWhatCameBeforeTheDamage) {
  const std::string content = repeat("0123456789", 100'000);
  std::string packed = test::deflate(content);
  packed.resize(packed.size() / 2);
  const std::string archive = archive_of(content, packed, {sz_coder("\x04\x01\x08")});
  const Reader reader = read(archive);
  const auto unpacked = reader.unpack(0, kPlenty);
  ASSERT_TRUE(unpacked.has_value());
  ASSERT_FALSE(unpacked->complete.has_value());
  EXPECT_EQ(unpacked->complete.error().code, ErrorCode::kTruncated);
  const ByteSpan bytes = Reader::bytes_of(reader.entries()[0], *unpacked);
  EXPECT_GT(bytes.size(), 1000U);
  EXPECT_EQ(as_text(bytes), content.substr(0, bytes.size()));
}

// ---- budgets

TEST(SevenZipReader, DoesNotDecompressBeyondTheLimit) {
  const std::string content = repeat("x", 1'000'000);
  const std::string archive =
      archive_of(content, test::deflate(content), {sz_coder("\x04\x01\x08")});
  EXPECT_EQ(reason(archive, 999'999).code, ErrorCode::kLimit);
  EXPECT_EQ(text_of(read(archive), 0), content);
}

TEST(SevenZipReader, TakesNoDictionaryBeyondTheLimit) {
  if (!has_codec(Codec::kXz)) GTEST_SKIP();
  // 4 GiB of dictionary, for content that claims to need it; a tiny one needs none.
  SevenZipFolder folder{{{"a", "x"}}};
  folder.coders = sz_number(1) + sz_coder("\x21", "\x28");
  folder.packed = {"\1\0\0x\0"s};
  SevenZipBuilder builder;
  builder.folders.push_back(folder);
  EXPECT_EQ(text_of(read(builder.build()), 0), "x");
  builder.folders[0].sizes = {std::uint64_t{1} << 40};
  EXPECT_EQ(reason(builder.build(), std::uint64_t{1} << 41).code, ErrorCode::kLimit);
  builder.folders[0].coders = sz_number(1) + sz_coder("\x03\x01\x01", "\x5D\xFF\xFF\xFF\xFF");
  EXPECT_EQ(reason(builder.build(), std::uint64_t{1} << 41).code, ErrorCode::kLimit);
}

TEST(SevenZipReader, RefusesCountsThatTheHeaderHasNoRoomFor) {
  for (const std::string& header :
       {"\x01\x05"s + sz_number(UINT64_MAX), "\x01\x04\x06\0"s + sz_number(1ULL << 40),
        "\x01\x04\x06\0\1\x09\1\0\x07\x0B"s + sz_number(1ULL << 50) + "\0"s,
        "\x01\x04\x06\0\1\x09\1\0\x07\x0B\1\0"s + sz_number(1ULL << 60)}) {
    SevenZipBuilder builder;
    builder.before_header = "x";
    builder.header = header;
    EXPECT_EQ(error_of(builder.build()), ErrorCode::kMalformed);
  }
}

TEST(SevenZipReader, BoundsTheWorkForManyFoldersAndFiles) {
  SevenZipBuilder builder;
  SevenZipFolder solid;
  for (int i = 0; i < 50'000; ++i) solid.files.push_back({"f" + std::to_string(i), "x"});
  builder.folders.push_back(solid);
  for (int i = 0; i < 50'000; ++i) builder.add("g" + std::to_string(i), "y");
  const std::string archive = builder.build();
  const test::CpuTime time;
  const Reader reader = read(archive);
  EXPECT_EQ(reader.entries().size(), 100'000U);
  for (std::size_t i = 50'000; i < 100'000; ++i) EXPECT_EQ(text_of(reader, i), "y");
  EXPECT_LT(time.seconds(), test::kMostSeconds);
  Limits limits;
  limits.header.max_entries = 1000;
  const auto limited = Reader::open(as_bytes(archive), limits);
  ASSERT_FALSE(limited.has_value());
  EXPECT_EQ(limited.error().code, ErrorCode::kLimit);
}

// ---- what is odd

TEST(SevenZipReader, ReportsNamesThatLeadElsewhere) {
  const auto of_name = [](const std::string& name) {
    return anomalies(SevenZipBuilder().add(name, "x").build());
  };
  EXPECT_THAT(of_name("/etc/passwd"), ElementsAre(AnomalyKind::kAbsoluteName));
  EXPECT_THAT(of_name("C:x"), ElementsAre(AnomalyKind::kAbsoluteName));
  EXPECT_THAT(of_name("a/../../b"), ElementsAre(AnomalyKind::kParentInName));
  EXPECT_THAT(of_name("..\\b"),
              ElementsAre(AnomalyKind::kParentInName, AnomalyKind::kBackslashInName));
  EXPECT_THAT(of_name("a\nb"), ElementsAre(AnomalyKind::kControlInName));
  EXPECT_THAT(of_name(""), ElementsAre(AnomalyKind::kNoName));
  EXPECT_THAT(of_name("a..b/...c"), IsEmpty());
}

TEST(SevenZipReader, ReportsNamesThatStandTwice) {
  EXPECT_THAT(anomalies(SevenZipBuilder().add("a/b", "x").add("a//./b", "y").build()),
              ElementsAre(AnomalyKind::kDuplicateName));
}

TEST(SevenZipReader, ReportsLinksAndDevices) {
  const auto of_mode = [](std::uint32_t mode, std::uint32_t more = 0x8000) {
    SevenZipFile file{"a", "/etc/passwd"};
    file.attributes = mode << 16 | more;
    return anomalies(SevenZipBuilder().add(file).build());
  };
  EXPECT_THAT(of_mode(0xA1FF), ElementsAre(AnomalyKind::kLink));
  EXPECT_THAT(of_mode(0x2180), ElementsAre(AnomalyKind::kSpecialFile));
  EXPECT_THAT(of_mode(0x1180), ElementsAre(AnomalyKind::kSpecialFile));
  EXPECT_THAT(of_mode(0, 0x400), ElementsAre(AnomalyKind::kSpecialFile));
  EXPECT_THAT(of_mode(0x81A4), IsEmpty());
}

TEST(SevenZipReader, ReportsDataOfNoEntry) {
  SevenZipBuilder builder;
  builder.folders.push_back({{{"a", "seen"}}});
  SevenZipFolder hidden;
  hidden.packed = {"nobody lists this"};
  hidden.sizes = {17};
  hidden.count = 0;
  builder.folders.push_back(hidden);
  const std::string archive = builder.build();
  EXPECT_THAT(anomalies(archive), ElementsAre(AnomalyKind::kHiddenStream));
  const Reader reader = read(archive);
  EXPECT_EQ(reader.entries().back().kind, EntryKind::kHidden);
  EXPECT_EQ(text_of(reader, 1), "nobody lists this");
}

TEST(SevenZipReader, ReportsBytesBetweenAndBehind) {
  SevenZipBuilder builder;
  builder.add("a", "x");
  builder.gap = "gap";
  builder.before_header = "before";
  builder.suffix = "behind";
  const std::string archive = builder.build();
  EXPECT_THAT(anomalies(archive),
              testing::UnorderedElementsAre(AnomalyKind::kHiddenBytes, AnomalyKind::kHiddenBytes,
                                            AnomalyKind::kTrailingBytes));
  const Reader reader = read(archive);
  std::vector<std::string> found;
  for (const Reader::Range gap : reader.gaps()) {
    found.push_back(archive.substr(gap.offset, gap.length));
  }
  EXPECT_THAT(found, ElementsAre("gap", "before", "behind"));
}

TEST(SevenZipReader, ReportsStreamsThatOverlapTheHeader) {
  SevenZipBuilder builder;
  builder.add("a", "0123456789");
  builder.packed_offset = 5;
  EXPECT_THAT(anomalies(builder.build()),
              testing::UnorderedElementsAre(AnomalyKind::kHiddenBytes, AnomalyKind::kOverlap));
}

TEST(SevenZipReader, ReportsDataWithoutAChecksum) {
  SevenZipFile file{"a", "x"};
  file.has_crc = false;
  EXPECT_THAT(anomalies(SevenZipBuilder().add(file).build()),
              ElementsAre(AnomalyKind::kNoChecksum));
}

TEST(SevenZipReader, SeesAWrongChecksum) {
  SevenZipFile file{"a", "x"};
  file.crc = 1;
  const std::string archive = SevenZipBuilder().add(file).build();
  const Reader reader = read(archive);
  EXPECT_FALSE(Reader::crc_matches(reader.entries()[0], as_bytes("x")));
}

// ---- what is refused

TEST(SevenZipReader, RefusesWrongChecksumsOfHeaders) {
  SevenZipBuilder builder;
  builder.add("a", "x");
  builder.start_crc = 1;
  EXPECT_EQ(error_of(builder.build()), ErrorCode::kMalformed);
  builder.start_crc.reset();
  builder.header_crc = 1;
  EXPECT_EQ(error_of(builder.build()), ErrorCode::kMalformed);
}

TEST(SevenZipReader, RefusesOtherVersionsAndOffsetsOutside) {
  SevenZipBuilder builder;
  builder.add("a", "x");
  builder.version = 1;
  EXPECT_EQ(error_of(builder.build()), ErrorCode::kUnsupported);
  builder.version = 0;
  builder.header_offset = UINT64_MAX;
  EXPECT_EQ(error_of(builder.build()), ErrorCode::kTruncated);
  builder.header_offset.reset();
  builder.packed_offset = UINT64_MAX - 40;
  EXPECT_EQ(error_of(builder.build()), ErrorCode::kTruncated);
}

TEST(SevenZipReader, SaysThatTheHeaderIsEncrypted) {
  SevenZipBuilder builder;
  builder.before_header = repeat("x", 32);
  builder.header = "\x17\x06\0\1\x09\x20\0\x07\x0B\1\0\1"s + sz_coder("\x06\xF1\x07\x01", "\x13") +
                   "\x0C\x20\0\0"s;
  const std::string archive = builder.build();
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_FALSE(reader.has_value());
  EXPECT_THAT(reader.error().what, HasSubstr("encrypted"));
}

TEST(SevenZipReader, RefusesHeadersWithBytesBehind) {
  SevenZipBuilder builder;
  builder.header = "\x01\x05\0\0\0x"s;
  EXPECT_EQ(error_of(builder.build()), ErrorCode::kMalformed);
  builder.header = "\x01\x05\0\0\0"s;
  EXPECT_THAT(read(builder.build()).entries(), IsEmpty());
}

TEST(SevenZipReader, RefusesACycleOfCoders) {
  SevenZipFolder folder{{{"a", "abc"}}};
  // Two coders whose outputs go to themselves.
  folder.coders = sz_number(2) + sz_coder("\0"s) + sz_coder("\0"s) + sz_number(0) + sz_number(0);
  folder.sizes = {3, 3};
  SevenZipBuilder builder;
  builder.folders.push_back(folder);
  EXPECT_EQ(reason(builder.build()).code, ErrorCode::kUnsupported);
}

TEST(SevenZipReader, SurvivesEveryCutAndEveryChangedByte) {
  SevenZipBuilder builder;
  builder.folders.push_back({{{"a.txt", "first"}, {"dir/b.txt", "second one"}}});
  builder.add("c", "third");
  builder.without_data = {{"empty"}, {.name = "folder", .is_directory = true}};
  for (const unsigned packings : {0U, 1U}) {
    builder.packings = packings;
    const std::string archive = builder.build();
    for (std::size_t i = 0; i < archive.size(); ++i) {
      EXPECT_FALSE(Reader::open(as_bytes(archive.substr(0, i))).has_value()) << i;
    }
  }
  // Past the checksums, as whoever means harm goes.
  builder.packings = 0;
  SevenZipBuilder inner = builder;
  const std::string plain = builder.build();
  const std::uint64_t at = 32 + 20;
  const std::string header = plain.substr(at);
  for (std::size_t i = 0; i < header.size(); ++i) {
    for (const int change : {1, 0x80, 0xFF}) {
      std::string changed = header;
      changed[i] = static_cast<char>(changed[i] ^ change);
      inner.header = changed;
      const std::string archive = inner.build();
      const auto reader = Reader::open(as_bytes(archive));
      if (!reader) continue;
      for (const Entry& entry : reader->entries()) {
        if (entry.folder == Entry::kNoFolder) continue;
        const auto content = reader->unpack(entry.folder, 1 << 20);
        ASSERT_TRUE(content.has_value());
        EXPECT_LE(Reader::bytes_of(entry, *content).size(), archive.size());
      }
    }
  }
}

}  // namespace
}  // namespace tare::sevenzip
