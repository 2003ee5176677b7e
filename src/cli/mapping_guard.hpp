// Keeps the process alive when a mapped file is cut short, or its disk fails, while it is read.
//
// Touching a page that is gone raises SIGBUS. While a guard lives, such a page and what is behind
// it reads as zeros instead, and the guard remembers. What was made of the bytes then means
// nothing. For several threads at once, at most 64 guards.
#pragma once

#include <atomic>
#include <cstdint>

#include "tare/bytes.hpp"

namespace tare::cli {

class MappingGuard {
 public:
  // `mapped`: a mapping of this process, which outlives the guard.
  explicit MappingGuard(ByteSpan mapped);
  MappingGuard(const MappingGuard&) = delete;
  MappingGuard& operator=(const MappingGuard&) = delete;
  ~MappingGuard();

  // Whether a page could not be read.
  bool damaged() const;

  struct Slot {
    std::atomic<bool> taken;
    std::atomic<std::uintptr_t> begin;
    std::atomic<std::uintptr_t> end;  // 0: no mapping
    std::atomic<bool> damaged;
  };

 private:
  Slot* slot_ = nullptr;
};

}  // namespace tare::cli
