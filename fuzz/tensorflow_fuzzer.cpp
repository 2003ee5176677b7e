// Any bytes as a graph of TensorFlow.
#include "graph_formats.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tare::check_format(tare::format::kTensorflow, std::as_bytes(std::span(data, size)));
  return 0;
}
