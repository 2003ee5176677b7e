// A vector of trivially copyable elements for arenas that grow to the size of the input.
//
// std::vector copies when it grows, and so touches twice the memory that it ends up with; fresh
// pages are the largest cost of filling an arena. A block of this one lives in a mapping of its own
// once it is large, grows by moving page tables, and asks for huge pages.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

namespace tare::detail {

// A block of `bytes` (a power of two) with the first `used` bytes of `old`, which it replaces.
// Throws std::bad_alloc.
void* grow_block(void* old, std::size_t old_bytes, std::size_t used, std::size_t bytes);
// An empty block of `bytes`, of which only what is touched takes memory; nullptr if that is too
// small to be worth it or the system gives no such block.
void* reserve_block(std::size_t bytes);
void release_block(void* block, std::size_t bytes);
// The size of the block to grow to: a power of two, at least `needed`.
std::size_t next_block_bytes(std::size_t old_bytes, std::size_t needed);

template <typename T>
class PodVector {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  PodVector() = default;
  PodVector(PodVector&& other) noexcept { swap(other); }
  PodVector& operator=(PodVector&& other) noexcept {
    swap(other);
    return *this;
  }
  PodVector(const PodVector&) = delete;
  PodVector& operator=(const PodVector&) = delete;
  ~PodVector() { release_block(data_, bytes_); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](std::size_t index) { return data_[index]; }
  const T& operator[](std::size_t index) const { return data_[index]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }

  // Prepares an empty vector to grow to `count` elements without moving.
  void reserve(std::size_t count) {
    if (bytes_ > 0 || count > SIZE_MAX / 2 / sizeof(T)) return;
    const std::size_t bytes = next_block_bytes(0, count * sizeof(T));
    data_ = static_cast<T*>(reserve_block(bytes));
    if (data_ == nullptr) return;
    bytes_ = bytes;
    capacity_ = bytes / sizeof(T);
  }
  void push_back(T value) {
    if (size_ == capacity_) [[unlikely]]
      grow(1);
    data_[size_++] = value;
  }
  void pop_back() { --size_; }
  // Room for `count` more at the end, not initialised.
  T* extend(std::size_t count) {
    if (count > capacity_ - size_) [[unlikely]]
      grow(count);
    T* place = data_ + size_;
    size_ += count;
    return place;
  }
  void append(const T* values, std::size_t count) {
    // memcpy from null is not defined, not even of nothing.
    if (count > 0) std::memcpy(extend(count), values, count * sizeof(T));
  }
  void truncate(std::size_t size) { size_ = size; }
  // Grows to `size` elements with copies of `value`.
  void grow_to(std::size_t size, T value) {
    const std::size_t more = size - size_;
    std::fill_n(extend(more), more, value);
  }

 private:
  void swap(PodVector& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(bytes_, other.bytes_);
  }
  [[gnu::noinline]] void grow(std::size_t count) {
    const std::size_t bytes = next_block_bytes(bytes_, (size_ + count) * sizeof(T));
    data_ = static_cast<T*>(grow_block(data_, bytes_, size_ * sizeof(T), bytes));
    bytes_ = bytes;
    capacity_ = bytes / sizeof(T);
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace tare::detail
