// Special tensors as dense ones: what a sparse or quantized tensor amounts to, element by element.
#pragma once

#include "tare/named_tensor.hpp"

namespace tare {

// Hands the elements of a sparse tensor to `sink`, zeros included, row-major. Entries of one place
// are added up. Memory: the dense tensor. Errors: kUnsupported (the kind), kMalformed (indices
// outside of the shape, parts that do not fit each other), kLimit (above 4 GiB), and those of the
// sink.
Result<void> stream_dense(const SpecialTensor& tensor, const ByteSink& sink);

// Hands the F32 that a quantized tensor stands for to `sink`: (element - zero_point) * scale.
// Errors: kUnsupported (the kind), kMalformed (parts that do not fit each other), and those of the
// sink.
Result<void> stream_dequantized(const SpecialTensor& tensor, const ByteSink& sink);

bool is_sparse(SpecialKind kind);
bool is_quantized(SpecialKind kind);

}  // namespace tare
