// A file that is compressed as a whole: what is in it counts. Format: docs/formats/compression.md.
#include <algorithm>

#include "archive/decoder.hpp"
#include "format/format.hpp"

namespace tare::format {
namespace {

// The length of a safetensors header may begin like a zlib stream. It is none: the zeros in its
// upper half would have to be the rest of a block's header.
bool recognises(ByteSpan bytes) {
  return codec_of(bytes).has_value() && !kSafetensors.recognises(bytes);
}

DecodeLimits limits_of(const ReadContext& context) {
  DecodeLimits limits;
  limits.max_output = context.inflate_left;
  return limits;
}

Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext& context) {
  const auto codec = codec_of(bytes);
  if (!codec) return fail(ErrorCode::kWrongFormat, "no compressed file");
  auto unpacked = unpack(*codec, bytes, limits_of(context));
  if (!unpacked) return std::unexpected(unpacked.error());
  if (!unpacked->decoded) return std::unexpected(unpacked->decoded.error());
  const auto content = std::make_shared<Input>(std::move(unpacked->content));
  context.inflate_left -= content->size();
  auto contents = read_nested(content->bytes(), context);
  if (contents) contents->owners.push_back(content);
  return contents;
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext& context) {
  const auto codec = codec_of(bytes);
  if (!codec) return fail(ErrorCode::kWrongFormat, "no compressed file");
  auto unpacked = unpack(*codec, bytes, limits_of(context));
  if (!unpacked) return std::unexpected(unpacked.error());
  PartList list;
  const std::string name(codec_name(*codec));
  if (!unpacked->decoded) {
    // What came before the break may have been loaded by then.
    list.notes.push_back({NoteKind::kUnreadable, unpacked->decoded.error().offset, name,
                          unpacked->decoded.error().what});
  } else if (unpacked->decoded->consumed < bytes.size()) {
    const std::uint64_t end = unpacked->decoded->consumed;
    list.notes.push_back({NoteKind::kTrailing, end, "", "bytes behind the compressed data"});
    list.parts.push_back({"", PartKind::kNested, bytes.subspan(end), end, end});
  }
  const Input& content = list.unpacked.emplace_back(std::move(unpacked->content));
  context.inflate_left -= std::min(context.inflate_left, content.size());
  if (content.size() > 0) list.parts.push_back({name, PartKind::kNested, content.bytes()});
  return list;
}

}  // namespace

const Format kCompressed = {"compressed", "compressed data", recognises, list_parts, read_tensors};

}  // namespace tare::format
