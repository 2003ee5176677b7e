// Writes safetensors files byte for byte as the reference implementation does. Format:
// docs/formats/safetensors.md.
//
// The header is planned from names, types and shapes alone, so that what is wrong is told before
// the first byte is written; then the tensors follow in the order of the file, from memory, from
// ranges of other files or from a function. Memory: the header and ten megabytes, whatever the size
// of the model. The file appears under its name complete and on disk, or not at all.
//
// A Writer belongs to one thread at a time; several of them may work at once.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tare/safetensors.hpp"

namespace tare::safetensors {

// What is known of a tensor before its bytes are.
struct TensorPlan {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
};

// A tensor at its place in the file.
struct PlacedTensor {
  TensorPlan tensor;
  std::uint64_t begin = 0;  // bytes from the start of the data section
  std::uint64_t end = 0;
  std::size_t index = 0;  // in the vector that was planned
};

struct FilePlan {
  std::vector<PlacedTensor> order;  // as in the file: by type, then by the bytes of the name
  std::vector<std::byte> header;    // as it stands in the file: length, JSON, padding
  std::uint64_t file_bytes = 0;     // header and tensors
};

// Whether an empty `__metadata__` is left out, or written as `{}`; other readers can tell.
enum class EmptyMetadata : bool { kLeaveOut, kWrite };

// Lays out a file. The same tensors and metadata in any order give the same plan. Errors:
// kInvalidArgument (two tensors of one name, the name `__metadata__`, text that is not UTF-8),
// kUnsupported (C32, C128), kOverflow (a shape, or all tensors together), kMalformed (packed
// elements that do not fill bytes), kLimit (a header above kMaxHeaderBytes).
Result<FilePlan> plan_file(std::vector<TensorPlan> tensors, const Metadata& metadata,
                           EmptyMetadata empty = EmptyMetadata::kLeaveOut);

enum class Overwrite : bool { kNo, kYes };

// Called with the number of tensor bytes written so far, after each tensor.
using Progress = std::function<void(std::uint64_t)>;

// Called with the temporary file when everything is written and before it gets its name; an error
// keeps the output from appearing.
using BeforeCommit = std::function<Result<void>(const std::filesystem::path&)>;

struct WriteOptions {
  Overwrite overwrite = Overwrite::kNo;
  EmptyMetadata empty_metadata = EmptyMetadata::kLeaveOut;
  bool file_sha256 = false;    // of the whole file, computed while it is written
  bool tensor_sha256 = false;  // of the bytes of each tensor
  Progress progress{};
  BeforeCommit before_commit{};
};

struct WriteSummary {
  std::uint64_t file_bytes = 0;
  std::string sha256;                      // of the whole file; empty if not asked for
  std::vector<std::string> tensor_sha256;  // in the order of the file; empty if not asked for
};

// Gives the bytes of a tensor from `offset` on (bytes from its start) into all of `out`.
using TensorSource = std::function<Result<void>(std::uint64_t offset, std::span<std::byte> out)>;

// A file that is being written:
//
//   auto writer = Writer::create(path, {{"w", DType::kF32, {2, 3}}}, {});
//   for (const PlacedTensor& placed : writer->order()) {
//     writer->begin(placed.tensor.name);
//     writer->write(...);
//   }
//   writer->finish();
//
// After any error the file is given up: later calls return that error again. Without a successful
// finish() nothing appears and nothing is left behind. Errors of the system: kNoSpace, kIo,
// kNoPermission, kNotFound.
class Writer {
 public:
  // Plans the file, reserves its space on disk where the file system can, and writes the header.
  // Errors: those of plan_file() before anything is created; kExists if `path` exists and is not
  // to be overwritten; kNotAFile if it is a directory or device.
  static Result<Writer> create(const std::filesystem::path& path, std::vector<TensorPlan> tensors,
                               const Metadata& metadata, const WriteOptions& options = {});

  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) = delete;
  ~Writer();

  // The tensors in the order in which their bytes must come.
  const std::vector<PlacedTensor>& order() const;

  // Starts the next tensor. Errors: kInvalidArgument if `name` is not the next one in order(), or
  // if the tensor before is not complete.
  Result<void> begin(std::string_view name);

  // The next bytes of the tensor: packed, row-major, little-endian. Errors: kInvalidArgument if
  // they are more than the tensor has.
  Result<void> write(ByteSpan bytes);
  // The same from a range of an open file, whose own position does not count and stays. The kernel
  // copies where it can. Errors: also kTruncated if the file ends inside the range.
  Result<void> write_range(int fd, std::uint64_t offset, std::uint64_t length);
  // All that is left of the tensor, asked for in pieces of at most 1 MiB. Errors: also those of
  // `source`.
  Result<void> write_from(const TensorSource& source);

  // Puts the file on disk and gives it its name. Errors: kInvalidArgument if a tensor is missing or
  // incomplete; kExists if another process made the file meanwhile and it is not to be overwritten.
  // If only the flush of the directory fails, the error is kIo and the new file is in place.
  Result<WriteSummary> finish();

 private:
  struct State;
  explicit Writer(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

// A tensor to save() as a view of memory with any strides.
struct TensorToSave {
  std::string name;
  TensorView view;
};

// Writes tensors from memory, given in any order, with a Writer. Errors: those of Writer and of
// check_view(); kUnsupported for non-contiguous tensors of packed types.
Result<WriteSummary> save(const std::filesystem::path& path,
                          const std::vector<TensorToSave>& tensors, const Metadata& metadata,
                          const WriteOptions& options = {});

}  // namespace tare::safetensors
