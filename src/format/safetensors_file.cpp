#include "tare/safetensors_file.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "io/cursor.hpp"
#include "io/parallel.hpp"
#include "io/regular_file.hpp"

namespace tare::safetensors {
namespace {

// Runs of a slice that stand closer than a page are read together, as much as this at a time.
constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kWindow = std::uint64_t{1} << 20;
// What one thread reads at a time when there are several, and the alignment that O_DIRECT needs.
constexpr std::uint64_t kPiece = std::uint64_t{8} << 20;
constexpr std::uint64_t kAlignment = 4096;

struct FreeDeleter {
  void operator()(std::byte* block) const { std::free(block); }
};
using AlignedBlock = std::unique_ptr<std::byte[], FreeDeleter>;

AlignedBlock aligned_block(std::size_t bytes) {
  return AlignedBlock(static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes)));
}

// A part of a request.
struct Piece {
  std::uint64_t offset;  // in the file
  std::span<std::byte> out;
};

std::vector<Piece> cut(std::span<const File::Request> requests, std::uint64_t data_offset) {
  std::vector<Piece> pieces;
  for (const auto& request : requests) {
    std::uint64_t offset = data_offset + request.tensor->begin;
    for (auto out = request.out; !out.empty();) {
      const std::size_t size = std::min<std::uint64_t>(out.size(), kPiece);
      pieces.push_back({offset, out.first(size)});
      offset += size;
      out = out.subspan(size);
    }
  }
  return pieces;
}

// O_DIRECT reads whole blocks: through `block`, which holds a piece and what is around it.
Result<void> read_direct(const RegularFile& file, const Piece& piece, std::byte* block) {
  const std::uint64_t start = piece.offset / kAlignment * kAlignment;
  const std::uint64_t end = std::min(piece.offset + piece.out.size(), file.size());
  const std::uint64_t aligned_end = (end + kAlignment - 1) / kAlignment * kAlignment;
  // The last block of the file is shorter than asked for.
  const std::uint64_t readable = std::min(aligned_end, file.size()) - start;
  const std::span<std::byte> whole(block, aligned_end - start);
  if (auto got = file.read_at(start, whole, readable); !got) return got;
  std::memcpy(piece.out.data(), block + (piece.offset - start), piece.out.size());
  return {};
}

}  // namespace

struct File::State {
  State(RegularFile opened, std::filesystem::path at)
      : file(std::move(opened)), path(std::move(at)) {}

  RegularFile file;
  std::filesystem::path path;
  Access access = Access::kMap;
  std::optional<Input> mapping;
  // A copy, so that what was validated is what is used.
  detail::PodVector<std::byte> front;
  std::optional<Header> header;

  ByteSpan data() const { return mapping->bytes().subspan(header->data_offset()); }
};

File::File(std::unique_ptr<State> state) : state_(std::move(state)) {}
File::File(File&&) noexcept = default;
File& File::operator=(File&&) noexcept = default;
File::~File() = default;

Result<File> File::open(const std::filesystem::path& path, const OpenOptions& options) {
  auto file = RegularFile::open(path);
  if (!file) return std::unexpected(file.error());
  auto state = std::make_unique<State>(std::move(*file), path);
  const std::uint64_t size = state->file.size();
  state->access = options.access;

  // Of something else, enough to say what it is.
  constexpr std::uint64_t kLook = 512;
  auto& front = state->front;
  const auto read_front = [&](std::uint64_t count) {
    const std::uint64_t have = front.size();
    return state->file.read_at(have, {front.extend(count - have), count - have});
  };
  if (auto got = read_front(std::min(size, kLook)); !got) return std::unexpected(got.error());
  const auto length = Cursor({front.data(), front.size()}).read<std::uint64_t>();
  const auto wanted = length ? front_bytes(*length) : Result<std::uint64_t>(0);
  if (wanted && *wanted <= size && *wanted > front.size()) {
    if (auto got = read_front(*wanted); !got) return std::unexpected(got.error());
  }
  auto header = parse_front({front.data(), front.size()}, size, options.rules);
  if (!header) return std::unexpected(header.error());
  state->header = std::move(*header);
  if (options.access == Access::kMap) {
    auto mapping = Input::map_file(state->file);
    if (!mapping) return std::unexpected(mapping.error());
    state->mapping = std::move(*mapping);
  }
  return File(std::move(state));
}

