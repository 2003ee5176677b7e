// Checkpoints of TensorFlow: an index, and files beside it that hold the elements
// (docs/formats/tensorflow-checkpoint.md).
#pragma once

#include "tare/model.hpp"

namespace tare::format {

// The model of an index with its data files, which lie beside it and have its name with another
// end. Tensors whose file is missing or too short are problems of the model. Errors: those of
// read_table(), and kWrongFormat if the table is no such index.
std::expected<Model, Failure> open_tensor_bundle(const std::filesystem::path& path, Input input,
                                                 const OpenInput& open);

}  // namespace tare::format
