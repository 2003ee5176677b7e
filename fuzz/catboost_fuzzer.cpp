// Any bytes as a model of CatBoost.
#include "graph_formats.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tare::check_format(tare::format::kCatboost, std::as_bytes(std::span(data, size)));
  return 0;
}
