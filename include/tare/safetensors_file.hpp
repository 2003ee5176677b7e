// An open safetensors file: its validated header, and its tensors in place, copied, or sliced.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "tare/input.hpp"
#include "tare/safetensors.hpp"
#include "tare/slice.hpp"

namespace tare::safetensors {

// How tensors are reached.
enum class Access : std::uint8_t {
  // Through a mapping: no copy, and what is not touched is not read. If another process makes the
  // file shorter meanwhile, touching what is gone raises SIGBUS, which ends the process; if it
  // writes into the file, the bytes change. The header is a copy, and stays as it was validated.
  kMap,
  // By pread: a file that shrinks is an error (kTruncated). For network file systems, and for
  // files that others write.
  kRead,
};

struct OpenOptions {
  Rules rules = Rules::kStrict;
  Access access = Access::kMap;
};

struct ReadOptions {
  unsigned threads = 0;     // 0: as many as there are processors, 16 at most
  bool past_cache = false;  // O_DIRECT, where the file system has it: for what is read only once
};

// Movable; safe to read from several threads.
class File {
 public:
  // Validates the whole file: parse() has the errors, RegularFile those of the system.
  static Result<File> open(const std::filesystem::path& path, const OpenOptions& options = {});

  File(File&&) noexcept;
  File& operator=(File&&) noexcept;
  ~File();

  const Header& header() const;
  Access access() const;

  // A tensor in place, valid as long as the File. Only with Access::kMap.
  ByteSpan bytes(const TensorEntry& tensor) const;
  // Copies a tensor to `out`, which has its byte_count().
  Result<void> read(const TensorEntry& tensor, std::span<std::byte> out) const;
  // Copies bytes of a tensor, from `first` on. Errors: kInvalidArgument outside the tensor.
  Result<void> read_range(const TensorEntry& tensor, std::uint64_t first,
                          std::span<std::byte> out) const;
  // Copies a slice: `plan` was made for the dtype and shape of `tensor`, `out` has its
  // byte_count(). By pread, runs less than a page apart are read together, others one by one.
  Result<void> read_slice(const TensorEntry& tensor, const SlicePlan& plan,
                          std::span<std::byte> out) const;

  // Copies many tensors by several threads at once, each to its own place. The first error ends
  // it; what is in the places then is not defined.
  struct Request {
    const TensorEntry* tensor;
    std::span<std::byte> out;
  };
  Result<void> read_all(std::span<const Request> requests, const ReadOptions& options = {}) const;

 private:
  struct State;

  explicit File(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace tare::safetensors
