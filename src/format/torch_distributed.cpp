#include "format/torch_distributed.hpp"

#include <algorithm>
#include <iterator>

#include "format/format.hpp"
#include "format/object_contents.hpp"
#include "format/pieces.hpp"
#include "io/checked.hpp"

namespace tare::format {
namespace {

using object::Document;
using object::Root;
using object::TorchTensor;

// Parts that do not overlap are no more than the files.
constexpr std::uint64_t kMaxShare = 3;

bool lies_in(ByteSpan inner, ByteSpan outer) {
  return inner.data() >= outer.data() && inner.data() + inner.size() <= outer.data() + outer.size();
}

// Of a writer for which places in the file mean nothing, which PyTorch itself does not read back.
Failure safetensors_file(const std::string& name) {
  return {Error{ErrorCode::kUnsupported, 0, Error::kNoOffset,
                "is a safetensors file: name it, or all of them by a pattern like *.distcp"},
          name};
}

// Reads the files inside of the files of a checkpoint.
class PartReader {
 public:
  explicit PartReader(const DistributedMetadata& metadata) : imports_(metadata.imports) {}

  std::expected<void, Failure> map_files(const DistributedMetadata& metadata,
                                         const std::filesystem::path& folder,
                                         const OpenInput& open);
  Result<PieceContent> read(const StoredTensor& tensor);
  Result<PieceContent> read(const StoredPart& part) { return read_object(part); }
  Model finish(Input metadata, ModelContents contents);

 private:
  Result<ByteSpan> bytes_of(const StoredPart& part);
  // What stands in the part; bytes that it needs beyond those of the file are kept.
  Result<ModelContents> contents_of(const StoredPart& part);
  Result<PieceContent> read_object(const StoredPart& part);
  Result<TensorView> read_chunk(const StoredTensor& tensor, const StoredChunk& chunk);

