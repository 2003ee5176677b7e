// Arrays of zarr, version 2 (docs/formats/orbax.md).
#pragma once

#include "tare/model.hpp"

namespace tare::format {

// The array of a `.zarray` with its chunks, which are files beside it. A chunk that is missing, or
// that tare cannot decode, is a problem of the model. Errors: kMalformed, kUnsupported.
std::expected<Model, Failure> open_zarr(const std::filesystem::path& path, Input input,
                                        const OpenInput& open);

}  // namespace tare::format
