#include "io/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
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
  std::vector<std::exception_ptr> thrown(threads);
  const auto run = [&](std::size_t thread) noexcept {
    try {
      while (!failed) {
        const std::size_t task = next++;
        if (task >= tasks) return;
        if (!work(thread, task)) failed = true;
      }
    } catch (...) {
      thrown[thread] = std::current_exception();
      failed = true;
    }
  };
  // No std::jthread: it waits by a system call that libtare must not contain.
  std::vector<std::thread> others;
  others.reserve(threads);
  try {
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back([&run, i] { run(i); });
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
    // No more threads to be had, or no memory for them: those that are there do the work.
  }
  run(0);
  for (std::thread& other : others) other.join();
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
  return !failed;
}

}  // namespace tare
