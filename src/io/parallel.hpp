// The same work in several threads at once.
#pragma once

#include <cstddef>
#include <functional>

namespace tare {

// Calls `work` with 0 in this thread and with 1 to `count` - 1 in others, and returns when all
// have returned. Where the system gives fewer threads, not every number comes: the work must be
// shared by something else than the number. `work` must not throw.
void run_in_threads(std::size_t count, const std::function<void(std::size_t)>& work);

// How many threads to use for `tasks` tasks: `wanted`, or as many as there are processors if that
// is 0, and never more than `most`. At least 1.
std::size_t thread_count(std::size_t wanted, std::size_t tasks, std::size_t most);

}  // namespace tare
