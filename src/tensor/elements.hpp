// Elements that are stored as something else than they are: in the other byte order, conjugated,
// negated, or as another floating-point type.
#pragma once

#include "tare/tensor.hpp"

namespace tare {

// Converts all elements of `in`, which are stored as `stored` says, to `dtype`, little-endian. `in`
// holds whole elements, `out` has room for as many of `dtype`; can_cast() was asked.
void read_elements(const Stored& stored, ByteSpan in, DType dtype, std::byte* out);

}  // namespace tare
