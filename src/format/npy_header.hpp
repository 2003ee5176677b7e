// The header of a .npy file: what lies in it and where (docs/formats/npy.md).
#pragma once

#include "tensor/numpy_dtype.hpp"

namespace tare::format {

// True if the bytes begin like a .npy file.
bool is_npy(ByteSpan front);

struct NpyHeader {
  NumpyDType dtype;
  bool fortran_order = false;
  Shape shape;
  std::uint64_t data_offset = 0;  // bytes from the start of the file
  std::uint64_t data_bytes = 0;   // of all elements; 0 if they are objects, which are a pickle
  bool repeated_key = false;      // the last one counted; readers differ
};

// Reads the header; `bytes` is the file, or enough of it. Whether the data is there is not checked.
// Errors, with the offset: kWrongFormat, kTruncated, kUnsupported (version), kMalformed, kLimit,
// kOverflow.
Result<NpyHeader> parse_npy_header(ByteSpan bytes);

}  // namespace tare::format
