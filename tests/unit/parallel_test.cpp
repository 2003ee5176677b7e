#include "io/parallel.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <vector>

namespace tare {
namespace {

TEST(ShareTasks, DoesEachTaskOnce) {
  for (const std::size_t threads : {1U, 2U, 5U}) {
    std::vector<std::atomic<int>> done(1000);
    EXPECT_TRUE(share_tasks(threads, done.size(), [&](std::size_t thread, std::size_t task) {
      EXPECT_LT(thread, threads);
      ++done[task];
      return true;
    }));
    EXPECT_THAT(done, testing::Each(testing::Eq(1)));
  }
}

TEST(ShareTasks, EndsAtTheFirstThatFails) {
  std::atomic<std::size_t> last = 0;
  EXPECT_FALSE(share_tasks(3, 1'000'000, [&](std::size_t, std::size_t task) {
    last = std::max<std::size_t>(last, task);
    return task < 10;
  }));
  EXPECT_LT(last, 999'999U);
}

// An exception that leaves a thread would end the process.
TEST(ShareTasks, ThrowsWhatATaskThrows) {
  for (const std::size_t threads : {1U, 4U}) {
    EXPECT_THROW(share_tasks(threads, 100,
                             [](std::size_t, std::size_t task) {
                               if (task == 50) throw std::bad_alloc();
                               return true;
                             }),
                 std::bad_alloc);
  }
}

}  // namespace
}  // namespace tare
