#include "io/spool.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdlib>

#include "support/temp_dir.hpp"

namespace tare {
namespace {

std::string content_of(Spool spool) {
  const auto input = std::move(spool).finish();
  EXPECT_TRUE(input.has_value());
  return input ? std::string(as_text(input->bytes())) : "";
}

TEST(Spool, KeepsFewBytesInMemory) {
  Spool spool(10);
  ASSERT_TRUE(spool.write(as_bytes("12345")).has_value());
  ASSERT_TRUE(spool.write(as_bytes("67890")).has_value());
  EXPECT_EQ(spool.size(), 10U);
  const auto input = std::move(spool).finish();
  ASSERT_TRUE(input.has_value());
  EXPECT_FALSE(input->is_mapped());
  EXPECT_EQ(as_text(input->bytes()), "1234567890");
}

TEST(Spool, MapsAFileOfMany) {
  Spool spool(10);
  ASSERT_TRUE(spool.write(as_bytes("12345")).has_value());
  ASSERT_TRUE(spool.write(as_bytes("678901")).has_value());
  ASSERT_TRUE(spool.write(as_bytes("2")).has_value());
  EXPECT_EQ(spool.size(), 12U);
  const auto input = std::move(spool).finish();
  ASSERT_TRUE(input.has_value());
  EXPECT_TRUE(input->is_mapped());
  EXPECT_EQ(as_text(input->bytes()), "123456789012");
}

TEST(Spool, MayHoldNothing) {
  EXPECT_EQ(content_of(Spool()), "");
  EXPECT_EQ(content_of(Spool(0)), "");
}

TEST(Spool, TakesALargePieceFirst) {
  const std::string piece(3'000'000, 'x');
  Spool spool(1'000'000);
  ASSERT_TRUE(spool.write(as_bytes(piece)).has_value());
  EXPECT_TRUE(content_of(std::move(spool)) == piece);
}

// The file has no name that anybody could open, and no TMPDIR says where it is.
TEST(Spool, LeavesNoNameBehind) {
  const test::TempDir folder;
  ::setenv("TMPDIR", folder.path().c_str(), 1);
  Spool spool(0);
  ASSERT_TRUE(spool.write(as_bytes("content")).has_value());
  ::unsetenv("TMPDIR");
  EXPECT_TRUE(folder.names().empty());
  std::size_t open_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(entry.path(), error);
    if (target.ends_with(" (deleted)") &&
        (target.starts_with("/var/tmp/") || target.starts_with("/tmp/"))) {
      ++open_files;
    }
  }
  EXPECT_EQ(open_files, 1U);
  EXPECT_EQ(content_of(std::move(spool)), "content");
}

TEST(Spool, SaysThatThereIsNoSpace) {
  struct rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto* const handler = ::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 1000;
  ::setrlimit(RLIMIT_FSIZE, &small);
  Spool spool(10);
  const auto written = spool.write(as_bytes(std::string(2000, 'x')));
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().code, ErrorCode::kNoSpace);
}

}  // namespace
}  // namespace tare
