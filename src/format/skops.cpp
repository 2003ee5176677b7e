// The schema of a skops file: schema.json of its archive (docs/formats/skops.md).
#include "format/json_parts.hpp"

namespace tare::format {
namespace {

bool recognises(ByteSpan bytes) {
  return has_top_level_key(bytes, [](std::string_view key) { return key == "__loader__"; });
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  return json_parts(bytes, PartKind::kSkops);
}

}  // namespace

const Format kSkops = {"skops-schema", "the schema of a skops file, which holds no tensors itself",
                       recognises, list_parts, nullptr};

}  // namespace tare::format
