// The files that mapped tensors stand in, for the kernel to copy from.
#pragma once

#include <optional>
#include <span>

#include "io/regular_file.hpp"
#include "tare/model.hpp"

namespace tare {

// Whether one of them is.
bool are_paged(std::span<const ModelFile> files);

class SourceFiles {
 public:
  explicit SourceFiles(std::span<const ModelFile> files) : files_(files) {}

  struct Range {
    int fd;  // stays open until the next call
    std::uint64_t offset;
  };
  // Where the bytes are in one of the files; nothing if they are in none, or if its name belongs to
  // another file by now.
  std::optional<Range> find(ByteSpan bytes);
  // Whether they are costly to read twice (Input::is_paged).
  bool is_paged(ByteSpan bytes) const {
    const ModelFile* const file = file_of(bytes);
    return file != nullptr && file->input.is_paged();
  }
  // They are about to be read, from front to back.
  void expect(ByteSpan bytes) const;
  // Gives back the memory of bytes that are mapped from one of the files. Any thread.
  void drop(ByteSpan bytes) const;

 private:
  const ModelFile* file_of(ByteSpan bytes) const;

  std::span<const ModelFile> files_;
  const ModelFile* open_file_ = nullptr;  // the one that was asked for last
  std::optional<RegularFile> file_;
};

}  // namespace tare
