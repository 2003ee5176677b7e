#include "tare/input.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "io/unique_fd.hpp"
#include "support/temp_dir.hpp"

namespace tare {
namespace {

using test::TempDir;

// Both ways to open a file fail in the same way.
void expect_error(const std::filesystem::path& path, ErrorCode code) {
  const auto mapped = Input::map(path);
  ASSERT_FALSE(mapped.has_value());
  EXPECT_EQ(mapped.error().code, code) << mapped.error().what;
  const auto copied = Input::copy_of(path, 1000);
  ASSERT_FALSE(copied.has_value());
  EXPECT_EQ(copied.error().code, code) << copied.error().what;
}

TEST(Input, MapsAFile) {
  const TempDir dir;
  const auto input = Input::map(dir.write("file", "content"));
  ASSERT_TRUE(input.has_value());
  EXPECT_EQ(as_text(input->bytes()), "content");
  EXPECT_EQ(input->size(), 7U);
  EXPECT_TRUE(input->is_mapped());
}

TEST(Input, CopiesAFile) {
  const TempDir dir;
  const auto path = dir.write("file", "content");
  const auto input = Input::copy_of(path, 7);
  ASSERT_TRUE(input.has_value());
  EXPECT_EQ(as_text(input->bytes()), "content");
  EXPECT_FALSE(input->is_mapped());
  const auto limited = Input::copy_of(path, 6);
  ASSERT_FALSE(limited.has_value());
  EXPECT_EQ(limited.error().code, ErrorCode::kLimit);
}

TEST(Input, TakesABuffer) {
  const auto input = Input::from_bytes({std::byte{1}, std::byte{2}});
  EXPECT_EQ(input.size(), 2U);
  EXPECT_FALSE(input.is_mapped());
}

TEST(Input, KeepsItsBytesWhenMoved) {
  const TempDir dir;
  auto first = Input::map(dir.write("a", "first"));
  auto second = Input::copy_of(dir.write("b", "second"), 100);
  ASSERT_TRUE(first.has_value() && second.has_value());
  Input moved(std::move(*first));
  EXPECT_EQ(as_text(moved.bytes()), "first");
  moved = std::move(*second);
  EXPECT_EQ(as_text(moved.bytes()), "second");
  moved = Input::from_bytes({std::byte{'x'}});
  EXPECT_EQ(as_text(moved.bytes()), "x");
}

TEST(Input, RefusesAnEmptyFile) {
  const TempDir dir;
  expect_error(dir.write("empty", ""), ErrorCode::kEmpty);
}

TEST(Input, RefusesAMissingFile) {
  const TempDir dir;
  expect_error(dir / "missing", ErrorCode::kNotFound);
  expect_error(dir.write("file", "x") / "below", ErrorCode::kNotFound);
}

TEST(Input, RefusesADirectory) {
  const TempDir dir;
  expect_error(dir.path(), ErrorCode::kNotAFile);
}

// A FIFO without a writer would block a reader for ever.
TEST(Input, RefusesAFifoWithoutWaiting) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  expect_error(dir / "pipe", ErrorCode::kNotAFile);
}

TEST(Input, RefusesADevice) {
  expect_error("/dev/null", ErrorCode::kNotAFile);
}

TEST(Input, RefusesASocket) {
  const TempDir dir;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = dir / "socket";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_TRUE(fd);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  expect_error(path, ErrorCode::kNotAFile);
}

TEST(Input, RefusesAFileWithoutPermission) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const TempDir dir;
  const auto path = dir.write("secret", "x");
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  expect_error(path, ErrorCode::kNoPermission);
}

TEST(Input, FollowsALink) {
  const TempDir dir;
  dir.write("file", "content");
  std::filesystem::create_symlink("file", dir / "link");
  const auto input = Input::map(dir / "link");
  ASSERT_TRUE(input.has_value());
  EXPECT_EQ(as_text(input->bytes()), "content");
  std::filesystem::create_symlink("loop", dir / "loop");
  EXPECT_FALSE(Input::map(dir / "loop").has_value());
}

TEST(Error, EveryCodeHasANameOfItsOwn) {
  std::vector<std::string> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInvalidArgument); ++code) {
    names.emplace_back(error_code_name(static_cast<ErrorCode>(code)));
    EXPECT_NE(names.back(), "unknown");
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

TEST(Error, MapsSystemErrors) {
  EXPECT_EQ(system_error(ENOSPC, "x").code, ErrorCode::kNoSpace);
  EXPECT_EQ(system_error(EFBIG, "x").code, ErrorCode::kNoSpace);
  EXPECT_EQ(system_error(EACCES, "x").code, ErrorCode::kNoPermission);
  EXPECT_EQ(system_error(ENOENT, "x").code, ErrorCode::kNotFound);
  EXPECT_EQ(system_error(EEXIST, "x").code, ErrorCode::kExists);
  EXPECT_EQ(system_error(EIO, "x").code, ErrorCode::kIo);
  EXPECT_EQ(system_error(EIO, "x").sys_errno, EIO);
  EXPECT_FALSE(system_error(EIO, "x").has_offset());
}

}  // namespace
}  // namespace tare
