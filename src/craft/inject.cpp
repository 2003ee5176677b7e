// Payloads in files that somebody else made. The file loads to the same object as before.
#include <algorithm>

#include "archive/zip_reader.hpp"
#include "archive/zip_writer.hpp"
#include "craft/payload.hpp"
#include "pickle/argument.hpp"
#include "tare/pickle.hpp"
#include "tare/pickle_writer.hpp"

namespace tare::craft {
namespace {

using pickle::Op;

// Where in a pickle a payload can stand.
struct Places {
  std::uint64_t first = 0;  // behind PROTO, in front of the first frame
  std::uint64_t last = 0;   // in front of STOP
  std::uint64_t end = 0;    // behind STOP
  unsigned protocol = 0;
  std::vector<std::uint64_t> frames;  // offsets of the FRAME opcodes of frames that hold STOP
};

Result<Places> find_places(ByteSpan stream) {
  const auto run = pickle::run(stream);
  if (run.end != pickle::End::kStop) return std::unexpected(run.error);
  if (run.other_reading) {
    return fail(ErrorCode::kRefused, "a pickle that unpicklers read differently");
  }
  Places places;
  places.end = run.end_offset;
  places.last = run.end_offset - 1;
  places.protocol = run.protocol;
  for (std::uint64_t offset = 0; offset < places.last;) {
    const auto instruction = pickle::decode(stream, offset);
    if (!instruction) return std::unexpected(instruction.error());
    if (offset == 0 && instruction->info->op == Op::kProto) places.first = instruction->next;
    if (instruction->info->op == Op::kFrame &&
        instruction->number > places.last - instruction->next) {
      places.frames.push_back(offset);
    }
    offset = instruction->next;
  }
  return places;
}

void append(Bytes& out, ByteSpan bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// A frame that holds STOP grows with what is put in front of STOP.
void grow_frame(Bytes& stream, std::uint64_t frame, std::uint64_t growth) {
  std::uint64_t length = 0;
  for (unsigned i = 8; i > 0; --i) {
    length = length << 8 | std::to_integer<std::uint64_t>(stream[frame + i]);
  }
  length += growth;
  for (unsigned i = 1; i <= 8; ++i, length >>= 8) {
    stream[frame + i] = static_cast<std::byte>(length & 0xFF);
  }
}

// The pickle at the start of `stream`, with the payload. Nothing of what follows it.
Result<Bytes> inject_stream(ByteSpan stream, const Places& places, const Call& call,
                            const InjectOptions& options) {
  pickle::Writer payload;
  const unsigned protocol = options.protocol.value_or(places.protocol);
  if (auto written = write_call(payload, call, options.form, protocol); !written) {
    return std::unexpected(written.error());
  }
  pickle::Writer first;
  pickle::Writer last;
  pickle::Writer& here = options.position == Position::kFirst ? first : last;
  here.raw(payload.view());
  if (options.keep_result) {
    last.op(Op::kTuple2);
  } else {
    here.op(Op::kPop);
  }
  Bytes out;
  append(out, stream.first(places.last));
  for (const std::uint64_t frame : places.frames) grow_frame(out, frame, last.view().size());
  out.insert(out.begin() + static_cast<std::ptrdiff_t>(places.first), first.view().begin(),
             first.view().end());
  append(out, last.view());
  append(out, stream.subspan(places.last, 1));
  return out;
}

// ---- archives of torch.save

struct Model {
  zip::Reader archive;
  std::size_t data;    // index of data.pkl
  std::string folder;  // with its slash
};

// Injecting into an archive that is ambiguous already would leave open what loads.
Result<Model> open_archive(ByteSpan file) {
  auto archive = zip::Reader::open(file);
  if (!archive) return std::unexpected(archive.error());
  if (!archive->anomalies().empty()) {
    return fail(ErrorCode::kRefused, "an archive that loaders read differently",
                archive->anomalies().front().offset);
  }
  constexpr std::string_view kData = "/data.pkl";
  std::optional<std::size_t> data;
  std::string folder;
  const auto& entries = archive->entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string& name = entries[i].name;
    if (name.find('/') == name.size() - kData.size() && name.ends_with(kData)) {
      data = i;
      folder = name.substr(0, name.size() - kData.size() + 1);
    }
  }
  if (!data) return fail(ErrorCode::kWrongFormat, "an archive without a data.pkl of torch.save");
  const bool scripted = std::ranges::any_of(
      entries, [&](const zip::Entry& entry) { return entry.name == folder + "constants.pkl"; });
  if (scripted) {
    return fail(ErrorCode::kUnsupported, "a TorchScript archive, which no Python unpickler reads");
  }
  return Model{std::move(*archive), *data, folder};
}

Result<void> inject_archive(ByteSpan file, const Call& call, const InjectOptions& options,
                            const Sink& write) {
  const auto model = open_archive(file);
  if (!model) return std::unexpected(model.error());
  const auto& entries = model->archive.entries();
  Bytes inflated;
  const auto stream = model->archive.content(entries[model->data], inflated);
  if (!stream) return std::unexpected(stream.error());
  const auto places = find_places(*stream);
  if (!places) return std::unexpected(places.error());
  auto injected = inject_stream(*stream, *places, call, options);
  if (!injected) return std::unexpected(injected.error());
  append(*injected, stream->subspan(places->end));

  zip::Writer out(write);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto content = i == model->data ? Result<ByteSpan>(*injected)
                                          : model->archive.content(entries[i], inflated);
    if (!content) return std::unexpected(content.error());
    if (auto added = out.add(entries[i].name, *content); !added) return added;
  }
  if (options.marker == Marker::kYes) {
    auto added = out.add(model->folder + std::string(kMarkerEntry), as_bytes(kMarker));
    if (!added) return added;
  }
  return out.finish();
}

// ---- pickles, alone or stacked

constexpr std::size_t kObject = 3;  // the fourth is the object

bool is_legacy_torch(ByteSpan file) {
  const auto run = pickle::run(file);
  return run.end == pickle::End::kStop && run.graph.kind(run.result) == pickle::Kind::kBigInt &&
         run.graph.text(run.result) == kTorchMagic;
}

Result<void> inject_pickle(ByteSpan file, const Call& call, const InjectOptions& options,
                           const Sink& write) {
  std::uint64_t start = 0;
  auto places = find_places(file);
  for (std::size_t i = is_legacy_torch(file) ? kObject : 0; i > 0 && places; --i) {
    start += places->end;
    places = find_places(file.subspan(start));
  }
  if (!places) return std::unexpected(places.error());
  const auto injected = inject_stream(file.subspan(start), *places, call, options);
  if (!injected) return std::unexpected(injected.error());
  Bytes marker;
  append_marker(marker, options.marker);
  for (const ByteSpan part : {file.first(start), ByteSpan(*injected),
                              file.subspan(start + places->end), ByteSpan(marker)}) {
    if (auto written = write(part); !written) return written;
  }
  return {};
}

}  // namespace

Result<void> inject(ByteSpan file, const Call& call, const InjectOptions& options,
                    const Sink& write) {
  const bool is_zip = as_text(file.first(std::min<std::size_t>(file.size(), 4))) == "PK\x03\x04";
  return is_zip ? inject_archive(file, call, options, write)
                : inject_pickle(file, call, options, write);
}

}  // namespace tare::craft