const Header& File::header() const {
  return *state_->header;
}

Access File::access() const {
  return state_->access;
}

ByteSpan File::bytes(const TensorEntry& tensor) const {
  return state_->data().subspan(tensor.begin, tensor.byte_count());
}

Result<void> File::read(const TensorEntry& tensor, std::span<std::byte> out) const {
  if (out.size() != tensor.byte_count()) {
    return fail(ErrorCode::kInvalidArgument, "the output has another size than the tensor");
  }
  return read_range(tensor, 0, out);
}

Result<void> File::read_range(const TensorEntry& tensor, std::uint64_t first,
                              std::span<std::byte> out) const {
  if (first > tensor.byte_count() || out.size() > tensor.byte_count() - first) {
    return fail(ErrorCode::kInvalidArgument, "the range reaches outside the tensor");
  }
  if (out.empty()) return {};
  if (state_->access == Access::kMap) {
    std::memcpy(out.data(), bytes(tensor).data() + first, out.size());
    return {};
  }
  return state_->file.read_at(header().data_offset() + tensor.begin + first, out);
}

Result<void> File::read_slice(const TensorEntry& tensor, const SlicePlan& plan,
                              std::span<std::byte> out) const {
  if (out.size() != plan.byte_count()) {
    return fail(ErrorCode::kInvalidArgument, "the output has another size than the slice");
  }
  if (state_->access == Access::kMap) {
    plan.copy(bytes(tensor), out);
    return {};
  }
  std::vector<std::byte> window;
  std::byte* next = out.data();
  return plan.for_each_row([&](SlicePlan::Row row) -> Result<void> {
    const auto distance = static_cast<std::uint64_t>(row.stride < 0 ? -row.stride : row.stride);
    // How many runs fit into one read; 1 if they are too far from each other.
    const bool together = row.count > 1 && distance < row.bytes + kPage;
    const std::uint64_t at_once = together ? std::max<std::uint64_t>(kWindow / distance, 1) : 1;
    while (row.count > 0) {
      const std::uint64_t count = std::min(row.count, at_once);
      if (count == 1) {
        const std::span<std::byte> run(next, row.bytes);
        if (auto got = read_range(tensor, row.offset, run); !got) return got;
        next += row.bytes;
      } else {
        const std::uint64_t reach = (count - 1) * distance;
        window.resize(reach + row.bytes);
        const std::uint64_t lowest = row.stride < 0 ? row.offset - reach : row.offset;
        if (auto got = read_range(tensor, lowest, window); !got) return got;
        const std::byte* const first = window.data() + (row.offset - lowest);
        next += copy_row({row.offset, row.bytes, count, row.stride}, first, next);
      }
      row.count -= count;
      row.offset += static_cast<std::uint64_t>(row.stride) * count;
    }
    return {};
  });
}

Result<void> File::read_all(std::span<const Request> requests, const ReadOptions& options) const {
  for (const Request& request : requests) {
    if (request.out.size() != request.tensor->byte_count()) {
      return fail(ErrorCode::kInvalidArgument, "the output has another size than the tensor");
    }
  }
  std::optional<RegularFile> direct;
  if (options.past_cache) {
    // Without it the page cache serves as well.
    if (auto opened = state_->file.open_direct(state_->path)) direct = std::move(*opened);
  }
  const std::vector<Piece> pieces = cut(requests, header().data_offset());
  const std::size_t threads = thread_count(options.threads, pieces.size());
  std::vector<Result<void>> results(threads);
  std::vector<AlignedBlock> blocks(threads);
  share_tasks(threads, pieces.size(), [&](std::size_t thread, std::size_t task) {
    AlignedBlock& block = blocks[thread];
    if (direct && !block) block = aligned_block(kPiece + 2 * kAlignment);
    results[thread] = block ? read_direct(*direct, pieces[task], block.get())
                            : state_->file.read_at(pieces[task].offset, pieces[task].out);
    return results[thread].has_value();
  });
  for (const auto& result : results) {
    if (!result) return result;
  }
  return {};
}

}  // namespace tare::safetensors
