#include "tare/detail/pod_vector.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

namespace tare::detail {
namespace {

constexpr std::size_t kFirstBytes = 4096;
// From this size on a block is a mapping; below, it comes from malloc.
constexpr std::size_t kMappedBytes = std::size_t{1} << 20;
// Below this size, a huge page or two of each vector would be much beside the input.
constexpr std::size_t kReservedBytes = std::size_t{1} << 24;

}  // namespace

std::size_t next_block_bytes(std::size_t old_bytes, std::size_t needed) {
  std::size_t bytes = std::max(kFirstBytes, old_bytes);
  while (bytes < needed) {
    if (bytes > SIZE_MAX / 4) throw std::bad_alloc();
    bytes *= 2;
  }
  return bytes;
}

void* grow_block(void* old, std::size_t old_bytes, std::size_t used, std::size_t bytes) {
  if (bytes < kMappedBytes) {
    void* block = std::realloc(old, bytes);
    if (block == nullptr) throw std::bad_alloc();
    return block;
  }
  void* block = nullptr;
  if (old_bytes >= kMappedBytes) {
    block = ::mremap(old, old_bytes, bytes, MREMAP_MAYMOVE);
  } else {
    block = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  if (block == MAP_FAILED) throw std::bad_alloc();
  // Advice only: a kernel without huge pages gives small ones.
  ::madvise(block, bytes, MADV_HUGEPAGE);
  if (old_bytes < kMappedBytes) {
    if (used > 0) std::memcpy(block, old, used);
    std::free(old);
  }
  return block;
}

void* reserve_block(std::size_t bytes) {
  if (bytes < kReservedBytes) return nullptr;
  void* block = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) return nullptr;
  ::madvise(block, bytes, MADV_HUGEPAGE);
  return block;
}

void release_block(void* block, std::size_t bytes) {
  if (bytes >= kMappedBytes) {
    ::munmap(block, bytes);
  } else {
    std::free(block);
  }
}

}  // namespace tare::detail
