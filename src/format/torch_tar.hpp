// Checkpoints of torch before 0.1.10: a tar archive with the members `storages`, `tensors` and
// `pickle`. Format: docs/formats/torch.md.
#pragma once

#include "archive/tar_reader.hpp"
#include "format/format.hpp"

namespace tare::format {

bool is_torch_tar(const tar::Reader& archive);

// Errors: those of reading the members.
Result<ModelContents> read_torch_tar(const tar::Reader& archive);

// True for a member that the reader of such archives takes. Of several of one name it takes one.
bool is_torch_member(const tar::Reader& archive, const tar::Member& member);

// The pickles in these members, and the data between them.
void add_torch_tar_parts(const tar::Reader& archive, PartList& list);

}  // namespace tare::format
