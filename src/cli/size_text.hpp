// Sizes as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tare::cli {

// "5GB", "500 MiB", "1000000": bytes. Nothing for anything else, and for none.
std::optional<std::uint64_t> parse_size(std::string_view text);

// For CLI11: what is wrong with a size; empty if nothing is.
std::string size_fault(const std::string& text);

}  // namespace tare::cli
