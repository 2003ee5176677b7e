// A JSON document as a tree, for configurations: every value, with the place where it stands.
//
// Read as Python's json module reads it (NaN and the infinities are numbers), but a key that stands
// twice in an object is kept twice and noted: readers differ about which one counts. The nodes lie
// in one array, each behind what it stands in, so that a loop over them walks the document; nothing
// recurses. Views in the tree are of the text, which must outlive it, or of its own arena.
#pragma once

#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include "format/json_reader.hpp"
#include "tare/bytes.hpp"

namespace tare::format {

enum class JsonKind : std::uint8_t {
  kNull,
  kFalse,
  kTrue,
  kNumber,
  kText,
  kArray,
  kObject,
  kNumbers,  // an array of numbers alone, packed
};

// Whether arrays of numbers alone become nodes, or are packed: models hold millions of numbers.
enum class JsonNumbers : bool { kNodes, kPacked };

struct JsonNode {
  static constexpr std::uint32_t kNone = UINT32_MAX;

  JsonKind kind = JsonKind::kNull;
  std::string_view key;      // of a member of an object
  std::string_view text;     // of a text, decoded; of a number, as it is written
  std::uint64_t offset = 0;  // of the value, bytes from the start of the document
  std::uint32_t parent = kNone;
  std::uint32_t first = kNone;  // what stands in it
  std::uint32_t next = kNone;   // what follows in the same array or object
  std::uint32_t numbers = 0;    // of kNumbers: its first number
  std::uint32_t count = 0;      // of kNumbers: how many

  bool is_text(std::string_view wanted) const { return kind == JsonKind::kText && text == wanted; }
};

class JsonTree {
 public:
  static constexpr std::size_t kMaxNodes = 8'000'000;
  static constexpr std::size_t kMaxNumbers = std::size_t{1} << 28;  // that are packed

  // Errors: kMalformed (no JSON, no UTF-8, bytes behind it), kLimit (nested more than 127 deep,
  // more than kMaxNodes values).
  static Result<JsonTree> parse(std::string_view text, JsonNumbers numbers = JsonNumbers::kNodes);
  // Universal Binary JSON, draft 12, as XGBoost writes it: arrays of numbers of one type are
  // packed. A number that is no such array has its first byte, its marker, as text. Errors: the
  // same, and kTruncated.
  static Result<JsonTree> parse_ubjson(ByteSpan bytes);

  const JsonNode& root() const { return nodes_.front(); }
  // In the order of the text; the root first.
  std::span<const JsonNode> nodes() const { return nodes_; }
  const JsonNode& at(std::uint32_t index) const { return nodes_[index]; }
  std::uint32_t index_of(const JsonNode& node) const {
    return static_cast<std::uint32_t>(&node - nodes_.data());
  }
  // True if `inner` is `outer`, or stands somewhere in it.
  bool stands_in(std::uint32_t inner, std::uint32_t outer) const {
    while (inner != JsonNode::kNone && inner > outer) inner = nodes_[inner].parent;
    return inner == outer;
  }
  // The last member of that name, as Python takes it; null if there is none, or no object.
  const JsonNode* member(const JsonNode& object, std::string_view key) const;
  // Of an array that is packed; nothing of any other node.
  std::span<const double> numbers(const JsonNode& node) const {
    return std::span(numbers_).subspan(node.numbers, node.count);
  }
  // Where the first key stands that its object has twice.
  std::optional<std::uint64_t> repeated_key() const { return repeated_key_; }

 private:
  friend class UbjsonReader;

  struct Open {
    std::uint32_t node;
    std::uint32_t last = JsonNode::kNone;
  };

  // Puts a node into what is open, and opens it if something can stand in it.
  void add(const JsonNode& node);

  Result<void> fill(JsonReader& json);
  bool read_value(JsonReader& json, std::string_view key);
  bool read_scalar(JsonReader& json, JsonNode& node);
  bool read_numbers(JsonReader& json, JsonNode& node);
  void note_repeated(const JsonNode& object);

  std::vector<JsonNode> nodes_;
  std::vector<double> numbers_;
  bool packs_numbers_ = false;
  std::vector<Open> open_;  // what is being read, the outermost first
  std::unique_ptr<TextArena> arena_ = std::make_unique<TextArena>();
  std::optional<std::uint64_t> repeated_key_;
};

// True if an object stands next that has a member which `wanted` accepts. What is broken behind
// that member does not count: it is for the reader to refuse.
template <typename Wanted>
bool object_has_key(JsonReader& json, const Wanted& wanted) {
  if (!json.consume('{') || json.consume('}')) return false;
  do {
    std::string_view key;
    if (!json.read_string(key) || !json.expect(':', "")) return false;
    if (wanted(key)) return true;
    if (!json.skip_value(1)) return false;
  } while (json.consume(','));
  return false;
}

// The same for the outermost value of JSON text.
template <typename Wanted>
bool has_top_level_key(ByteSpan bytes, const Wanted& wanted) {
  TextArena arena;
  JsonReader json(as_text(bytes), 0, arena);
  json.allow_python_numbers();
  return object_has_key(json, wanted);
}

}  // namespace tare::format
