// What the verbs that write a pickle as text have in common.
#pragma once

#include "cli/cli.hpp"
#include "format/entry.hpp"

namespace tare::cli {

// Runs `verb` on the bytes of the pickle that `path` names (PATH or PATH!ENTRY), and tells how its
// result ended; the exit code.
template <typename Verb>
int run_pickle_verb(const std::string& path, const Verb& verb) {
  const auto entry = format::open_pickle_entry(path);
  if (!entry) {
    print_error(path, entry.error());
    return kError;
  }
  const auto result = verb(entry->bytes);
  if (result.cancelled) return kError;
  if (!result.broken) return kOk;
  print_error(entry->name, *result.broken);
  return kError;
}

}  // namespace tare::cli
