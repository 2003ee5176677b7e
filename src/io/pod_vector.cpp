#include "tare/detail/pod_vector.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

namespace tare::detail {
namespace {

constexpr std::size_t kFirstBytes = 4096;
constexpr std::size_t kHugePage = std::size_t{1} << 21;
// Up to this size a block comes from malloc. The next larger one is a mapping, and at least one
// huge page: to fill that costs a fifth of what as many small pages do.
constexpr std::size_t kLargestFromMalloc = std::size_t{1} << 19;
// Below this size, a huge page or two of each vector would be much beside the input.
constexpr std::size_t kReservedBytes = std::size_t{1} << 24;

// A mapping at the start of a huge page; MAP_FAILED if the system has none.
void* map_block(std::size_t bytes, int more_flags) {
  void* const raw = ::mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | more_flags, -1, 0);
  if (raw == MAP_FAILED) return raw;
  auto* const first = static_cast<std::byte*>(raw);
  const std::size_t behind = reinterpret_cast<std::uintptr_t>(raw) % kHugePage;
  std::byte* const block = first + (kHugePage - behind) % kHugePage;
  std::byte* const end = first + bytes + kHugePage;
  if (block > first) ::munmap(first, static_cast<std::size_t>(block - first));
  if (block + bytes < end) ::munmap(block + bytes, static_cast<std::size_t>(end - block) - bytes);
  // Advice only: a kernel without huge pages gives small ones.
  ::madvise(block, bytes, MADV_HUGEPAGE);
  return block;
}

// A mapping made larger, in its place or at another one.
void* extend_mapping(void* old, std::size_t old_bytes, std::size_t bytes) {
  void* const here = ::mremap(old, old_bytes, bytes, 0);
  if (here != MAP_FAILED) return here;
  void* const place = map_block(bytes, 0);
  if (place == MAP_FAILED) return place;
  void* const there = ::mremap(old, old_bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, place);
  if (there == MAP_FAILED) ::munmap(place, bytes);
  return there;
}

}  // namespace

std::size_t next_block_bytes(std::size_t old_bytes, std::size_t needed) {
  std::size_t bytes = std::max(kFirstBytes, old_bytes);
  while (bytes < needed) {
    if (bytes > SIZE_MAX / 4) throw std::bad_alloc();
    bytes *= 2;
  }
  return bytes > kLargestFromMalloc ? std::max(bytes, kHugePage) : bytes;
}

void* grow_block(void* old, std::size_t old_bytes, std::size_t used, std::size_t bytes) {
  if (bytes <= kLargestFromMalloc) {
    void* block = std::realloc(old, bytes);
    if (block == nullptr) throw std::bad_alloc();
    return block;
  }
  const bool was_mapped = old_bytes > kLargestFromMalloc;
  void* const block = was_mapped ? extend_mapping(old, old_bytes, bytes) : map_block(bytes, 0);
  if (block == MAP_FAILED) throw std::bad_alloc();
  if (!was_mapped) {
    if (used > 0) std::memcpy(block, old, used);
    std::free(old);
  }
  return block;
}

void* reserve_block(std::size_t bytes) {
  if (bytes < kReservedBytes) return nullptr;
  void* const block = map_block(bytes, MAP_NORESERVE);
  return block == MAP_FAILED ? nullptr : block;
}

void release_block(void* block, std::size_t bytes) {
  if (bytes > kLargestFromMalloc) {
    ::munmap(block, bytes);
  } else {
    std::free(block);
  }
}

}  // namespace tare::detail
