// Pickles that follow each other in one file. Internal to the pickle readers.
#pragma once

#include "tare/pickle.hpp"

namespace tare::pickle {

// Whether the bytes behind a pickle are another one, given what running them gave: they end with
// STOP, do something, or claim to be one.
inline bool is_pickle(const Run& run, ByteSpan bytes) {
  return run.end == End::kStop || !run.events.empty() ||
         (bytes.size() >= 2 && bytes[0] == std::byte{0x80} && bytes[1] <= std::byte{5});
}

}  // namespace tare::pickle
