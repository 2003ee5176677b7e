#include "tare/input.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/regular_file.hpp"

namespace tare {
Result<Input> Input::map(const std::filesystem::path& path) {
  const auto file = RegularFile::open(path);
  if (!file) return std::unexpected(file.error());
  auto input = map_file(*file);
  if (input) input->origin_ = Origin{path, file->device(), file->inode()};
  return input;
}

Result<Input> Input::map_file(const RegularFile& file) {
  void* address = ::mmap(nullptr, file.size(), PROT_READ, MAP_PRIVATE, file.fd(), 0);
  if (address == MAP_FAILED) return std::unexpected(system_error(errno, "cannot map"));
  Input input;
  input.bytes_ = {static_cast<const std::byte*>(address), file.size()};
  input.mapped_ = true;
  return input;
}

Result<Input> Input::copy_of(const std::filesystem::path& path, std::uint64_t max_bytes) {
  auto file = RegularFile::open(path);
  if (!file) return std::unexpected(file.error());
  if (file->size() > max_bytes) return fail(ErrorCode::kLimit, "larger than the limit");
  std::vector<std::byte> buffer(file->size());
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t got = ::read(file->fd(), buffer.data() + done, buffer.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(system_error(errno, "cannot read"));
    if (got == 0) break;  // it shrank: what is there is what it holds
    done += static_cast<std::size_t>(got);
  }
  buffer.resize(done);
  return from_bytes(std::move(buffer));
}

Input Input::from_bytes(std::vector<std::byte> bytes) {
  Input input;
  input.owned_ = std::move(bytes);
  input.bytes_ = input.owned_;
  return input;
}

Input Input::paged(std::shared_ptr<Pager> pager, const std::filesystem::path& path) {
  Input input;
  input.bytes_ = pager->bytes();
  input.pager_ = std::move(pager);
  input.set_name(path);
  return input;
}

Input::Input(Input&& other) noexcept
    : owned_(std::move(other.owned_)),
      bytes_(std::exchange(other.bytes_, {})),
      mapped_(std::exchange(other.mapped_, false)),
      pager_(std::move(other.pager_)),
      origin_(std::move(other.origin_)) {}

Input& Input::operator=(Input&& other) noexcept {
  if (this != &other) {
    release();
    owned_ = std::move(other.owned_);
    bytes_ = std::exchange(other.bytes_, {});
    mapped_ = std::exchange(other.mapped_, false);
    pager_ = std::move(other.pager_);
    origin_ = std::move(other.origin_);
  }
  return *this;
}

void Input::drop(ByteSpan part) const {
  constexpr std::uintptr_t kPage = 4096;
  if (pager_) return pager_->drop(part);
  if (!mapped_) return;
  // Whole pages: what is around them may be in use.
  const auto first = reinterpret_cast<std::uintptr_t>(part.data());
  const std::uintptr_t begin = (first + kPage - 1) / kPage * kPage;
  const std::uintptr_t end = (first + part.size()) / kPage * kPage;
  if (begin >= end) return;
  const std::size_t skipped = begin - first;
  ::madvise(const_cast<std::byte*>(part.data() + skipped), end - begin, MADV_DONTNEED);  // NOLINT
}

Input::~Input() {
  release();
}

void Input::release() {
  if (mapped_) {
    // munmap takes void*; the mapping itself stays read-only to its end.
    ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());  // NOLINT
  }
  mapped_ = false;
  bytes_ = {};
}

}  // namespace tare
