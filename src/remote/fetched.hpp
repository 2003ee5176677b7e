// How much of a file on a server was fetched, for reports.
#pragma once

#include <cstdint>

namespace tare::remote {

// Whether the bytes of a file are those that the server has a SHA-256 of.
enum class Sha256Check : std::uint8_t {
  kNone,     // the server tells none
  kNotDone,  // not all bytes were read, or not in order
  kEqual,
};

struct Fetched {
  std::uint64_t bytes = 0;
  std::uint64_t size = 0;  // of the file
  std::uint64_t requests = 0;
  bool is_whole = false;  // in one piece, for want of ranges or because it was asked for
  Sha256Check sha256 = Sha256Check::kNone;
};

}  // namespace tare::remote
