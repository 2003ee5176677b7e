// Text on its way out: collected in one buffer of fixed size and handed on when that is full, so
// that a long text costs no more memory than a short one.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <memory>
#include <string_view>

namespace tare::pickle {

class TextSink {
 public:
  using Write = std::function<bool(std::string_view)>;

  // The most that room() can be asked for.
  static constexpr std::size_t kMaxRoom = std::size_t{208} << 10;

  explicit TextSink(const Write& write)
      : write_(write), buffer_(std::make_unique_for_overwrite<char[]>(kSize)) {}

  // At least `count` bytes to write to. used_to() says how far they were used.
  char* room(std::size_t count) {
    if (kSize - used_ < count) flush();
    return buffer_.get() + used_;
  }
  void used_to(const char* end) { used_ = static_cast<std::size_t>(end - buffer_.get()); }

  void append(char c) { append_some({&c, 1}); }
  void append(std::string_view text) {
    while (text.size() > kMaxRoom) {
      append_some(text.substr(0, kMaxRoom));
      text.remove_prefix(kMaxRoom);
    }
    append_some(text);
  }
  void append_number(std::uint64_t value) {
    char* const start = room(20);
    used_to(std::to_chars(start, start + 20, value).ptr);
  }
  void append_spaces(std::uint64_t count) {
    while (count > 0) {
      const std::size_t some = std::min<std::uint64_t>(count, kMaxRoom);
      char* const start = room(some);
      std::memset(start, ' ', some);
      used_to(start + some);
      count -= some;
    }
  }

  // Characters since begin_columns(): bytes, less those of UTF-8 that only continue a character,
  // which their writer counts by continued().
  void begin_columns() { origin_ = written_ + used_; }
  void continued(std::size_t count) { origin_ += count; }
  std::uint64_t columns() const { return written_ + used_ - origin_; }

  // Hands on what is there. Once the taker has refused, text goes nowhere.
  void flush() {
    if (!refused_ && used_ > 0) refused_ = !write_({buffer_.get(), used_});
    written_ += used_;
    used_ = 0;
  }
  bool refused() const { return refused_; }

 private:
  static constexpr std::size_t kSize = 2 * kMaxRoom;

  void append_some(std::string_view text) {
    char* const start = room(text.size());
    text.copy(start, text.size());
    used_to(start + text.size());
  }

  const Write& write_;
  std::unique_ptr<char[]> buffer_;
  std::size_t used_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t origin_ = 0;
  bool refused_ = false;
};

}  // namespace tare::pickle
