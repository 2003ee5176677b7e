#include "format/header_entry.hpp"

#include <algorithm>

#include "format/json_reader.hpp"
#include "io/cursor.hpp"
#include "io/utf8.hpp"

namespace tare::format {

std::string header_entry_at(ByteSpan file, std::uint64_t offset) {
  Cursor cursor(file);
  const auto length = cursor.read<std::uint64_t>();
  if (!length || offset < 8) return "";
  const ByteSpan header = file.subspan(8);
  const std::string_view text =
      as_text(header.first(std::min<std::uint64_t>(header.size(), *length)));
  if (!is_utf8(text)) return "";
  TextArena texts;
  JsonReader json(text, 8, texts);
  if (!json.consume('{')) return "";
  do {
    json.peek();  // white space in front of the key
    if (json.offset() > offset) return "";
    std::string_view key;
    if (!json.read_string(key)) return "";
    // What is broken ends the walk at once: the error is there.
    const bool whole = json.consume(':') && json.skip_value(1);
    // An entry that lacks something is at fault where it ends.
    if (!whole || json.offset() >= offset) return std::string(key);
  } while (json.consume(','));
  return "";
}

}  // namespace tare::format
