// A bare pickle file: one or more streams, one behind the other. No tensors are read from it yet.
#include <algorithm>

#include "format/format.hpp"
#include "tare/pickle.hpp"

namespace tare::format {
namespace {

// Any text that begins with "c" would be an import otherwise. What is no dotted name of identifiers
// is no module on any system.
bool could_be_module(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || static_cast<unsigned char>(c) >= 0x80;
  });
}

bool imports_a_module(const pickle::Run& run) {
  return std::ranges::any_of(run.events, [&run](const pickle::Event& event) {
    if (event.kind != pickle::EventKind::kImport) return false;
    const auto module = run.graph.written_module(event.subject);
    return !run.graph.is_text(module) || could_be_module(run.graph.text(module));
  });
}

bool does_something(const pickle::Run& run) {
  return !run.events.empty() || (run.other_reading && !run.other_reading->events.empty());
}

bool recognises(ByteSpan bytes) {
  const bool has_signature =
      bytes.size() >= 2 && bytes[0] == std::byte{0x80} && bytes[1] <= std::byte{5};
  const bool is_length = has_signature && kSafetensors.recognises(bytes);
  if (has_signature && !is_length) return true;
  const auto run = pickle::run(bytes);
  // The length in front of a safetensors file may look like the signature (headers of 128, 384, 640
  // bytes and so on): then it is a pickle as well if any of it would run.
  if (is_length && does_something(run)) return true;
  // Protocols 0 and 1 have no signature: what runs to STOP, or imports on the way, is a pickle. A
  // single byte '.' or the like is not worth the name.
  if (imports_a_module(run) || (run.other_reading && imports_a_module(*run.other_reading))) {
    return true;
  }
  return run.end == pickle::End::kStop && run.opcode_count > 1;
}

Result<PartList> list_parts(ByteSpan bytes) {
  PartList list;
  list.parts.push_back({"", PartKind::kPickle, bytes, 0});
  return list;
}

}  // namespace

const Format kPickle = {"pickle", "a pickle, which this version scans but does not load",
                        recognises, list_parts, nullptr};

}  // namespace tare::format
