#include "io/parallel.hpp"

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

namespace tare {

void run_in_threads(std::size_t count, const std::function<void(std::size_t)>& work) {
  // No std::jthread: it waits by a system call that libtare must not contain.
  std::vector<std::thread> threads;
  threads.reserve(count);
  try {
    for (std::size_t i = 1; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  } catch (const std::system_error&) {
    // No more threads to be had: those that are there do the work.
  }
  work(0);
  for (std::thread& thread : threads) thread.join();
}

std::size_t thread_count(std::size_t wanted, std::size_t tasks, std::size_t most) {
  const std::size_t processors = std::max(std::thread::hardware_concurrency(), 1U);
  return std::max<std::size_t>(std::min({wanted == 0 ? processors : wanted, tasks, most}), 1);
}

}  // namespace tare
