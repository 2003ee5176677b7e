// Sharded models: an index, as Hugging Face writes it, names the file that holds each tensor.
// Format: docs/formats/shards.md.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/json_reader.hpp"
#include "tare/model.hpp"

namespace tare::format {

inline constexpr std::uint64_t kMaxIndexBytes = 100'000'000;
inline constexpr std::size_t kMaxShards = 16'384;

// Whether a text is the name of a file in the same folder, on any system.
bool is_plain_name(std::string_view name);

// An index. Its texts live as long as it and the bytes it was read from.
struct ShardIndex {
  struct Entry {
    std::string_view tensor;
    std::uint32_t shard;
  };

  std::vector<std::string> shards;              // file names, sorted
  std::vector<Entry> entries;                   // sorted by the name of the tensor
  std::map<std::string, std::string> metadata;  // strings, and scalars as they are written
  TextArena texts;

  // nullptr if the index does not list the tensor.
  const Entry* find(std::string_view tensor) const;
};

// Whether the bytes are an index: a JSON object that opens with '{' and has the key "weight_map".
// What is broken behind that key is still meant as one.
bool is_shard_index(ByteSpan bytes);

// Errors: kMalformed with the offset, kRefused (a shard that is no plain file name in the folder of
// the index, a tensor or a key that is listed twice), kLimit; with the name they are about.
std::expected<ShardIndex, Failure> read_shard_index(ByteSpan bytes);

// Opens one file of a model; what is an index itself is refused.
std::expected<Model, Failure> open_one(const std::filesystem::path& path,
                                       const OpenInput& open = Input::map);

// Opens several files and makes one model of them. Errors: kMismatch (a tensor is in two of them),
// kLimit, and those of open_model() for a file, with its path.
std::expected<Model, Failure> join_files(std::span<const std::filesystem::path> paths);

// Opens every shard and makes one model of them. Errors: those of read_shard_index(), and of
// open_model() for a shard, with its name. What the index and the shards do not agree in becomes a
// problem of the model: a tensor that its shard does not hold, and one of a shard that the index
// does not list or lists elsewhere.
std::expected<Model, Failure> open_shards(const std::filesystem::path& index, Input input,
                                          const OpenInput& open);

}  // namespace tare::format
