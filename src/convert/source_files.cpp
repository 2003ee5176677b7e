#include "convert/source_files.hpp"

#include <algorithm>
#include <functional>

namespace tare {
namespace {

bool holds(const ModelFile& file, ByteSpan bytes) {
  const ByteSpan all = file.input.bytes();
  // Spans of different objects are ordered by std::less alone.
  const std::less_equal<const std::byte*> not_after;
  return file.input.origin() && !bytes.empty() && not_after(all.data(), bytes.data()) &&
         not_after(bytes.data() + bytes.size(), all.data() + all.size());
}

}  // namespace

bool are_paged(std::span<const ModelFile> files) {
  return std::ranges::any_of(files, [](const ModelFile& file) { return file.input.is_paged(); });
}

const ModelFile* SourceFiles::file_of(ByteSpan bytes) const {
  const auto found =
      std::ranges::find_if(files_, [&](const ModelFile& file) { return holds(file, bytes); });
  return found == files_.end() ? nullptr : &*found;
}

void SourceFiles::expect(ByteSpan bytes) const {
  if (const ModelFile* file = file_of(bytes)) file->input.expect(bytes);
}

void SourceFiles::drop(ByteSpan bytes) const {
  if (const ModelFile* file = file_of(bytes)) file->input.drop(bytes);
}

std::optional<SourceFiles::Range> SourceFiles::find(ByteSpan bytes) {
  if (open_file_ == nullptr || !holds(*open_file_, bytes)) {
    open_file_ = file_of(bytes);
    file_.reset();
    if (open_file_ == nullptr) return std::nullopt;
    const Input::Origin& origin = *open_file_->input.origin();
    auto file = RegularFile::open(origin.path);
    if (file && file->device() == origin.device && file->inode() == origin.inode) {
      file_ = std::move(*file);
    }
  }
  if (!file_) return std::nullopt;
  const auto offset = bytes.data() - open_file_->input.bytes().data();
  return Range{file_->fd(), static_cast<std::uint64_t>(offset)};
}

}  // namespace tare
