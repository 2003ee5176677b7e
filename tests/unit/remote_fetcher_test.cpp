// What tare does with a program in the place of tare-fetch that does not keep to the protocol.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

#include "io/unique_fd.hpp"
#include "remote/fetcher.hpp"
#include "remote/remote_input.hpp"

namespace tare::remote {
namespace {

TEST(RemoteProtocol, MessagesArriveWhole) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const UniqueFd a(ends[0]);
  UniqueFd b(ends[1]);
  ASSERT_TRUE(send_message(a.get(), Frame{Status::kOk, 3}, as_bytes("abc")));
  Frame frame;
  ASSERT_TRUE(receive_message(b.get(), frame));
  EXPECT_EQ(frame.length, 3U);
  std::array<std::byte, 3> bytes{};
  ASSERT_TRUE(receive(b.get(), bytes));
  EXPECT_EQ(as_text(bytes), "abc");
  b.reset();
  // The other end is gone: an error and no signal.
  EXPECT_FALSE(send_message(a.get(), frame));
  EXPECT_FALSE(receive_message(a.get(), frame));
}

TEST(RemoteProtocol, EveryErrorHasWords) {
  for (std::uint32_t status = 0; status < kStatusCount; ++status) {
    EXPECT_STRNE(error_of(static_cast<Status>(status)).what, "");
  }
}

Result<RemoteInput> open_with(const char* program) {
  auto fetcher = Fetcher::start(program);
  if (!fetcher) return std::unexpected(fetcher.error());
  return open_remote(**fetcher, "https://h/m", {});
}

TEST(RemoteFetcher, AProgramThatEndsIsAnError) {
  const auto opened = open_with("/bin/true");
  ASSERT_FALSE(opened);
  EXPECT_STREQ(opened.error().what, error_of(Status::kProtocol).what);
}

TEST(RemoteFetcher, AProgramThatFailsIsAnErrorEachTime) {
  auto fetcher = Fetcher::start("/bin/false");
  ASSERT_TRUE(fetcher);
  const std::scoped_lock lock((*fetcher)->mutex());
  EXPECT_FALSE((*fetcher)->list("hf://o/m"));
  EXPECT_FALSE((*fetcher)->open("https://h/m", 1));
}

TEST(RemoteFetcher, AProgramThatIsNotThereIsAnError) {
  EXPECT_FALSE(Fetcher::start("/nonexistent/tare-fetch"));
}

}  // namespace
}  // namespace tare::remote
