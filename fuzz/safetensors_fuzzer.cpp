// Any bytes as safetensors: what parse() accepts has every tensor inside the file and finds it by
// its name, and what the strict rules accept the reference's do.
#include <cstdlib>

#include "tare/safetensors.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using tare::safetensors::Rules;
  const tare::ByteSpan bytes = std::as_bytes(std::span(data, size));
  const auto header = tare::safetensors::parse(bytes, Rules::kReference);
  if (!header) {
    require(!tare::safetensors::parse(bytes, Rules::kStrict));
    return 0;
  }
  require(header->file_bytes() == bytes.size());
  const tare::ByteSpan tensors = bytes.subspan(header->data_offset());
  unsigned sum = 0;
  for (const auto& entry : header->tensors()) {
    require(entry.end >= entry.begin && entry.end <= tensors.size());
    require(header->find(entry.name) == &entry);
    if (entry.begin == entry.end) continue;
    sum += static_cast<unsigned>(tensors[entry.begin]);
    sum += static_cast<unsigned>(tensors[entry.end - 1]);
  }
  if (const auto strict = tare::safetensors::parse(bytes, Rules::kStrict)) {
    require(strict->tensors().size() == header->tensors().size());
    require(strict->metadata() == header->metadata());
  }
  return sum == 0xFFFFFFFF ? 1 : 0;
}
