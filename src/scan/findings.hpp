// Where analyzers put their findings. A hostile file can make one out of every byte or two, each
// with text of its own, so the number is bounded: beyond the limit of its severity a finding only
// counts.
#pragma once

#include <array>
#include <chrono>
#include <vector>

#include "tare/scan.hpp"

namespace tare {

class Findings {
 public:
  static constexpr std::size_t kMaxPerSeverity = 4000;
  using Clock = std::chrono::steady_clock;

  explicit Findings(const ScanOptions& options = {})
      : deadline_(options.deadline), policy_(options.policy) {}
  // When analyzers are to give up.
  Clock::time_point deadline() const { return deadline_; }
  bool is_late() const { return deadline_ != Clock::time_point::max() && Clock::now() > deadline_; }

  // What a user adds to the policy of names; may be null.
  const Policy* policy() const { return policy_; }

  // A new finding to fill in, or null if there are enough of this severity. Valid until the next
  // call.
  Finding* add(const Rule& rule) {
    auto& count = counts_[static_cast<std::size_t>(rule.severity)];
    if (++count > kMaxPerSeverity) return nullptr;
    Finding& finding = list_.emplace_back();
    finding.rule = &rule;
    return &finding;
  }

  // The same with what every finding has; `offset` may be Error::kNoOffset, which counts as 0.
  Finding* add(const Rule& rule, std::string_view entry, std::uint64_t offset, std::string detail) {
    Finding* finding = add(rule);
    if (finding == nullptr) return nullptr;
    finding->entry = entry;
    finding->offset = offset == Error::kNoOffset ? 0 : offset;
    finding->detail = std::move(detail);
    return finding;
  }

  // The findings from this one on, to fill in what they have in common.
  std::size_t size() const { return list_.size(); }
  std::span<Finding> since(std::size_t first) { return std::span(list_).subspan(first); }

  // Counts findings that nobody adds; there are enough of this severity.
  void leave_out(const Rule& rule, std::uint64_t count) {
    counts_[static_cast<std::size_t>(rule.severity)] += count;
  }

  // How many were left out.
  std::uint64_t left_out() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : counts_) {
      sum += count > kMaxPerSeverity ? count - kMaxPerSeverity : 0;
    }
    return sum;
  }

  std::vector<Finding> take() { return std::move(list_); }

 private:
  Clock::time_point deadline_;
  const Policy* policy_;
  std::vector<Finding> list_;
  std::array<std::uint64_t, 4> counts_{};
};

}  // namespace tare
