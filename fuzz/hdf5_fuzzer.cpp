// Any bytes as an HDF5 file: what is read lies inside of the file, and scanning says something.
#include <cstdlib>

#include "format/format.hpp"
#include "tare/scan.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tare::ByteSpan bytes = std::as_bytes(std::span(data, size));
  if (!tare::format::kHdf5.recognises(bytes)) return 0;
  tare::format::ReadContext context = tare::format::context_of(bytes);
  if (const auto contents = tare::format::kHdf5.read_tensors(bytes, context)) {
    for (const auto& tensor : contents->tensors) require(tare::check_view(tensor.view).has_value());
  }
  const auto report = tare::scan(bytes);
  require(report.has_value() && report->parts + report->findings.size() > 0);
  return 0;
}
