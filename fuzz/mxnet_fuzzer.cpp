// Any bytes as parameters of MXNet.
#include "graph_formats.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tare::check_format(tare::format::kMxnet, std::as_bytes(std::span(data, size)));
  return 0;
}
