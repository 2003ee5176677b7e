// tare-demo: the exercise. It is started by `tare demo`; it writes hostile files with harmless
// payloads and loads them with the real PyTorch inside a sandbox.
#include <CLI/CLI.hpp>
#include <csignal>

#include "story.hpp"
#include "tare/version.hpp"

namespace {

using tare::demo::Options;

constexpr const char* kFooter = R"(Examples:
  tare demo
  tare demo attack
  tare demo attack --neutered
  tare demo safe --dir .
  tare demo compare --size-mb 2000)";

// The marker becomes part of a shell command and of TorchScript source.
std::string check_marker(const std::string& name) {
  const bool plain =
      !name.empty() && name.front() != '.' && name.front() != '-' &&
      name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
          std::string::npos;
  return plain ? "" : "a plain file name is needed";
}

int run_all(const Options& options) {
  for (auto* part : {tare::demo::run_attack, tare::demo::run_safe, tare::demo::run_compare}) {
    if (const int code = part(options); code != 0) return code;
  }
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app{"The exercise: unsafe and safe model files, shown on the real loaders.",
               "tare demo"};
  app.set_version_flag("--version", std::string("tare-demo ") + tare::version());
  app.footer(kFooter);
  app.fallthrough();
  Options options;
  app.add_option("--dir", options.directory, "keep the files here (default: a temporary folder)");
  app.add_option("--python", options.python, "a Python that has PyTorch")->capture_default_str();
  app.add_option("--marker", options.marker, "the payload touches /tmp/MARKER")
      ->check(check_marker)
      ->capture_default_str();
  app.add_flag("--neutered", options.neutered, "the same files without a payload");
  app.add_option("--size-mb", options.size_mb, "size of the model that `compare` measures")
      ->check(CLI::Range(1U, 100'000U))
      ->capture_default_str();
  std::string model;
  auto* attack = app.add_subcommand("attack", "hostile files, the real torch.load, and the catch");
  auto* safe = app.add_subcommand("safe", "the same model as safetensors, and its guarantees");
  auto* compare = app.add_subcommand("compare", "pickle against safetensors, measured");
  auto* measure = app.add_subcommand("measure", "")->group("");
  measure->add_option("MODEL", model)->required();
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 4;
  }
  if (*attack) return tare::demo::run_attack(options);
  if (*safe) return tare::demo::run_safe(options);
  if (*compare) return tare::demo::run_compare(options);
  if (*measure) return tare::demo::run_measure(model);
  return run_all(options);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    return tare::demo::give_up(error.what());
  }
}
