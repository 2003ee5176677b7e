#include "format/archive_names.hpp"

namespace tare::format {

PartKind kind_by_name(std::string_view name) {
  const auto is = [name](std::string_view wanted) {
    return name == wanted || (name.ends_with(wanted) && name.size() > wanted.size() &&
                              name[name.size() - wanted.size() - 1] == '/');
  };
  if (is("MAR-INF/MANIFEST.json")) return PartKind::kMarManifest;
  if (is("model_config.yaml")) return PartKind::kHydraConfig;
  return PartKind::kNested;
}

}  // namespace tare::format
