// Configurations of Hugging Face libraries: config.json, tokenizer_config.json and their kind.
// Format: docs/formats/hf-config.md.
#include <algorithm>
#include <array>

#include "format/json_parts.hpp"

namespace tare::format {
namespace {

using namespace std::string_view_literals;

// One of these at the top is enough. No other JSON file beside models has any of them.
constexpr std::array kKeys = {"_attn_implementation"sv,
                              "_attn_implementation_internal"sv,
                              "_class_name"sv,
                              "_diffusers_version"sv,
                              "_name_or_path"sv,
                              "added_tokens"sv,
                              "added_tokens_decoder"sv,
                              "architectures"sv,
                              "auto_map"sv,
                              "base_model_name_or_path"sv,
                              "chat_template"sv,
                              "custom_pipelines"sv,
                              "feature_extractor_type"sv,
                              "image_processor_type"sv,
                              "model_type"sv,
                              "peft_type"sv,
                              "processor_class"sv,
                              "tokenizer_class"sv,
                              "transformers_version"sv,
                              "trust_remote_code"sv};

bool is_known_key(std::string_view key) {
  return std::ranges::find(kKeys, key) != kKeys.end();
}

// modules.json of sentence-transformers: a list of classes to import.
bool is_module_list(ByteSpan bytes) {
  TextArena arena;
  JsonReader json(as_text(bytes), 0, arena);
  return json.consume('[') &&
         object_has_key(json, [](std::string_view key) { return key == "idx"; });
}

bool recognises(ByteSpan bytes) {
  return has_top_level_key(bytes, is_known_key) || is_module_list(bytes);
}

// Every text in a value, which is a template, a list of {name, template}, or a table of templates.
// Returns the first node behind it.
std::uint32_t add_templates(const JsonTree& tree, std::uint32_t from, PartList& list) {
  std::uint32_t i = from;
  for (; i < tree.nodes().size() && tree.stands_in(i, from); ++i) {
    const JsonNode& node = tree.at(i);
    if (node.kind != JsonKind::kText) continue;
    const ByteSpan text = as_bytes(node.text);
    const auto& owned = list.inflated.emplace_back(text.begin(), text.end());
    list.parts.push_back({"chat_template", PartKind::kTemplate, owned});
  }
  return i;
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  auto tree = JsonTree::parse(as_text(bytes));
  if (!tree) return std::unexpected(tree.error());
  PartList list = json_parts(bytes, *tree, PartKind::kConfig);
  for (std::uint32_t i = 0; i < tree->nodes().size();) {
    i = tree->at(i).key == "chat_template" ? add_templates(*tree, i, list) : i + 1;
  }
  return list;
}

}  // namespace

const Format kHfConfig = {"hf-config",
                          "a configuration of a Hugging Face library, which holds no tensors",
                          recognises, list_parts, nullptr};

}  // namespace tare::format
