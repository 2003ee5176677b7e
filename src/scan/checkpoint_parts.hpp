// Which files of a distributed checkpoint consist of which parts.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tare/model.hpp"

namespace tare {

// By the plain name of the file, beside the metadata.
using CheckpointParts = std::map<std::string, std::vector<FileRange>>;

// What the bytes of a `.metadata` say; nothing if they cannot be read.
CheckpointParts checkpoint_parts(ByteSpan metadata);

}  // namespace tare
