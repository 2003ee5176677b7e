// Whether work is bounded: by the processor's time, which other programs on the machine do not
// change.
#pragma once

#include <ctime>

namespace tare::test {

// Seconds of this process since the object was made.
class CpuTime {
 public:
  double seconds() const {
    return static_cast<double>(std::clock() - start_) / static_cast<double>(CLOCKS_PER_SEC);
  }

 private:
  std::clock_t start_ = std::clock();
};

// What a file of a few MB that is made to take long may take, with sanitizers as well: work that
// grows with the square of it takes minutes.
inline constexpr double kMostSeconds = 20;

}  // namespace tare::test
