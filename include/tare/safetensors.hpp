// safetensors: a header of JSON, then the bytes of the tensors. Format:
// docs/formats/safetensors.md.
//
// parse() validates everything in one call; there is no way to get tensors out of a file that was
// not validated. What two readers could read differently (duplicate names, unknown fields) is an
// error here.
#pragma once

#include <filesystem>
#include <functional>
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

// What to write: the tensors in any order; save() sorts them as the reference does and writes the
// elements of each in row-major order.
struct TensorToSave {
  std::string name;
  TensorView view;
};

struct SaveResult {
  std::uint64_t file_bytes = 0;
  std::string sha256;  // of the whole file
};

enum class Overwrite : bool { kNo, kYes };

// The header as it stands in the file: length, JSON, padding. Sorts `tensors` into file order.
// Errors: kInvalidArgument (duplicate or reserved name), kOverflow, kLimit.
Result<std::vector<std::byte>> plan_header(std::vector<TensorToSave>& tensors,
                                           const Metadata& metadata);

// Called with the number of tensor bytes written so far.
using Progress = std::function<void(std::uint64_t)>;

// Called with the temporary file when everything is written and before it gets its name; an error
// keeps the output from appearing.
using BeforeCommit = std::function<Result<void>(const std::filesystem::path&)>;

// Writes a file that appears whole or not at all. Same tensors and metadata, same bytes. Memory:
// the header and a megabyte.
Result<SaveResult> save(const std::filesystem::path& path, std::vector<TensorToSave> tensors,
                        const Metadata& metadata, Overwrite overwrite = Overwrite::kNo,
                        const Progress& progress = {}, const BeforeCommit& before_commit = {});

}  // namespace tare::safetensors
