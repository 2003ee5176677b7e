// Any bytes as safetensors: what parse() accepts has every tensor inside the file.
#include <cstdlib>

#include "tare/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tare::ByteSpan bytes = std::as_bytes(std::span(data, size));
  const auto header = tare::safetensors::parse(bytes);
  if (!header) return 0;
  const tare::ByteSpan tensors = bytes.subspan(header->data_offset);
  unsigned sum = 0;
  for (const auto& entry : header->tensors) {
    if (entry.end < entry.begin || entry.end > tensors.size()) std::abort();
    if (entry.begin == entry.end) continue;
    sum += static_cast<unsigned>(tensors[entry.begin]);
    sum += static_cast<unsigned>(tensors[entry.end - 1]);
  }
  return sum == 0xFFFFFFFF ? 1 : 0;
}
