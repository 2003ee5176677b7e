// A file on a server as bytes in memory: a page that is touched is fetched.
//
// The mapping has the size of the file, and is closed (PROT_NONE). Touching it raises SIGSEGV,
// whose handler asks tare-fetch for the page and for what is likely to be wanted next, writes that
// to a file without a name, and opens those pages. So a reader of the whole file fetches what it
// looks at; a hole is never read as zeros. Read-ahead begins with a page and doubles while a reader
// goes on from where it was.
//
// If a page cannot be fetched, there is nobody to tell in the middle of an instruction. Either the
// process ends, with a line on stderr and the exit code 2; or the rest of the mapping reads as
// zeros and failure() says so: what was made of the bytes then means nothing.
//
// System calls do not raise signals: for them, a page that is not there is EFAULT
// (io/write_all.cpp).
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "io/sha256.hpp"
#include "remote/fetched.hpp"
#include "remote/fetcher.hpp"
#include "tare/input.hpp"

namespace tare::remote {

inline constexpr const char* kOtherSha256 =
    "the bytes that came are not those of the SHA-256 that the server tells";

enum class OnFailure : std::uint8_t { kEndProcess, kRemember };

class PagedFile final : public Pager, public Receiver {
 public:
  static constexpr std::uint64_t kPage = 4096;
  // Of a file that is opened: a page more than a power of two, see choose().
  static constexpr std::uint64_t kFirst = (std::uint64_t{64} << 10) + kPage;

  // `file` has ranges. `name` is for the line on stderr.
  static std::shared_ptr<PagedFile> create(Fetcher& fetcher, const Fetcher::File& file,
                                           const std::string& name, OnFailure on_failure);
  // Maps it, and takes the bytes that come with open(), which was called with kFirst just before;
  // the caller holds the mutex. Errors: kLimit (more than 64 TiB, too many files), those of the
  // system and of the protocol.
  Result<void> begin();
  PagedFile(const PagedFile&) = delete;
  PagedFile& operator=(const PagedFile&) = delete;
  ~PagedFile() override;

  // Brings what many short reads all over the file are about to touch, several pieces at a time.
  // What does not come is brought when it is touched.
  void bring_scattered(std::span<const ByteSpan> parts);

  ByteSpan bytes() const override { return {begin_, size_}; }
  void drop(ByteSpan part) override;
  void expect(ByteSpan part) override;

  // Why the bytes mean nothing.
  std::optional<Error> failure() const;
  Fetched fetched() const;

  // Internal: of Fetcher and of the signal handler.
  bool take(std::uint64_t offset, ByteSpan bytes) override;
  void pause(std::uint64_t end) override { publish(end); }
  void on_fault(const std::byte* address);

 private:
  class Scattered;
  // Pages, from the first on.
  struct Window {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    std::uint64_t end() const { return first + count; }
  };

  PagedFile(Fetcher& fetcher, const Fetcher::File& file, const std::string& name,
            OnFailure on_failure);

  Result<void> map();
  // The pages of the parts that are not there, near ones together.
  std::vector<Piece> pieces_of(std::span<const ByteSpan> parts) const;
  bool ensure(std::uint64_t page);
  bool bring(std::uint64_t page);
  Window choose(std::uint64_t page);
  Window guess(std::uint64_t page);
  // As much of a window around `page` as is not there yet.
  Window cut(Window window, std::uint64_t page) const;
  void publish(std::uint64_t end);
  void hash(std::uint64_t offset, ByteSpan bytes);
  void finish_hash();
  bool fail(const Error& error);
  void give_up(const std::byte* address);
  [[noreturn]] void end_process() const;
  bool is_present(std::uint64_t page) const { return present_[page / 64] >> page % 64 & 1; }
  void set_present(Window window, bool present);
  std::uint64_t pages() const { return (size_ + kPage - 1) / kPage; }
  void free_disk(Window window);
  void punch(Window window);
  bool protect(Window window, int protection);

  Fetcher& fetcher_;
  const std::uint32_t number_;
  const std::uint64_t size_;
  const OnFailure on_failure_;
  std::string message_;  // the start of the line on stderr
  std::byte* begin_ = nullptr;
  std::uint64_t* present_ = nullptr;  // a bit for each page
  UniqueFd fd_;
  std::size_t slot_;

  // What follows is of the fetcher's mutex.
  std::uint64_t published_ = 0;  // of what is on the way: bytes before this are open
  Window last_[4];               // the latest requests
  std::size_t next_last_ = 0;
  std::uint64_t isolated_ = 0;  // requests away from everything that was there
  std::uint64_t expected_from_ = 0;
  std::uint64_t expected_to_ = 0;
  std::uint64_t dropped_to_ = UINT64_MAX;
  Window closed_;  // given back, and still on disk
  std::uint64_t bytes_ = 0;
  std::uint64_t requests_ = 1;
  std::optional<Sha256> sha256_;
  std::optional<Sha256::Digest> wanted_sha256_;
  std::uint64_t hashed_ = 0;
  bool is_equal_ = false;
  bool is_open_ = false;  // begin() is done
  std::optional<Error> error_;
};

}  // namespace tare::remote
