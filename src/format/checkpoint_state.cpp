// The file `checkpoint` in a folder of TensorFlow's: which checkpoint is the newest
// (docs/formats/tensorflow-checkpoint.md).
#include <algorithm>
#include <array>

#include "format/format.hpp"
#include "format/onnx.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

constexpr std::string_view kFirst = "model_checkpoint_path:";
constexpr std::array<std::string_view, 2> kPathKeys = {"model_checkpoint_path",
                                                       "all_model_checkpoint_paths"};
constexpr std::array<std::string_view, 2> kNumberKeys = {"all_model_checkpoint_timestamps",
                                                         "last_preserved_timestamp"};

bool recognises(ByteSpan bytes) {
  return as_text(bytes).starts_with(kFirst);
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.eE+-") == std::string_view::npos;
}

// What a line `key: value` holds; nothing if it is no such line.
std::optional<std::string_view> path_in(std::string_view value) {
  if (value.size() < 2 || !value.starts_with('"') || !value.ends_with('"')) return std::nullopt;
  value = value.substr(1, value.size() - 2);
  if (value.find('"') != std::string_view::npos) return std::nullopt;
  return value;
}

// False if the line is none that TensorFlow writes.
bool read_line(std::string_view line, std::uint64_t offset, PartList& list) {
  while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
  if (line.empty()) return true;
  const std::size_t colon = line.find(": ");
  if (colon == std::string_view::npos) return false;
  const std::string_view key = line.substr(0, colon);
  const std::string_view value = line.substr(colon + 2);
  if (std::ranges::find(kNumberKeys, key) != kNumberKeys.end()) return is_number(value);
  const auto path = path_in(value);
  if (!path || std::ranges::find(kPathKeys, key) == kPathKeys.end()) return false;
  // An escape may stand for any byte.
  if (!is_inside_folder(*path) || path->find('\\') != std::string_view::npos) {
    list.notes.push_back({NoteKind::kElsewhere, offset, "", "a path that leaves the folder"});
  }
  return true;
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  Cursor in(bytes);
  while (!in.at_end()) {
    const std::uint64_t at = in.offset();
    const auto line = in.take_line();
    const ByteSpan text = line ? *line : *in.take(in.remaining());
    if (read_line(as_text(text), at, list)) continue;
    list.parts.push_back({"", PartKind::kUnknown, bytes.subspan(at), at, at});
    return list;
  }
  list.parts.push_back({"", PartKind::kPlainText, bytes, 0});
  return list;
}

}  // namespace

const Format kCheckpointState = {"tensorflow-checkpoint-state",
                                 "a list of TensorFlow checkpoints, which holds no tensors itself",
                                 recognises, list_parts, nullptr};

}  // namespace tare::format
