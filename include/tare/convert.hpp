// Conversion: select, plan, write, verify. The output appears whole or not at all, and is compared
// with its source tensor by tensor before it gets its name. No code of the input is run.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tare/model.hpp"
#include "tare/safetensors_writer.hpp"
#include "tare/select.hpp"

namespace tare {

enum class ConvertTarget : std::uint8_t {
  kSafetensors,
  kTorch,  // what torch.save writes for a dict of tensors
  kNpz,    // an array for each tensor
};

struct ConvertOptions {
  ConvertTarget target = ConvertTarget::kSafetensors;
  safetensors::Overwrite overwrite = safetensors::Overwrite::kNo;
  bool verify = true;
  bool file_sha256 = true;
  std::optional<DType> cast{};  // floating-point tensors as F16, BF16 or F32
  bool densify = false;         // sparse tensors as dense ones
  bool dequantize = false;      // quantized tensors as F32
  // Above 0: several files of at most so many bytes of tensors, and an index; a tensor that is
  // larger has a file of its own. Only for kSafetensors.
  std::uint64_t max_shard_bytes = 0;
  safetensors::Progress progress{};  // of the writing; with the number of tensor bytes so far
  bool dry_run = false;              // plan, and write nothing
};

struct WrittenFile {
  std::filesystem::path path;
  std::uint64_t bytes = 0;
  std::string sha256;  // empty if not asked for
};

struct ConvertSummary {
  std::vector<WrittenFile> files;  // an index last
  std::uint64_t tensors = 0;       // written
  std::uint64_t tensor_bytes = 0;
  std::uint64_t file_bytes = 0;
  // Tensors that are another one by a second name, with the name that is written; readers find
  // them in the metadata, as safetensors.torch.save_model() has it.
  std::map<std::string, std::string> tied;
  // Tensors that share memory with another one and are not it: each is written in full.
  std::uint64_t overlapping = 0;
  bool verified = false;
};

// Writes the selected tensors to `output`, with the metadata {"format": "pt"} that loaders of
// PyTorch weights look for, ties, and the scalars of the selection. With shards, `output` is the
// name that a single file would have; that is what is written if one is enough.
//
// Fails, with the tensor as the subject, on the first thing that cannot be written as it is:
// nothing is dropped silently. Errors: those of the problems in the selection, kNotFound (there is
// no tensor), kUnsupported (sparse, quantized and other special tensors without the option for
// them; element types that the target does not have), kInvalidArgument (names that the target
// cannot have), kLimit (a tensor repeats its storage to more than 1 GiB), kMismatch (what was
// written is not equal to its source), and those of the system, with the file as the subject.
std::expected<ConvertSummary, Failure> convert(const Selection& selection,
                                               const std::filesystem::path& output,
                                               const ConvertOptions& options = {});

// Compares every tensor of the selection, as convert() would write it, with that of the same name
// in a file. Errors: kMismatch, and those of reading.
std::expected<void, Failure> verify_converted(const Selection& selection,
                                              const std::filesystem::path& file,
                                              const ConvertOptions& options = {});

}  // namespace tare
