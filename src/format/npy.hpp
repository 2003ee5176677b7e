// Arrays of numpy in files: .npy and .npz. Format: docs/formats/npy.md.
#pragma once

#include <string>
#include <vector>

#include "format/format.hpp"
#include "format/members.hpp"
#include "object/object_forest.hpp"

namespace tare::format {

// An .npz archive: each member an array by its name without `.npy`; a member that is no array is
// left out. A member that cannot be read is a problem of the contents.
Result<ModelContents> contents_of_npz(const std::vector<Member>& members);

// True if the names are those of an .npz archive.
bool is_npz(const std::vector<std::string>& names);

}  // namespace tare::format
