#include "cache/scan_cache.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>

#include "cache/build_id.hpp"
#include "io/byte_buffer.hpp"

namespace tare::cache {
namespace {

constexpr std::int64_t kTables = 1;  // PRAGMA user_version
constexpr int kWaitMs = 2000;
constexpr std::size_t kBatch = 1000;
constexpr std::uint64_t kRefresh = 4096;  // lookups

constexpr const char* kCreateResults =
    "CREATE TABLE IF NOT EXISTS results (content BLOB NOT NULL, variant BLOB NOT NULL, "
    "report BLOB NOT NULL, seal BLOB NOT NULL, used INTEGER NOT NULL, "
    "PRIMARY KEY (content, variant))";
constexpr const char* kCreateFiles =
    "CREATE TABLE IF NOT EXISTS files (id BLOB PRIMARY KEY, content BLOB NOT NULL, "
    "seal BLOB NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID";
constexpr const char* kByFile =
    "SELECT r.content, r.report, r.seal, r.used, f.seal FROM files f JOIN results r "
    "ON r.content = f.content AND r.variant = ?2 WHERE f.id = ?1";
constexpr const char* kByContent =
    "SELECT content, report, seal, used FROM results WHERE content = ?1 AND variant = ?2";
constexpr const char* kAddFile =
    "INSERT OR REPLACE INTO files (id, content, seal, used) VALUES (?1, ?2, ?3, ?4)";
constexpr const char* kAddResult =
    "INSERT OR REPLACE INTO results (content, variant, report, seal, used) "
    "VALUES (?1, ?2, ?3, ?4, ?5)";
constexpr const char* kUseResult =
    "UPDATE results SET used = ?3 WHERE content = ?1 AND variant = ?2";

constexpr Digest kNoFile{};

std::int64_t today() {
  constexpr std::int64_t kSeconds = 86'400;
  return std::int64_t{std::time(nullptr)} / kSeconds;
}

bool is_settled(const RegularFile::Status& file) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t since = std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec - file.changed;
  return since > ScanCache::kSettled;
}

// Of texts of any length: no two lists have the same digest.
class Digester {
 public:
  Digester& text(std::string_view value) {
    number(value.size());
    sha_.update(as_bytes(value));
    return *this;
  }
  Digester& bytes(ByteSpan value) { return text(as_text(value)); }
  Digester& number(std::uint64_t value) {
    sha_.update(std::as_bytes(std::span(&value, 1)));
    return *this;
  }
  Digest digest() { return sha_.digest(); }

 private:
  Sha256 sha_;
};

Digest id_of(const RegularFile::Status& file) {
  const auto& [device, inode, size, modified, changed] = file;
  return Digester()
      .number(device)
      .number(inode)
      .number(size)
      .number(static_cast<std::uint64_t>(modified))
      .number(static_cast<std::uint64_t>(changed))
      .digest();
}

Digest seal_of_file(const Digest& id, const Digest& content) {
  return Digester().text("file").bytes(id).bytes(content).digest();
}

Digest seal_of_result(const Digest& content, const Digest& variant, ByteSpan report) {
  return Digester().text("result").bytes(content).bytes(variant).bytes(report).digest();
}

bool equal(ByteSpan blob, const Digest& digest) {
  return std::ranges::equal(blob, digest);
}

std::optional<Digest> digest_in(ByteSpan blob) {
  Digest digest;
  if (blob.size() != digest.size()) return std::nullopt;
  std::ranges::copy(blob, digest.begin());
  return digest;
}

void add_policy(Digester& to, const Policy& policy) {
  const auto has_expired = [&](const auto& entry) {
    return std::uint64_t{policy.has_expired(entry.expires)};
  };
  to.number(policy.names().size());
  for (const PolicyName& name : policy.names()) {
    to.text(name.module).text(name.name).number(std::uint64_t{name.named}).text(name.arguments);
    to.text(name.state).text(name.items).text(name.reason).number(has_expired(name));
  }
  to.number(policy.allowances().size());
  for (const Allowance& allowance : policy.allowances()) {
    to.text(allowance.rule).text(allowance.path).text(allowance.sha256).text(allowance.entry);
    to.text(allowance.name).text(allowance.reason).number(has_expired(allowance));
  }
}

// The first step that is not done.
Step run_all(Database& database, std::initializer_list<const char*> statements) {
  Step step = Step::kDone;
  for (const char* sql : statements) {
    step = database.run(sql);
    if (step == Step::kRow) step = Step::kDone;  // a pragma that tells what it has set
    if (step != Step::kDone) break;
  }
  return step;
}

// Makes the tables of a new file; kDamaged if it has other ones.
Step make_tables(Database& database) {
  const auto version = database.number("PRAGMA user_version");
  if (!version) return Step::kDamaged;
  if (*version == kTables) return Step::kDone;
  if (*version != 0) return Step::kDamaged;
  const Step made = run_all(database, {"BEGIN IMMEDIATE", kCreateResults, kCreateFiles,
                                       "PRAGMA user_version = 1", "COMMIT"});
  if (made != Step::kDone) database.run("ROLLBACK");
  return made;
}

std::expected<Database, Step> open_tables(const std::filesystem::path& file, int wait_ms) {
  auto database = Database::open(file, wait_ms);
  if (!database) return database;
  Step step = run_all(*database, {"PRAGMA page_size = 8192", "PRAGMA journal_mode = WAL",
                                  "PRAGMA synchronous = NORMAL", "PRAGMA temp_store = MEMORY",
                                  "PRAGMA cell_size_check = ON", "PRAGMA cache_size = -8192"});
  if (step == Step::kDone) step = make_tables(*database);
  if (step != Step::kDone) return std::unexpected(step);
  return database;
}

}  // namespace

