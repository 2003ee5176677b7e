// Text of a file as evidence: one line, printable ASCII, not too long.
#pragma once

#include <string>
#include <string_view>

namespace tare {

// `text` with '?' for every other byte and spaces for line ends, up to `most` characters.
std::string excerpt(std::string_view text, std::size_t most = 200);

// A name, with '?' for every byte that is not printable ASCII, up to 200 characters.
std::string shown(std::string_view name);

// The line around `position`, from its first word on.
std::string line_around(std::string_view text, std::size_t position);

}  // namespace tare
