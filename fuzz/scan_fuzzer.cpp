// Any bytes as a file: every format's detection, its parts, the analyzers and the tensor readers.
#include <cstdlib>

#include "format/format.hpp"
#include "tare/scan.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tare::ByteSpan bytes = std::as_bytes(std::span(data, size));
  const auto report = tare::scan(bytes);
  for (const auto* format : tare::format::detect(bytes)) {
    if (format->read_tensors == nullptr) continue;
    auto context = tare::format::context_of(bytes);
    const auto contents = format->read_tensors(bytes, context);
    if (!contents) continue;
    for (const auto& tensor : contents->tensors) {
      if (!tare::check_view(tensor.view)) std::abort();
    }
  }
  return 0;
}
