#include <algorithm>
#include <csignal>
#include <span>

#include "cli/cli.hpp"
#include "tare/version.hpp"

namespace {

constexpr const char* kFooter =
    R"(Exit codes: 0 safe, valid, equal or done, 1 findings or differences,
2 error or unreadable, 3 nothing to scan, 4 usage.

Examples:
  tare scan model.pt
  tare inspect model.safetensors
  tare verify model.pt model.safetensors
  tare convert model.pt -o model.safetensors
  tare demo)";

struct Verb {
  std::string_view name;
  void (*add)(CLI::App& app, int& exit_code);
};
constexpr Verb kVerbs[] = {
    {"scan", tare::cli::add_scan},           {"inspect", tare::cli::add_inspect},
    {"check", tare::cli::add_check},         {"verify", tare::cli::add_verify},
    {"hash", tare::cli::add_hash},           {"convert", tare::cli::add_convert},
    {"decompile", tare::cli::add_decompile}, {"trace", tare::cli::add_trace},
    {"disasm", tare::cli::add_disasm},       {"craft", tare::cli::add_craft},
    {"rules", tare::cli::add_rules},         {"explain", tare::cli::add_explain},
    {"policy", tare::cli::add_policy},       {"cache", tare::cli::add_cache},
};

// The verb that is asked for, or all of them for --help and the like: setting up all takes longer
// than reading a small file.
std::span<const Verb> verbs_for(std::string_view name) {
  const auto* const found = std::ranges::find(kVerbs, name, &Verb::name);
  if (found == std::end(kVerbs)) return kVerbs;
  return {found, 1};
}

int run(int argc, char** argv) {
  // Before anything is read: the demo is another program, which runs real loaders in a sandbox.
  if (argc >= 2 && std::string_view(argv[1]) == "demo") return tare::cli::run_demo(argc, argv);

  // Before anything is read as well: what is on a server is fetched by another process. Whether it
  // could be started is told by the verb that needs it.
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  if (std::ranges::any_of(arguments, tare::remote::is_remote)) (void)tare::cli::Remote::start();

  CLI::App app{"Scan, explain, load and convert model files without running a byte of them."};
  app.set_version_flag("--version", std::string("tare ") + tare::version());
  app.require_subcommand(1);
  app.footer(kFooter);
  int exit_code = tare::cli::kOk;
  for (const Verb& verb : verbs_for(argc >= 2 ? argv[1] : "")) verb.add(app, exit_code);
  app.add_subcommand("demo", "the exercise: unsafe and safe model files (tare demo --help)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? tare::cli::kOk : tare::cli::kUsage;
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  // A file size limit ends in an error message, not in a signal.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    tare::cli::print_error("memory", "there is not enough of it");
  } catch (const std::exception& error) {
    tare::cli::print_error("internal error", error.what());
  }
  return tare::cli::kError;
}
