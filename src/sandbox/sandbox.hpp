// Runs the real loaders of other projects where they can do no harm.
//
// With bubblewrap: no network, a read-only system, an own /tmp, no home directory, no other
// processes, no privileges. Where the kernel gives no namespaces (a plain container), the container
// itself is the sandbox, and description() says so. On a bare host without namespaces find()
// refuses. Only tare-demo links this; libtare cannot start anything.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>
#include <vector>

namespace tare::sandbox {

struct Command {
  std::vector<std::string> arguments;           // the program first
  std::vector<std::filesystem::path> readable;  // beyond the system: seen read-only, same path
  std::chrono::seconds timeout{60};
};

struct Outcome {
  int exit_code = -1;  // 128 + signal if it was killed
  bool timed_out = false;
  std::string output;  // stdout and stderr, the first 64 KiB of it
  double seconds = 0;
  long peak_rss_kib = 0;  // of the largest process; includes the sandbox's own
};

class Sandbox {
 public:
  // The best sandbox there is here, or why there is none. `scratch` is an empty directory that the
  // sandboxed program sees as /tmp; it must outlive the sandbox.
  static std::expected<Sandbox, std::string> find(const std::filesystem::path& scratch);

  // For people: "bubblewrap (no network, ...)".
  std::string description() const;

  // Where `path`, an absolute path below /tmp inside the sandbox, is found outside.
  std::filesystem::path outside(const std::filesystem::path& path) const;

  // Runs a command to its end. Errors are text: the command could not be started.
  std::expected<Outcome, std::string> run(const Command& command) const;

 private:
  // In some containers there are namespaces, but no leave to mount a new /proc.
  enum class Kind : std::uint8_t { kBubblewrap, kBubblewrapWithoutProc, kContainer };

  Sandbox(Kind kind, std::filesystem::path scratch) : kind_(kind), scratch_(std::move(scratch)) {}
  std::vector<std::string> wrap(const Command& command) const;

  Kind kind_;
  std::filesystem::path scratch_;
};

}  // namespace tare::sandbox
