// Results that are kept: what comes back is what went in, or nothing.
#include "cache/scan_cache.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "cache/build_id.hpp"
#include "support/temp_dir.hpp"
#include "tare/policy.hpp"

namespace tare {
namespace {

using cache::CacheFolder;
using cache::Digest;
using cache::Outcome;
using cache::ScanCache;
using test::TempDir;

ScanReport full_report() {
  ScanReport report;
  report.verdict = Verdict::kDangerous;
  report.formats = {"zip", "pickle"};
  report.size = 1;
  report.parts = 2;
  report.tensor_bytes = 3;
  Finding finding;
  finding.rule = &rules().front();
  finding.entry = "archive/data.pkl";
  finding.offset = 4;
  finding.opcode = "REDUCE";
  finding.evidence = "os.system('id')";
  finding.detail = "calls os.system";
  finding.name = "os.system";
  finding.file_offset = 5;
  finding.context = {std::byte{0}, std::byte{255}};
  finding.context_before = 1;
  finding.suppressed = "known";
  Finding bare;
  bare.rule = &rules().back();
  report.findings = {finding, bare};
  return report;
}

void expect_equal(const ScanReport& report, const ScanReport& other) {
  EXPECT_EQ(report.verdict, other.verdict);
  EXPECT_EQ(report.formats, other.formats);
  EXPECT_EQ(report.size, other.size);
  EXPECT_EQ(report.parts, other.parts);
  EXPECT_EQ(report.tensor_bytes, other.tensor_bytes);
  EXPECT_EQ(report.out_of_time, other.out_of_time);
  ASSERT_EQ(report.findings.size(), other.findings.size());
  for (std::size_t i = 0; i < report.findings.size(); ++i) {
    const Finding& one = report.findings[i];
    const Finding& two = other.findings[i];
    EXPECT_EQ(one.rule, two.rule);
    EXPECT_EQ(one.entry, two.entry);
    EXPECT_EQ(one.offset, two.offset);
    EXPECT_EQ(one.opcode, two.opcode);
    EXPECT_EQ(one.evidence, two.evidence);
    EXPECT_EQ(one.detail, two.detail);
    EXPECT_EQ(one.name, two.name);
    EXPECT_EQ(one.file_offset, two.file_offset);
    EXPECT_EQ(one.context, two.context);
    EXPECT_EQ(one.context_before, two.context_before);
    EXPECT_EQ(one.suppressed, two.suppressed);
  }
}

TEST(ReportCodec, KeepsEveryFieldOfAReport) {
  cache::Literals literals;
  const auto decoded = cache::decode(cache::encode(full_report()), literals);
  ASSERT_TRUE(decoded && *decoded);
  expect_equal(**decoded, full_report());
}

TEST(ReportCodec, KeepsThatThereIsNothingToScan) {
  cache::Literals literals;
  Error error{ErrorCode::kWrongFormat, 0, 7, "an HTML page", 8, 9};
  error.beginning = {std::byte{'<'}, std::byte{'h'}};
  error.beginning_size = 2;
  const Outcome nothing = std::unexpected(error);
  const auto decoded = cache::decode(cache::encode(nothing), literals);
  ASSERT_TRUE(decoded && !*decoded);
  EXPECT_EQ((*decoded).error().code, ErrorCode::kWrongFormat);
  EXPECT_EQ((*decoded).error().offset, 7U);
  EXPECT_STREQ((*decoded).error().what, "an HTML page");
  EXPECT_EQ((*decoded).error().expected, 8U);
  EXPECT_EQ((*decoded).error().actual, 9U);
  EXPECT_EQ((*decoded).error().beginning, error.beginning);
  EXPECT_EQ((*decoded).error().beginning_size, 2U);
}

TEST(ReportCodec, RefusesBytesThatAreCutShortOrGoOn) {
  cache::Literals literals;
  auto bytes = cache::encode(full_report());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(cache::decode(ByteSpan(bytes).first(size), literals)) << size;
  }
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(cache::decode(bytes, literals));
}

TEST(ReportCodec, SurvivesAnyOneByteThatIsAnother) {
  cache::Literals literals;
  const auto bytes = cache::encode(full_report());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto damaged = bytes;
    damaged[at] = ~damaged[at];
    static_cast<void>(cache::decode(damaged, literals));
  }
}

TEST(ReportCodec, KeepsNoErrorsAndNothingThatWasCutShort) {
  ScanReport late;
  late.out_of_time = true;
  EXPECT_FALSE(cache::can_be_kept(late));
  EXPECT_FALSE(cache::can_be_kept(fail(ErrorCode::kIo, "cannot read")));
  EXPECT_TRUE(cache::can_be_kept(ScanReport()));
}

