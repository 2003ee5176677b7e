// Runs the real PyTorch of the system inside the sandbox and reads what it observed.
#pragma once

#include <expected>
#include <nlohmann/json.hpp>
#include <string>

#include "sandbox/sandbox.hpp"
#include "story.hpp"

namespace tare::demo {

extern const char* const kLoaderScript;

struct Observation {
  nlohmann::json result;  // what the loader script wrote down
  std::string printed;    // what came out on stdout and stderr
  double seconds = 0;
};

class TorchRunner {
 public:
  // Finds a sandbox, and in it a Python that imports torch. The error says which is missing;
  // `no_sandbox` tells the two apart.
  struct Missing {
    bool no_sandbox;
    std::string why;
  };
  static std::expected<TorchRunner, Missing> find(const Options& options,
                                                  const std::filesystem::path& scratch);

  std::string description() const { return sandbox_.description(); }
  const std::string& torch_version() const { return version_; }
  const sandbox::Sandbox& sandbox() const { return sandbox_; }

  // Runs one mode of demo/loader.py. `readable`: the files that it may read, same path inside.
  std::expected<Observation, std::string> run(
      const std::string& mode, const std::vector<std::string>& arguments,
      const std::vector<std::filesystem::path>& readable) const;

 private:
  TorchRunner(sandbox::Sandbox sandbox, std::filesystem::path python)
      : sandbox_(std::move(sandbox)), python_(std::move(python)) {}

  sandbox::Sandbox sandbox_;
  std::filesystem::path python_;
  std::vector<std::filesystem::path> python_roots_;  // of a Python outside the system directories
  std::string version_;
};

}  // namespace tare::demo
