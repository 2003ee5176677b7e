#include "cache/database.hpp"

namespace tare::cache {
namespace {

Step step_of(int result) {
  switch (result & 0xFF) {
    case SQLITE_ROW:
      return Step::kRow;
    case SQLITE_OK:
    case SQLITE_DONE:
      return Step::kDone;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Step::kBusy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:  // of fixed statements: the tables are not those that they are for
    case SQLITE_FORMAT:
    case SQLITE_MISMATCH:
      return Step::kDamaged;
    default:
      return Step::kFailed;
  }
}

}  // namespace

Statement& Statement::bind(int index, ByteSpan blob) {
  sqlite3_bind_blob64(statement_.get(), index, blob.data(), blob.size(), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind(int index, std::int64_t number) {
  sqlite3_bind_int64(statement_.get(), index, number);
  return *this;
}

Step Statement::step() {
  return step_of(sqlite3_step(statement_.get()));
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
}

ByteSpan Statement::blob(int column) const {
  const void* const data = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return {static_cast<const std::byte*>(data), static_cast<std::size_t>(size)};
}

std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::expected<Database, Step> Database::open(const std::filesystem::path& path, int wait_ms) {
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                    SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE;
  const Step opened = step_of(sqlite3_open_v2(path.c_str(), &raw, flags, nullptr));
  Database database;
  database.database_.reset(raw);
  if (opened != Step::kDone) return std::unexpected(opened);
  sqlite3_busy_timeout(raw, wait_ms);
  // Whatever the file says about its tables, nothing but plain tables is obeyed.
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  return database;
}

std::expected<Statement, Step> Database::prepare(const char* sql) {
  sqlite3_stmt* raw = nullptr;
  const Step prepared = step_of(
      sqlite3_prepare_v3(database_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr));
  if (prepared != Step::kDone) return std::unexpected(prepared);
  Statement statement;
  statement.statement_.reset(raw);
  return statement;
}

Step Database::run(const char* sql) {
  auto statement = prepare(sql);
  return statement ? statement->step() : statement.error();
}

std::optional<std::int64_t> Database::number(const char* sql) {
  auto statement = prepare(sql);
  if (!statement || statement->step() != Step::kRow) return std::nullopt;
  return statement->number(0);
}

std::uint64_t Database::changes() const {
  return static_cast<std::uint64_t>(sqlite3_changes64(database_.get()));
}

}  // namespace tare::cache
