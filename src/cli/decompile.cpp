// tare decompile: a pickle as Python source.
#include "cli/highlight.hpp"
#include "cli/pickle_verb.hpp"
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

pickle::DecompileResult decompile(ByteSpan stream, const DecompileArguments& arguments) {
  const pickle::DecompileOptions options{.offsets = arguments.offsets};
  if (!wants_colour(arguments.colour)) return pickle::decompile(stream, options, print);
  Highlighter highlighter;
  auto result = pickle::decompile(stream, options, [&highlighter](std::string_view source) {
    return print(highlighter.add(source));
  });
  if (!result.cancelled) result.cancelled = !print(highlighter.finish());
  return result;
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
  command->callback([arguments, &exit_code] {
    exit_code = run_pickle_verb(
        arguments->path, [&arguments](ByteSpan stream) { return decompile(stream, *arguments); });
  });
}

}  // namespace tare::cli
