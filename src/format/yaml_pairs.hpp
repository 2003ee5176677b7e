// The keys and scalars of a YAML document, one after the other, without its structure: enough to
// know what every key of some name says, wherever it stands.
//
// Follows YAML 1.1 as PyYAML reads it, which is what OmegaConf and Hydra use: block and flow style,
// plain, quoted and block scalars, anchors. What is left out (tags, directives, keys that are no
// plain texts, other line breaks than \n and \r) is `broken`: the caller must not take the rest for
// understood. Document: docs/formats/hydra.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tare/error.hpp"

namespace tare::format {

struct YamlScalar {
  std::string key;  // the last one before the value; of an item of a list, that of the list
  std::string value;
  std::uint64_t offset = 0;  // of the value, bytes from the start of the document
  bool is_alias = false;     // `value` is the name of an anchor
};

struct YamlPairs {
  std::vector<YamlScalar> scalars;
  // Where something stands that is not understood; what follows it was read as far as that goes.
  std::optional<std::uint64_t> broken;
};

YamlPairs read_yaml_pairs(std::string_view text);

}  // namespace tare::format
