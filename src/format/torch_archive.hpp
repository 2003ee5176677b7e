// Zip archives in which torch keeps pickles with their storages beside them: those of torch.save,
// of TorchScript, of torch.package and of torch.export. Format: docs/formats/torch.md.
#pragma once

#include <memory>

#include "archive/zip_reader.hpp"
#include "format/format.hpp"
#include "object/document.hpp"

namespace tare::format {

enum class ArchiveKind : std::uint8_t {
  kTorchSave,
  kTorchScript,
  kTorchPackage,
  kTorchExport,
  kOther,
};
ArchiveKind kind_of_archive(const zip::Reader& archive);
// "torch-zip", "torchscript", "torch-package", "torch-export"; empty for kOther.
std::string_view name_of(ArchiveKind kind);

// The folder that all records of a torch archive stand in, with its slash: the text before the
// first slash of the first entry.
std::string_view folder_of(const zip::Reader& archive);

// As PyTorch compares the names of records.
std::string lower_case(std::string_view text);

// The tensors of an archive of one of torch's kinds. Errors: kWrongFormat (it has no pickle),
// kRefused (loaders would read different pickles), kUnsupported, and those of reading and running
// the pickle.
Result<ModelContents> read_torch_archive(zip::Reader archive, ReadContext& context);

// The document of an archive of torch.save that stands inside a pickle. Errors: likewise.
Result<std::unique_ptr<object::Document>> open_torch_archive(ByteSpan file, unsigned depth);

// A note on a tensor or storage that cannot be read: does it misfit, or is that not known?
void note_misfit(const Error& error, std::uint64_t offset, const std::string& path, PartList& list);
// Notes on every tensor and storage that a pickle makes, wherever it stands, and that does not fit
// its storage, or cannot be checked. `path` names the pickle.
void note_misfits(object::Document& document, const std::string& path, PartList& list);

}  // namespace tare::format