TEST(CacheVariant, IsAnotherForEveryPolicyAndPathButOnlyWithAPolicy) {
  ASSERT_FALSE(cache::build_id().empty());
  const auto plain = cache::Variants(nullptr).of("a.pt", {});
  EXPECT_EQ(plain, cache::Variants(nullptr).of("b.pt", {}));
  EXPECT_NE(plain, cache::Variants(nullptr).of("a.pt", std::vector<FileRange>{{0, 1}}));
  Policy policy({2026, 1, 1});
  const auto empty = cache::Variants(&policy).of("a.pt", {});
  EXPECT_NE(plain, empty);
  EXPECT_NE(empty, cache::Variants(&policy).of("b.pt", {}));
  PolicyName name;
  name.module = "my";
  name.name = "f";
  name.reason = "ours";
  name.expires = Day{2026, 6, 1};
  ASSERT_TRUE(policy.add(name));
  const auto with_name = cache::Variants(&policy).of("a.pt", {});
  EXPECT_NE(empty, with_name);
  Policy later({2027, 1, 1});
  ASSERT_TRUE(later.add(name));
  EXPECT_NE(with_name, cache::Variants(&later).of("a.pt", {}));
}

class ScanCacheTest : public testing::Test {
 protected:
  static std::unique_ptr<ScanCache> open(const TempDir& folder, std::uint64_t max = 1U << 20) {
    auto opened = CacheFolder::open(folder / "tare");
    EXPECT_TRUE(opened);
    return ScanCache::open(*opened, max);
  }
  static Digest digest(unsigned value) {
    Digest digest{};
    digest[0] = static_cast<std::byte>(value);
    digest[1] = static_cast<std::byte>(value >> 8);
    digest[31] = std::byte{1};
    return digest;
  }

  TempDir folder_;
  const Digest variant_ = digest(77);
  const RegularFile::Status settled_{1, 2, 3, 4, 5};  // in 1970
};

TEST_F(ScanCacheTest, FindsAnUnchangedFileAndItsContentUnderAnyName) {
  auto cache = open(folder_);
  cache->keep(settled_, digest(1), variant_, full_report());
  cache->flush();
  ScanCache::Reader reader(*cache);
  const auto found = reader.find(settled_, variant_);
  ASSERT_TRUE(found && *found);
  expect_equal(**found, full_report());
  EXPECT_TRUE(reader.find(digest(1), nullptr, variant_));
  EXPECT_FALSE(reader.find(digest(2), nullptr, variant_));
  EXPECT_FALSE(reader.find(settled_, digest(78)));
  EXPECT_EQ(cache->complaint(), "");
}

TEST_F(ScanCacheTest, TakesAFileForAnotherIfAnythingTheSystemSaysOfItDiffers) {
  auto cache = open(folder_);
  cache->keep(settled_, digest(1), variant_, full_report());
  cache->flush();
  ScanCache::Reader reader(*cache);
  for (auto member :
       {&RegularFile::Status::device, &RegularFile::Status::inode, &RegularFile::Status::size}) {
    auto other = settled_;
    other.*member += 1;
    EXPECT_FALSE(reader.find(other, variant_));
  }
  for (auto member : {&RegularFile::Status::modified, &RegularFile::Status::changed}) {
    auto other = settled_;
    other.*member += 1;
    EXPECT_FALSE(reader.find(other, variant_));
  }
}

TEST_F(ScanCacheTest, KnowsAFileByItsTimesOnlyIfTheyAreNotOfJustNow) {
  auto cache = open(folder_);
  auto fresh = settled_;
  fresh.changed = std::int64_t{std::time(nullptr)} * 1'000'000'000;
  cache->keep(fresh, digest(1), variant_, full_report());
  cache->flush();
  ScanCache::Reader reader(*cache);
  EXPECT_FALSE(reader.find(fresh, variant_));
  EXPECT_TRUE(reader.find(digest(1), &fresh, variant_));
  cache->flush();
  EXPECT_FALSE(ScanCache::Reader(*cache).find(fresh, variant_));
}

TEST_F(ScanCacheTest, LearnsTheFileWhoseContentItFound) {
  auto cache = open(folder_);
  auto copy = settled_;
  copy.inode = 99;
  cache->keep(settled_, digest(1), variant_, full_report());
  cache->flush();
  EXPECT_TRUE(ScanCache::Reader(*cache).find(digest(1), &copy, variant_));
  cache->flush();
  EXPECT_TRUE(ScanCache::Reader(*cache).find(copy, variant_));
}

