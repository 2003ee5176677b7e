// The decompiler and the tracer on any bytes: the text is printable ASCII, they agree on how the
// stream ends, and a small file does not give a huge source.
#include <cstdlib>
#include <span>

#include "tare/pickle_decompile.hpp"
#include "tare/pickle_trace.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// Counts the text, and checks it.
class Text {
 public:
  bool operator()(std::string_view piece) {
    for (const char c : piece) require((c >= 0x20 && c < 0x7f) || c == '\n');
    *size_ += piece.size();
    return true;
  }
  explicit Text(std::size_t& size) : size_(&size) {}

 private:
  std::size_t* size_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tare::ByteSpan stream = std::as_bytes(std::span(data, size));
  std::size_t source_size = 0;
  std::size_t trace_size = 0;
  const auto source = tare::pickle::decompile(stream, {.offsets = true}, Text(source_size));
  const auto trace = tare::pickle::trace(stream, Text(trace_size));
  require(source.pickle_count == trace.pickle_count);
  require(source.trailing_bytes == trace.trailing_bytes);
  require(source.broken.has_value() == trace.broken.has_value());
  require(!source.broken || source.broken->offset == trace.broken->offset);
  // The most that a byte can give: DUP of an import whose name is just short enough to be repeated,
  // in each of two readings.
  require(source_size < 4000 + 400 * size);
  return 0;
}
