// Any bytes as the index of a sharded model: what is read names files of its own folder only, each
// tensor once, and finds every tensor by its name.
#include <algorithm>
#include <cstdlib>

#include "format/shards.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void require_plain(const std::string& name) {
  require(!name.empty() && name != "." && name != "..");
  require(name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tare::ByteSpan bytes = std::as_bytes(std::span(data, size));
  const bool is_index = tare::format::is_shard_index(bytes);
  const auto index = tare::format::read_shard_index(bytes);
  if (!index) {
    require(!index.error().has_offset() || index.error().offset <= size);
    return 0;
  }
  require(is_index);
  require(std::ranges::is_sorted(index->shards));
  std::ranges::for_each(index->shards, require_plain);
  for (const auto& entry : index->entries) {
    require(entry.shard < index->shards.size());
    require(index->find(entry.tensor) == &entry);
  }
  return 0;
}
