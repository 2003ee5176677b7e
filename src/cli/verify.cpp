// tare verify: whether two models hold the same tensors.
#include "cli/cli.hpp"
#include "cli/progress.hpp"
#include "report/json.hpp"
#include "tare/compare.hpp"

namespace tare::cli {
namespace {

struct VerifyArguments {
  std::string a;
  std::string b;
  std::string key_a;
  std::string key_b;
  bool json = false;
  bool metadata = false;
};

int run_verify(const VerifyArguments& arguments) {
  const auto a = open_selected_or_tell(arguments.a, arguments.key_a);
  const auto b = open_selected_or_tell(arguments.b, arguments.key_b);
  if (!a || !b) return kError;
  const auto compared = [&] {
    ProgressLine progress("comparing", std::min(a->tensor_bytes(), b->tensor_bytes()));
    return compare(*a, *b, [&](std::uint64_t done) { progress(done); });
  }();
  if (!compared) {
    print_error(remote::display_name(arguments.a) + " and " + remote::display_name(arguments.b),
                compared.error());
    return kError;
  }
  const std::string name_a = remote::display_name(arguments.a);
  const std::string name_b = remote::display_name(arguments.b);
  const report::ComparedModels models{name_a, name_b, *a, *b, *compared, arguments.metadata};
  if (!print(arguments.json ? report::verify_json(models) : report::verify_text(models))) {
    return kError;
  }
  // What could not be read may differ.
  if (!models.is_complete()) return kError;
  return models.is_equal() ? kOk : kFindings;
}

}  // namespace

void add_verify(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("verify", "compare the tensors of two models, byte for byte");
  auto arguments = std::make_shared<VerifyArguments>();
  command
      ->add_option("A", arguments->a,
                   "a model file, the index of a sharded one, a folder, or a pattern")
      ->required();
  command->add_option("B", arguments->b, "another one, of any format")->required();
  command->add_option("--key-a", arguments->key_a, "what to take of A, as in convert")
      ->option_text("KEY");
  command->add_option("--key-b", arguments->key_b, "what to take of B")->option_text("KEY");
  command->add_flag("--metadata", arguments->metadata,
                    "metadata that differs counts as a difference; else it is only told");
  command->add_flag("--json", arguments->json, "as JSON");
  command->footer(
      "Compares names, dtypes, shapes and bytes; a NaN equals the same NaN. Formats, the order of\n"
      "tensors and the way they are spread over shards do not count.\n\n"
      "Exit codes: 0 equal, 1 different, 2 error, or something could not be compared.\n\n"
      "Examples:\n"
      "  tare verify model.pt model.safetensors\n"
      "  tare verify --json model.safetensors.index.json model.safetensors");
  command->callback([arguments, &exit_code] { exit_code = run_verify(*arguments); });
}

}  // namespace tare::cli
