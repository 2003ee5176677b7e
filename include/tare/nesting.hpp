// What stands in a file, and in that: entries of archives, content of compressed streams, what is
// behind a program. Nothing is extracted; what is decompressed on the way is bounded as for a scan.
#pragma once

#include <string>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

struct NestedEntry {
  std::string name;           // in what it stands in; empty for the file, and for bytes of no entry
  std::string what;           // "7z", "pickle + zip", "tensor data"; empty if it could not be read
  unsigned depth = 0;         // 0: the file
  std::uint64_t size = 0;     // bytes of the content
  std::uint64_t entries = 1;  // that stand for: the elements of tensors are told together
  std::uint64_t offset = Error::kNoOffset;  // in the file; none in what was decompressed
  std::string not_opened;  // why not all of it is shown; a sentence without a full stop
};

struct Nesting {
  static constexpr std::size_t kMaxEntries = 20'000;

  std::vector<NestedEntry> entries;  // each in front of what stands in it
  bool is_cut = false;               // there are more than kMaxEntries
};

// Errors: kWrongFormat if the file is none of the kinds that hold other files: archives, compressed
// data, programs with something behind them.
Result<Nesting> list_nesting(ByteSpan bytes);

}  // namespace tare
