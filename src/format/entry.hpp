// Finds the pickle that a person means: PATH, or PATH!ENTRY for an entry of an archive.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tare/input.hpp"

namespace tare::format {

// The bytes of one entry. `bytes` is a view of `input` or of `inflated`.
struct OpenedEntry {
  Input input;
  std::vector<std::byte> inflated;
  ByteSpan bytes;
  std::string name;  // "model.pt!model/data.pkl"; the path alone for a bare file
};

// `spec` is PATH if such a file exists; otherwise the text before its last '!' is the path, and the
// rest names an entry: exactly, or by its last components ("data.pkl"). An archive without ENTRY
// means its data.pkl, or its only pickle. Any other file is taken as it is, pickle or not: what
// breaks is for the reader to show. Errors: those of Input::map() and of the archive, kNotFound (no
// such entry), kInvalidArgument (several entries fit).
Result<OpenedEntry> open_pickle_entry(std::string_view spec);

}  // namespace tare::format
