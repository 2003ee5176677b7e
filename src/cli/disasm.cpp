// tare disasm: the opcodes of a pickle as text.
#include "cli/pickle_verb.hpp"
#include "tare/pickle_disasm.hpp"

namespace tare::cli {
void add_disasm(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("disasm", "list the opcodes of a pickle, like pickletools");
  struct Arguments {
    std::string path;
    bool annotate = false;
  };
  auto arguments = std::make_shared<Arguments>();
  command->add_option("PATH", arguments->path, "a pickle, or an archive with one: PATH!ENTRY")
      ->required();
  command->add_flag("-a,--annotate", arguments->annotate, "say what each opcode does");
  command->footer(
      "Lines that start with # are not from pickletools: where it stops, where unpicklers read\n"
      "something else, where they fail. Exit codes: 0 all of it are pickles, 2 broken or error.\n\n"
      "Examples:\n  tare disasm list.pkl\n  tare disasm -a model.pt\n"
      "  tare disasm 'model.pt!data.pkl'");
  command->callback([arguments, &exit_code] {
    exit_code = run_pickle_verb(arguments->path, [&arguments](ByteSpan stream) {
      return pickle::disassemble(stream, {.notes = arguments->annotate}, print);
    });
  });
}

}  // namespace tare::cli
