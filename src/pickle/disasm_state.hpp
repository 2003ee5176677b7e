// What a disassembly keeps of stack and memo: how many values, and where the marks are. It follows
// pickletools, which decides the indentation and what it complains of, and notes on the way where
// real unpicklers fail.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace tare::pickle {

// The numbers that memo entries were stored under. Those below a limit take a byte each, and what
// only a hostile stream has (indices beyond its length, or beyond 64 bits) goes to a set.
class MemoKeys {
 public:
  explicit MemoKeys(std::uint64_t dense_limit) : dense_limit_(dense_limit) {}

  void clear() {
    dense_.clear();
    sparse_.clear();
    size_ = 0;
  }
  std::uint64_t size() const { return size_; }
  std::size_t sparse_count() const { return sparse_.size(); }

  bool contains(std::uint64_t key) const {
    if (is_dense(key)) return contains_dense(key);
    return sparse_.contains(std::to_string(key));
  }
  void add(std::uint64_t key) {
    if (!is_dense(key)) return add_sparse(std::to_string(key));
    if (key == dense_.size()) return add_next();
    if (key > dense_.size()) dense_.resize(key + 1);
    size_ += dense_[key] ? 0 : 1;
    dense_[key] = true;
  }
  // The same for keys as decimal text, as pickletools shows them.
  bool contains(std::string_view key) const {
    const auto number = small(key);
    return number ? contains(*number) : sparse_.contains(std::string(key));
  }
  void add(std::string_view key) {
    if (const auto number = small(key)) return add(*number);
    add_sparse(std::string(key));
  }

  bool is_dense(std::uint64_t key) const { return key < dense_limit_; }
  // contains() for a key that is dense, or is not there.
  bool contains_dense(std::uint64_t key) const { return key < dense_.size() && dense_[key]; }
  // MEMOIZE stores under size(). If that is the next dense key, add_next() does it.
  bool has_next() const { return size_ == dense_.size() && size_ < dense_limit_; }
  void add_next() {
    dense_.push_back(true);
    ++size_;
  }

 private:
  static std::optional<std::uint64_t> small(std::string_view key) {
    if (key == "False" || key == "True") return key == "True" ? 1 : 0;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
    const bool whole = error == std::errc{} && end == key.data() + key.size();
    return whole ? std::optional(number) : std::nullopt;
  }
  void add_sparse(std::string key) { size_ += sparse_.insert(std::move(key)).second ? 1 : 0; }

  std::uint64_t dense_limit_;
  std::vector<std::uint8_t> dense_;
  std::unordered_set<std::string> sparse_;
  std::uint64_t size_ = 0;
};

// The stack of pickletools, on which a mark is a value like others: an opcode that takes values
// takes a mark for one, and the list of open marks, by which lines are indented, then has one more
// than the stack. Real unpicklers never take a mark for a value.
class StackShape {
 public:
  std::uint64_t depth() const { return depth_; }  // values and marks
  std::size_t open_marks() const { return marks_.size(); }
  bool has_mark() const { return marks_.size() > taken_; }
  bool has_taken_marks() const { return taken_ > 0; }

  // Values below the topmost mark are out of reach. `skip`: as if that many marks were not there.
  std::uint64_t fence(std::size_t skip = 0) const {
    const std::size_t count = marks_.size() - taken_;
    return count <= skip ? 0 : marks_[count - skip - 1].position + 1;
  }
  std::uint64_t reachable() const { return depth_ - fence(); }
  bool mark_on_top() const { return has_mark() && reachable() == 0; }

  void push(std::uint64_t count) { depth_ += count; }
  void push_mark(std::uint64_t offset) {
    marks_.push_back({0, offset});
    marks_[marks_.size() - taken_ - 1].position = depth_++;
  }
  // Takes values or marks, as many as there are.
  void pop(std::uint64_t count) {
    depth_ -= std::min(depth_, count);
    while (has_mark() && depth_ < fence()) ++taken_;
  }
  // Closes the mark that was set last, and returns where in the stream that was. The stack goes
  // down to its topmost mark; false if there is none, which leaves it empty.
  bool close_mark(std::uint64_t& offset) {
    offset = marks_.back().offset;
    const bool found = has_mark();
    depth_ = found ? fence() - 1 : 0;
    marks_.pop_back();
    taken_ -= found ? 0 : 1;
    return found;
  }

  // For a loop that keeps count by itself, and only while no mark was taken for a value: the open
  // marks, and how many values there are above the topmost one once the loop is done.
  struct Mark {
    std::uint64_t position;  // in the stack
    std::uint64_t offset;    // in the stream
  };
  std::vector<Mark>& marks() { return marks_; }
  void set_reachable(std::uint64_t count) { depth_ = fence() + count; }

  void clear() {
    depth_ = 0;
    taken_ = 0;
    marks_.clear();
  }

 private:
  std::uint64_t depth_ = 0;
  // The positions of marks that are on the stack, and the offsets of those not closed: each in
  // their own order. There are `taken_` fewer positions.
  std::vector<Mark> marks_;
  std::size_t taken_ = 0;
};

// Everything that is kept from one instruction of a pickle to the next.
struct DisasmState {
  static constexpr std::uint64_t kNoFrame = UINT64_MAX;

  explicit DisasmState(std::uint64_t stream_size) : memo(stream_size) {}

  // For the next pickle of the stream: real unpicklers start each with an empty memo.
  void reset() {
    stack.clear();
    memo.clear();
    frame_end = kNoFrame;
    protocols = 0;
  }

  StackShape stack;
  MemoKeys memo;
  std::uint64_t frame_end = kNoFrame;
  std::uint32_t protocols = 0;  // a bit for each protocol that an opcode seen belongs to
};

}  // namespace tare::pickle
