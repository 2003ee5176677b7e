// What a scan said of a file, as bytes to keep and back.
//
// Everything that a report shows is in the bytes, so that a report that was kept cannot be told
// from one that was just made. The bytes are for the same build of this program alone: rules are
// kept by their ids, and nothing says which version of the encoding it is.
#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tare/scan.hpp"

namespace tare::cache {

// Texts that live as long as this does, each once: an Error holds no text of its own. Safe to use
// from several threads.
class Literals {
 public:
  const char* keep(std::string_view text);

 private:
  std::mutex mutex_;
  std::set<std::string, std::less<>> texts_;
};

// A report, or that there is nothing to scan. Errors are not to be kept: the next scan may not meet
// them.
using Outcome = Result<ScanReport>;
bool can_be_kept(const Outcome& outcome);

// `outcome` can be kept.
std::vector<std::byte> encode(const Outcome& outcome);
// Nothing if the bytes are no outcome. `literals` must outlive it.
std::optional<Outcome> decode(ByteSpan bytes, Literals& literals);

}  // namespace tare::cache
