// The files below a folder, one after the other, folder by folder in the order of their names.
//
// The depth is bounded by memory alone: nothing recurses, no path is resolved from its beginning,
// and at most 32 folders are open, however deep the walk is. Of a folder all names are held, 8
// bytes and the name each. Links to files are followed; links to folders are not, and are counted.
// What is no file (device, FIFO, socket) is never opened. No file in the tree changes what the walk
// does, except the
// `.metadata` of a distributed checkpoint, which says what parts the files beside it consist of.
#pragma once

#include <dirent.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/path_filter.hpp"
#include "io/unique_fd.hpp"
#include "scan/checkpoint_parts.hpp"
#include "tare/error.hpp"

namespace tare::cli {

// An open folder, that of the walk and of the files that are still to be opened in it.
using OpenFolder = std::shared_ptr<const UniqueFd>;

struct FoundFile {
  std::string path;         // as it is told: the folder as it was named, and the way below it
  std::size_t name_at = 0;  // where in `path` the name begins that is looked up in `folder`
  OpenFolder folder;        // null: `path` is looked up
  bool named = false;       // on the command line, and not found in a folder or a list
  bool is_stdin = false;
  std::string remote;            // of a file on a server: what to fetch; `path` is for people
  std::optional<Error> error;    // why there is nothing to open
  std::vector<FileRange> parts;  // of a file of a distributed checkpoint

  const char* name() const { return path.c_str() + name_at; }
};

struct WalkCounts {
  std::uint64_t excluded = 0;      // files and folders that a pattern leaves out
  std::uint64_t folder_links = 0;  // links to folders, which are not followed
};

class TreeWalk {
 public:
  // `filter` and `counts` must outlive the walk.
  TreeWalk(std::string folder, const PathFilter& filter, WalkCounts& counts);

  // The next file, or the next thing that cannot be read; nothing at the end.
  std::optional<FoundFile> next();

 private:
  using FileId = std::pair<dev_t, ino_t>;

  // Where a name is in Level::text, and its type as in dirent, in one word: there may be millions.
  class Name {
   public:
    Name(std::uint64_t at, unsigned char type) : word_(at << 8 | type) {}
    std::uint64_t at() const { return word_ >> 8; }
    unsigned char type() const { return static_cast<unsigned char>(word_); }

   private:
    std::uint64_t word_;
  };

  struct Level {
    OpenFolder folder;  // null while it is closed
    FileId id;
    std::string text;  // the names, each with a NUL behind it
    std::vector<Name> names;
    std::size_t next = 0;
    std::size_t path_length = 0;  // of the path of the folder, with its slash
    CheckpointParts parts;

    const char* name(Name entry) const { return text.c_str() + entry.at(); }
  };

  std::optional<FoundFile> visit(Name entry);
  std::optional<FoundFile> enter(int parent, const char* name, int flags);
  std::optional<FoundFile> leave();
  Result<Level> open_level(int parent, const char* name, int flags) const;
  // Both need the path to be that of what is found.
  FoundFile found() const;
  FoundFile failure(const Error& error) const;
  std::string below() const { return path_.substr(root_length_); }

  const PathFilter& filter_;
  WalkCounts& counts_;
  std::string path_;  // of the folder that is being read, or of what was found in it last
  std::size_t root_length_ = 0;
  bool started_ = false;
  std::vector<Level> levels_;
  std::set<FileId> open_ids_;  // of the levels
};

}  // namespace tare::cli
