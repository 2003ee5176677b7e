// The files that a conversion can write. Each function writes one into a file that is not committed
// yet; what fails leaves nothing.
#pragma once

#include <filesystem>
#include <string>

#include "convert/plan.hpp"
#include "io/atomic_file.hpp"

namespace tare {

// Called with the number of tensor bytes written by this call so far.
using WriteProgress = std::function<void(std::uint64_t)>;

// What was written, and what failed for which tensor. `sources`: files that tensors may be mapped
// from.
std::expected<WrittenFile, Failure> write_target(
    AtomicFile& file, const std::filesystem::path& path, std::span<const PlannedTensor> tensors,
    const safetensors::Metadata& metadata, const ConvertOptions& options,
    std::span<const ModelFile> sources, const WriteProgress& progress);

// Compares what was written at `place` with the tensors. With a `digest`, of sources that are
// costly to read twice, the file has to have this SHA-256 in place of the bytes of each tensor.
// Errors: kMismatch, with the tensor.
std::expected<void, Failure> verify_target(const std::filesystem::path& place,
                                           std::span<const PlannedTensor> tensors,
                                           const ConvertOptions& options,
                                           std::span<const ModelFile> sources,
                                           const std::string& digest = "");

}  // namespace tare
