// Writes zip archives byte for byte as PyTorch does: stored records, 64-byte aligned by an "FB"
// extra field, sizes in data descriptors, a zip64 end record always (docs/formats/zip.md).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/atomic_file.hpp"

namespace tare::zip {

class Writer {
 public:
  // Takes the next bytes of the archive.
  using Sink = std::function<Result<void>(ByteSpan)>;

  // Record data starts at multiples of `alignment` bytes (1 to 65535) from the first byte that the
  // sink gets.
  explicit Writer(Sink sink, std::uint64_t alignment = 64)
      : sink_(std::move(sink)), alignment_(alignment) {}
  // `file` must be empty, and outlive the writer.
  explicit Writer(AtomicFile& file, std::uint64_t alignment = 64)
      : Writer([&file](ByteSpan bytes) { return file.write(bytes); }, alignment) {}

  // One record in one piece.
  Result<void> add(std::string_view name, ByteSpan content);

  // One record in pieces: begin with its size, then append exactly that many bytes, then end.
  Result<void> begin(std::string_view name, std::uint64_t size);
  Result<void> append(ByteSpan bytes);
  Result<void> end();

  // The central directory. Nothing can be added after that.
  Result<void> finish();

 private:
  struct Record {
    std::string name;
    std::uint64_t size = 0;
    std::uint64_t offset = 0;
    std::uint32_t crc32 = 0;
  };

  Result<void> write(ByteSpan bytes);

  Sink sink_;
  std::uint64_t alignment_;
  std::uint64_t written_ = 0;  // bytes
  std::vector<Record> records_;
  std::uint64_t left_ = 0;  // bytes still to be appended to the open record
};

}  // namespace tare::zip
