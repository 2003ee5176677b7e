// tare rules: what a scan reports.
#include "cli/cli.hpp"
#include "report/rule_text.hpp"

namespace tare::cli {

void add_rules(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("rules", "list the rules of the scan");
  struct Arguments {
    bool json = false;
    bool markdown = false;
  };
  auto arguments = std::make_shared<Arguments>();
  auto* json = command->add_flag("--json", arguments->json, "everything about each, as JSON");
  command->add_flag("--markdown", arguments->markdown, "the index of docs/rules/")->excludes(json);
  command->footer("Examples:\n  tare rules\n  tare rules --json\n  tare explain TARE-PKL-001");
  command->callback([arguments, &exit_code] {
    const std::string text = arguments->json       ? report::rules_json()
                             : arguments->markdown ? report::rules_markdown()
                                                   : report::rules_text();
    exit_code = print(text) ? kOk : kError;
  });
}

}  // namespace tare::cli
