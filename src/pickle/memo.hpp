// The memo of a pickle stream: index to value.
//
// A pickler numbers from 0 without gaps, so a dense table as long as the stream has bytes serves
// every honest file; an index beyond that (LONG_BINPUT 0x0FFFFFFF) goes to a map instead of
// making the table as long as it claims.
#pragma once

#include <map>
#include <optional>

#include "tare/pickle.hpp"

namespace tare::pickle {

class Memo {
 public:
  explicit Memo(std::uint64_t dense_limit) : dense_limit_(dense_limit) {}

  // Entries, as len(memo) in Python: what MEMOIZE numbers by.
  std::uint64_t size() const { return size_; }
  bool is_sparse(std::uint64_t index) const { return index >= dense_limit_; }

  // No value of the graph has these bits.
  static constexpr Value kUnset = Value::from_bits(UINT32_MAX);

  // As get(), of the dense table alone: kUnset for what is not there.
  Value get_dense(std::uint64_t index) const {
    return index < dense_.size() ? dense_[index] : kUnset;
  }
  std::optional<Value> get(std::uint64_t index) const {
    if (const Value value = get_dense(index); value != kUnset) return value;
    if (sparse_.empty()) return std::nullopt;
    const auto found = sparse_.find(index);
    return found == sparse_.end() ? std::nullopt : std::optional(found->second);
  }

  // The way a pickler numbers: true, and stored, if this is the next index.
  bool append(std::uint64_t index, Value value) {
    if (index != dense_.size() || index >= dense_limit_) return false;
    dense_.push_back(value);
    ++size_;
    return true;
  }

  // True if the slot was free.
  bool put(std::uint64_t index, Value value) {
    if (append(index, value)) return true;
    Value* slot = nullptr;
    if (index < dense_limit_) {
      if (index >= dense_.size()) dense_.grow_to(index + 1, kUnset);
      slot = &dense_[index];
    } else {
      slot = &sparse_.try_emplace(index, kUnset).first->second;
    }
    const bool fresh = *slot == kUnset;
    *slot = value;
    size_ += fresh ? 1 : 0;
    return fresh;
  }

 private:
  std::uint64_t dense_limit_;
  detail::PodVector<Value> dense_;
  std::map<std::uint64_t, Value> sparse_;  // no hash table: the stream chooses the indexes
  std::uint64_t size_ = 0;
};

}  // namespace tare::pickle
