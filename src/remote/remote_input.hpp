// An Input whose bytes are on a server.
#pragma once

#include <functional>
#include <memory>

#include "remote/paged_file.hpp"

namespace tare::remote {

struct OpenOptions {
  std::string name;  // for reports, and printable: for the line on stderr
  std::string printable;
  OnFailure on_failure = OnFailure::kEndProcess;
  // A server without ranges: larger files are not fetched.
  std::uint64_t max_whole = std::uint64_t{16} << 30;
  std::optional<std::uint64_t> max_size;  // of any file
  bool whole = false;                     // fetch all of it at once, and check its SHA-256
};

struct RemoteInput {
  Input input;
  std::shared_ptr<const PagedFile> pages;  // null: it was fetched whole
  Fetched whole;                           // then

  Fetched fetched() const { return pages ? pages->fetched() : whole; }
  std::optional<Error> failure() const { return pages ? pages->failure() : std::optional<Error>(); }
};

// `spec`: what a person wrote (spec.hpp). Errors: those of the protocol; kLimit: larger than the
// options allow; kMismatch: another SHA-256 than the server tells.
Result<RemoteInput> open_remote(Fetcher& fetcher, const std::string& spec,
                                const OpenOptions& options);

}  // namespace tare::remote
