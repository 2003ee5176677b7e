#include "format/json_tree.hpp"

#include <algorithm>

#include "io/utf8.hpp"

namespace tare::format {

Result<JsonTree> JsonTree::parse(std::string_view text) {
  if (!is_utf8(text)) return fail(ErrorCode::kMalformed, "invalid JSON: it is not UTF-8", 0);
  JsonTree tree;
  JsonReader json(text, 0, *tree.arena_);
  json.allow_python_numbers();
  if (auto read = tree.fill(json); !read) return std::unexpected(read.error());
  return tree;
}

Result<void> JsonTree::fill(JsonReader& json) {
  bool good = read_value(json, "");
  while (good && !open_.empty()) {
    const bool is_object = nodes_[open_.back().node].kind == JsonKind::kObject;
    const bool is_first = nodes_[open_.back().node].first == JsonNode::kNone;
    if (is_first ? json.consume(is_object ? '}' : ']') : !json.consume(',')) {
      // An empty one, or the end of one.
      good =
          is_first || json.expect(is_object ? '}' : ']', "invalid JSON: ',' or an end is expected");
      note_repeated(nodes_[open_.back().node]);
      open_.pop_back();
      continue;
    }
    std::string_view key;
    if (is_object) {
      good = json.read_string(key) && json.expect(':', "invalid JSON: ':' is expected");
    }
    good = good && read_value(json, key);
  }
  if (good && !json.at_end()) good = json.fail_here(ErrorCode::kMalformed, "bytes behind the JSON");
  if (!good) return std::unexpected(json.error());
  return {};
}

bool JsonTree::read_value(JsonReader& json, std::string_view key) {
  if (nodes_.size() >= kMaxNodes) {
    return json.fail_here(ErrorCode::kLimit,
                          "the JSON has more values than tare is willing to read");
  }
  JsonNode node;
  const char first = json.peek();
  node.offset = json.offset();
  node.key = key;
  const auto index = static_cast<std::uint32_t>(nodes_.size());
  if (first == '{' || first == '[') {
    json.consume(first);
    node.kind = first == '{' ? JsonKind::kObject : JsonKind::kArray;
  } else if (!read_scalar(json, node)) {
    return false;
  }
  if (!open_.empty()) {
    Open& around = open_.back();
    node.parent = around.node;
    (around.last == JsonNode::kNone ? nodes_[around.node].first : nodes_[around.last].next) = index;
    around.last = index;
  }
  nodes_.push_back(node);
  if (first != '{' && first != '[') return true;
  if (open_.size() >= JsonReader::kMaxDepth) {
    return json.fail_here(ErrorCode::kLimit, "invalid JSON: nested too deeply");
  }
  open_.push_back({index});
  return true;
}

bool JsonTree::read_scalar(JsonReader& json, JsonNode& node) {
  const char first = json.peek();
  if (first == '"') {
    node.kind = JsonKind::kText;
    return json.read_string(node.text);
  }
  const char* const start = json.place();
  if (!json.skip_value(0)) return false;
  node.text = {start, static_cast<std::size_t>(json.place() - start)};
  node.kind = first == 't'   ? JsonKind::kTrue
              : first == 'f' ? JsonKind::kFalse
              : first == 'n' ? JsonKind::kNull
                             : JsonKind::kNumber;
  return true;
}

void JsonTree::note_repeated(const JsonNode& object) {
  if (object.kind != JsonKind::kObject) return;
  std::vector<std::pair<std::string_view, std::uint64_t>> keys;
  for (auto i = object.first; i != JsonNode::kNone; i = nodes_[i].next) {
    keys.emplace_back(nodes_[i].key, nodes_[i].offset);
  }
  std::ranges::sort(keys);
  for (std::size_t i = 1; i < keys.size(); ++i) {
    if (keys[i].first != keys[i - 1].first) continue;
    repeated_key_ = std::min(keys[i].second, repeated_key_.value_or(UINT64_MAX));
  }
}

const JsonNode* JsonTree::member(const JsonNode& object, std::string_view key) const {
  const JsonNode* found = nullptr;
  if (object.kind != JsonKind::kObject) return found;
  for (auto i = object.first; i != JsonNode::kNone; i = nodes_[i].next) {
    if (nodes_[i].key == key) found = &nodes_[i];
  }
  return found;
}

}  // namespace tare::format
