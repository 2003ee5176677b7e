// Configurations of Keras: config.json and metadata.json of a .keras archive, the text that an HDF5
// model keeps in its attributes, and what to_json() writes. Format: docs/formats/keras.md.
#include "format/format.hpp"
#include "format/json_tree.hpp"

namespace tare::format {
namespace {

bool recognises(ByteSpan bytes) {
  return has_top_level_key(bytes, [](std::string_view key) {
    return key == "class_name" || key == "optimizer_config" || key == "keras_version";
  });
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  auto tree = JsonTree::parse(as_text(bytes));
  if (!tree) return std::unexpected(tree.error());
  PartList list;
  if (const auto twice = tree->repeated_key()) {
    list.notes.push_back({NoteKind::kAmbiguous, *twice, "", "the JSON has a key twice"});
  }
  list.parts.push_back({"", PartKind::kKerasConfig, bytes, 0});
  return list;
}

}  // namespace

const Format kKerasConfig = {"keras-config", "a configuration of Keras, which holds no tensors",
                             recognises, list_parts, nullptr};

}  // namespace tare::format