Variants::Variants(const Policy* policy) : has_policy_(policy != nullptr) {
  if (build_id().empty()) return;
  Digester to;
  to.bytes(build_id()).number(has_policy_);
  if (policy != nullptr) add_policy(to, *policy);
  base_ = to.digest();
}

std::optional<Variant> Variants::of(std::string_view path, std::span<const FileRange> parts) const {
  // Without a policy nothing asks for the path.
  if (!base_ || (!has_policy_ && parts.empty())) return base_;
  Digester to;
  to.bytes(*base_).text(has_policy_ ? path : "");
  for (const auto& [offset, length] : parts) to.number(offset).number(length);
  return to.digest();
}

std::unique_ptr<ScanCache> ScanCache::open(const CacheFolder& folder, std::uint64_t max_bytes) {
  std::unique_ptr<ScanCache> cache(new ScanCache(folder, max_bytes));
  auto database = cache->connect();
  const std::lock_guard lock(cache->mutex_);
  if (database) {
    cache->writer_ = std::move(*database);
  } else {
    cache->went_wrong(database.error());
    cache->off_ = true;
  }
  return cache;
}

ScanCache::~ScanCache() {
  flush();
}

// Two processes that make the file at once may both be told that it is busy, without a wait.
std::expected<Database, Step> ScanCache::connect() {
  auto database = open_tables(file_, kWaitMs);
  for (int tries = 0; tries < 50 && !database && database.error() == Step::kBusy; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    database = open_tables(file_, kWaitMs);
  }
  return database;
}

void ScanCache::keep(const RegularFile::Status& file, const Digest& content, const Variant& variant,
                     const Outcome& outcome) {
  if (off_ || !can_be_kept(outcome)) return;
  Pending pending{is_settled(file) ? id_of(file) : kNoFile, content, variant, encode(outcome)};
  if (pending.report.size() <= kMaxReport) add(std::move(pending));
}

void ScanCache::add(Pending pending) {
  const std::lock_guard lock(mutex_);
  pending_.push_back(std::move(pending));
  if (pending_.size() < kBatch) return;
  if (const Step step = write(pending_); step != Step::kDone) went_wrong(step);
  pending_.clear();
}

void ScanCache::flush() {
  const std::lock_guard lock(mutex_);
  if (off_ || pending_.empty()) return;
  Step step = write(pending_);
  if (step == Step::kDone) step = make_room();
  if (step != Step::kDone) went_wrong(step);
  pending_.clear();
}

Step ScanCache::write(std::span<const Pending> batch) {
  Step step = writer_->run("BEGIN IMMEDIATE");
  if (step != Step::kDone) return step;
  step = write_rows(batch);
  if (step == Step::kDone) step = writer_->run("COMMIT");
  if (step != Step::kDone) writer_->run("ROLLBACK");
  return step;
}

