// How a model is spread over files, and the index that says so. Names and layout are those of the
// Hugging Face hub: model-00001-of-00002.safetensors, model.safetensors.index.json
// (docs/formats/shards.md).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "convert/plan.hpp"

namespace tare {

// The tensors of one file: a range of those of the plan.
struct Shard {
  std::filesystem::path path;
  std::size_t first = 0;
  std::size_t count = 0;
};

// Fills one file after the other, in the order of the plan. A single file has the name `output`.
std::vector<Shard> plan_shards(const ConvertPlan& plan, const std::filesystem::path& output,
                               std::uint64_t max_bytes);

// The name of the index beside a file of that name.
std::filesystem::path index_path(const std::filesystem::path& output);

// The text of the index: the total size, ties, and the file of each tensor. Errors:
// kInvalidArgument (a name that is not UTF-8).
Result<std::string> index_text(const ConvertPlan& plan, const std::vector<Shard>& shards);

// Files in the folder of `output` that look like shards of it and are none of `shards`: what an
// earlier conversion left.
std::vector<std::filesystem::path> stale_shards(const std::vector<Shard>& shards,
                                                const std::filesystem::path& output);

}  // namespace tare
