// Objects of Torch7 (.t7), binary and text (docs/formats/torch7.md).
#pragma once

#include <map>

#include "format/format.hpp"

namespace tare::format {

struct Torch7View {
  // A function, which stands there as bytecode or source of Lua.
  struct Function {
    std::string path;
    std::uint64_t offset;  // of the code
    ByteSpan code;
  };

  ModelContents contents;
  std::vector<Function> functions;
  std::map<std::string, std::uint64_t, std::less<>> classes;  // with the place of the first object
  std::vector<Note> notes;
  std::uint64_t misfits = 0;  // tensors that do not fit their storage, noted or not
  std::vector<Part> data;     // elements of storages
  std::uint64_t end = 0;      // of the object
};

// Errors: kTruncated, kMalformed, kUnsupported (objects that tare does not read), kLimit (names of
// more than 64 MiB and the file, 10,000 objects in each other).
Result<Torch7View> read_torch7(ByteSpan bytes);

}  // namespace tare::format
