// The records of a checkpoint of torch.save, written one after the other.
#pragma once

#include <functional>
#include <span>

#include "archive/zip_writer.hpp"
#include "tare/torch_save.hpp"

namespace tare::torch {

// A tensor of which only name, type and shape are known before its bytes come.
struct StreamedTensor {
  safetensors::TensorPlan plan;
  std::function<Result<void>(const ByteSink&)> stream;  // all elements, packed and row-major
};

// Writes an archive with a dict of these tensors, all records in the folder `stem`. Errors:
// kUnsupported (an element type that torch has not: F6), and those of the streams and of writing.
Result<void> write_state_dict(zip::Writer& archive, std::string_view stem,
                              std::span<const StreamedTensor> tensors, Layout layout);

}  // namespace tare::torch
