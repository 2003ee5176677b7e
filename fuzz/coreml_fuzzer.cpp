// Any bytes as a CoreML model, the manifest of a package, and its weights.
#include "graph_formats.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tare::ByteSpan bytes = std::as_bytes(std::span(data, size));
  tare::check_format(tare::format::kCoreml, bytes);
  tare::check_format(tare::format::kCoremlManifest, bytes);
  tare::check_format(tare::format::kCoremlWeights, bytes);
  return 0;
}
