// A file that is JSON as one part of it.
#pragma once

#include "format/format.hpp"
#include "format/json_tree.hpp"

namespace tare::format {

// The whole file as a part of that kind; a key that stands there twice, of which readers take one
// or the other, is noted.
PartList json_parts(ByteSpan bytes, const JsonTree& tree, PartKind kind);
// The same, with the tree that it takes. Errors: those of JsonTree::parse().
Result<PartList> json_parts(ByteSpan bytes, PartKind kind);

}  // namespace tare::format
