// Where analyzers put their findings. A hostile file can make one out of every byte or two, each
// with text of its own, so the number is bounded: beyond the limit of its severity a finding only
// counts.
#pragma once

#include <array>
#include <vector>

#include "tare/scan.hpp"

namespace tare {

class Findings {
 public:
  static constexpr std::size_t kMaxPerSeverity = 4000;

  // `policy`: what a user adds to the policy of names; may be null. It outlives this.
  explicit Findings(const Policy* policy = nullptr) : policy_(policy) {}
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

  // The findings from this one on, to fill in what they have in common.
  std::size_t size() const { return list_.size(); }
  std::span<Finding> since(std::size_t first) { return std::span(list_).subspan(first); }

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
  const Policy* policy_;
  std::vector<Finding> list_;
  std::array<std::uint64_t, 4> counts_{};
};

}  // namespace tare
