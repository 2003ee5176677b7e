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

TransientLine::TransientLine() : next_(start_ + kPatience) {
  const char* term = std::getenv("TERM");
  wanted_ = ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

bool TransientLine::is_due() {
  if (!wanted_) return false;
  const auto now = Clock::now();
  if (now < next_) return false;
  next_ = now + kInterval;
  return true;
}

void TransientLine::show(const std::string& text) {
  const std::string line = "\r\x1b[K" + text;
  std::fwrite(line.data(), 1, line.size(), stderr);
  shown_ = true;
}

void TransientLine::hide() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
  shown_ = false;
}

double TransientLine::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void ProgressLine::operator()(std::uint64_t done) {
  if (!line_.is_due()) return;
  const auto percent = total_ == 0 ? 100.0
                                   : 100.0 * static_cast<double>(std::min(done, total_)) /
                                         static_cast<double>(total_);
  line_.show(fmt::format("{} {:.0f} %, {} of {}, {:.0f} MB/s", verb_, percent,
                         report::human_bytes(done), report::human_bytes(total_),
                         static_cast<double>(done) / 1e6 / line_.seconds()));
}

void FileProgress::operator()(std::uint64_t files, std::uint64_t bytes) {
  if (!line_.is_due()) return;
  line_.show(fmt::format("{} {} file{}, {}, {:.0f} MB/s", verb_, files, files == 1 ? "" : "s",
                         report::human_bytes(bytes),
                         static_cast<double>(bytes) / 1e6 / line_.seconds()));
}

}  // namespace tare::cli
