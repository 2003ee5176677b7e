// The memory of the benchmark itself.
#pragma once

#include <fstream>
#include <string>

namespace tare::bench {

// The peak of this program's memory in KiB. Not ru_maxrss: that starts at what the parent had.
inline long peak_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    long kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib;
  }
  return 0;
}

}  // namespace tare::bench