  std::vector<ModelFile> files_;
  std::uint64_t bytes_left_ = 0;  // that parts may have together
  ReadContext context_;
  std::set<std::string> imports_;
  std::vector<std::shared_ptr<const void>> owners_;
};

std::expected<void, Failure> PartReader::map_files(const DistributedMetadata& metadata,
                                                   const std::filesystem::path& folder,
                                                   const OpenInput& open) {
  std::uint64_t size = 0;
  for (const auto& file : metadata.files) {
    auto input = open(folder / file.name);
    if (!input) return std::unexpected(Failure(input.error(), file.name));
    if (kSafetensors.recognises(input->bytes()))
      return std::unexpected(safetensors_file(file.name));
    size = checked_add(size, input->size()).value_or(UINT64_MAX);
    files_.push_back({file.name, std::move(*input), false, file.ranges});
  }
  context_ = context_of(size);
  bytes_left_ = checked_mul(size, kMaxShare).value_or(UINT64_MAX);
  return {};
}

Result<ByteSpan> PartReader::bytes_of(const StoredPart& part) {
  const ByteSpan file = files_[part.file].input.bytes();
  const FileRange range = part.range;
  if (range.offset > file.size() || range.length > file.size() - range.offset) {
    Error error{ErrorCode::kTruncated, 0, range.offset, "a file of the checkpoint is cut off"};
    error.expected = checked_add(range.offset, range.length).value_or(UINT64_MAX);
    error.actual = file.size();
    return std::unexpected(error);
  }
  if (range.length > bytes_left_) {
    return fail(ErrorCode::kLimit, "the parts share more bytes than tare is willing to read");
  }
  bytes_left_ -= range.length;
  return file.subspan(range.offset, range.length);
}

Result<ModelContents> PartReader::contents_of(const StoredPart& part) {
  const auto bytes = bytes_of(part);
  if (!bytes) return std::unexpected(bytes.error());
  auto contents = read_nested(*bytes, context_);
  if (!contents) {
    if (contents.error().has_offset()) contents.error().offset += part.range.offset;
    return contents;
  }
  std::ranges::move(contents->owners, std::back_inserter(owners_));
  imports_.insert(contents->imports.begin(), contents->imports.end());
  return contents;
}

Result<PieceContent> PartReader::read_object(const StoredPart& part) {
  auto contents = contents_of(part);
  if (!contents) return std::unexpected(contents.error());
  auto document = only_document(*contents);
  if (!document) return std::unexpected(document.error());
  return PieceContent(std::move(*document));
}

// The tensor that is all of the part. What it was read with stays only if it keeps bytes for it.
Result<TensorView> PartReader::read_chunk(const StoredTensor& tensor, const StoredChunk& chunk) {
  auto contents = contents_of(chunk.part);
  if (!contents) return std::unexpected(contents.error());
  if (!contents->problems.empty()) return std::unexpected(contents->problems.front().error);
  if (contents->tensors.size() != 1 || !contents->specials.empty()) {
    return fail(ErrorCode::kUnsupported, "has a part that is no dense tensor");
  }
  TensorView view = std::move(contents->tensors.front().view);
  if (view.dtype != tensor.dtype || view.shape != chunk.shape) {
    return fail(ErrorCode::kMismatch, "has a part of another type or shape than the metadata says");
  }
  if (!lies_in(view.storage, files_[chunk.part.file].input.bytes())) {
    owners_.push_back(std::move(contents->objects));
  }
  return view;
}

Result<PieceContent> PartReader::read(const StoredTensor& tensor) {
  const std::size_t count = tensor.chunks.size();
  TensorView whole{tensor.dtype, tensor.shape, row_major_strides(tensor.shape), 0, {}};
  for (const StoredChunk& chunk : tensor.chunks) {
    const bool is_whole = count == 1 && chunk.shape == tensor.shape;
    auto view = read_chunk(tensor, chunk);
    // Whatever is one file may be any tensor.
    if (!view && is_whole && view.error().code == ErrorCode::kUnsupported) {
      return read_object(chunk.part);
    }
    if (!view) return std::unexpected(view.error());
    if (is_whole) {
      whole = std::move(*view);
    } else {
      whole.blocks.push_back({chunk.start, std::move(*view)});
    }
  }
  if (auto checked = check_view(whole); !checked) return std::unexpected(checked.error());
  std::string entry = count == 0 ? "" : files_[tensor.chunks.front().part.file].name;
  return PieceContent(TorchTensor{std::move(whole), std::move(entry)});
}

Model PartReader::finish(Input metadata, ModelContents contents) {
  contents.imports.assign(imports_.begin(), imports_.end());
  std::ranges::move(owners_, std::back_inserter(contents.owners));
  std::vector<ModelFile> files;
  files.push_back({"", std::move(metadata), true});
  std::ranges::move(files_, std::back_inserter(files));
  return {std::move(files), "torch-distributed", std::move(contents)};
}

}  // namespace

std::expected<Model, Failure> open_distributed(const std::filesystem::path& path, Input input,
                                               DistributedMetadata metadata,
                                               const OpenInput& open) {
  PartReader reader(metadata);
  if (auto mapped = reader.map_files(metadata, path.parent_path(), open); !mapped) {
    return std::unexpected(mapped.error());
  }
  std::vector<Piece> pieces;
  for (StoredEntry& entry : metadata.entries) {
    Piece piece{std::move(entry.path), fail(ErrorCode::kMalformed, "")};
    piece.content =
        entry.content
            ? std::visit([&](const auto& content) { return reader.read(content); }, *entry.content)
            : std::unexpected(entry.content.error());
    pieces.push_back(std::move(piece));
  }
  auto document = document_of_pieces(std::move(pieces));
  if (!document) return std::unexpected(document.error());
  std::vector<Root> roots;
  roots.push_back({"", "", std::move(*document)});
  return reader.finish(std::move(input), contents_of_roots(std::move(roots)));
}

}  // namespace tare::format
