// Configurations in YAML whose parts name what Hydra is to call. Format: docs/formats/hydra.md.
#include <algorithm>

#include "format/format.hpp"
#include "format/yaml_pairs.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

constexpr std::size_t kFront = std::size_t{256} << 10;

// A name with dots, as Python imports it, or what stands for one.
bool is_target(const YamlScalar& scalar) {
  if (scalar.key != "_target_" || scalar.value.empty()) return false;
  return scalar.is_alias || scalar.value.starts_with("${") ||
         std::ranges::all_of(scalar.value, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '.';
         });
}

// JSON, which is YAML as well, is told from others by its own formats.
bool recognises(ByteSpan bytes) {
  const std::string_view text = as_text(bytes.first(std::min(bytes.size(), kFront)));
  if (has_nul_in_front(text)) return false;
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || text[start] == '{' || text[start] == '[') return false;
  // "\x5ftarget_": the rest is left as it is.
  if (text.find("target_") == std::string_view::npos) return false;
  if (text.find('\0') != std::string_view::npos) return false;
  return std::ranges::any_of(read_yaml_pairs(text).scalars, is_target);
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kHydraConfig, bytes, 0});
  return list;
}

}  // namespace

const Format kHydra = {"hydra", "a configuration in YAML that names functions to call", recognises,
                       list_parts, nullptr};

}  // namespace tare::format
