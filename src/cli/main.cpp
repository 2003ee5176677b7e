#include <csignal>

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

int run(int argc, char** argv) {
  // Before anything is read: the demo is another program, which runs real loaders in a sandbox.
  if (argc >= 2 && std::string_view(argv[1]) == "demo") return tare::cli::run_demo(argc, argv);

  CLI::App app{"Scan, explain, load and convert model files without running a byte of them."};
  app.set_version_flag("--version", std::string("tare ") + tare::version());
  app.require_subcommand(1);
  app.footer(kFooter);
  int exit_code = tare::cli::kOk;
  tare::cli::add_scan(app, exit_code);
  tare::cli::add_inspect(app, exit_code);
  tare::cli::add_check(app, exit_code);
  tare::cli::add_verify(app, exit_code);
  tare::cli::add_hash(app, exit_code);
  tare::cli::add_convert(app, exit_code);
  tare::cli::add_decompile(app, exit_code);
  tare::cli::add_trace(app, exit_code);
  tare::cli::add_disasm(app, exit_code);
  tare::cli::add_craft(app, exit_code);
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
