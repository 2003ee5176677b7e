// Jinja templates that stand alone: chat_template.jinja. Format: docs/formats/jinja.md.
#include <algorithm>
#include <array>

#include "format/format.hpp"
#include "format/json_reader.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

using namespace std::string_view_literals;

// Chat templates have a few KiB.
constexpr std::size_t kMaxBytes = std::size_t{16} << 20;

constexpr std::array kTags = {"block"sv,   "call"sv,  "do"sv,         "extends"sv, "filter"sv,
                              "for"sv,     "from"sv,  "generation"sv, "if"sv,      "import"sv,
                              "include"sv, "macro"sv, "raw"sv,        "set"sv};

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || c == '_';
}

// `inside` is what stands between "{%" and "%}".
bool is_tag(std::string_view inside) {
  const std::size_t start = inside.find_first_not_of("-+ \t\r\n");
  if (start == std::string_view::npos) return false;
  inside.remove_prefix(start);
  const auto end = std::ranges::find_if_not(inside, is_name_byte);
  const std::string_view word(inside.begin(), end);
  return std::ranges::find(kTags, word) != kTags.end();
}

// A block from `open` to `close` that `wanted` accepts.
template <typename Wanted>
bool has_block(std::string_view text, std::string_view open, std::string_view close,
               const Wanted& wanted) {
  std::size_t at = text.find(open);
  while (at != std::string_view::npos) {
    const std::size_t end = text.find(close, at + open.size());
    if (end == std::string_view::npos) return false;
    if (wanted(text.substr(at + open.size(), end - at - open.size()))) return true;
    at = text.find(open, end + close.size());
  }
  return false;
}

bool is_plain_text(std::string_view text) {
  return std::ranges::none_of(text,
                              [](char c) {
                                return static_cast<unsigned char>(c) < 0x20 && c != '\n' &&
                                       c != '\r' && c != '\t' && c != '\f';
                              }) &&
         is_utf8(text);
}

bool is_json(std::string_view text) {
  TextArena arena;
  JsonReader json(text, 0, arena);
  json.allow_python_numbers();
  return json.skip_value(0) && json.at_end();
}

// Much text has braces. A tag of Jinja makes a template of it, and so does an expression that
// reaches for what no template needs.
bool recognises(ByteSpan bytes) {
  if (bytes.size() > kMaxBytes) return false;
  const std::string_view text = as_text(bytes);
  if (has_nul_in_front(text)) return false;
  const auto reaches = [](std::string_view inside) {
    return inside.find("__") != std::string_view::npos;
  };
  const bool has_any = has_block(text, "{%", "%}", is_tag) || has_block(text, "{{", "}}", reaches);
  return has_any && is_plain_text(text) && !is_json(text);
}

Result<PartList> list_parts(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kTemplate, bytes, 0});
  return list;
}

}  // namespace

const Format kJinja = {"jinja", "a Jinja template, which holds no tensors", recognises, list_parts,
                       nullptr};

}  // namespace tare::format
