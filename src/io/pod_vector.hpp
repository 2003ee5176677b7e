// A vector of trivially copyable elements for arenas that grow to the size of the input.
//
// std::vector copies when it grows, and so touches twice the memory that it ends up with; fresh
// pages are the largest cost of filling an arena (0.4 us each where measured). This one lives in a
// mapping of its own once it is large, grows by moving page tables (mremap), and asks for huge
// pages.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace tare {

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
  ~PodVector() { release(data_, capacity_); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](std::size_t index) { return data_[index]; }
  const T& operator[](std::size_t index) const { return data_[index]; }
  T& back() { return data_[size_ - 1]; }

  void push_back(T value) {
    if (size_ == capacity_) [[unlikely]]
      grow(size_ + 1);
    data_[size_++] = value;
  }
  void pop_back() { --size_; }
  // Room for `count` more, at their place; they count as elements from then on.
  T* extend(std::size_t count) {
    if (count > capacity_ - size_) [[unlikely]]
      grow(size_ + count);
    T* place = data_ + size_;
    size_ += count;
    return place;
  }
  void append(const T* values, std::size_t count) {
    // memcpy from null is not defined even for nothing.
    if (count > 0) std::memcpy(extend(count), values, count * sizeof(T));
  }
  void truncate(std::size_t size) { size_ = size; }
  // Grows to `size` with copies of `value`.
  void resize(std::size_t size, T value) {
    if (size > size_) std::fill_n(extend(size - size_), size - size_, value);
    size_ = size;
  }

 private:
  static constexpr std::size_t kFirstBytes = 512;
  static constexpr std::size_t kMappedBytes = std::size_t{1} << 20;  // from here on: a mapping

  void swap(PodVector& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  static bool is_mapped(std::size_t capacity) { return capacity * sizeof(T) >= kMappedBytes; }

  static void release(T* data, std::size_t capacity) {
    if (is_mapped(capacity)) {
      ::munmap(data, capacity * sizeof(T));
    } else {
      std::free(data);
    }
  }

  [[gnu::noinline]] void grow(std::size_t needed) {
    // A power of two of bytes, so that a mapping is whole pages.
    std::size_t bytes = std::max(kFirstBytes, capacity_ * sizeof(T) * 2);
    while (bytes / sizeof(T) < needed) {
      if (bytes > SIZE_MAX / 4) throw std::bad_alloc();
      bytes *= 2;
    }
    void* fresh = nullptr;
    if (is_mapped(capacity_)) {
      fresh = ::mremap(data_, capacity_ * sizeof(T), bytes, MREMAP_MAYMOVE);
    } else if (bytes >= kMappedBytes) {
      fresh = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (fresh != MAP_FAILED) {
        ::madvise(fresh, bytes, MADV_HUGEPAGE);
        if (size_ > 0) std::memcpy(fresh, data_, size_ * sizeof(T));
        std::free(data_);
      }
    } else {
      fresh = std::realloc(data_, bytes);
      if (fresh == nullptr) throw std::bad_alloc();
    }
    if (fresh == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<T*>(fresh);
    capacity_ = bytes / sizeof(T);
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace tare
