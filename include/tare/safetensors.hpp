// Reads safetensors: a header of JSON, then the bytes of the tensors. Format:
// docs/formats/safetensors.md.
//
// parse() validates everything in one call; there is no way to get tensors out of a file that was
// not validated. What two readers could read differently (duplicate names, unknown fields) is an
// error here.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"
#include "tare/tensor.hpp"

namespace tare::safetensors {

// The largest header that readers accept, in bytes. Source: the reference implementation.
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

using Metadata = std::map<std::string, std::string>;

struct TensorEntry {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::uint64_t begin = 0;  // bytes from the start of the data section
  std::uint64_t end = 0;
};

struct Header {
  Metadata metadata;
  bool has_metadata = false;
  std::vector<TensorEntry> tensors;  // by position in the file
  std::uint64_t data_offset = 0;     // of the data section from the start of the file
  std::string_view json;             // a view of the file, padding included
};

// Validates a whole file and returns its header. Errors: kTruncated, kMalformed, kOverflow,
// kUnsupported (unknown dtype), kLimit (header above kMaxHeaderBytes).
Result<Header> parse(ByteSpan file);

}  // namespace tare::safetensors
