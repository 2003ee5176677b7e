// Reports as text for people. Everything that comes from a file is escaped to printable ASCII.
#pragma once

#include <string>
#include <string_view>

#include "tare/model.hpp"
#include "tare/scan.hpp"

namespace tare::report {

// Whether to use terminal colours.
enum class Colour : bool { kNo, kYes };

// Printable ASCII as it is, everything else as \xNN.
std::string printable(std::string_view text);

// 1536 as "1.5 KiB".
std::string human_bytes(std::uint64_t bytes);

// "[3, 224, 224]".
std::string shape_text(const Shape& shape);

// An Error as a sentence part: its text, the system's message, the offset.
std::string error_text(const Error& error);

// The verdict of a file and its findings.
std::string scan_text(std::string_view path, const ScanReport& report, Colour colour);

// Tensors, metadata, imports, problems.
std::string inspect_text(std::string_view path, const Model& model);

}  // namespace tare::report