Step ScanCache::write_rows(std::span<const Pending> batch) {
  auto add_file = writer_->prepare(kAddFile);
  auto add_result = writer_->prepare(kAddResult);
  auto use_result = writer_->prepare(kUseResult);
  if (!add_file || !add_result || !use_result) return Step::kDamaged;
  const std::int64_t day = today();
  Step step = Step::kDone;
  const auto run = [&](Statement& statement) {
    if (step == Step::kDone) step = statement.step();
    statement.reset();
  };
  for (const Pending& row : batch) {
    const Digest file_seal = seal_of_file(row.file, row.content);
    if (row.file != kNoFile) {
      run(add_file->bind(1, row.file).bind(2, row.content).bind(3, file_seal).bind(4, day));
    }
    if (row.report.empty()) {
      run(use_result->bind(1, row.content).bind(2, row.variant).bind(3, day));
    } else {
      const Digest seal = seal_of_result(row.content, row.variant, row.report);
      run(add_result->bind(1, row.content)
              .bind(2, row.variant)
              .bind(3, row.report)
              .bind(4, seal)
              .bind(5, day));
    }
  }
  return step;
}

// Pages that are given back are used again; the file does not shrink.
Step ScanCache::make_room() {
  const auto pages = writer_->number("PRAGMA page_count");
  const auto free = writer_->number("PRAGMA freelist_count");
  const auto page_size = writer_->number("PRAGMA page_size");
  if (!pages || !free || !page_size) return Step::kDamaged;
  const auto used = static_cast<std::uint64_t>((*pages - *free) * *page_size);
  if (used <= max_bytes_) return Step::kDone;
  return run_all(*writer_, {"DELETE FROM results WHERE rowid IN (SELECT rowid FROM results "
                            "ORDER BY used, rowid LIMIT (SELECT count(*) / 4 + 1 FROM results))",
                            "DELETE FROM files WHERE id IN (SELECT id FROM files "
                            "ORDER BY used LIMIT (SELECT count(*) / 4 + 1 FROM files))"});
}

void ScanCache::went_wrong(Step step) {
  if (step == Step::kBusy) {
    complaint_ = "it is busy: not all results could be kept";
    return;
  }
  if (off_.exchange(true)) return;
  if (step == Step::kDamaged) {
    const auto aside = CacheFolder::set_aside(file_);
    complaint_ = "it is damaged and not used";
    if (!aside.empty()) complaint_ += "; set aside as " + aside.filename().native();
  } else {
    complaint_ = "it cannot be read or written, and is not used";
  }
}

std::string ScanCache::complaint() {
  const std::lock_guard lock(mutex_);
  return complaint_.empty() ? "" : file_.native() + ": " + complaint_;
}

ScanCache::Reader::Reader(ScanCache& cache) : cache_(cache) {
  if (cache_.off_) return;
  auto database = cache_.connect();
  Step step = database ? Step::kDone : database.error();
  if (database) {
    database_ = std::move(*database);
    step = prepare();
  }
  if (step == Step::kDone) return;
  database_.reset();
  const std::lock_guard lock(cache_.mutex_);
  cache_.went_wrong(step);
}

Step ScanCache::Reader::prepare() {
  auto begin = database_->prepare("BEGIN");
  auto end = database_->prepare("COMMIT");
  auto by_file = database_->prepare(kByFile);
  auto by_content = database_->prepare(kByContent);
  if (!begin || !end || !by_file || !by_content) return Step::kDamaged;
  statements_.emplace(
      Statements{std::move(*begin), std::move(*end), std::move(*by_file), std::move(*by_content)});
  return Step::kDone;
}

// One transaction for many lookups saves the locks of each. But the log cannot be emptied past what
// a reader may still see.
bool ScanCache::Reader::refresh() {
  if (!statements_ || cache_.off_) return false;
  if (lookups_++ % kRefresh != 0) return true;
  if (lookups_ > 1) {
    statements_->end.step();
    statements_->end.reset();
  }
  const bool begun = statements_->begin.step() == Step::kDone;
  statements_->begin.reset();
  return begun;
}

