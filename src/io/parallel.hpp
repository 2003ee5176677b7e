// Tasks shared by several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace tare {

// How many threads to use for `tasks` tasks: `wanted`, or as many as there are processors if that
// is 0; never more than 16 or than there are tasks, and at least 1.
std::size_t thread_count(std::size_t wanted, std::size_t tasks);

// Does one task; false ends all: what others have begun they finish, and nothing more begins.
// `thread` is below the number of threads, one of a kind at a time.
using Work = std::function<bool(std::size_t thread, std::size_t task)>;

// Does the tasks from 0 to `tasks` - 1, each once, in this thread and in others; fewer than
// `threads` if the system gives no more. False if one of them returned false. What one of them
// throws ends all as well, and is thrown here.
bool share_tasks(std::size_t threads, std::size_t tasks, const Work& work);

}  // namespace tare
