// What the scanner says about 7z archives (docs/formats/7z.md), and what is read of models in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "support/packed.hpp"
#include "support/pickle_bytes.hpp"
#include "support/safetensors_builder.hpp"
#include "support/scanning.hpp"
#include "support/sevenzip_builder.hpp"
#include "tare/model.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kLine = "os.system('id')";

std::string hostile() {
  return payload() + ".";
}

std::string model() {
  return safetensors_file("{" + tensor_json("w", "F32", "[2]", 0, 8) + "}", repeat("x", 8));
}

// A solid folder, deflated.
SevenZipFolder deflated(std::vector<SevenZipFile> files) {
  SevenZipFolder folder{std::move(files)};
  folder.coders = sz_number(1) + sz_coder("\x04\x01\x08");
  folder.packed = {deflate(folder.content())};
  return folder;
}

// The same by the fastest coder there is.
SevenZipFolder zstandard(std::vector<SevenZipFile> files) {
  SevenZipFolder folder{std::move(files)};
  folder.coders = sz_number(1) + sz_coder("\x04\xF7\x11\x01");
  folder.packed = {zstd_frame(folder.content())};
  return folder;
}

std::string archive_of(SevenZipFolder folder) {
  SevenZipBuilder builder;
  builder.folders.push_back(std::move(folder));
  return builder.build();
}

TEST(ScanSevenZip, JudgesWhatIsInside) {
  EXPECT_EQ(verdict_of(archive_of(deflated({{"model.safetensors", model()}}))), Verdict::kSafe);
  const ScanReport report =
      scanned(archive_of(deflated({{"model.safetensors", model()}, {"x/a.pkl", hostile()}})));
  EXPECT_TRUE(runs(report, kLine));
  EXPECT_EQ(report.findings.at(0).entry, "x/a.pkl");
  EXPECT_THAT(report.formats, ElementsAre("7z"));
}

TEST(ScanSevenZip, SaysWhereStoredFindingsAreInTheFile) {
  const ScanReport report = scanned(SevenZipBuilder().add("a.pkl", hostile()).build());
  ASSERT_TRUE(runs(report, kLine));
  EXPECT_EQ(report.findings.at(0).file_offset, 32 + report.findings.at(0).offset);
}

TEST(ScanSevenZip, JudgesArchivesInArchives) {
  const std::string inner = archive_of(deflated({{"a.pkl", hostile()}}));
  const std::string zip = ZipBuilder().add("inner.7z", inner).build();
  const ScanReport report = scanned(archive_of(deflated({{"outer.zip", zip}})));
  EXPECT_TRUE(runs(report, kLine));
  EXPECT_EQ(report.findings.at(0).entry, "outer.zip!inner.7z!a.pkl");
}

TEST(ScanSevenZip, IsUnreadableWhereItCannotDecompress) {
  for (const std::string& coder :
       {sz_coder("\x06\xF1\x07\x01", "\x13"), sz_coder("\x03\x04\x01", "12345")}) {
    SevenZipFolder folder{{{"a.pkl", "abc"}}};
    folder.coders = sz_number(1) + coder;
    folder.packed = {"xyz"};
    const ScanReport report = scanned(archive_of(folder));
    EXPECT_EQ(report.verdict, Verdict::kUnreadable);
    EXPECT_THAT(rules_of(report), Contains("TARE-ZIP-003"));
    // Whoever looks at the compressed bytes finds what stands there.
    folder.packed = {repeat("x", 50) + hostile()};
    EXPECT_TRUE(runs(scanned(archive_of(folder)), kLine));
  }
}

