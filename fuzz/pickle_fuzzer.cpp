// The pickle machine on any bytes: with and without its short cut it must see the same, and every
// value that it leaves behind can be walked and written.
#include <cstdlib>

#include "tare/pickle.hpp"

namespace {

using tare::pickle::Run;

void require(bool condition) {
  if (!condition) std::abort();
}

void walk(const Run& run) {
  for (const auto& event : run.events) {
    const std::string text = tare::pickle::statement(run.graph, event);
    for (const char c : text) require(c >= 0x20 && c < 0x7f);
    for (const auto& update : run.graph.updates(event.subject)) require(!update.items.empty());
  }
  tare::pickle::expression(run.graph, run.result, 1000);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tare::ByteSpan stream = std::as_bytes(std::span(data, size));
  const Run run = tare::pickle::run(stream);
  tare::pickle::Limits slow;
  slow.fast = false;
  const Run plain = tare::pickle::run(stream, slow);
  require(run.end == plain.end && run.end_offset == plain.end_offset &&
          run.opcode_count == plain.opcode_count && run.events.size() == plain.events.size() &&
          run.oddities.size() == plain.oddities.size() && run.result == plain.result &&
          run.graph.node_count() == plain.graph.node_count());
  require(run.end_offset <= size);
  walk(run);
  if (run.other_reading) walk(*run.other_reading);
  return 0;
}
