#include "archive/zip_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "archive/zip_reader.hpp"
#include "io/cursor.hpp"
#include "support/binary.hpp"
#include "support/temp_dir.hpp"

namespace tare::zip {
namespace {

using test::TempDir;
using testing::IsEmpty;

using Records = std::vector<std::pair<std::string, std::string>>;

std::string written(const Records& records, std::uint64_t alignment = 64) {
  const TempDir dir;
  auto file = AtomicFile::create(dir / "out", AtomicFile::Replace::kNo);
  EXPECT_TRUE(file.has_value());
  Writer writer(*file, alignment);
  for (const auto& [name, content] : records) {
    EXPECT_TRUE(writer.add(name, as_bytes(content)).has_value());
  }
  EXPECT_TRUE(writer.finish().has_value());
  EXPECT_TRUE(file->commit().has_value());
  return dir.read("out");
}

Records sample() {
  Records records = {{"m/data.pkl", "\x80\x02N."}, {"m/byteorder", "little"}, {"m/empty", ""}};
  for (std::size_t i = 0; i < 150; i += 7) {
    records.emplace_back("m/data/" + std::to_string(i), std::string(i * i, static_cast<char>(i)));
  }
  return records;
}

TEST(ZipWriter, RoundTripsWithoutAnomalies) {
  const Records records = sample();
  const std::string archive = written(records);
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value()) << reader.error().what;
  EXPECT_THAT(reader->anomalies(), IsEmpty());
  ASSERT_EQ(reader->entries().size(), records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Entry& entry = reader->entries()[i];
    EXPECT_EQ(entry.name, records[i].first);
    const auto bytes = reader->stored_bytes(entry);
    ASSERT_TRUE(bytes.has_value());
    EXPECT_EQ(as_text(*bytes), records[i].second);
    EXPECT_TRUE(Reader::crc_matches(entry, *bytes));
  }
}

TEST(ZipWriter, AlignsTheData) {
  for (const std::uint64_t alignment : {1UL, 8UL, 64UL, 4096UL, 65535UL}) {
    const std::string archive = written(sample(), alignment);
    const auto reader = Reader::open(as_bytes(archive));
    ASSERT_TRUE(reader.has_value());
    EXPECT_THAT(reader->anomalies(), IsEmpty());
    for (const Entry& entry : reader->entries()) {
      EXPECT_EQ(entry.data_offset % alignment, 0U) << entry.name;
    }
  }
}

// docs/formats/zip.md, "What torch.save writes".
TEST(ZipWriter, WritesTheLocalHeaderOfTorch) {
  const std::string archive = written({{"m/data.pkl", "\x80\x02N."}});
  Cursor cursor(as_bytes(archive));
  EXPECT_EQ(as_text(*cursor.take(4)), "PK\x03\x04");
  EXPECT_EQ(cursor.read<std::uint16_t>(), 0);       // version
  EXPECT_EQ(cursor.read<std::uint16_t>(), 0x0808);  // flags
  EXPECT_EQ(cursor.read<std::uint16_t>(), 0);       // method
  EXPECT_EQ(cursor.read<std::uint32_t>(), 0U);      // time and date
  EXPECT_EQ(cursor.read<std::uint32_t>(), 0U);      // CRC
  EXPECT_EQ(cursor.read<std::uint32_t>(), 0U);
  EXPECT_EQ(cursor.read<std::uint32_t>(), 0U);
  EXPECT_EQ(cursor.read<std::uint16_t>(), 10);  // length of the name
  EXPECT_EQ(cursor.read<std::uint16_t>(), 64 - 30 - 10);
  EXPECT_EQ(as_text(*cursor.take(10)), "m/data.pkl");
  EXPECT_EQ(as_text(*cursor.take(4)), "FB" + test::u16(20));
  EXPECT_EQ(as_text(*cursor.take(20)), std::string(20, 'Z'));
  EXPECT_EQ(as_text(*cursor.take(4)), "\x80\x02N.");
  EXPECT_EQ(as_text(*cursor.take(4)), "PK\x07\x08");
  cursor.take(4);
  EXPECT_EQ(cursor.read<std::uint32_t>(), 4U);
  EXPECT_EQ(cursor.read<std::uint32_t>(), 4U);
  EXPECT_EQ(as_text(*cursor.take(4)), "PK\x01\x02");
}

TEST(ZipWriter, WritesNoDescriptorForAnEmptyRecord) {
  const std::string archive = written({{"empty", ""}});
  const auto reader = Reader::open(as_bytes(archive));
  ASSERT_TRUE(reader.has_value());
  EXPECT_THAT(reader->anomalies(), IsEmpty());
  EXPECT_EQ(reader->entries()[0].flags, 0x0800);
  EXPECT_EQ(archive.find("PK\x07\x08"), std::string::npos);
}

TEST(ZipWriter, AlwaysWritesAZip64End) {
  const std::string archive = written({});
  ASSERT_EQ(archive.size(), 56U + 20U + 22U);
  EXPECT_TRUE(archive.starts_with("PK\x06\x06"));
  EXPECT_EQ(archive.substr(56, 4), "PK\x06\x07");
  EXPECT_EQ(archive.substr(76, 4), "PK\x05\x06");
}

TEST(ZipWriter, WritesARecordInPieces) {
  const TempDir dir;
  auto file = AtomicFile::create(dir / "out", AtomicFile::Replace::kNo);
  ASSERT_TRUE(file.has_value());
  Writer writer(*file);
  ASSERT_TRUE(writer.begin("a", 10).has_value());
  ASSERT_TRUE(writer.append(as_bytes("123")).has_value());
  EXPECT_FALSE(writer.begin("b", 1).has_value());  // the first one is not complete
  EXPECT_FALSE(writer.end().has_value());
  EXPECT_FALSE(writer.append(as_bytes("12345678")).has_value());  // one too many
  ASSERT_TRUE(writer.append(as_bytes("4567890")).has_value());
  ASSERT_TRUE(writer.end().has_value());
  ASSERT_TRUE(writer.add("b", as_bytes("x")).has_value());
  ASSERT_TRUE(writer.finish().has_value());
  ASSERT_TRUE(file->commit().has_value());
  EXPECT_EQ(dir.read("out"), written({{"a", "1234567890"}, {"b", "x"}}));
}

TEST(ZipWriter, RefusesANameTooLong) {
  const TempDir dir;
  auto file = AtomicFile::create(dir / "out", AtomicFile::Replace::kNo);
  ASSERT_TRUE(file.has_value());
  Writer writer(*file);
  const auto added = writer.add(std::string(65536, 'n'), as_bytes("x"));
  ASSERT_FALSE(added.has_value());
  EXPECT_EQ(added.error().code, ErrorCode::kInvalidArgument);
}

TEST(ZipWriter, WritesTheSameBytesAgain) {
  EXPECT_EQ(written(sample()), written(sample()));
}

}  // namespace
}  // namespace tare::zip