TEST_F(ScanCacheTest, KeepsResultsForTheNextProcessAndCountsThem) {
  open(folder_)->keep(settled_, digest(1), variant_, full_report());
  EXPECT_TRUE(ScanCache::Reader(*open(folder_)).find(settled_, variant_));
  const auto opened = CacheFolder::open(folder_ / "tare");
  const auto stats = cache::stats_of(*opened);
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->results, 1U);
  EXPECT_EQ(stats->files, 1U);
  EXPECT_GT(stats->oldest, 20'000);
  ASSERT_TRUE(cache::clear(*opened));
  EXPECT_EQ(cache::stats_of(*opened)->results, 0U);
  EXPECT_FALSE(ScanCache::Reader(*open(folder_)).find(settled_, variant_));
}

TEST_F(ScanCacheTest, DropsWhatIsOldestIfItGrowsTooLarge) {
  ScanReport report = full_report();
  report.findings[0].detail.assign(4000, 'x');
  {
    auto cache = open(folder_, 100'000);
    for (unsigned i = 0; i < 100; ++i) cache->keep(settled_, digest(i), variant_, report);
  }
  const auto stats = cache::stats_of(*CacheFolder::open(folder_ / "tare"));
  EXPECT_LT(stats->results, 80U);
  EXPECT_GT(stats->results, 60U);
  auto cache = open(folder_, 100'000);
  ScanCache::Reader reader(*cache);
  EXPECT_FALSE(reader.find(digest(0), nullptr, variant_));
  EXPECT_TRUE(reader.find(digest(99), nullptr, variant_));
}

// Every damage is one of three things: seen, without effect, or a result that is not found. Never
// another result.
TEST_F(ScanCacheTest, NeverGivesAResultOfADamagedFile) {
  open(folder_)->keep(settled_, digest(1), variant_, full_report());
  const std::string whole = folder_.read("tare/scan-1.db");
  ASSERT_GT(whole.size(), 8192U);
  unsigned seen = 0;
  for (std::size_t at = 0; at < whole.size(); at += at < 200 ? 1 : 37) {
    std::filesystem::remove_all(folder_ / "tare");
    ::mkdir((folder_ / "tare").c_str(), 0700);
    std::string damaged = whole;
    damaged[at] = static_cast<char>(~damaged[at]);
    folder_.write("tare/scan-1.db", damaged);
    auto cache = open(folder_);
    const auto found = ScanCache::Reader(*cache).find(settled_, variant_);
    if (found) {
      ASSERT_TRUE(*found);
      expect_equal(**found, full_report());
    }
    seen += cache->complaint().empty() ? 0 : 1;
  }
  EXPECT_GT(seen, 20U);
}

TEST_F(ScanCacheTest, SetsAsideWhatIsNoDatabaseAndBeginsAnew) {
  ::mkdir((folder_ / "tare").c_str(), 0700);
  folder_.write("tare/scan-1.db", std::string(20'000, 'x'));
  {
    auto cache = open(folder_);
    cache->keep(settled_, digest(1), variant_, full_report());
    EXPECT_NE(cache->complaint().find("set aside"), std::string::npos) << cache->complaint();
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ / "tare/scan-1.damaged"));
  open(folder_)->keep(settled_, digest(1), variant_, full_report());
  EXPECT_TRUE(std::filesystem::exists(folder_ / "tare/scan-2.db"));
  EXPECT_TRUE(ScanCache::Reader(*open(folder_)).find(settled_, variant_));
  const auto cleared = cache::clear(*CacheFolder::open(folder_ / "tare"));
  EXPECT_EQ(cleared->damaged.size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tare/scan-1.damaged"));
}

TEST_F(ScanCacheTest, RefusesAFolderThatOthersMayWriteInto) {
  ::mkdir((folder_ / "tare").c_str(), 0777);
  ::chmod((folder_ / "tare").c_str(), 0777);
  const auto opened = CacheFolder::open(folder_ / "tare");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kRefused);
}

TEST(CacheFolderPath, FollowsXdgCacheHomeOnlyIfItIsAbsolute) {
  EXPECT_EQ(CacheFolder::default_path("/c", "/h"), "/c/tare");
  EXPECT_EQ(CacheFolder::default_path("", "/h"), "/h/.cache/tare");
  EXPECT_EQ(CacheFolder::default_path("c", "/h"), "/h/.cache/tare");
  EXPECT_FALSE(CacheFolder::default_path("", ""));
}

}  // namespace
}  // namespace tare
