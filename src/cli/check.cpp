// tare check: whether model files are valid.
#include <map>

#include "cli/cli.hpp"
#include "report/json.hpp"
#include "tare/check.hpp"

namespace tare::cli {
namespace {

struct CheckArguments {
  std::vector<std::string> paths;
  safetensors::Rules rules = safetensors::Rules::kStrict;
  bool json = false;
};

int run_check(const CheckArguments& arguments) {
  std::vector<report::CheckedFile> files;
  bool unknown = false;
  bool invalid = false;
  for (const std::string& path : arguments.paths) {
    files.push_back(
        {remote::display_name(path), arguments.rules, check_file(path, arguments.rules)});
    const CheckReport& checked = files.back().report;
    unknown |= checked.is_unknown();
    invalid |= !checked.is_valid();
    if (!arguments.json && !print(report::check_text(files.back()))) return kError;
  }
  if (arguments.json && !print(report::check_json(files))) return kError;
  return unknown ? kError : invalid ? kFindings : kOk;
}

}  // namespace

void add_check(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("check", "whether model files are valid");
  auto arguments = std::make_shared<CheckArguments>();
  command->add_option("PATH", arguments->paths, "model files, or indexes of sharded ones")
      ->required();
  static const std::map<std::string, safetensors::Rules> kRules = {
      {"strict", safetensors::Rules::kStrict}, {"reference", safetensors::Rules::kReference}};
  command->add_option("--rules", arguments->rules, "for safetensors")
      ->transform(CLI::CheckedTransformer(kRules, CLI::ignore_case))
      ->option_text("{strict,reference} [strict]");
  command->add_flag("--json", arguments->json, "as JSON");
  command->footer(
      "By the rules of the reference, a safetensors file is valid if the reference implementation\n"
      "accepts it. Strict rules also refuse what two readers could read differently. Of other\n"
      "formats it is checked that every tensor can be read. Valid is not safe: tare scan.\n\n"
      "Exit codes: 0 valid, 1 invalid, 2 error, something else, or not to be decided.\n\n"
      "Examples:\n"
      "  tare check model.safetensors\n"
      "  tare check --rules reference *.safetensors\n"
      "  tare check --json model.safetensors.index.json");
  command->callback([arguments, &exit_code] { exit_code = run_check(*arguments); });
}

}  // namespace tare::cli
