#include "io/atomic_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temp_dir.hpp"

namespace tare {
namespace {

using test::TempDir;
using testing::ElementsAre;
using testing::IsEmpty;
using Replace = AtomicFile::Replace;

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status{};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

// umask is one per process: set it for the time of a test only.
class ScopedUmask {
 public:
  explicit ScopedUmask(mode_t mask) : old_(::umask(mask)) {}
  ScopedUmask(const ScopedUmask&) = delete;
  ScopedUmask& operator=(const ScopedUmask&) = delete;
  ~ScopedUmask() { ::umask(old_); }

 private:
  mode_t old_;
};

void write_whole(const std::filesystem::path& path, std::string_view content, Replace replace) {
  auto file = AtomicFile::create(path, replace);
  ASSERT_TRUE(file.has_value()) << file.error().what;
  ASSERT_TRUE(file->write(as_bytes(content)).has_value());
  ASSERT_TRUE(file->commit().has_value());
}

TEST(AtomicFile, AppearsWithCommitAndNotBefore) {
  const TempDir dir;
  auto file = AtomicFile::create(dir / "out", Replace::kNo);
  ASSERT_TRUE(file.has_value());
  ASSERT_TRUE(file->write(as_bytes("one ")).has_value());
  ASSERT_TRUE(file->write(as_bytes("two")).has_value());
  EXPECT_EQ(file->size(), 7U);
  EXPECT_FALSE(std::filesystem::exists(dir / "out"));
  ASSERT_TRUE(file->commit().has_value());
  EXPECT_EQ(dir.read("out"), "one two");
  EXPECT_THAT(dir.names(), ElementsAre("out"));
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  const TempDir dir;
  {
    auto file = AtomicFile::create(dir / "out", Replace::kNo);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE(file->write(as_bytes("lost")).has_value());
    EXPECT_LE(dir.names().size(), 1U);  // none, if the file system has files without a name
    EXPECT_TRUE(std::filesystem::exists(file->temporary()));
  }
  EXPECT_THAT(dir.names(), IsEmpty());
}

TEST(AtomicFile, LeavesTheOldFileWithoutCommit) {
  const TempDir dir;
  dir.write("out", "old");
  {
    auto file = AtomicFile::create(dir / "out", Replace::kYes);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE(file->write(as_bytes("new")).has_value());
  }
  EXPECT_EQ(dir.read("out"), "old");
  EXPECT_THAT(dir.names(), ElementsAre("out"));
}

TEST(AtomicFile, WritesMoreThanItsBuffer) {
  const TempDir dir;
  std::string expected;
  auto file = AtomicFile::create(dir / "out", Replace::kNo);
  ASSERT_TRUE(file.has_value());
  for (int i = 0; i < 16; ++i) {
    // Small pieces and pieces beyond the buffer, in turn.
    const std::string piece(i % 8 == 7 ? 1'500'000 : 1000, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(file->write(as_bytes(piece)).has_value());
    expected += piece;
  }
  EXPECT_EQ(file->size(), expected.size());
  ASSERT_TRUE(file->commit().has_value());
  EXPECT_TRUE(dir.read("out") == expected);
}

// Large files are written past the page cache, in blocks of 4 MiB.
TEST(AtomicFile, WritesLargeFilesInAnyPieces) {
  const TempDir dir;
  constexpr std::size_t kSize = (std::size_t{64} << 20) + 4097;
  std::string expected(kSize, '\0');
  for (std::size_t i = 0; i < kSize; i += 509) expected[i] = static_cast<char>(i / 509);
  for (const std::size_t piece : {std::size_t{1'000'003}, std::size_t{4} << 20, kSize}) {
    auto file = AtomicFile::create(dir / "out", Replace::kYes);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE(file->reserve(kSize).has_value());
    for (std::string_view left = expected; !left.empty();) {
      const auto next = left.substr(0, piece);
      ASSERT_TRUE(file->write(as_bytes(next)).has_value());
      left.remove_prefix(next.size());
    }
    ASSERT_TRUE(file->flush().has_value());
    EXPECT_EQ(std::filesystem::file_size(file->temporary()), kSize);
    ASSERT_TRUE(file->commit().has_value());
    EXPECT_TRUE(dir.read("out") == expected) << piece;
  }
}

TEST(AtomicFile, RefusesAnotherSizeThanReserved) {
  const TempDir dir;
  for (const std::uint64_t size : {std::uint64_t{3}, std::uint64_t{5}, std::uint64_t{64} << 20}) {
    auto file = AtomicFile::create(dir / "out", Replace::kNo);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE(file->reserve(size).has_value());
    ASSERT_TRUE(file->write(as_bytes("1234")).has_value());
    const auto committed = file->commit();
    ASSERT_FALSE(committed.has_value());
    EXPECT_EQ(committed.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_THAT(dir.names(), IsEmpty());
}

TEST(AtomicFile, RefusesMoreThanTheDiskHas) {
  const TempDir dir;
  auto file = AtomicFile::create(dir / "out", Replace::kNo);
  ASSERT_TRUE(file.has_value());
  // Where no space can be reserved, nothing is refused yet.
  const auto reserved = file->reserve(std::uint64_t{1} << 60);
  if (reserved) GTEST_SKIP() << "this file system reserves no space";
  EXPECT_TRUE(reserved.error().code == ErrorCode::kNoSpace) << reserved.error().sys_errno;
}

TEST(AtomicFile, CopiesRangesOfAFile) {
  const TempDir dir;
  const std::string content = "0123456789";
  const UniqueFd source(::open(dir.write("source", content).c_str(), O_RDONLY));
  auto file = AtomicFile::create(dir / "out", Replace::kNo);
  ASSERT_TRUE(file.has_value());
  ASSERT_TRUE(file->write(as_bytes("<")).has_value());
  const auto copied = file->copy_range(source.get(), 2, 5);
  ASSERT_TRUE(copied.has_value());
  ASSERT_TRUE(file->write(as_bytes(">")).has_value());
  const auto past_the_end = file->copy_range(source.get(), 10, 5);
  ASSERT_TRUE(past_the_end.has_value());
  EXPECT_EQ(*past_the_end, 0U);
  ASSERT_TRUE(file->commit().has_value());
  EXPECT_EQ(dir.read("out"), "<" + content.substr(2, *copied) + ">");
}

TEST(AtomicFile, WritesAnEmptyFile) {
  const TempDir dir;
  write_whole(dir / "out", "", Replace::kNo);
  EXPECT_EQ(std::filesystem::file_size(dir / "out"), 0U);
}

TEST(AtomicFile, RefusesToOverwrite) {
  const TempDir dir;
  dir.write("out", "old");
  const auto file = AtomicFile::create(dir / "out", Replace::kNo);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kExists);
  EXPECT_EQ(dir.read("out"), "old");
  EXPECT_THAT(dir.names(), ElementsAre("out"));
}

TEST(AtomicFile, RefusesToOverwriteWhatAppearedMeanwhile) {
  const TempDir dir;
  {
    auto file = AtomicFile::create(dir / "out", Replace::kNo);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE(file->write(as_bytes("mine")).has_value());
    dir.write("out", "theirs");
    const auto committed = file->commit();
    ASSERT_FALSE(committed.has_value());
    EXPECT_EQ(committed.error().code, ErrorCode::kExists);
  }
  EXPECT_EQ(dir.read("out"), "theirs");
  EXPECT_THAT(dir.names(), ElementsAre("out"));
}

TEST(AtomicFile, RefusesADanglingLinkAsExisting) {
  const TempDir dir;
  std::filesystem::create_symlink(dir / "nowhere", dir / "out");
  const auto file = AtomicFile::create(dir / "out", Replace::kNo);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kExists);
}

TEST(AtomicFile, Overwrites) {
  const TempDir dir;
  dir.write("out", "something long that was there");
  write_whole(dir / "out", "new", Replace::kYes);
  EXPECT_EQ(dir.read("out"), "new");
  EXPECT_THAT(dir.names(), ElementsAre("out"));
}

TEST(AtomicFile, OverwritingNothingIsFine) {
  const TempDir dir;
  write_whole(dir / "out", "new", Replace::kYes);
  EXPECT_EQ(dir.read("out"), "new");
}

TEST(AtomicFile, KeepsThePermissionsOfTheReplacedFile) {
  const TempDir dir;
  for (const mode_t mode : {mode_t{0640}, mode_t{0600}, mode_t{0755}}) {
    dir.write("out", "old");
    ASSERT_EQ(::chmod((dir / "out").c_str(), mode), 0);
    write_whole(dir / "out", "new", Replace::kYes);
    EXPECT_EQ(mode_of(dir / "out"), mode);
  }
}

TEST(AtomicFile, GivesNewFilesThePermissionsOfTheUmask) {
  const TempDir dir;
  {
    const ScopedUmask mask(022);
    write_whole(dir / "a", "x", Replace::kNo);
  }
  {
    const ScopedUmask mask(077);
    write_whole(dir / "b", "x", Replace::kNo);
  }
  {
    const ScopedUmask mask(002);
    write_whole(dir / "c", "x", Replace::kNo);
  }
  EXPECT_EQ(mode_of(dir / "a"), mode_t{0644});
  EXPECT_EQ(mode_of(dir / "b"), mode_t{0600});
  EXPECT_EQ(mode_of(dir / "c"), mode_t{0664});
}

TEST(AtomicFile, RefusesADirectory) {
  const TempDir dir;
  std::filesystem::create_directory(dir / "sub");
  for (const Replace replace : {Replace::kNo, Replace::kYes}) {
    const auto file = AtomicFile::create(dir / "sub", replace);
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code, ErrorCode::kNotAFile);
  }
  EXPECT_FALSE(AtomicFile::create(dir / "other/", Replace::kNo).has_value());
}

TEST(AtomicFile, RefusesAMissingDirectory) {
  const TempDir dir;
  const auto file = AtomicFile::create(dir / "no/such/out", Replace::kNo);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kNotFound);
}

TEST(AtomicFile, RefusesADirectoryWithoutWritePermission) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const TempDir dir;
  std::filesystem::create_directory(dir / "sub");
  ASSERT_EQ(::chmod((dir / "sub").c_str(), 0555), 0);
  const auto file = AtomicFile::create(dir / "sub/out", Replace::kNo);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kNoPermission);
}

TEST(AtomicFile, MovesWithItsTemporaryFile) {
  const TempDir dir;
  {
    auto file = AtomicFile::create(dir / "out", Replace::kNo);
    ASSERT_TRUE(file.has_value());
    AtomicFile moved(std::move(*file));
    ASSERT_TRUE(moved.write(as_bytes("x")).has_value());
    ASSERT_TRUE(moved.commit().has_value());
  }
  EXPECT_EQ(dir.read("out"), "x");
  EXPECT_THAT(dir.names(), ElementsAre("out"));
}

TEST(AtomicFile, NeverReplacesADevice) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  const auto file = AtomicFile::create(dir / "pipe", Replace::kYes);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kNotAFile);
}

TEST(AtomicFile, TakesTheLongestName) {
  const TempDir dir;
  const std::string name(255, 'n');
  write_whole(dir / name, "x", Replace::kNo);
  EXPECT_THAT(dir.names(), ElementsAre(name));
}

}  // namespace
}  // namespace tare
