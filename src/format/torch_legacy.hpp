// Stacked pickles: what torch.save wrote up to 1.5, and still writes with
// _use_new_zipfile_serialization=False. Format: docs/formats/torch.md.
#pragma once

#include <memory>

#include "format/format.hpp"
#include "object/document.hpp"

namespace tare::format {

// True if the first pickle is torch's magic number.
bool is_torch_legacy(ByteSpan bytes);

// The document of such a file that stands inside a pickle. Errors: those of reading it.
Result<std::unique_ptr<object::Document>> open_torch_legacy(ByteSpan file, unsigned depth);

}  // namespace tare::format
