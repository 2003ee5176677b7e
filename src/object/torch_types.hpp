// Names that torch's pickles use for storages, element types and layouts.
#pragma once

#include <optional>
#include <string_view>

#include "tare/tensor.hpp"

namespace tare::object {

// A class of torch storages.
struct StorageClass {
  std::string_view name;       // "FloatStorage"
  std::optional<DType> dtype;  // of its elements; nothing if they are quantized
  unsigned bits;               // of an element
};
// Nothing for a name that is no storage class.
const StorageClass* find_storage_class(std::string_view name);
// F32 to "FloatStorage"; empty if there is none.
std::string_view storage_class_of(DType dtype);

// "float32", as in the global `torch float32`. float4_e2m1fn_x2 is not among them: its elements are
// pairs.
std::optional<DType> dtype_of_torch_name(std::string_view name);
// The inverse; empty for types that torch has not (F6).
std::string_view torch_name_of(DType dtype);

// True for every name of an element type in the module torch, those that have no tensors here as
// well ("bits8", "quint8", "uint4").
bool is_torch_dtype_name(std::string_view name);

// Why a tensor of a type without a DType is not read: a literal for an Error, with the name in it.
const char* unread_type_text(std::string_view torch_name);

}  // namespace tare::object
