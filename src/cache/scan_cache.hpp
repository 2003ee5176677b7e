// What scans have found, kept for the next scan.
//
// A result is kept under the SHA-256 of the file and a Variant: the build of this program, and all
// that may change what it says of the same bytes. Beside it is kept which file, by what the system
// says of it, had that digest, so that an unchanged file need not be read again (docs/cache.md says
// when that is not enough). Every row has a seal, a digest of all that is in it: a row that does
// not fit its seal is no result, and sets the whole file aside.
//
// A cache never makes a scan fail and never changes what it says; what goes wrong is told by
// complaint(). Safe for many processes at once, and for many threads, each with its own Reader.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cache/cache_folder.hpp"
#include "cache/database.hpp"
#include "cache/report_codec.hpp"
#include "io/regular_file.hpp"
#include "io/sha256.hpp"
#include "tare/policy.hpp"

namespace tare::cache {

using Digest = Sha256::Digest;
using Variant = Digest;

// The variants of one scan: what is the same for all files is digested once.
class Variants {
 public:
  // `policy` may be null.
  explicit Variants(const Policy* policy);
  // `path` and `parts` as they are given to the scan. Nothing if it is not known which build of
  // this program this is.
  std::optional<Variant> of(std::string_view path, std::span<const FileRange> parts) const;

 private:
  std::optional<Variant> base_;
  bool has_policy_;
};

class ScanCache {
 public:
  // Nanoseconds that must have passed since a file was changed before it is known by its times:
  // what is written within one tick of the clock of the file system leaves them as they were.
  static constexpr std::int64_t kSettled = 2'000'000'000;
  // Then what was not used for longest goes.
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{512} << 20;
  static constexpr std::size_t kMaxReport = std::size_t{1} << 20;  // larger ones are not kept

  static std::unique_ptr<ScanCache> open(const CacheFolder& folder,
                                         std::uint64_t max_bytes = kMaxBytes);
  ScanCache(const ScanCache&) = delete;
  ScanCache& operator=(const ScanCache&) = delete;
  ~ScanCache();

  // Keeps what was found, if it can be kept. `file`: what had these bytes all the while.
  void keep(const RegularFile::Status& file, const Digest& content, const Variant& variant,
            const Outcome& outcome);
  // Writes what is still to be written.
  void flush();
  // What went wrong, as one sentence; empty if nothing did.
  std::string complaint();

  class Reader;

 private:
  struct Pending {
    Digest file{};  // zeros: not known by what the system says
    Digest content{};
    Variant variant{};
    std::vector<std::byte> report;  // empty: it was used again
  };

  ScanCache(const CacheFolder& folder, std::uint64_t max_bytes)
      : file_(folder.current()), max_bytes_(max_bytes) {}
  std::expected<Database, Step> connect();
  void add(Pending pending);
  Step write(std::span<const Pending> batch);
  Step write_rows(std::span<const Pending> batch);
  Step make_room();
  void went_wrong(Step step);

  const std::filesystem::path file_;
  const std::uint64_t max_bytes_;
  Literals literals_;
  std::atomic<bool> off_ = false;  // nothing is read or written any more
  std::mutex mutex_;               // of all that follows
  std::vector<Pending> pending_;
  std::optional<Database> writer_;
  std::string complaint_;
};

// For one thread. Must go before the cache.
class ScanCache::Reader {
 public:
  explicit Reader(ScanCache& cache);

  // Of a file that is, by all that the system says, the one whose result was kept.
  std::optional<Outcome> find(const RegularFile::Status& file, const Variant& variant);
  // Of these bytes. `file`, unless it is null, had them all the while, and is known by what the
  // system says from now on.
  std::optional<Outcome> find(const Digest& content, const RegularFile::Status* file,
                              const Variant& variant);

 private:
  struct Statements {
    Statement begin;
    Statement end;
    Statement by_file;
    Statement by_content;
  };

  bool refresh();
  Step prepare();
  std::optional<Outcome> take(Statement& statement, const Digest& file, const Digest* content,
                              const Variant& variant);
  std::optional<Outcome> take_row(Statement& row, const Digest& file, const Digest* content,
                                  const Variant& variant);

  ScanCache& cache_;
  std::optional<Database> database_;
  std::optional<Statements> statements_;
  std::uint64_t lookups_ = 0;
};

struct CacheStats {
  std::uint64_t bytes = 0;    // of the files
  std::uint64_t results = 0;  // of different contents, or builds and policies
  std::uint64_t files = 0;    // that are known by what the system says of them
  std::int64_t oldest = 0;    // days since 1970 of the last use; 0: there are no results
  std::vector<std::filesystem::path> damaged;
};
// Errors: kMalformed: the file is damaged; kIo. No file is an empty cache.
Result<CacheStats> stats_of(const CacheFolder& folder);
// Removes all results, and what was set aside. Returns what there was. Errors: kIo; a damaged file
// is removed as well.
Result<CacheStats> clear(const CacheFolder& folder);

}  // namespace tare::cache
