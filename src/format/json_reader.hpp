// A pull reader for JSON (RFC 8259) in hostile headers: no recursion, no copy of what is skipped,
// every error with its offset. It reads exactly the grammar that serde_json does: no comments, no
// trailing commas, no lone surrogates, no control bytes in strings.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tare/error.hpp"

namespace tare::format {

class JsonReader {
 public:
  // Offsets in errors count from `base`. `text` must be UTF-8 (check it first).
  JsonReader(std::string_view text, std::uint64_t base) : text_(text), base_(base) {}

  std::uint64_t offset() const { return base_ + at_; }
  bool at_end();

  // Consumes `c` if it is the next character after white space.
  bool consume(char c);
  Result<void> expect(char c, const char* what);
  Result<std::string> read_string();
  // A number without sign, fraction and exponent.
  Result<std::uint64_t> read_u64();

 private:
  void skip_space();
  std::unexpected<Error> error(const char* what) const {
    return fail(ErrorCode::kMalformed, what, offset());
  }
  Result<void> read_escape(std::string& out);
  std::optional<std::uint32_t> read_hex4();

  std::string_view text_;
  std::uint64_t base_;
  std::size_t at_ = 0;
};

}  // namespace tare::format
