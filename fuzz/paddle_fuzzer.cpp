// Any bytes as a program or parameters of PaddlePaddle.
#include "graph_formats.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tare::ByteSpan bytes = std::as_bytes(std::span(data, size));
  tare::check_format(tare::format::kPaddle, bytes);
  tare::check_format(tare::format::kPaddleParams, bytes);
  return 0;
}
