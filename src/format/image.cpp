// The JSON of container images: layouts, indexes, manifests, configurations. Format:
// docs/formats/oci.md.
#include <algorithm>

#include "format/json_parts.hpp"

namespace tare::format {
namespace {

// What the keys at the top say, put together.
struct Keys {
  bool schema = false;
  bool content = false;  // layers, manifests
  bool system = false;
  bool layers_of_system = false;
  bool layout = false;

  void add(std::string_view key) {
    schema |= key == "schemaVersion";
    content |= key == "layers" || key == "manifests" || key == "fsLayers";
    system |= key == "architecture" || key == "os";
    layers_of_system |= key == "rootfs";
    layout |= key == "imageLayoutVersion";
  }
  bool is_image() const { return layout || (schema && content) || (system && layers_of_system); }
};

// manifest.json of `docker save`: a list of images.
bool is_saved_list(ByteSpan bytes) {
  TextArena arena;
  JsonReader json(as_text(bytes), 0, arena);
  bool has_config = false;
  bool has_layers = false;
  if (!json.consume('[')) return false;
  return object_has_key(json, [&](std::string_view key) {
    has_config |= key == "Config";
    has_layers |= key == "Layers";
    return has_config && has_layers;
  });
}

bool recognises(ByteSpan bytes) {
  Keys keys;
  return has_top_level_key(bytes,
                           [&](std::string_view key) {
                             keys.add(key);
                             return keys.is_image();
                           }) ||
         is_saved_list(bytes);
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  return json_parts(bytes, PartKind::kImage);
}

}  // namespace

const Format kImage = {"oci", "a description of a container image", recognises, list_parts,
                       nullptr};

}  // namespace tare::format
