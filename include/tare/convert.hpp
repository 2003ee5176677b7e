// Conversion: plan, write, verify. The output appears whole or not at all, and is compared with its
// source tensor by tensor before it is called done. No code of the input is run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tare/model.hpp"
#include "tare/safetensors_writer.hpp"

namespace tare {

struct ConvertOptions {
  safetensors::Overwrite overwrite = safetensors::Overwrite::kNo;
  bool verify = true;
  safetensors::Progress progress;
};

struct ConvertSummary {
  std::uint64_t tensors = 0;
  std::uint64_t tensor_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t shared = 0;  // tensors whose elements another tensor holds as well, written in full
  std::string sha256;        // of the output
  bool verified = false;
};

// What failed, and for which tensor or key.
struct ConvertFailure {
  Error error;
  std::string subject;
};

// Writes the tensors of `model` as safetensors, with the metadata {"format": "pt"} that loaders of
// PyTorch weights look for. Fails on the first thing in the model that is no readable tensor:
// nothing is dropped silently.
std::expected<ConvertSummary, ConvertFailure> convert_to_safetensors(
    const Model& model, const std::filesystem::path& output, const ConvertOptions& options = {});

// Compares every tensor of `model` with the one of the same name in a safetensors file: name,
// dtype, shape, bytes (so that NaNs compare). Errors: kMismatch with the tensor's name.
std::expected<void, ConvertFailure> verify_safetensors(const Model& model,
                                                       const std::filesystem::path& output);

}  // namespace tare
