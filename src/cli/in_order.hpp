// Results of several threads, in the order in which their tasks were given out.
//
// What is ready too early waits, and while what waits is large, no more tasks are given out: memory
// is bounded by that, and by one result for each thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>

namespace tare::cli {

template <typename Task, typename Outcome>
class InOrder {
 public:
  static constexpr std::uint64_t kMaxWaiting = std::uint64_t{64} << 20;

  struct Numbered {
    std::uint64_t number;
    Task task;
  };

  // `source` gives the next task, or nothing; `sink` takes the results one by one and returns false
  // to end all. Neither is called by two threads at once.
  InOrder(std::function<std::optional<Task>()> source, std::function<bool(Outcome)> sink)
      : source_(std::move(source)), sink_(std::move(sink)) {}

  // The next task; nothing if there are no more.
  std::optional<Numbered> take() {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return ended_ || waiting_bytes_ < kMaxWaiting; });
    if (ended_) return std::nullopt;
    std::optional<Task> task = source_();
    if (!task) {
      ended_ = true;
      return std::nullopt;
    }
    return Numbered{taken_++, std::move(*task)};
  }

  // Every task that was taken must be given back. `bytes`: about how much memory the result takes.
  void give(std::uint64_t number, Outcome outcome, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    waiting_.emplace(number, Waiting{std::move(outcome), bytes});
    waiting_bytes_ += bytes;
    for (auto first = waiting_.begin(); first != waiting_.end() && first->first == given_;
         first = waiting_.erase(first), ++given_) {
      waiting_bytes_ -= first->second.bytes;
      if (!failed_ && !sink_(std::move(first->second.outcome))) failed_ = ended_ = true;
    }
    room_.notify_all();
  }

  // No more tasks: one of them will never be given back.
  void stop() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    room_.notify_all();
  }

  // Whether the sink took all.
  bool succeeded() const { return !failed_; }

 private:
  struct Waiting {
    Outcome outcome;
    std::uint64_t bytes;
  };

  std::function<std::optional<Task>()> source_;
  std::function<bool(Outcome)> sink_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::map<std::uint64_t, Waiting> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t given_ = 0;
  bool ended_ = false;
  bool failed_ = false;
};

}  // namespace tare::cli
