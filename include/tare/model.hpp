// A model file of any format that tare reads, as a list of tensors.
//
// open_model() maps the file, finds out by content what it is, and reads its structure; no tensor
// data is touched and no code of the file is run. Tensors are views into the mapping, valid as long
// as the Model lives.
#pragma once

#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tare/input.hpp"
#include "tare/named_tensor.hpp"
#include "tare/objects.hpp"

namespace tare {

// Something in the file that could not be read. The rest stays readable.
struct Problem {
  std::string subject;  // the tensor, key or entry it is about
  Error error;
};

// An Error and what it is about: a file, a tensor, a key. Empty if that is the model as a whole.
struct Failure : Error {
  Failure(const Error& error, std::string about = "") : Error(error), subject(std::move(about)) {}

  std::string subject;  // text of the input, not fit for a terminal as it is
};

// What a format says about a file.
struct ModelContents {
  std::string_view format;                      // which variant of a format this is, if it says
  std::vector<NamedTensor> tensors;             // in file order; names are paths (docs/models.md)
  std::vector<SpecialTensor> specials;          // sparse, quantized and others
  std::map<std::string, std::string> metadata;  // texts that the format keeps beside the tensors
  std::vector<std::string> imports;             // "module.name" of a pickle's imports, sorted, once
  std::vector<Problem> problems;
  // Everything in the file, for formats that hold objects; otherwise null.
  std::shared_ptr<Objects> objects;
  // Keep alive what the tensors are views of, besides the file.
  std::vector<std::shared_ptr<const void>> owners;

  // Of all tensors, packed.
  std::uint64_t tensor_bytes() const;
};

// A place in a file, in bytes.
struct FileRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  friend auto operator<=>(const FileRange&, const FileRange&) = default;
};

// One of the files that a model is made of.
struct ModelFile {
  std::string name;  // in the folder of the index; empty for the index, and a model of one file
  Input input;
  bool is_index = false;  // holds no tensors, but says which file does
  // Files inside of it, by offset, that loaders read one by one; nothing if it is one file.
  std::vector<FileRange> parts{};
  bool is_raw = false;  // holds elements of tensors and nothing else, to whoever reads the model
};

class Model {
 public:
  // A model of one file.
  Model(Input input, std::string_view format, ModelContents contents)
      : format_(contents.format.empty() ? format : contents.format),
        contents_(std::move(contents)) {
    files_.push_back({"", std::move(input)});
  }
  // A model of at least one file. Tensors are views into any of them.
  Model(std::vector<ModelFile> files, std::string_view format, ModelContents contents)
      : files_(std::move(files)), format_(format), contents_(std::move(contents)) {}

  // "torch-zip", "safetensors"; docs/formats/README.md lists them.
  std::string_view format() const { return format_; }
  const ModelContents& contents() const { return contents_; }
  const std::vector<NamedTensor>& tensors() const { return contents_.tensors; }
  std::uint64_t tensor_bytes() const { return contents_.tensor_bytes(); }
  // The index first, if there is one; then the shards, by name.
  const std::vector<ModelFile>& files() const { return files_; }
  // The first file: the only one, or the index.
  const Input& input() const { return files_.front().input; }

  // Hand over what a model is made of, to make another one of it.
  ModelContents take_contents() { return std::move(contents_); }
  std::vector<ModelFile> take_files() { return std::move(files_); }

 private:
  std::vector<ModelFile> files_;
  std::string_view format_;
  ModelContents contents_;
};

// Opens one of the files of a model: Input::map(), or what knows of other places than the disk.
using OpenInput = std::function<Result<Input>(const std::filesystem::path&)>;

// `path` may name the index of a sharded model (docs/formats/shards.md), or the metadata of a
// distributed checkpoint (docs/formats/torch-distributed.md): the model then has the tensors of all
// its files, NamedTensor::entry says which. What the index and the files do not agree in is a
// problem of the model; whoever needs it whole looks at the problems. A folder stands for the one
// model in it: a distributed checkpoint, or the only index, or else the only file with tensors;
// files in folders of it do not count.
//
// Errors: those of Input::map(), kWrongFormat if nothing here reads the file (describe_content()
// says what it is), and what the format finds; of a shard, with its name as the subject. kRefused:
// an index that names files outside its folder, or lists a tensor twice. kInvalidArgument: a folder
// with several models, which the subject lists.
// Every file but those of a folder comes by `open`, the ones that a model names with its own folder
// in front.
std::expected<Model, Failure> open_model(const std::filesystem::path& path,
                                         const OpenInput& open = Input::map);

// Several files as one model, as if an index listed what is in each. A single path is opened as by
// open_model(). Errors: kInvalidArgument (no path), kMismatch (a tensor is in two of the files),
// kLimit (more than 16,384 files), and those of open_model(), with the file as the subject.
std::expected<Model, Failure> open_models(std::span<const std::filesystem::path> paths);

// What the bytes are, in a few words for an error message: "a git-lfs pointer, not the file
// itself", "an HTML page", "a pickle". Never empty.
const char* describe_content(ByteSpan bytes);
// The same by the front of a file, for a reader that expected another format: empty if that does
// not tell, or if it is a safetensors file.
const char* foreign_content(ByteSpan front);

}  // namespace tare
