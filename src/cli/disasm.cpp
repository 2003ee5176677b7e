// tare disasm: the opcodes of a pickle as text.
#include "cli/cli.hpp"
#include "format/entry.hpp"
#include "tare/pickle_disasm.hpp"

namespace tare::cli {
namespace {

int run_disasm(const std::string& path, const pickle::DisasmOptions& options) {
  const auto entry = format::open_pickle_entry(path);
  if (!entry) {
    print_error(path, entry.error());
    return kError;
  }
  const auto result = pickle::disassemble(entry->bytes, options, print);
  if (result.cancelled) return kError;
  if (!result.broken) return kOk;
  print_error(entry->name, *result.broken);
  return kError;
}

}  // namespace

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
    exit_code = run_disasm(arguments->path, {.notes = arguments->annotate});
  });
}

}  // namespace tare::cli
