// Universal Binary JSON, as XGBoost writes and reads it: big-endian numbers, lengths with a marker
// of their type, arrays of one type without a marker for each element. No recursion.
#include <algorithm>
#include <array>
#include <bit>

#include "format/json_tree.hpp"
#include "io/cursor.hpp"

namespace tare::format {

class UbjsonReader {
 public:
  UbjsonReader(ByteSpan bytes, JsonTree& tree) : bytes_(bytes), in_(bytes), tree_(tree) {}

  Result<void> run();

 private:
  // An array or object that is being read.
  struct Level {
    bool is_object = false;
    std::uint64_t left = UINT64_MAX;  // elements, if their number stands in front of them
  };

  bool fail_here(ErrorCode code, const char* what) {
    if (error_.what[0] == '\0') error_ = Error{code, 0, in_.offset(), what};
    return false;
  }
  template <typename T>
  bool read_big(T& out);
  bool read_length(std::uint64_t& out);
  bool read_text(std::string_view& out);
  bool read_number(char marker, double& out);
  bool read_value(char marker, JsonNode node);
  bool read_array(JsonNode& node, Level& level);
  bool read_typed(char marker, JsonNode& node);
  bool read_single(char marker, JsonNode& node);
  void close();
  bool step();

  ByteSpan bytes_;
  Cursor in_;
  JsonTree& tree_;
  std::vector<Level> levels_;
  Error error_{};
};

template <typename T>
bool UbjsonReader::read_big(T& out) {
  auto bytes = in_.take(sizeof(T));
  if (!bytes) return fail_here(ErrorCode::kTruncated, "the UBJSON is cut off");
  std::array<std::byte, sizeof(T)> turned;
  std::ranges::reverse_copy(*bytes, turned.begin());
  out = std::bit_cast<T>(turned);
  return true;
}

bool UbjsonReader::read_number(char marker, double& out) {
  const auto take = [&]<typename T>(T value) {
    const bool good = read_big(value);
    out = static_cast<double>(value);
    return good;
  };
  switch (marker) {
    case 'i':
      return take(std::int8_t{});
    case 'U':
      return take(std::uint8_t{});
    case 'I':
      return take(std::int16_t{});
    case 'l':
      return take(std::int32_t{});
    case 'L':
      return take(std::int64_t{});
    case 'd':
      return take(float{});
    case 'D':
      return take(double{});
    default:
      return fail_here(ErrorCode::kMalformed, "an unknown type of UBJSON");
  }
}

// An integer type and a number that is not negative.
bool UbjsonReader::read_length(std::uint64_t& out) {
  char marker = 0;
  double value = 0;
  if (!read_big(marker)) return false;
  if (marker == 'd' || marker == 'D' || !read_number(marker, value) || value < 0 ||
      value > static_cast<double>(in_.remaining())) {
    return fail_here(ErrorCode::kMalformed, "a length of UBJSON is no number or too large");
  }
  out = static_cast<std::uint64_t>(value);
  return true;
}

bool UbjsonReader::read_text(std::string_view& out) {
  std::uint64_t length = 0;
  if (!read_length(length)) return false;
  const auto bytes = in_.take(length);
  if (!bytes) return fail_here(ErrorCode::kTruncated, "the UBJSON is cut off");
  out = as_text(*bytes);
  return true;
}

// "$T#N": N numbers of the type T. "#N": N values. Otherwise an end marker stands behind them.
bool UbjsonReader::read_array(JsonNode& node, Level& level) {
  Cursor peek = in_;
  const auto marker = peek.read<char>();
  if (!marker) return fail_here(ErrorCode::kTruncated, "the UBJSON is cut off");
  if (*marker != '$' && *marker != '#') return true;
  in_ = peek;
  if (*marker == '#') return read_length(level.left);
  char type = 0;
  char sharp = 0;
  if (!read_big(type) || !read_big(sharp)) return false;
  if (sharp != '#') return fail_here(ErrorCode::kMalformed, "a typed array without a length");
  return read_typed(type, node);
}

bool UbjsonReader::read_typed(char marker, JsonNode& node) {
  std::uint64_t count = 0;
  if (!read_length(count)) return false;
  auto& numbers = tree_.numbers_;
  if (count > JsonTree::kMaxNumbers - numbers.size()) {
    return fail_here(ErrorCode::kLimit, "more numbers than tare is willing to read");
  }
  node.kind = JsonKind::kNumbers;
  node.numbers = static_cast<std::uint32_t>(numbers.size());
  node.count = static_cast<std::uint32_t>(count);
  // Every element has at least a byte, which read_length() has seen.
  for (std::uint64_t i = 0; i < count; ++i) {
    double value = 0;
    if (!read_number(marker, value)) return false;
    numbers.push_back(value);
  }
  return true;
}

// Kept with the packed ones, so that an array of them can be packed when it ends.
bool UbjsonReader::read_single(char marker, JsonNode& node) {
  double value = 0;
  node.kind = JsonKind::kNumber;
  node.text = as_text(bytes_.subspan(in_.offset() - 1, 1));
  if (!read_number(marker, value)) return false;
  node.numbers = static_cast<std::uint32_t>(tree_.numbers_.size());
  node.count = 1;
  tree_.numbers_.push_back(value);
  return true;
}

// The end of what is open. An array of numbers alone is packed: its elements are the last nodes.
void UbjsonReader::close() {
  const std::uint32_t index = tree_.open_.back().node;
  JsonNode& node = tree_.nodes_[index];
  tree_.note_repeated(node);
  const auto elements = std::span(tree_.nodes_).subspan(index + 1);
  const auto is_number = [](const JsonNode& element) { return element.kind == JsonKind::kNumber; };
  if (node.kind == JsonKind::kArray && !elements.empty() &&
      std::ranges::all_of(elements, is_number)) {
    node.kind = JsonKind::kNumbers;
    node.numbers = elements.front().numbers;
    node.count = static_cast<std::uint32_t>(elements.size());
    node.first = JsonNode::kNone;
    tree_.nodes_.resize(index + 1);
  }
  tree_.open_.pop_back();
  levels_.pop_back();
}

bool UbjsonReader::read_value(char marker, JsonNode node) {
  Level level{marker == '{'};
  bool good = true;
  switch (marker) {
    case '{':
      node.kind = JsonKind::kObject;
      break;
    case '[':
      node.kind = JsonKind::kArray;
      good = read_array(node, level);
      break;
    case 'S':
      node.kind = JsonKind::kText;
      good = read_text(node.text);
      break;
    case 'Z':
      break;
    case 'T':
      node.kind = JsonKind::kTrue;
      break;
    case 'F':
      node.kind = JsonKind::kFalse;
      break;
    default:
      good = read_single(marker, node);
  }
  if (!good) return false;
  if (tree_.nodes_.size() >= JsonTree::kMaxNodes || levels_.size() >= JsonReader::kMaxDepth) {
    return fail_here(ErrorCode::kLimit, "UBJSON with too many values, or nested too deeply");
  }
  tree_.add(node);
  if (node.kind == JsonKind::kObject || node.kind == JsonKind::kArray) levels_.push_back(level);
  return true;
}

// The next value, or the end of what is open.
bool UbjsonReader::step() {
  Level* const level = levels_.empty() ? nullptr : &levels_.back();
  if (level != nullptr && level->left == 0) {
    close();
    return true;
  }
  JsonNode node;
  Cursor peek = in_;
  const auto next = peek.read<char>();
  if (!next) return fail_here(ErrorCode::kTruncated, "the UBJSON is cut off");
  if (level != nullptr && level->left == UINT64_MAX && *next == (level->is_object ? '}' : ']')) {
    in_ = peek;
    close();
    return true;
  }
  if (level != nullptr && level->is_object && !read_text(node.key)) return false;
  if (level != nullptr && level->left != UINT64_MAX) --level->left;
  node.offset = in_.offset();
  char marker = 0;
  return read_big(marker) && read_value(marker, node);
}

Result<void> UbjsonReader::run() {
  do {
    if (!step()) return std::unexpected(error_);
  } while (!levels_.empty());
  if (in_.at_end()) return {};
  return fail(ErrorCode::kMalformed, "bytes behind the UBJSON", in_.offset());
}

Result<JsonTree> JsonTree::parse_ubjson(ByteSpan bytes) {
  JsonTree tree;
  UbjsonReader reader(bytes, tree);
  if (auto read = reader.run(); !read) return std::unexpected(read.error());
  return tree;
}

}  // namespace tare::format
