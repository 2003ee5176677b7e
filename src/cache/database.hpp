// SQLite, as far as the cache needs it: statements that fail in one of four ways.
//
// A Database is for one thread at a time; every thread opens its own. The file may be used by many
// processes (write-ahead log): readers see what was committed when they began.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare::cache {

enum class Step : std::uint8_t {
  kRow,
  kDone,
  kBusy,     // other processes were at it for longer than is waited for
  kDamaged,  // the file is no database, or not one that was written by this program
  kFailed,   // the disk is full, the system refused, ...
};

class Statement {
 public:
  // Blobs must live until the statement is reset.
  Statement& bind(int index, ByteSpan blob);
  Statement& bind(int index, std::int64_t number);
  Step step();
  // Makes it ready for new values.
  void reset();
  // Of the row, until the next step or reset.
  ByteSpan blob(int column) const;
  std::int64_t number(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  // Creates the file if there is none. Nothing waits for other processes longer than `wait_ms`.
  static std::expected<Database, Step> open(const std::filesystem::path& path, int wait_ms);

  // `sql`: a literal with one statement.
  std::expected<Statement, Step> prepare(const char* sql);
  // Runs one statement without rows, or to its first row.
  Step run(const char* sql);
  // The number in the first column of the first row; nothing if there is none.
  std::optional<std::int64_t> number(const char* sql);
  // How many rows the last statement removed or changed.
  std::uint64_t changes() const;

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace tare::cache
