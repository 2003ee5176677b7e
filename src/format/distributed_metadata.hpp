// What the metadata of a distributed checkpoint of PyTorch says: which tensors and objects there
// are, and where in which file each part of them lies. Format: docs/formats/torch-distributed.md.
#pragma once

#include <expected>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "tare/model.hpp"

namespace tare::format {

inline constexpr std::uint64_t kMaxMetadataBytes = std::uint64_t{1} << 30;
// The name of the metadata in the folder of a checkpoint.
inline constexpr const char* kMetadataName = ".metadata";

// A file inside of a file.
struct StoredPart {
  std::uint32_t file = 0;  // in DistributedMetadata::files
  FileRange range;
};

// A rectangular part of a tensor.
struct StoredChunk {
  Shape start;
  Shape shape;
  StoredPart part;
};

struct StoredTensor {
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<StoredChunk> chunks;
};

// An entry of the checkpoint: a tensor, or an object that has a file of its own.
struct StoredEntry {
  std::string name;               // "model.weight"
  std::vector<std::string> path;  // what the name is joined of; the name alone if that is not known
  Result<std::variant<StoredTensor, StoredPart>> content;
};

struct DistributedMetadata {
  struct File {
    std::string name;               // plain
    std::vector<FileRange> ranges;  // of all that lies in it, in order, each once
  };

  std::vector<File> files;  // by name
  std::vector<StoredEntry> entries;
  std::set<std::string> imports;
};

// Whether the bytes begin as such metadata does: a pickle that makes one of the classes for it.
bool is_distributed_metadata(ByteSpan bytes);

// Errors: kLimit (more than 1 GiB, more than 16,384 files, objects that share each other again and
// again), kWrongFormat (another object), kMalformed, kRefused (a file that is no plain name in the
// same folder), and those of running the pickle; with the name they are about.
std::expected<DistributedMetadata, Failure> read_distributed_metadata(ByteSpan bytes);

}  // namespace tare::format