TEST(ScanSevenZip, JudgesWhatCameBeforeTheDamage) {
  const std::string content = hostile() + repeat("0123456789", 100'000);
  SevenZipFolder folder{{{"a.pkl", hostile()}, {"b", content}}};
  folder.coders = sz_number(1) + sz_coder("\x04\x01\x08");
  folder.packed = {deflate(folder.content()).substr(0, 500)};
  const ScanReport report = scanned(archive_of(folder));
  EXPECT_TRUE(runs(report, kLine));
  EXPECT_THAT(rules_of(report), Contains("TARE-ZIP-003"));
}

TEST(ScanSevenZip, SaysWhatAnExtractionWouldDo) {
  SevenZipFile link{"a", "/etc"};
  link.attributes = 0xA1FF8000;
  SevenZipBuilder anti;
  anti.without_data = {{.name = "gone", .is_anti = true}};
  EXPECT_EQ(verdict_of(SevenZipBuilder().add("../../x.safetensors", model()).build()),
            Verdict::kDangerous);
  EXPECT_EQ(verdict_of(SevenZipBuilder().add("/x.safetensors", model()).build()),
            Verdict::kDangerous);
  EXPECT_EQ(verdict_of(anti.build()), Verdict::kDangerous);
  EXPECT_THAT(rules_of(SevenZipBuilder().add(link).build()), Contains("TARE-ZIP-001"));
  EXPECT_THAT(rules_of(SevenZipBuilder().add("a", model()).add("./a", model()).build()),
              ElementsAre("TARE-ZIP-001"));
}

TEST(ScanSevenZip, FindsWhatNoEntryIsAbout) {
  SevenZipBuilder builder;
  builder.add("model.safetensors", model());
  SevenZipFolder hidden;
  hidden.packed = {hostile()};
  hidden.sizes = {hostile().size()};
  hidden.count = 0;
  builder.folders.push_back(hidden);
  EXPECT_TRUE(runs(scanned(builder.build()), kLine));
  builder.folders.pop_back();
  EXPECT_EQ(verdict_of(builder.build()), Verdict::kSafe);
  builder.suffix = hostile();
  EXPECT_TRUE(runs(scanned(builder.build()), kLine));
  builder.suffix.clear();
  builder.before_header = hostile();
  EXPECT_TRUE(runs(scanned(builder.build()), kLine));
}

TEST(ScanSevenZip, SaysThatAChecksumIsWrong) {
  SevenZipFile file{"model.safetensors", model()};
  file.crc = 1;
  EXPECT_THAT(rules_of(SevenZipBuilder().add(file).build()), ElementsAre("TARE-ZIP-002"));
}

TEST(ScanSevenZip, RefusesBombs) {
  // 200 GB that are not there; more than is allowed, and it is there.
  SevenZipFolder folder = deflated({{"a", "x"}});
  folder.sizes = {std::uint64_t{200} << 30};
  EXPECT_EQ(verdict_of(archive_of(folder)), Verdict::kUnreadable);
  if (!has_codec(Codec::kZstd)) GTEST_SKIP();
  folder = zstandard({{"a", std::string(300'000'000, '\0')}});
  EXPECT_EQ(verdict_of(archive_of(folder)), Verdict::kUnreadable);
}

TEST(ScanSevenZip, SharesOneBudgetAmongFolders) {
  if (!has_codec(Codec::kZstd)) GTEST_SKIP();
  SevenZipBuilder builder;
  const std::string zeros(100'000'000, '\0');
  for (const char* name : {"a", "b", "c"}) builder.folders.push_back(zstandard({{name, zeros}}));
  const ScanReport report = scanned(builder.build());
  EXPECT_EQ(report.verdict, Verdict::kUnreadable);
  std::vector<std::string> unreadable;
  for (const Finding& finding : report.findings) {
    if (finding.severity() == Verdict::kUnreadable) unreadable.push_back(finding.entry);
  }
  EXPECT_THAT(unreadable, ElementsAre("c"));
}

Result<ModelContents> contents_of(const std::string& archive) {
  format::ReadContext context = format::context_of(as_bytes(archive));
  return format::read_nested(as_bytes(archive), context);
}

TEST(SevenZipModel, ListsTensorsOfItsFiles) {
  const auto contents =
      contents_of(archive_of(deflated({{"notes.txt", "text"}, {"m.safetensors", model()}})));
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  ASSERT_EQ(contents->tensors.size(), 1U);
  EXPECT_EQ(contents->format, "7z");
  EXPECT_EQ(contents->tensors[0].name, "w");
  EXPECT_EQ(as_text(contents->tensors[0].view.storage), repeat("x", 8));
}

TEST(SevenZipModel, NamesTensorsAfterTheirFiles) {
  SevenZipBuilder builder;
  builder.folders.push_back(deflated({{"x/a.safetensors", model()}}));
  builder.add("b.safetensors", model());
  const auto contents = contents_of(builder.build());
  ASSERT_TRUE(contents.has_value());
  std::vector<std::string> names;
  for (const NamedTensor& tensor : contents->tensors) names.push_back(tensor.name);
  EXPECT_THAT(names, testing::UnorderedElementsAre("x.a.w", "b.w"));
}

TEST(SevenZipModel, RefusesWhatItCannotReadWhole) {
  SevenZipFolder folder{{{"a.safetensors", model()}}};
  folder.coders = sz_number(1) + sz_coder("\x06\xF1\x07\x01", "\x13");
  folder.packed = {"xyz"};
  const auto encrypted = contents_of(archive_of(folder));
  ASSERT_FALSE(encrypted.has_value());
  EXPECT_THAT(encrypted.error().what, HasSubstr("encrypted"));
  const auto twice = contents_of(SevenZipBuilder().add("a", model()).add("a", model()).build());
  ASSERT_FALSE(twice.has_value());
  EXPECT_EQ(twice.error().code, ErrorCode::kRefused);
  SevenZipFile damaged{"a.safetensors", model()};
  damaged.crc = 1;
  const auto mismatch = contents_of(SevenZipBuilder().add(damaged).build());
  ASSERT_FALSE(mismatch.has_value());
  EXPECT_EQ(mismatch.error().code, ErrorCode::kMismatch);
}

}  // namespace
}  // namespace tare
