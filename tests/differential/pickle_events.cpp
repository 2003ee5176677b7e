// Reads streams (u32 little-endian length, then the bytes) from stdin, runs the pickle machine over
// each, and prints what it saw, for differential.py to compare with what CPython did:
//   import HEX-MODULE HEX-NAME | call | build | persistent | extension CODE
//   end STOP|BROKEN OFFSET ODDITY,ODDITY,...
// twice: as read from memory and as read from a file object.
// Both the short cut for plain opcodes and the plain machine run; it is an error if they differ.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tare/pickle.hpp"

namespace {

using tare::pickle::EventKind;
using tare::pickle::Run;

std::string hex(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "=";
  for (const char c : text) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string name_of(const tare::pickle::Graph& graph, tare::pickle::Value value) {
  return graph.is_text(value) ? hex(graph.text(value)) : "?";
}

std::string describe(const Run& run) {
  std::string out;
  for (const auto& event : run.events) {
    switch (event.kind) {
      case EventKind::kImport:
        // As written: find_class is asked before names of Python 2 are mapped.
        out += "import " + name_of(run.graph, run.graph.written_module(event.subject)) + " " +
               name_of(run.graph, run.graph.written_name(event.subject)) + "\n";
        break;
      case EventKind::kCall:
        out += "call\n";
        break;
      case EventKind::kBuild:
        // The recorder's buffers are plain bytes, which take no state.
        if (run.graph.kind(event.subject) != tare::pickle::Kind::kBuffer) out += "build\n";
        break;
      case EventKind::kPersistentLoad:
        out += "persistent\n";
        break;
      case EventKind::kExtension:
        out += "extension\n";
        break;
      case EventKind::kBuffer:
        out += "buffer\n";
        break;
      case EventKind::kAppend:
      case EventKind::kSetItems:
      case EventKind::kAddItems:
        out += "items\n";
        break;
    }
  }
  out += run.end == tare::pickle::End::kStop ? "end STOP " : "end BROKEN ";
  out += std::to_string(run.end_offset) + " ";
  for (const auto& oddity : run.oddities) {
    out += std::to_string(static_cast<int>(oddity.kind)) + ",";
  }
  return out + "\n";
}

// The reading of pickle.loads, and that of a file object, which is the same for most streams.
void print(const Run& run) {
  std::fputs(describe(run).c_str(), stdout);
  std::fputs(describe(run.other_reading ? *run.other_reading : run).c_str(), stdout);
}

}  // namespace

int main() {
  for (;;) {
    std::uint32_t length = 0;
    if (std::fread(&length, 1, sizeof length, stdin) != sizeof length) return 0;
    std::vector<std::byte> stream(length);
    if (std::fread(stream.data(), 1, length, stdin) != length) return 2;
    tare::pickle::Limits slow;
    slow.fast = false;
    const Run run = tare::pickle::run(stream);
    if (describe(run) != describe(tare::pickle::run(stream, slow))) {
      std::fputs("the short cut and the plain machine differ\n", stderr);
      return 3;
    }
    print(run);
  }
}
