// Names that torch's pickles use for storages and element types.
#pragma once

#include <optional>
#include <string_view>

#include "tare/tensor.hpp"

namespace tare::format {

// "FloatStorage" to F32. Nothing for storages without a safetensors type (quantized, complex128).
std::optional<DType> dtype_of_storage_class(std::string_view name);
// F32 to "FloatStorage"; empty if there is none.
std::string_view storage_class_of(DType dtype);
// "float32", as in the global `torch float32`.
std::optional<DType> dtype_of_torch_name(std::string_view name);
// True for every storage class of torch, with or without a safetensors type.
bool is_storage_class(std::string_view name);

}  // namespace tare::format
