// Writes numpy's formats: arrays in an .npz archive (docs/formats/npy.md).
#pragma once

#include <span>

#include "archive/zip_writer.hpp"
#include "format/torch_writer.hpp"

namespace tare::npy {

// The bytes in front of an array of these elements, row-major: version 1.0, or 2.0 if the shape
// needs more room. Errors: kUnsupported for element types that numpy does not have.
Result<std::vector<std::byte>> header_of(DType dtype, const Shape& shape);

// Writes an archive with an array NAME.npy for each tensor. Errors: those of header_of() and of the
// streams and of writing.
Result<void> write_npz(zip::Writer& archive, std::span<const torch::StreamedTensor> tensors);

}  // namespace tare::npy
