#include "io/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace tare {

std::size_t thread_count(std::size_t wanted, std::size_t tasks) {
  constexpr std::size_t kMost = 16;
  const std::size_t processors = std::max(std::thread::hardware_concurrency(), 1U);
  return std::max<std::size_t>(std::min({wanted == 0 ? processors : wanted, tasks, kMost}), 1);
}

bool share_tasks(std::size_t threads, std::size_t tasks, const Work& work) {
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> failed = false;
  const auto run = [&](std::size_t thread) {
    while (!failed) {
      const std::size_t task = next++;
      if (task >= tasks) return;
      if (!work(thread, task)) failed = true;
    }
  };
  // No std::jthread: it waits by a system call that libtare must not contain.
  std::vector<std::thread> others;
  others.reserve(threads);
  try {
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back([&run, i] { run(i); });
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
    // No more threads to be had: those that are there do the work.
  }
  run(0);
  for (std::thread& other : others) other.join();
  return !failed;
}

}  // namespace tare
