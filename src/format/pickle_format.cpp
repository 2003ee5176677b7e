// A bare pickle file: one or more streams, one behind the other, with the arrays of joblib between
// their opcodes.
#include <algorithm>

#include "format/object_contents.hpp"
#include "format/torch_legacy.hpp"
#include "object/joblib_arrays.hpp"
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

// Any two lines of text that begin with "c" are an import whose last line has no end. Nothing can
// follow it, and only one unpickler takes it.
bool is_cut_import(const pickle::Run& run, const pickle::Event& event) {
  return std::ranges::any_of(run.oddities, [&event](const pickle::Oddity& oddity) {
    return oddity.kind == pickle::OddityKind::kPickleCut && oddity.offset == event.offset;
  });
}

bool imports_a_module(const pickle::Run& run) {
  return std::ranges::any_of(run.events, [&run](const pickle::Event& event) {
    if (event.kind != pickle::EventKind::kImport || is_cut_import(run, event)) return false;
    const auto module = run.graph.written_module(event.subject);
    return !run.graph.is_text(module) || could_be_module(run.graph.text(module));
  });
}

bool does_something(const pickle::Run& run) {
  return !run.events.empty() || (run.other_reading && !run.other_reading->events.empty());
}

bool recognises(ByteSpan bytes) {
  if (is_torch_legacy(bytes)) return false;
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

// A file with more pickles than this holds data of another kind.
constexpr std::size_t kMaxStreams = 10'000;

struct Stream {
  std::unique_ptr<object::Document> document;
  std::uint64_t length;
  bool is_joblib;
};

Result<Stream> read_stream(ByteSpan bytes) {
  object::JoblibArrays arrays(bytes);
  auto run = pickle::run(bytes, {.inline_data = &arrays});
  if (run.end != pickle::End::kStop) return std::unexpected(run.error);
  object::Surroundings surroundings;
  surroundings.nested = nested_opener();
  const bool is_joblib = arrays.first_offset().has_value();
  surroundings.externals = arrays.take_externals();
  const std::uint64_t length = run.end_offset;
  return Stream{std::make_unique<object::Document>(std::move(run), std::move(surroundings)), length,
                is_joblib};
}

// Several objects have the names 0, 1, 2 ...; what follows the last of them is no pickle.
Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  std::vector<object::Root> roots;
  bool is_joblib = false;
  std::uint64_t at = 0;
  while (at < bytes.size() && roots.size() < kMaxStreams) {
    auto stream = read_stream(bytes.subspan(at));
    if (!stream) {
      if (roots.empty()) return std::unexpected(stream.error());
      break;
    }
    at += stream->length;
    is_joblib = is_joblib || stream->is_joblib;
    roots.push_back({std::to_string(roots.size()), "", std::move(stream->document)});
  }
  if (roots.size() == 1) roots.front().name.clear();
  ModelContents contents = contents_of_roots(std::move(roots));
  if (is_joblib) contents.format = "joblib";
  return contents;
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kPickle, bytes, 0, 0, true});
  return list;
}

}  // namespace

const Format kPickle = {"pickle", "a pickle", recognises, list_parts, read_tensors};

}  // namespace tare::format
