// tare trace: what each opcode of a pickle does to the stack and the memo.
#include "cli/pickle_verb.hpp"
#include "tare/pickle_trace.hpp"

namespace tare::cli {
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
  command->callback([path, &exit_code] {
    exit_code =
        run_pickle_verb(*path, [](ByteSpan stream) { return pickle::trace(stream, print); });
  });
}

}  // namespace tare::cli
