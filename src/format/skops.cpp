// The schema of a skops file: schema.json of its archive (docs/formats/skops.md).
#include "format/format.hpp"
#include "format/json_tree.hpp"

namespace tare::format {
namespace {

bool recognises(ByteSpan bytes) {
  return has_top_level_key(bytes, [](std::string_view key) { return key == "__loader__"; });
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  auto tree = JsonTree::parse(as_text(bytes));
  if (!tree) return std::unexpected(tree.error());
  PartList list;
  if (const auto twice = tree->repeated_key()) {
    list.notes.push_back({NoteKind::kAmbiguous, *twice, "", "the JSON has a key twice"});
  }
  list.parts.push_back({"", PartKind::kSkops, bytes, 0});
  return list;
}

}  // namespace

const Format kSkops = {"skops-schema", "the schema of a skops file, which holds no tensors itself",
                       recognises, list_parts, nullptr};

}  // namespace tare::format
