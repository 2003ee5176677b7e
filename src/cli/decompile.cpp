// tare decompile: a pickle as Python source.
#include "cli/cli.hpp"
#include "cli/highlight.hpp"
#include "format/entry.hpp"
#include "tare/pickle_decompile.hpp"

namespace tare::cli {
namespace {

struct DecompileArguments {
  std::string path;
  std::string colour = "auto";
  bool offsets = false;
};

bool wants_colour(const std::string& colour) {
  if (colour == "auto") return colour_for_stdout() == report::Colour::kYes;
  return colour == "always";
}

int run_decompile(const DecompileArguments& arguments) {
  const auto entry = format::open_pickle_entry(arguments.path);
  if (!entry) {
    print_error(arguments.path, entry.error());
    return kError;
  }
  const pickle::DecompileOptions options{.offsets = arguments.offsets};
  pickle::DecompileResult result;
  if (wants_colour(arguments.colour)) {
    Highlighter highlighter;
    result = pickle::decompile(entry->bytes, options, [&highlighter](std::string_view source) {
      return print(highlighter.add(source));
    });
    if (!result.cancelled) result.cancelled = !print(highlighter.finish());
  } else {
    result = pickle::decompile(entry->bytes, options, print);
  }
  if (result.cancelled) return kError;
  if (!result.broken) return kOk;
  print_error(entry->name, *result.broken);
  return kError;
}

}  // namespace

void add_decompile(CLI::App& app, int& exit_code) {
  auto* command =
      app.add_subcommand("decompile", "show a pickle as Python source, without running it");
  auto arguments = std::make_shared<DecompileArguments>();
  command->add_option("PATH", arguments->path, "a pickle, or an archive with one: PATH!ENTRY")
      ->required();
  command->add_flag("--offsets", arguments->offsets,
                    "the offset of the opcode as a comment behind each statement");
  command->add_option("--color", arguments->colour, "colours: auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  command->footer(
      "Run by Python, the source does what loading the pickle does, and leaves the object as\n"
      "`result`. Exit codes: 0 all pickles end with STOP, 2 a broken pickle or an error.\n\n"
      "Examples:\n  tare decompile list.pkl\n  tare decompile --offsets model.pt\n"
      "  tare decompile 'model.pt!data.pkl' > data.py");
  command->callback([arguments, &exit_code] { exit_code = run_decompile(*arguments); });
}

}  // namespace tare::cli
