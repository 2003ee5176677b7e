// Any bytes as an object of Torch7.
#include "graph_formats.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tare::check_format(tare::format::kTorch7, std::as_bytes(std::span(data, size)));
  return 0;
}
