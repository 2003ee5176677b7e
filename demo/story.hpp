// How the demo tells its story: headings and lines on stdout, and a place for its files.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <string>

namespace tare::demo {

struct Options {
  std::filesystem::path directory;  // where the files go; empty: a temporary one
  std::filesystem::path python = "/usr/bin/python3";
  std::string marker = "pwned_by_pickle.txt";  // the payload touches /tmp/MARKER
  bool neutered = false;                       // the same files without a payload
  unsigned size_mb = 500;                      // of the model that `compare` measures
};

// Every part returns an exit code: 0 when its story was told to the end.
int run_attack(const Options& options);
int run_safe(const Options& options);
int run_compare(const Options& options);

// The hidden verb that `compare` starts for each measurement: opens a model, touches every byte,
// prints JSON.
int run_measure(const std::string& path);

template <typename... Arguments>
void say(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  fmt::print(format, std::forward<Arguments>(arguments)...);
  fmt::print("\n");
  std::fflush(stdout);
}

inline void heading(std::string_view text) {
  say("\n== {} {:=<{}}", text, "", text.size() < 74 ? 74 - text.size() : 1);
}

// What failed, on stderr; returns the exit code for it.
inline int give_up(std::string_view what) {
  fmt::print(stderr, "tare-demo: {}\n", what);
  return 2;
}

// A directory that goes with the object, and everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The directory asked for, or a temporary one.
class Workplace {
 public:
  explicit Workplace(const Options& options);
  std::filesystem::path file(std::string_view name) const { return directory_ / name; }
  bool keeps() const { return keeps_; }

 private:
  TemporaryDirectory temporary_;
  std::filesystem::path directory_;
  bool keeps_;
};

}  // namespace tare::demo
