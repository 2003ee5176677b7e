// tare craft: hostile and odd files, to test other programs with.
#include <fmt/format.h>
#include <unistd.h>

#include <array>

#include "cli/cli.hpp"
#include "io/atomic_file.hpp"
#include "tare/craft.hpp"
#include "tare/input.hpp"

namespace tare::cli {
namespace {

using craft::Bytes;

struct CraftArguments {
  std::string output;
  bool overwrite = false;
  bool bare = false;

  std::string callable;
  std::vector<std::string> values;
  std::string code;
  craft::Form form = craft::Form::kReduce;
  std::optional<unsigned> protocol;
  bool break_after = false;
  std::string container;

  std::string inject;
  bool first = false;
  bool last = false;
  bool keep_result = false;
  std::string polyglot;
  std::string recipe;
  bool list = false;

  craft::Marker marker() const { return bare ? craft::Marker::kNo : craft::Marker::kYes; }
};

int fail_with(std::string_view subject, const Error& error) {
  print_error(subject, error);
  return kError;
}

int fail_usage(std::string_view what) {
  print_error("craft", what);
  return kUsage;
}

// ---- outputs

Result<void> write_stdout(ByteSpan bytes) {
  if (!print(as_text(bytes))) return fail(ErrorCode::kIo, "cannot write");
  return {};
}

// Makes a file of what `make` writes, or sends it to stdout.
int write_output(const CraftArguments& arguments, std::string_view what,
                 const std::function<Result<void>(const craft::Sink&)>& make) {
  if (arguments.output == "-") {
    if (::isatty(STDOUT_FILENO) == 1)
      return fail_usage("stdout is a terminal: name a file with -o");
    const auto made = make(write_stdout);
    return made ? kOk : fail_with("stdout", made.error());
  }
  auto file = AtomicFile::create(
      arguments.output, arguments.overwrite ? AtomicFile::Replace::kYes : AtomicFile::Replace::kNo);
  if (!file) return fail_with(arguments.output, file.error());
  auto made = make([&file](ByteSpan bytes) { return file->write(bytes); });
  if (made) made = file->commit();
  if (!made) {
    // What the system refuses concerns the output; anything else is about the model.
    const bool is_output = arguments.inject.empty() || made.error().sys_errno != 0;
    return fail_with(is_output ? arguments.output : arguments.inject, made.error());
  }
  return print(fmt::format("{}: {} bytes, {}\n", report::printable(arguments.output), file->size(),
                           what))
             ? kOk
             : kError;
}

int write_bytes(const CraftArguments& arguments, std::string_view what, const Bytes& bytes) {
  return write_output(arguments, what, [&](const craft::Sink& write) { return write(bytes); });
}

// ---- what to write

Result<craft::Call> call_of(const CraftArguments& arguments) {
  if (!arguments.code.empty()) return craft::exec_call(arguments.code);
  if (arguments.callable.empty()) return craft::default_call();
  auto call = craft::parse_callable(arguments.callable);
  if (!call) return call;
  for (const std::string& text : arguments.values) {
    auto value = craft::parse_literal(text);
    if (!value) return std::unexpected(value.error());
    call->arguments.push_back(std::move(*value));
  }
  return call;
}

std::string describe(const craft::Call& call) {
  return report::printable(fmt::format("a call of {}.{}", call.module, call.name));
}

Result<Bytes> pickle_of(const CraftArguments& arguments, const craft::Call& call,
                        craft::Marker marker) {
  craft::StreamOptions options;
  options.form = arguments.form;
  options.protocol = arguments.protocol.value_or(options.protocol);
  options.break_after = arguments.break_after;
  options.marker = marker;
  return craft::pickle_of(call, options);
}

// A name of torch means torch's container.
bool wants_torch(const CraftArguments& arguments) {
  if (!arguments.container.empty()) return arguments.container == "torch";
  const auto extension = std::filesystem::path(arguments.output).extension();
  return extension == ".pt" || extension == ".pth" || extension == ".ckpt";
}

int craft_call(const CraftArguments& arguments, const craft::Call& call) {
  if (!wants_torch(arguments)) {
    const auto file = pickle_of(arguments, call, arguments.marker());
    if (!file) return fail_with("craft", file.error());
    return write_bytes(arguments, describe(call), *file);
  }
  const auto stream = pickle_of(arguments, call, craft::Marker::kNo);
  if (!stream) return fail_with("craft", stream.error());
  const std::string stem = std::filesystem::path(arguments.output).stem().string();
  const auto file =
      craft::torch_of(*stream, arguments.output == "-" ? "archive" : stem, arguments.marker());
  if (!file) return fail_with(arguments.output, file.error());
  return write_bytes(arguments, describe(call), *file);
}

int craft_polyglot(const CraftArguments& arguments, const craft::Call& call) {
  const auto* polyglot = craft::find_polyglot(arguments.polyglot);
  if (polyglot == nullptr) return fail_usage("no such polyglot; --list names them");
  const auto stream = pickle_of(arguments, call, craft::Marker::kNo);
  if (!stream) return fail_with("craft", stream.error());
  return write_bytes(arguments, fmt::format("{}, {}", polyglot->id, describe(call)),
                     polyglot->make(*stream, arguments.marker()));
}

int craft_recipe(const CraftArguments& arguments) {
  const auto* recipe = craft::find_recipe(arguments.recipe);
  if (recipe == nullptr) return fail_usage("no such recipe; --list names them");
  return write_bytes(arguments, recipe->id, recipe->make(arguments.marker()));
}

int craft_injection(const CraftArguments& arguments, const craft::Call& call) {
  std::error_code ignored;
  if (std::filesystem::equivalent(arguments.inject, arguments.output, ignored)) {
    return fail_usage("--inject does not write to its input: name another file with -o");
  }
  const auto input = Input::map(arguments.inject);
  if (!input) return fail_with(arguments.inject, input.error());
  craft::InjectOptions options;
  options.form = arguments.form;
  options.protocol = arguments.protocol;
  options.position = arguments.last ? craft::Position::kLast : craft::Position::kFirst;
  options.keep_result = arguments.keep_result;
  options.marker = arguments.marker();
  return write_output(arguments, describe(call), [&](const craft::Sink& write) {
    return craft::inject(input->bytes(), call, options, write);
  });
}

int list() {
  std::string text = "Recipes (--recipe), pickles:\n";
  bool pickles = true;
  for (const craft::Recipe& recipe : craft::recipes()) {
    if (pickles && !recipe.is_pickle) text += "\nRecipes (--recipe), other files:\n";
    pickles = recipe.is_pickle;
    text += fmt::format("  {:30} {}\n", recipe.id, recipe.description);
  }
  text += "\nPolyglots (--polyglot):\n";
  for (const craft::Polyglot& polyglot : craft::polyglots()) {
    text +=
        fmt::format("  {:30} .{}\n    the payload runs: {}\n    something else: {}\n", polyglot.id,
                    polyglot.extension, polyglot.payload_runs, polyglot.payload_hidden);
  }
  return print(text) ? kOk : kError;
}

// Options that mean nothing beside another one.
struct Conflict {
  const char* one;
  std::array<const char*, 4> others;  // the rest is null
};
constexpr Conflict kConflicts[] = {
    {"--call", {"--code", "--recipe", "--list"}},
    {"--code", {"--recipe", "--list"}},
    {"--opcode", {"--recipe", "--list"}},
    {"--protocol", {"--recipe", "--list"}},
    {"--break-after", {"--inject", "--recipe", "--list"}},
    {"--container", {"--inject", "--polyglot", "--recipe", "--list"}},
    {"--inject", {"--polyglot", "--recipe", "--list"}},
    {"--polyglot", {"--recipe", "--list"}},
    {"--recipe", {"--list"}},
    {"--output", {"--list"}},
    {"--first", {"--last"}},
};
constexpr std::pair<const char*, const char*> kNeeds[] = {
    {"--first", "--inject"}, {"--last", "--inject"}, {"--keep-result", "--inject"}};

// What is wrong with the options together. CLI11 could tell, but would fill the help with it.
std::string fault_of(const CLI::App& command, const CraftArguments& arguments) {
  for (const auto& [one, others] : kConflicts) {
    for (const char* const other : others) {
      if (other != nullptr && command.count(one) > 0 && command.count(other) > 0) {
        return fmt::format("{} and {} do not go together", one, other);
      }
    }
  }
  for (const auto& [one, other] : kNeeds) {
    if (command.count(one) > 0 && command.count(other) == 0) {
      return fmt::format("{} needs {}", one, other);
    }
  }
  if (!arguments.values.empty() && arguments.callable.empty()) return "--args needs --call";
  if (arguments.output.empty() && !arguments.list) {
    return "-o is required: the file to write, - for stdout";
  }
  return "";
}

int run_craft(const CraftArguments& arguments) {
  if (arguments.list) return list();
  if (!arguments.recipe.empty()) return craft_recipe(arguments);
  const auto call = call_of(arguments);
  if (!call) return fail_with("craft", call.error());
  if (!arguments.inject.empty()) return craft_injection(arguments, *call);
  if (!arguments.polyglot.empty()) return craft_polyglot(arguments, *call);
  return craft_call(arguments, *call);
}

}  // namespace

void add_craft(CLI::App& app, int& exit_code) {
  auto* command =
      app.add_subcommand("craft", "write hostile or odd files, to test other programs with");
  auto arguments = std::make_shared<CraftArguments>();
  CraftArguments& to = *arguments;
  command->add_option("-o,--output", to.output, "the file to write; - is stdout")
      ->option_text("FILE");
  command->add_flag("--overwrite,--force", to.overwrite, "replace an existing output");
  command->add_flag("--bare", to.bare, "without the mark that says that tare made the file");

  command->add_option("--call", to.callable, "the function to call: MODULE.NAME or MODULE:NAME")
      ->option_text("NAME");
  command
      ->add_option("--args", to.values,
                   "its arguments: None, True, 1, 1.5, 'text'; what is none of these is a text")
      ->option_text("VALUE...");
  command->add_option("--code", to.code, "Python source to run by exec, in place of --call")
      ->option_text("SOURCE");
  std::map<std::string, craft::Form> forms;
  for (const auto& [name, form] : craft::kForms) forms.emplace(name, form);
  forms.emplace("EXT", craft::Form::kExt1);
  command
      ->add_option("--opcode", to.form,
                   "the opcode that makes the call: REDUCE, INST, OBJ, NEWOBJ, NEWOBJ_EX,\n"
                   "BUILD, EXT1, EXT2 or EXT4")
      ->transform(CLI::CheckedTransformer(forms, CLI::ignore_case))
      ->option_text("OPCODE [REDUCE]");
  command->add_option("--protocol", to.protocol, "of the pickle: 0 to 5; of a model: its own")
      ->check(CLI::Range(0U, 5U))
      ->option_text("N [4]");
  command->add_flag("--break-after", to.break_after,
                    "an invalid opcode behind the call, in place of STOP");
  command
      ->add_option("--container", to.container,
                   "pickle or torch; default: torch for .pt, .pth and .ckpt, else pickle")
      ->check(CLI::IsMember({"pickle", "torch"}))
      ->option_text("KIND");

  command->add_option("--inject", to.inject, "put the call into a model, which loads as before")
      ->option_text("MODEL");
  command->add_flag("--first", to.first, "with --inject: call before the object is made (default)");
  command->add_flag("--last", to.last, "with --inject: call after the object is made");
  command->add_flag("--keep-result", to.keep_result,
                    "with --inject: load a tuple of object and result, as they were made");
  command->add_option("--polyglot", to.polyglot, "a file that two loaders read differently")
      ->option_text("KIND");
  command->add_option("--recipe", to.recipe, "a file that is always the same")->option_text("ID");
  command->add_flag("--list", to.list, "list recipes and polyglots");

  command->footer(
      "For tests of scanners, loaders and filters that you are responsible for. Without --call "
      "and\n"
      "--code the payload prints a line: os.system(\"echo tare-craft: this code ran\"). tare "
      "never\n"
      "runs what it writes, but whoever loads the file does. Every file says that tare made it:\n"
      "behind the pickle, or in a comment or entry of the container. Exit codes: 0 written, 2 "
      "error,\n"
      "4 usage.\n\n"
      "Examples:\n"
      "  tare craft -o evil.pkl\n"
      "  tare craft --call os.system --args 'touch /tmp/seen' --opcode INST -o evil.pkl\n"
      "  tare craft --code 'print(1)' --break-after -o evil.pt\n"
      "  tare craft --inject model.pt --last -o hostile.pt\n"
      "  tare craft --polyglot letter-case -o two.pt\n"
      "  tare craft --recipe 08_memo_pop_none --bare -o recipe.pkl\n"
      "  tare craft --list");
  command->callback([command, arguments, &exit_code] {
    const std::string fault = fault_of(*command, *arguments);
    exit_code = fault.empty() ? run_craft(*arguments) : fail_usage(fault);
  });
}

}  // namespace tare::cli
