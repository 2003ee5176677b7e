#include "cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "report/text.hpp"

namespace tare::cli {
namespace {

constexpr std::chrono::milliseconds kPatience{1000};
constexpr std::chrono::milliseconds kInterval{100};

}  // namespace

ProgressLine::ProgressLine(const char* verb, std::uint64_t total_bytes)
    : verb_(verb), total_(total_bytes), next_(start_ + kPatience) {
  const char* term = std::getenv("TERM");
  wanted_ = ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

ProgressLine::~ProgressLine() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

void ProgressLine::operator()(std::uint64_t done) {
  const auto now = Clock::now();
  if (!wanted_ || now < next_) return;
  next_ = now + kInterval;
  shown_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const auto percent = total_ == 0 ? 100.0
                                   : 100.0 * static_cast<double>(std::min(done, total_)) /
                                         static_cast<double>(total_);
  const std::string line = fmt::format("\r\x1b[K{} {:.0f} %, {} of {}, {:.0f} MB/s", verb_, percent,
                                       report::human_bytes(done), report::human_bytes(total_),
                                       static_cast<double>(done) / 1e6 / seconds);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace tare::cli
