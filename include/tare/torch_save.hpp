// Writes files in the layout of torch.save: a zip archive with a pickle and raw storages, byte for
// byte as PyTorch writes them (docs/formats/torch.md), except for the digits of
// `.data/serialization_id`, which PyTorch derives from the hash function of its C++ library.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tare/safetensors_writer.hpp"

namespace tare::torch {

enum class Layout : std::uint8_t {
  kTorch1,  // 1.6 to 2.0: data.pkl, data/KEY in string order, version
  kTorch2,  // 2.7 and later: also format version, alignment, byte order, serialization id
};

// A record of the archive, under the folder that is named after the file.
struct Record {
  std::string name;
  ByteSpan bytes;
};

// The archive of torch.save for any pickle. `storages`: the records data/KEY by KEY, in order of
// first use. Returns the bytes written. Errors: those of writing a file.
Result<std::uint64_t> save_pickle(const std::filesystem::path& path, ByteSpan data_pkl,
                                  std::vector<Record> storages, Layout layout,
                                  safetensors::Overwrite overwrite);

// An archive of exactly these records, aligned as torch does.
Result<std::uint64_t> save_records(const std::filesystem::path& path,
                                   const std::vector<Record>& records,
                                   safetensors::Overwrite overwrite);

// What torch.save({name: tensor, ...}) writes for tensors that are contiguous and on the CPU; views
// with strides become such. Types without a storage class of their own (U16, F8 ...) are written as
// torch 2.1 and later do. Errors: kUnsupported (F6, strided packed types), those of check_view()
// and of writing a file.
Result<std::uint64_t> save_state_dict(const std::filesystem::path& path,
                                      const std::vector<safetensors::TensorToSave>& tensors,
                                      Layout layout, safetensors::Overwrite overwrite);

}  // namespace tare::torch
