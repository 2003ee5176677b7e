#include "remote/paged_file.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <utility>

#include "io/spool.hpp"
#include "io/write_all.hpp"

namespace tare::remote {
namespace {

constexpr std::uint64_t kMaxSize = std::uint64_t{64} << 40;
constexpr std::uint64_t kMegabytePages = (std::uint64_t{1} << 20) / PagedFile::kPage;
constexpr std::uint64_t kMaxAhead = 128 * kMegabytePages;
constexpr std::uint64_t kMaxExpected = 1024 * kMegabytePages;
// The end of a file is fetched in one piece: archives have their directory there, and the record
// behind it is looked for in the last 65,557 bytes.
constexpr std::uint64_t kTailPages = 20;
// Each isolated piece costs the kernel two areas of memory, of which it has 65,530: after so many
// the pieces become twice as large.
constexpr std::uint64_t kIsolatedOfSize = 1024;

// For the handler, which has nothing else to find a file by.
struct Slot {
  std::atomic<bool> taken;
  std::atomic<const std::byte*> begin;
  std::atomic<const std::byte*> end;  // null: no file
  std::atomic<PagedFile*> file;
};
std::array<Slot, kMaxFiles> slots;
std::atomic<std::size_t> used_slots;
struct sigaction previous;

PagedFile* file_at(const std::byte* address) {
  const std::size_t used = used_slots;
  for (std::size_t i = 0; i < used; ++i) {
    const std::byte* const end = slots[i].end;
    if (end != nullptr && address >= slots[i].begin && address < end) return slots[i].file;
  }
  return nullptr;
}

void on_segmentation_fault(int signal, siginfo_t* info, void*) {
  const int saved = errno;
  const auto* const address = static_cast<const std::byte*>(info->si_addr);
  if (PagedFile* const file = file_at(address)) {
    file->on_fault(address);
  } else {
    // Not ours: as if this handler were not there, when the instruction runs again.
    ::sigaction(signal, &previous, nullptr);
  }
  errno = saved;
}

bool install_handler() {
  struct sigaction action{};
  action.sa_sigaction = on_segmentation_fault;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  return ::sigaction(SIGSEGV, &action, &previous) == 0;
}

bool write_at(int fd, ByteSpan bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return true;
}

}  // namespace

PagedFile::PagedFile(Fetcher& fetcher, const Fetcher::File& file, const std::string& name,
                     OnFailure on_failure)
    : fetcher_(fetcher),
      number_(file.number),
      size_(file.opened.size),
      on_failure_(on_failure),
      message_("tare: " + name + ": "),
      slot_(slots.size()) {
  if (!file.opened.has_sha256) return;
  sha256_.emplace();
  wanted_sha256_ = file.opened.sha256;
}

std::shared_ptr<PagedFile> PagedFile::create(Fetcher& fetcher, const Fetcher::File& file,
                                             const std::string& name, OnFailure on_failure) {
  return std::shared_ptr<PagedFile>(new PagedFile(fetcher, file, name, on_failure));
}

Result<void> PagedFile::begin() {
  [[maybe_unused]] static const bool kInstalled = install_handler();
  const std::uint64_t first = std::min(kFirst, size_);
  fetcher_.receive_first(first, nullptr);
  if (auto mapped = map(); !mapped) return mapped;
  fetcher_.receive_first(first, this);
  while (fetcher_.is_bringing(*this)) {
    if (!fetcher_.take_piece()) return std::unexpected(error_of(fetcher_.last_status()));
  }
  publish(fetcher_.next());
  if (error_) return std::unexpected(*error_);
  is_open_ = true;
  return {};
}

Result<void> PagedFile::map() {
  if (size_ > kMaxSize) return tare::fail(ErrorCode::kLimit, "is larger than 64 TiB");
  auto fd = open_temporary();
  if (!fd) return std::unexpected(fd.error());
  fd_ = std::move(*fd);
  if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) {
    return std::unexpected(system_error(errno, "cannot make a temporary file of this size"));
  }
  void* const present = ::mmap(nullptr, (pages() / 64 + 1) * 8, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (present == MAP_FAILED) return std::unexpected(system_error(errno, "cannot map"));
  present_ = static_cast<std::uint64_t*>(present);
  void* const begin = ::mmap(nullptr, size_, PROT_NONE, MAP_SHARED, fd_.get(), 0);
  if (begin == MAP_FAILED) return std::unexpected(system_error(errno, "cannot map"));
  begin_ = static_cast<std::byte*>(begin);
  for (slot_ = 0; slot_ < slots.size(); ++slot_) {
    if (slots[slot_].taken.exchange(true)) continue;
    slots[slot_].file = this;
    slots[slot_].begin = begin_;
    slots[slot_].end = begin_ + pages() * kPage;
    if (used_slots <= slot_) used_slots = slot_ + 1;
    return {};
  }
  return tare::fail(ErrorCode::kLimit, "too many files on servers");
}

PagedFile::~PagedFile() {
  if (slot_ < slots.size()) {
    slots[slot_].end = nullptr;
    slots[slot_].taken = false;
  }
  {
    const std::scoped_lock lock(fetcher_.mutex());
    fetcher_.forget(*this);
  }
  if (begin_ != nullptr) ::munmap(begin_, size_);
  if (present_ != nullptr) ::munmap(present_, (pages() / 64 + 1) * 8);
}

void PagedFile::set_present(Window window, bool present) {
  for (std::uint64_t page = window.first; page < window.end(); ++page) {
    const std::uint64_t bit = std::uint64_t{1} << page % 64;
    present_[page / 64] = present ? present_[page / 64] | bit : present_[page / 64] & ~bit;
  }
}

bool PagedFile::protect(Window window, int protection) {
  return ::mprotect(begin_ + window.first * kPage, window.count * kPage, protection) == 0;
}

bool PagedFile::fail(const Error& error) {
  if (!error_) error_ = error;
  if (is_open_ && on_failure_ == OnFailure::kEndProcess) end_process();
  return false;
}

// ---- what is fetched

// From the front on as long as that goes, and then what else is there.
void PagedFile::hash(std::uint64_t offset, ByteSpan bytes) {
  if (!sha256_ || offset > hashed_ || offset + bytes.size() <= hashed_) return;
  bytes = bytes.subspan(hashed_ - offset);
  sha256_->update(bytes);
  hashed_ += bytes.size();
}

void PagedFile::finish_hash() {
  if (!sha256_) return;
  while (hashed_ < size_ && is_present(hashed_ / kPage)) {
    const std::uint64_t end = std::min(size_, (hashed_ / kPage + 1) * kPage);
    sha256_->update({begin_ + hashed_, end - hashed_});
    hashed_ = end;
  }
  if (hashed_ < size_) return;
  is_equal_ = sha256_->digest() == wanted_sha256_;
  sha256_.reset();
  if (is_equal_) return;
  fail({ErrorCode::kMismatch, 0, Error::kNoOffset, kOtherSha256});
}

bool PagedFile::take(std::uint64_t offset, ByteSpan bytes) {
  if (error_) return false;
  if (!write_at(fd_.get(), bytes, offset)) {
    return fail(system_error(errno, "cannot write a temporary file in /var/tmp or /tmp"));
  }
  bytes_ += bytes.size();
  hash(offset, bytes);
  return true;
}

// Opens the pages that have come whole, up to `end`.
void PagedFile::publish(std::uint64_t end) {
  const std::uint64_t last = end == size_ ? pages() : end / kPage;
  const std::uint64_t first = published_ / kPage;
  if (last <= first) return;
  const Window window{first, last - first};
  if (!protect(window, PROT_READ)) {
    fail(system_error(errno, "cannot map"));
    return;
  }
  set_present(window, true);
  published_ = last * kPage;
  finish_hash();
}

// ---- what to fetch

PagedFile::Window PagedFile::cut(Window window, std::uint64_t page) const {
  std::uint64_t end = page + 1;
  while (end < std::min(window.end(), pages()) && !is_present(end)) ++end;
  std::uint64_t first = page;
  while (first > window.first && !is_present(first - 1)) --first;
  return {first, end - first};
}

// Read-ahead: twice as much as the last time, where a reader goes on.
PagedFile::Window PagedFile::guess(std::uint64_t page) {
  for (const Window& last : last_) {
    if (last.count > 0 && last.end() == page) return {page, std::min(2 * last.count, kMaxAhead)};
  }
  std::uint64_t run = 0;
  if (page > 0 && is_present(page - 1)) {
    while (run < kMegabytePages && run < page && is_present(page - 1 - run)) ++run;
    return {page, run};
  }
  if (page + 1 < pages() && is_present(page + 1)) {
    while (run < kMegabytePages && page + 1 + run < pages() && is_present(page + 1 + run)) ++run;
    const std::uint64_t before = std::min(run, page + 1);
    return {page + 1 - before, before};
  }
  if (page + kTailPages >= pages()) {
    const std::uint64_t first = pages() - std::min(pages(), kTailPages);
    return {first, pages() - first};
  }
  return {page, std::uint64_t{1} << std::min<std::uint64_t>(isolated_++ / kIsolatedOfSize, 16)};
}

PagedFile::Window PagedFile::choose(std::uint64_t page) {
  Window window = guess(page);
  const std::uint64_t byte = page * kPage;
  if (byte + kPage > expected_from_ && byte < expected_to_) {
    const std::uint64_t rest = (expected_to_ - byte + kPage - 1) / kPage;
    // memcpy() begins with the end of what it copies.
    const std::uint64_t before = std::min(page - expected_from_ / kPage, kMegabytePages);
    window = {page - before, before + std::min(rest, kMaxExpected)};
  }
  // What looks at every power of two, as readers of HDF5 do, is no reader that goes on.
  if (std::has_single_bit(window.end()) && window.count > 1) ++window.count;
  window = cut(window, page);
  last_[next_last_++ % std::size(last_)] = window;
  return window;
}

// Asks for the page, unless it is on its way, and takes what comes up to it and a bit more.
bool PagedFile::bring(std::uint64_t page) {
  const std::uint64_t wanted = std::min(size_, (page + 1) * kPage);
  const bool on_the_way =
      fetcher_.is_bringing(*this) && page * kPage >= published_ && wanted <= fetcher_.end();
  if (!on_the_way) {
    if (!fetcher_.drain()) return fail(error_of(fetcher_.last_status()));
    if (error_ || is_present(page)) return !error_;
    const Window window = choose(page);
    const std::uint64_t offset = window.first * kPage;
    // What is written there from now on stays.
    punch(std::exchange(closed_, Window{}));
    ++requests_;
    published_ = offset;
    if (!fetcher_.begin(number_, offset, std::min(size_, window.end() * kPage) - offset, *this)) {
      return fail(error_of(fetcher_.last_status()));
    }
  }
  const std::uint64_t stop = std::min(fetcher_.end(), page * kPage + kMegabytePages * kPage);
  while (fetcher_.is_bringing(*this) && fetcher_.next() < stop) {
    if (!fetcher_.take_piece()) return fail(error_of(fetcher_.last_status()));
  }
  if (error_) return false;
  publish(fetcher_.next());
  return !error_;
}

// Opens each piece where it belongs.
class PagedFile::Scattered final : public Receiver {
 public:
  explicit Scattered(PagedFile& file) : file_(file) {}
  bool take(std::uint64_t offset, ByteSpan bytes) override {
    file_.published_ = offset;
    return file_.take(offset, bytes);
  }
  void pause(std::uint64_t end) override { file_.publish(end); }

