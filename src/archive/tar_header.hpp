// What one header block of a tar archive says, and one pax record, as Python's tarfile reads them.
#pragma once

#include <optional>
#include <string_view>

#include "io/cursor.hpp"

namespace tare::tar {

inline constexpr std::uint64_t kBlockBytes = 512;

struct Number {
  std::uint64_t magnitude = 0;  // UINT64_MAX if it is larger
  bool negative = false;
  bool odd = false;  // readers other than Python take it for something else, or for nothing
};

// What Python's int(text, base) makes of it; base is 8 or 10.
std::optional<Number> python_int(std::string_view text, unsigned base);

// Views of the block.
struct HeaderView {
  std::string_view name;
  std::string_view link_target;
  std::string_view prefix;
  std::uint64_t size = 0;  // 0 if it is negative, as for Python before 3.14
  char type = '\0';
  bool is_posix = false;        // the magic says that there is a prefix
  bool has_odd_number = false;  // any of the fields
  bool has_more_holes = false;  // GNU sparse: a block of the map follows
};

// Nothing unless the checksum is right and every number is one. `block` has kBlockBytes.
std::optional<HeaderView> parse_header(ByteSpan block);

// True if a block of the map of a GNU sparse file says that one more follows.
bool has_more_holes(ByteSpan map_block);

// Text up to a NUL.
std::string_view text_field(ByteSpan field);

struct PaxRecord {
  std::string_view key;
  std::string_view value;
};

// The record at the cursor. Nothing if it is broken.
std::optional<PaxRecord> read_pax_record(Cursor& cursor);

}  // namespace tare::tar