std::optional<Outcome> ScanCache::Reader::find(const RegularFile::Status& file,
                                               const Variant& variant) {
  if (!refresh()) return std::nullopt;
  const Digest id = id_of(file);
  return take(statements_->by_file.bind(1, id).bind(2, variant), id, nullptr, variant);
}

std::optional<Outcome> ScanCache::Reader::find(const Digest& content,
                                               const RegularFile::Status* file,
                                               const Variant& variant) {
  if (!refresh()) return std::nullopt;
  const Digest id = file != nullptr && is_settled(*file) ? id_of(*file) : kNoFile;
  return take(statements_->by_content.bind(1, content).bind(2, variant), id, &content, variant);
}

std::optional<Outcome> ScanCache::Reader::take(Statement& statement, const Digest& file,
                                               const Digest* content, const Variant& variant) {
  Step step = statement.step();
  std::optional<Outcome> outcome;
  if (step == Step::kRow) {
    outcome = take_row(statement, file, content, variant);
    if (!outcome) step = Step::kDamaged;
  }
  statement.reset();
  if (step == Step::kDamaged || step == Step::kFailed) {
    const std::lock_guard lock(cache_.mutex_);
    cache_.went_wrong(step);
  }
  return outcome;
}

std::optional<Outcome> ScanCache::Reader::take_row(Statement& row, const Digest& file,
                                                   const Digest* content, const Variant& variant) {
  const auto found = digest_in(row.blob(0));
  if (!found || (content != nullptr && *found != *content)) return std::nullopt;
  if (content == nullptr && !equal(row.blob(4), seal_of_file(file, *found))) return std::nullopt;
  const ByteSpan report = row.blob(1);
  if (!equal(row.blob(2), seal_of_result(*found, variant, report))) return std::nullopt;
  auto outcome = decode(report, cache_.literals_);
  const bool is_new_to_file = content != nullptr && file != kNoFile;
  if (outcome && (is_new_to_file || row.number(3) != today())) {
    cache_.add({file, *found, variant, {}});
  }
  return outcome;
}

namespace {

std::uint64_t size_of(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

Error error_of(Step step) {
  if (step == Step::kDamaged) return {ErrorCode::kMalformed, 0, Error::kNoOffset, "it is damaged"};
  if (step == Step::kBusy) {
    return {ErrorCode::kIo, 0, Error::kNoOffset, "other processes are using it"};
  }
  return {ErrorCode::kIo, 0, Error::kNoOffset, "it cannot be read or written"};
}

// What is in the tables.
Step count(Database& database, CacheStats& stats) {
  const auto results = database.number("SELECT count(*) FROM results");
  const auto files = database.number("SELECT count(*) FROM files");
  const auto oldest = database.number("SELECT coalesce(min(used), 0) FROM results");
  if (!results || !files || !oldest) return Step::kDamaged;
  stats.results = static_cast<std::uint64_t>(*results);
  stats.files = static_cast<std::uint64_t>(*files);
  stats.oldest = *oldest;
  return Step::kDone;
}

}  // namespace

Result<CacheStats> stats_of(const CacheFolder& folder) {
  CacheStats stats;
  stats.damaged = folder.damaged();
  for (const auto& file : stats.damaged) stats.bytes += size_of(file);
  const auto file = folder.current();
  if (!std::filesystem::exists(file)) return stats;
  stats.bytes += size_of(file) + size_of(file.native() + "-wal");
  auto database = open_tables(file, kWaitMs);
  const Step step = database ? count(*database, stats) : database.error();
  if (step != Step::kDone) return std::unexpected(error_of(step));
  return stats;
}

Result<CacheStats> clear(const CacheFolder& folder) {
  auto stats = stats_of(folder);
  const auto file = folder.current();
  if (!stats && stats.error().code == ErrorCode::kMalformed) {
    CacheFolder::set_aside(file);
    stats = stats_of(folder);
  }
  if (!stats) return stats;
  for (const auto& damaged : stats->damaged) ::unlink(damaged.c_str());
  if (!std::filesystem::exists(file)) return stats;
  auto database = open_tables(file, kWaitMs);
  const Step step =
      database ? run_all(*database, {"BEGIN IMMEDIATE", "DELETE FROM results", "DELETE FROM files",
                                     "COMMIT", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"})
               : database.error();
  if (step != Step::kDone) return std::unexpected(error_of(step));
  return stats;
}

}  // namespace tare::cache
