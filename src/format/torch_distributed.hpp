// Distributed checkpoints of PyTorch (torch.distributed.checkpoint): metadata, which is a pickle,
// and files in which each part of a tensor is a file of torch.save. Format:
// docs/formats/torch-distributed.md.
#pragma once

#include <filesystem>

#include "format/distributed_metadata.hpp"

namespace tare::format {

// Makes one model of the checkpoint: tensors are put together from their parts, objects stand in
// one tree under the keys that they had. A tensor or object that cannot be read is a problem of the
// model. `metadata` was read from `input`, the file at `path`. Errors: those of opening a file,
// with its name; kLimit.
std::expected<Model, Failure> open_distributed(const std::filesystem::path& path, Input input,
                                               DistributedMetadata metadata,
                                               const OpenInput& open = Input::map);

}  // namespace tare::format
