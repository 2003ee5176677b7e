#include "remote/remote_input.hpp"

#include <algorithm>

#include "archive/zip_reader.hpp"
#include "io/spool.hpp"

namespace tare::remote {
namespace {

// All bytes in order, and their digest.
class WholeFile : public Receiver {
 public:
  bool take(std::uint64_t, ByteSpan bytes) override {
    sha256_.update(bytes);
    const auto written = spool_.write(bytes);
    if (!written) error_ = written.error();
    return !error_;
  }
  void pause(std::uint64_t) override {}

  std::uint64_t size() const { return spool_.size(); }
  const std::optional<Error>& error() const { return error_; }
  Sha256::Digest sha256() { return sha256_.digest(); }
  Result<Input> finish() { return std::move(spool_).finish(); }

 private:
  Spool spool_;
  Sha256 sha256_;
  std::optional<Error> error_;
};

Result<void> get_ranges(Fetcher& fetcher, const Fetcher::File& file, WholeFile& whole) {
  const std::uint64_t size = file.opened.size;
  for (std::uint64_t offset = std::min(PagedFile::kFirst, size);;) {
    while (fetcher.is_bringing(whole)) {
      if (!fetcher.take_piece()) return std::unexpected(error_of(fetcher.last_status()));
    }
    if (whole.error()) return std::unexpected(*whole.error());
    if (offset == size) return {};
    if (!fetcher.begin(file.number, offset, size - offset, whole)) {
      return std::unexpected(error_of(Status::kProtocol));
    }
    offset = size;
  }
}

Result<RemoteInput> get_whole(Fetcher& fetcher, const Fetcher::File& file,
                              const OpenOptions& options) {
  const bool has_ranges = file.opened.has_ranges;
  const std::uint64_t most = std::min(options.max_whole, options.max_size.value_or(UINT64_MAX));
  WholeFile whole;
  if (has_ranges) fetcher.receive_first(std::min(PagedFile::kFirst, file.opened.size), &whole);
  auto got =
      has_ranges ? get_ranges(fetcher, file, whole) : fetcher.get_whole(file.number, most, whole);
  fetcher.forget(whole);
  if (whole.error()) return std::unexpected(*whole.error());
  if (!got) return std::unexpected(got.error());
  if (whole.size() == 0) return std::unexpected(error_of(Status::kEmpty));
  Fetched fetched{whole.size(), whole.size(), has_ranges ? 2U : 1U, true, Sha256Check::kNone};
  if (file.opened.has_sha256) {
    if (whole.sha256() != file.opened.sha256) {
      return fail(ErrorCode::kMismatch, kOtherSha256);
    }
    fetched.sha256 = Sha256Check::kEqual;
  }
  auto input = whole.finish();
  if (!input) return std::unexpected(input.error());
  input->set_name(options.name);
  return RemoteInput{std::move(*input), nullptr, fetched};
}

// The local headers of a zip archive stand all over it, and whoever reads it looks at each: one
// after the other they would take as many ways to the server and back.
void bring_local_headers(PagedFile& file) {
  const ByteSpan bytes = file.bytes();
  if (bytes.size() < 4 || as_text(bytes.first(4)) != "PK\x03\x04") return;
  const auto archive = zip::Reader::open(bytes, {.only_directory = true});
  if (!archive) return;
  constexpr std::uint64_t kFixed = 30;
  constexpr std::uint64_t kExtra = 96;  // of torch, that pads with it
  std::vector<ByteSpan> headers;
  for (const zip::Entry& entry : archive->entries()) {
    if (entry.header_offset >= bytes.size()) continue;
    const ByteSpan rest = bytes.subspan(entry.header_offset);
    headers.push_back(
        rest.first(std::min<std::uint64_t>(rest.size(), kFixed + entry.name.size() + kExtra)));
  }
  file.bring_scattered(headers);
}

struct Opening {
  RemoteInput input;
  std::shared_ptr<PagedFile> paged;  // null: it was fetched whole
};

Result<Opening> open_locked(Fetcher& fetcher, const std::string& spec, const OpenOptions& options) {
  std::shared_ptr<PagedFile> paged;  // ends after the lock
  const std::scoped_lock lock(fetcher.mutex());
  const auto file = fetcher.open(spec, PagedFile::kFirst);
  if (!file) return std::unexpected(file.error());
  const Opened& opened = file->opened;
  const bool is_known = opened.size != Opened::kUnknownSize;
  const bool too_large = is_known && options.max_size && opened.size > *options.max_size;
  if (too_large || (!opened.has_ranges && is_known && opened.size > options.max_whole)) {
    if (opened.has_ranges) {
      fetcher.receive_first(std::min(PagedFile::kFirst, opened.size), nullptr);
    }
    return std::unexpected(too_large ? Error{ErrorCode::kLimit, 0, Error::kNoOffset,
                                             "not scanned: larger than --max-size"}
                                     : error_of(Status::kTooLarge));
  }
  if (options.whole || !opened.has_ranges) {
    auto whole = get_whole(fetcher, *file, options);
    if (!whole) return std::unexpected(whole.error());
    return Opening{std::move(*whole), nullptr};
  }
  paged = PagedFile::create(fetcher, *file, options.printable, options.on_failure);
  if (auto begun = paged->begin(); !begun) return std::unexpected(begun.error());
  Input input = Input::paged(paged, options.name);
  return Opening{{std::move(input), paged, {}}, paged};
}

}  // namespace

Result<RemoteInput> open_remote(Fetcher& fetcher, const std::string& spec,
                                const OpenOptions& options) {
  auto opening = open_locked(fetcher, spec, options);
  if (!opening) return std::unexpected(opening.error());
  if (opening->paged) bring_local_headers(*opening->paged);
  return std::move(opening->input);
}

}  // namespace tare::remote
