#include "format/json_parts.hpp"

namespace tare::format {

PartList json_parts(ByteSpan bytes, const JsonTree& tree, PartKind kind) {
  PartList list;
  if (const auto twice = tree.repeated_key()) {
    list.notes.push_back({NoteKind::kAmbiguous, *twice, "", "the JSON has a key twice"});
  }
  list.parts.push_back({"", kind, bytes, 0});
  return list;
}

Result<PartList> json_parts(ByteSpan bytes, PartKind kind) {
  const auto tree = JsonTree::parse(as_text(bytes));
  if (!tree) return std::unexpected(tree.error());
  return json_parts(bytes, *tree, kind);
}

}  // namespace tare::format
