// Pickles as model files, and files that loaders read differently.
#include "archive/zip_writer.hpp"
#include "craft/payload.hpp"
#include "craft/zip_forge.hpp"
#include "tare/pickle_writer.hpp"

namespace tare::craft {
namespace {

using enum pickle::Op;
using pickle::Writer;

constexpr std::string_view kData = "archive/data.pkl";

// What the other loader sees: {'tare-craft': 'nothing ran'}.
Bytes harmless() {
  Writer out;
  out.proto(2).op(kEmptyDict).binunicode("tare-craft").binunicode("nothing ran");
  return out.op(kSetItem, kStop).take();
}

ForgedEntry entry(std::string_view name, ByteSpan content) {
  ForgedEntry made;
  made.name = name;
  made.content = Bytes(content.begin(), content.end());
  return made;
}

ForgedZip model(std::vector<ForgedEntry> data, Marker marker) {
  ForgedZip zip;
  zip.entries = std::move(data);
  zip.entries.push_back(entry("archive/version", as_bytes("3\n")));
  append_marker(zip.comment, marker);
  return zip;
}

Bytes pickle_zip(ByteSpan payload, Marker marker) {
  ForgedZip zip = model({entry(kData, harmless())}, marker);
  zip.prefix = Bytes(payload.begin(), payload.end());
  return forge_zip(zip);
}

Bytes zip_zip(ByteSpan payload, Marker marker) {
  ForgedZip zip = model({entry(kData, harmless())}, Marker::kNo);
  zip.comment = forge_zip(model({entry(kData, payload)}, marker));
  return forge_zip(zip);
}

Bytes duplicate(ByteSpan payload, Marker marker) {
  return forge_zip(model({entry(kData, harmless()), entry(kData, payload)}, marker));
}

Bytes letter_case(ByteSpan payload, Marker marker) {
  return forge_zip(model({entry("archive/DATA.PKL", payload), entry(kData, harmless())}, marker));
}

Bytes local_name(ByteSpan payload, Marker marker) {
  ForgedEntry data = entry(kData, payload);
  data.local_name = "archive/read.txt";
  return forge_zip(model({data}, marker));
}

Bytes hidden_entry(ByteSpan payload, Marker marker) {
  ForgedEntry data = entry(kData, payload);
  data.listed = false;
  return forge_zip(model({entry(kData, harmless()), data}, marker));
}

// The length of the header is the first opcode and its argument: SHORT_BINBYTES, and a length of
// its own that reaches into a string of the header. From there on more of SHORT_BINBYTES swallow
// the header, 128 bytes at a time. The pickle goes on in the tensor.
Bytes safetensors_pickle(ByteSpan payload, Marker marker) {
  constexpr std::size_t kLengthBytes = 8;
  constexpr std::size_t kNext = '~';  // 126, a length that may stand in a JSON string
  // What the first opcode swallows: with 73 the others come out even.
  constexpr std::size_t kFirst = 73;
  constexpr std::size_t kHeader = static_cast<std::size_t>(kShortBinBytes) + 256 * kFirst;
  constexpr std::size_t kStart = 2 + kFirst - kLengthBytes;  // of the second opcode in the header
  static_assert((kHeader - kStart) % (2 + kNext) == 0);

  Bytes tensor(payload.begin(), payload.end());
  append_marker(tensor, marker);
  const std::string size = std::to_string(tensor.size());
  const std::string rest =
      R"("},"tensor":{"dtype":"U8","shape":[)" + size + R"(],"data_offsets":[0,)" + size + "]}}";
  std::string header = R"({"__metadata__":{"tare-craft":")";
  header.append(kStart - header.size(), '-');
  while (header.size() < kHeader) header.append("C~").append(kNext, '-');
  header.replace(kHeader - rest.size(), rest.size(), rest);
  ByteBuffer out;
  return out.u64(kHeader).text(header).bytes(tensor).take();
}

// A frame that ends behind the first byte of a length, as in the recipe 45_frame_straddle. In
// memory, BINBYTES swallows the payload. Read from a file object up to the end of the frame, the
// length is that without its lowest byte, and what it swallows ends in front of the payload.
Bytes frame(ByteSpan payload, Marker marker) {
  std::size_t length = 7;
  while (length < 1 + length / 256 + payload.size()) length += 256;
  ByteBuffer hidden;
  hidden.fill(1 + length / 256, std::byte{0}).bytes(payload);
  hidden.fill(length - hidden.size(), std::byte{'-'});
  ByteBuffer argument;
  argument.u32(static_cast<std::uint32_t>(length)).bytes(hidden.view());
  Writer out;
  out.proto(4).op(kMark).frame(2).op(kBinBytes).raw(argument.view());
  Bytes file = out.op(kPopMark).raw(harmless()).take();
  append_marker(file, marker);
  return file;
}

constexpr Polyglot kPolyglots[] = {
    {"duplicate", "pt", "Python's zipfile takes the last of two data.pkl",
     "torch.load takes the first of these two", duplicate},
    {"frame", "pkl", "CPython's C unpickler from io.BytesIO, before 3.13.15 and 3.14.7",
     "the same from memory or a file; pickle.py refuses", frame},
    {"hidden-entry", "pt", "readers that stream: they go from local header to local header",
     "torch.load and zipfile: the central directory does not list it", hidden_entry},
    {"letter-case", "pt", "torch.load ignores the case of names, and takes DATA.PKL",
     "Python's zipfile, by exact name", letter_case},
    {"local-name", "pt", "torch.load goes by the central directory: data.pkl",
     "readers that stream see read.txt; Python's zipfile refuses", local_name},
    {"pickle-zip", "pkl", "pickle.load reads the pickle and stops at STOP",
     "readers of zip archives see a model behind it", pickle_zip},
    {"safetensors-pickle", "safetensors", "pickle.load; torch.load of 1.13, before it refuses",
     "readers of safetensors, torch.load of 2.13 among them, see a tensor", safetensors_pickle},
    {"zip-zip", "pt", "Python's zipfile takes the last end record: the archive in the comment",
     "readers that take the first end record that fits; torch.load refuses", zip_zip},
};

}  // namespace

std::span<const Polyglot> polyglots() {
  return kPolyglots;
}

const Polyglot* find_polyglot(std::string_view id) {
  for (const Polyglot& polyglot : kPolyglots) {
    if (polyglot.id == id) return &polyglot;
  }
  return nullptr;
}

Result<Bytes> torch_of(ByteSpan pickle, std::string_view folder, Marker marker) {
  Bytes file;
  zip::Writer archive([&file](ByteSpan bytes) -> Result<void> {
    file.insert(file.end(), bytes.begin(), bytes.end());
    return {};
  });
  const std::string top = std::string(folder) + "/";
  auto added = archive.add(top + "data.pkl", pickle);
  if (added) added = archive.add(top + "version", as_bytes("3\n"));
  if (added && marker == Marker::kYes) {
    added = archive.add(top + std::string(kMarkerEntry), as_bytes(kMarker));
  }
  if (added) added = archive.finish();
  if (!added) return std::unexpected(added.error());
  return file;
}

}  // namespace tare::craft
