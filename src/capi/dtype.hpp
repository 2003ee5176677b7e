// The numbers that element types have in C, which stay what they are.
#pragma once

#include <optional>

#include "tare/tare.h"
#include "tare/tensor.hpp"

namespace tare::capi {

// Nothing for other numbers.
std::optional<DType> dtype_of(tare_dtype number);
tare_dtype number_of(DType dtype);

}  // namespace tare::capi
