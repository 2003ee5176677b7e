// Configurations of Keras: config.json and metadata.json of a .keras archive, the text that an HDF5
// model keeps in its attributes, and what to_json() writes. Format: docs/formats/keras.md.
#include "format/json_parts.hpp"

namespace tare::format {
namespace {

bool recognises(ByteSpan bytes) {
  return has_top_level_key(bytes, [](std::string_view key) {
    return key == "class_name" || key == "optimizer_config" || key == "keras_version";
  });
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  return json_parts(bytes, PartKind::kKerasConfig);
}

}  // namespace

const Format kKerasConfig = {"keras-config", "a configuration of Keras, which holds no tensors",
                             recognises, list_parts, nullptr};

}  // namespace tare::format
