#include "cli/file_judge.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "cli/mapping_guard.hpp"
#include "cli/remote.hpp"
#include "io/spool.hpp"
#include "report/text.hpp"

namespace tare::cli {
namespace {

constexpr std::uint64_t kSmall = std::uint64_t{128} << 10;
constexpr std::uint64_t kLarge = std::uint64_t{16} << 20;
constexpr const char* kTooLarge = "not scanned: larger than --max-size";

constexpr const char* kChanged = "the file changed while it was read";

// How many bytes of `out` there were up to the end of the file; content with the first `enough`.
Result<std::size_t> read_to_end(int fd, std::span<std::byte> out, std::size_t enough) {
  std::size_t done = 0;
  while (done < enough) {
    const ssize_t got = ::read(fd, out.data() + done, out.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(system_error(errno, "cannot read"));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

cache::Digest digest_of(ByteSpan bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.digest();
}

// About how long the digest takes, at a byte in a nanosecond.
std::chrono::nanoseconds digest_time(std::uint64_t bytes) {
  return std::chrono::nanoseconds(bytes);
}

int folder_of(const FoundFile& file) {
  return file.folder ? file.folder->get() : AT_FDCWD;
}

UniqueFd open_file(const FoundFile& file) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  return UniqueFd(::openat(folder_of(file), file.name(), flags));
}

}  // namespace

std::optional<Result<ScanReport>> FileJudge::judge(FoundFile file) {
  if (file.error) return std::unexpected(*file.error);
  path_ = file.path;
  fetched_.reset();
  if (file.is_stdin) return judge_stdin();
  if (!file.remote.empty()) return judge_remote(file.remote);
  const bool named = file.named;
  variant_.reset();
  if (known_) variant_ = variants_->of(path_, file.parts);
  if (auto known = find_known(file)) return known;
  auto report = open(std::move(file));
  // Trees are full of empty files; one that is named is a mistake.
  if (!named && report && !*report && report->error().code == ErrorCode::kEmpty) {
    return fail(ErrorCode::kWrongFormat, report->error().what);
  }
  return report;
}

// The file is not opened: opening takes twice as long as all the rest. Whoever may not read it any
// more changed something about it, so that it is another file to the cache.
std::optional<Result<ScanReport>> FileJudge::find_known(const FoundFile& file) {
  if (!variant_ || options_.reads_all) return std::nullopt;
  const auto status = RegularFile::status_of(folder_of(file), file.name());
  if (!status || options_.outputs.contains({status->device, status->inode})) return std::nullopt;
  if (options_.max_size && status->size > *options_.max_size) return std::nullopt;
  return known_->find(*status, *variant_);
}

bool FileJudge::is_output(int fd) const {
  struct stat status{};
  return !options_.outputs.empty() && ::fstat(fd, &status) == 0 &&
         options_.outputs.contains({status.st_dev, status.st_ino});
}

std::optional<Result<ScanReport>> FileJudge::open(FoundFile found) {
  UniqueFd fd = open_file(found);
  if (!fd) return std::unexpected(system_error(errno, "cannot open"));
  if (is_output(fd.get())) return std::nullopt;
  const auto file = RegularFile::adopt(std::move(fd));
  if (!file) return std::unexpected(file.error());
  if (options_.max_size && file->size() > *options_.max_size) {
    return fail(ErrorCode::kLimit, kTooLarge);
  }
  return judge_file(*file, std::move(found.parts));
}

Result<ScanReport> FileJudge::judge_file(const RegularFile& file, std::vector<FileRange> parts) {
  if (file.size() <= kSmall && parts.empty()) return judge_small(file);
  return judge_mapped(file, std::move(parts));
}

// Of a large file the digest takes longer than most scans, which look at no elements of tensors. It
// is only made for those that took longer.
Result<ScanReport> FileJudge::judge_bytes(const Reading& reading) {
  if (!variant_) return reading.scan();
  const bool is_large = reading.bytes.size() > kLarge;
  cache::Digest content{};
  if (!is_large) {
    content = digest_of(reading.bytes);
    const bool is_file = reading.file.is_as_opened();
    auto known = known_->find(content, is_file ? &reading.file.status() : nullptr, *variant_);
    if (known && reading.is_intact()) return std::move(*known);
  }
  const auto start = std::chrono::steady_clock::now();
  auto report = reading.scan();
  if (is_large) {
    if (std::chrono::steady_clock::now() - start < digest_time(reading.bytes.size())) return report;
    content = digest_of(reading.bytes);
  }
  if (reading.is_intact() && reading.file.is_as_opened()) {
    options_.cache->keep(reading.file.status(), content, *variant_, report);
  }
  return report;
}

ScanOptions FileJudge::scan_options() const {
  ScanOptions options;
  options.policy = options_.policy;
  options.path = path_;
  if (options_.timeout) options.deadline = std::chrono::steady_clock::now() + *options_.timeout;
  return options;
}

// What was read is what is judged, whatever becomes of the file. One byte more than there should be
// tells whether it has grown.
Result<ScanReport> FileJudge::judge_small(const RegularFile& file) {
  buffer_.resize(kSmall + 1);
  const auto length =
      read_to_end(file.fd(), std::span(buffer_).first(file.size() + 1), file.size());
  if (!length) return std::unexpected(length.error());
  if (*length != file.size() && file.has_changed()) return fail(ErrorCode::kMismatch, kChanged);
  const ByteSpan bytes = std::span(buffer_).first(*length);
  return judge_bytes(
      {file, bytes, [&] { return scan(bytes, scan_options()); }, [] { return true; }});
}

Result<ScanReport> FileJudge::judge_mapped(const RegularFile& file, std::vector<FileRange> parts) {
  auto input = Input::map_file(file);
  if (!input) return std::unexpected(input.error());
  const ModelFile model{"", std::move(*input), false, std::move(parts)};
  const ByteSpan bytes = model.input.bytes();
  const MappingGuard guard(bytes);
  const auto scan_it = [&]() -> Result<ScanReport> {
    auto report =
        model.parts.empty() ? scan(bytes, scan_options()) : scan_file(model, scan_options());
    if (guard.damaged())
      return fail(ErrorCode::kTruncated, "the file became shorter while it was read");
    if (file.has_changed()) return fail(ErrorCode::kMismatch, kChanged);
    return report;
  };
  return judge_bytes({file, bytes, scan_it, [&] { return !guard.damaged(); }});
}

// Its bytes stay in memory up to 32 MiB; beyond, they go to a file without a name.
Result<ScanReport> FileJudge::judge_stdin() {
  Spool spool;
  std::vector<std::byte> block(std::size_t{1} << 20);
  for (;;) {
    const auto length = read_to_end(STDIN_FILENO, block, block.size());
    if (!length) return std::unexpected(length.error());
    if (*length == 0) break;
    if (options_.max_size && spool.size() + *length > *options_.max_size) {
      return fail(ErrorCode::kLimit, kTooLarge);
    }
    const auto written = spool.write(std::span(block).first(*length));
    if (!written) return std::unexpected(written.error());
  }
  if (spool.size() == 0) return fail(ErrorCode::kEmpty, "the file is empty (0 bytes)");
  const auto input = std::move(spool).finish();
  if (!input) return std::unexpected(input.error());
  return scan(input->bytes(), scan_options());
}

Result<ScanReport> FileJudge::judge_remote(const std::string& spec) {
  remote::OpenOptions options;
  options.name = path_;
  options.printable = report::printable(path_);
  options.on_failure = remote::OnFailure::kRemember;
  options.max_size = options_.max_size;
  const auto file = remote::open_remote(Remote::fetcher(), spec, options);
  if (!file) return std::unexpected(file.error());
  const MappingGuard guard(file->input.bytes());
  auto report = scan(file->input.bytes(), scan_options());
  fetched_ = file->fetched();
  if (const auto failure = file->failure()) return std::unexpected(*failure);
  if (guard.damaged()) return fail(ErrorCode::kIo, "cannot read a temporary file");
  return report;
}

}  // namespace tare::cli
