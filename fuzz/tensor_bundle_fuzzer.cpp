// Any bytes as the index of a TensorFlow checkpoint: as a file, and as one block with its checksum.
#include "graph_formats.hpp"
#include "support/table_builder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tare::ByteSpan bytes = std::as_bytes(std::span(data, size));
  tare::check_format(tare::format::kTensorBundle, bytes);
  const std::string block(tare::as_text(bytes));
  const unsigned compression = size % 2;
  const std::string table = tare::test::table_of({tare::test::with_trailer(block, compression)});
  tare::check_format(tare::format::kTensorBundle, tare::as_bytes(table));
  return 0;
}
