#include "format/json_tree.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "io/utf8.hpp"

namespace tare::format {
namespace {

// What is no number of a double becomes infinite, which is no index of anything.
double number_of(std::string_view text) {
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc() ? value : std::numeric_limits<double>::infinity();
}

}  // namespace

Result<JsonTree> JsonTree::parse(std::string_view text, JsonNumbers numbers) {
  if (!is_utf8(text)) return fail(ErrorCode::kMalformed, "invalid JSON: it is not UTF-8", 0);
  JsonTree tree;
  tree.packs_numbers_ = numbers == JsonNumbers::kPacked;
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
  if (first == '{' || first == '[') {
    json.consume(first);
    node.kind = first == '{' ? JsonKind::kObject : JsonKind::kArray;
    if (packs_numbers_ && first == '[') read_numbers(json, node);
  } else if (!read_scalar(json, node)) {
    return false;
  }
  const bool opens = node.kind == JsonKind::kObject || node.kind == JsonKind::kArray;
  if (opens && open_.size() >= JsonReader::kMaxDepth) {
    return json.fail_here(ErrorCode::kLimit, "invalid JSON: nested too deeply");
  }
  add(node);
  return true;
}

void JsonTree::add(const JsonNode& node) {
  const auto index = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back(node);
  if (!open_.empty()) {
    Open& around = open_.back();
    nodes_.back().parent = around.node;
    (around.last == JsonNode::kNone ? nodes_[around.node].first : nodes_[around.last].next) = index;
    around.last = index;
  }
  if (node.kind == JsonKind::kObject || node.kind == JsonKind::kArray) open_.push_back({index});
}

// The rest of an array, if it holds numbers and nothing else. If not, it is as if nothing was read;
// what is read twice stands in no other array.
bool JsonTree::read_numbers(JsonReader& json, JsonNode& node) {
  const char* const start = json.place();
  const std::size_t first = numbers_.size();
  while (numbers_.size() < kMaxNumbers) {
    const char begin = json.peek();
    const bool is_number =
        (begin >= '0' && begin <= '9') || begin == '-' || begin == 'N' || begin == 'I';
    const char* const from = json.place();
    if (!is_number || !json.skip_value(0)) break;
    numbers_.push_back(number_of({from, static_cast<std::size_t>(json.place() - from)}));
    if (json.consume(',')) continue;
    if (!json.consume(']')) break;
    node.kind = JsonKind::kNumbers;
    node.numbers = static_cast<std::uint32_t>(first);
    node.count = static_cast<std::uint32_t>(numbers_.size() - first);
    return true;
  }
  numbers_.resize(first);
  json.go_to(start);
  return false;
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
