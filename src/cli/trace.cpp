// tare trace: what each opcode of a pickle does to the stack and the memo.
#include "cli/cli.hpp"
#include "format/entry.hpp"
#include "tare/pickle_trace.hpp"

namespace tare::cli {
namespace {

int run_trace(const std::string& path) {
  const auto entry = format::open_pickle_entry(path);
  if (!entry) {
    print_error(path, entry.error());
    return kError;
  }
  const auto result = pickle::trace(entry->bytes, print);
  if (result.cancelled) return kError;
  if (!result.broken) return kOk;
  print_error(entry->name, *result.broken);
  return kError;
}

}  // namespace

void add_trace(CLI::App& app, int& exit_code) {
  auto* command =
      app.add_subcommand("trace", "follow a pickle opcode by opcode, without running it");
  auto path = std::make_shared<std::string>();
  command->add_option("PATH", *path, "a pickle, or an archive with one: PATH!ENTRY")->required();
  command->footer(
      "Each opcode with what it pops, pushes and memoizes; behind >>> what else it does; behind #\n"
      "what is odd about it. Exit codes: 0 all pickles end with STOP, 2 a broken pickle or an "
      "error.\n\n"
      "Examples:\n  tare trace list.pkl\n  tare trace 'model.pt!data.pkl'");
  command->callback([path, &exit_code] { exit_code = run_trace(*path); });
}

}  // namespace tare::cli