 private:
  PagedFile& file_;
};

std::vector<Piece> PagedFile::pieces_of(std::span<const ByteSpan> parts) const {
  constexpr std::uint64_t kGap = 4;  // pages that take less time than another request
  constexpr std::uint64_t kMost = kMaxFrame / kPage;
  std::vector<std::uint64_t> missing;
  for (const ByteSpan part : parts) {
    const auto from = static_cast<std::uint64_t>(part.data() - begin_);
    for (std::uint64_t page = from / kPage; page * kPage < from + part.size(); ++page) {
      if (!is_present(page)) missing.push_back(page);
    }
  }
  std::ranges::sort(missing);
  std::vector<Window> windows;
  for (const std::uint64_t page : missing) {
    // What is there already is not written again.
    const auto goes_with = [&](const Window& window) {
      if (page > window.end() + kGap || page >= window.first + kMost) return false;
      for (std::uint64_t between = window.end(); between < page; ++between) {
        if (is_present(between)) return false;
      }
      return true;
    };
    if (windows.empty() || !goes_with(windows.back())) windows.push_back({page, 0});
    windows.back().count = page + 1 - windows.back().first;
  }
  std::vector<Piece> pieces;
  for (const Window& window : windows) {
    const std::uint64_t offset = window.first * kPage;
    pieces.push_back({offset, std::min(size_, window.end() * kPage) - offset});
  }
  return pieces;
}

void PagedFile::bring_scattered(std::span<const ByteSpan> parts) {
  const std::scoped_lock lock(fetcher_.mutex());
  const std::vector<Piece> all = pieces_of(parts);
  // One alone comes as well when it is touched.
  for (std::span<const Piece> rest = all; rest.size() > 1 && !error_;) {
    const auto some = rest.first(std::min(rest.size(), kMaxPieces));
    requests_ += some.size();
    Scattered to(*this);
    if (!fetcher_.get_scattered(number_, some, to)) return;
    rest = rest.subspan(some.size());
  }
}

bool PagedFile::ensure(std::uint64_t page) {
  if (error_) return false;
  if (is_present(page)) return true;  // another thread was faster
  return bring(page);
}

void PagedFile::on_fault(const std::byte* address) {
  const std::scoped_lock lock(fetcher_.mutex());
  const auto offset = static_cast<std::uint64_t>(address - begin_);
  if (!ensure(offset / kPage)) give_up(address);
}

// Nobody can be told here: see the head of the header.
void PagedFile::give_up(const std::byte* address) {
  const std::uint64_t from = static_cast<std::uint64_t>(address - begin_) / kPage * kPage;
  const bool covered = on_failure_ == OnFailure::kRemember &&
                       ::mmap(begin_ + from, size_ - from, PROT_READ,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
  if (!covered) end_process();
}

void PagedFile::end_process() const {
  const std::string line = message_ + error_text(*error_) + "\n";
  [[maybe_unused]] const auto told = write_all(STDERR_FILENO, as_bytes(line), "");
  constexpr int kError = 2;
  ::_exit(kError);
}

void PagedFile::drop(ByteSpan part) {
  const std::scoped_lock lock(fetcher_.mutex());
  const auto from = static_cast<std::uint64_t>(part.data() - begin_);
  // A page whose front was given back the last time goes with its end.
  const bool goes_on = from == dropped_to_;
  const std::uint64_t first = goes_on ? from / kPage : (from + kPage - 1) / kPage;
  const std::uint64_t end = (from + part.size()) / kPage;
  dropped_to_ = from + part.size();
  if (error_ || first >= end) return;
  std::uint64_t last = first;
  while (last < end && is_present(last)) ++last;
  const Window window{first, last - first};
  // Closed first: nobody reads the hole.
  if (window.count == 0 || !protect(window, PROT_NONE)) return;
  set_present(window, false);
  free_disk(window);
}

// In large pieces: each is work for the file system.
void PagedFile::free_disk(Window window) {
  constexpr std::uint64_t kPiece = 32 * kMegabytePages;
  if (closed_.end() == window.first) {
    closed_.count += window.count;
  } else {
    punch(closed_);
    closed_ = window;
  }
  if (closed_.count < kPiece) return;
  punch(closed_);
  closed_ = {closed_.end(), 0};
}

// Without what was opened again meanwhile.
void PagedFile::punch(Window window) {
  for (std::uint64_t page = window.first; page < window.end();) {
    std::uint64_t end = page;
    while (end < window.end() && !is_present(end)) ++end;
    if (end > page) {
      ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  static_cast<off_t>(page * kPage), static_cast<off_t>((end - page) * kPage));
    }
    page = end + 1;
  }
}

void PagedFile::expect(ByteSpan part) {
  const std::scoped_lock lock(fetcher_.mutex());
  expected_from_ = static_cast<std::uint64_t>(part.data() - begin_);
  expected_to_ = expected_from_ + part.size();
}

std::optional<Error> PagedFile::failure() const {
  const std::scoped_lock lock(fetcher_.mutex());
  return error_;
}

Fetched PagedFile::fetched() const {
  const std::scoped_lock lock(fetcher_.mutex());
  Fetched fetched{bytes_, size_, requests_, false, Sha256Check::kNone};
  if (wanted_sha256_) {
    fetched.sha256 = is_equal_ ? Sha256Check::kEqual : Sha256Check::kNotDone;
  }
  return fetched;
}

}  // namespace tare::remote
