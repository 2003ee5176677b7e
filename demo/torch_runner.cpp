#include "torch_runner.hpp"

#include <fstream>

#include "sandbox/process.hpp"

namespace tare::demo {
namespace {

constexpr std::chrono::seconds kTimeout{120};

// The directories a Python outside /usr needs: its own, and the one it was made from. This runs the
// user's own interpreter on no file at all.
std::vector<std::filesystem::path> python_roots(const std::filesystem::path& python) {
  if (python.string().starts_with("/usr/")) return {};
  const auto outcome = sandbox::run_process(
      {python.string(), "-c", "import sys; print(sys.prefix); print(sys.base_prefix)"},
      {"PATH=/usr/bin:/bin"}, std::chrono::seconds(30));
  std::vector<std::filesystem::path> roots;
  if (!outcome || outcome->exit_code != 0) return roots;
  std::istringstream lines(outcome->output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('/') && line != "/usr") roots.emplace_back(line);
  }
  return roots;
}

}  // namespace

std::expected<TorchRunner, TorchRunner::Missing> TorchRunner::find(
    const Options& options, const std::filesystem::path& scratch) {
  auto sandbox = sandbox::Sandbox::find(scratch);
  if (!sandbox) return std::unexpected(Missing{true, sandbox.error()});
  TorchRunner runner(std::move(*sandbox), options.python);
  if (!std::filesystem::exists(options.python)) {
    return std::unexpected(Missing{false, options.python.string() + " does not exist"});
  }
  runner.python_roots_ = python_roots(options.python);
  const auto probe = runner.run("probe", {}, {});
  if (!probe) return std::unexpected(Missing{false, probe.error()});
  if (probe->result.contains("missing")) {
    return std::unexpected(Missing{false, "PyTorch is not installed (python3-torch): " +
                                              probe->result["missing"].get<std::string>()});
  }
  runner.version_ = probe->result["version"].get<std::string>();
  return runner;
}

std::expected<Observation, std::string> TorchRunner::run(
    const std::string& mode, const std::vector<std::string>& arguments,
    const std::vector<std::filesystem::path>& readable) const {
  const std::filesystem::path inside = "/tmp/result.json";
  const auto outside = sandbox_.outside(inside);
  std::filesystem::remove(outside);

  sandbox::Command command;
  command.arguments = {python_.string(), "-c", kLoaderScript, inside.string(), mode};
  command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
  command.readable = readable;
  command.readable.insert(command.readable.end(), python_roots_.begin(), python_roots_.end());
  command.timeout = kTimeout;
  const auto outcome = sandbox_.run(command);
  if (!outcome) return std::unexpected(outcome.error());
  if (outcome->timed_out) return std::unexpected("the loader did not end in time");

  std::ifstream file(outside);
  Observation observation;
  observation.result = nlohmann::json::parse(file, nullptr, false);
  if (observation.result.is_discarded()) {
    return std::unexpected("the loader died: " + outcome->output);
  }
  observation.printed = outcome->output;
  observation.seconds = outcome->seconds;
  return observation;
}

}  // namespace tare::demo
