// tare explain: what a rule of the scan means.
#include <fmt/ranges.h>

#include "cli/cli.hpp"
#include "report/rule_text.hpp"

namespace tare::cli {
namespace {

struct ExplainArguments {
  std::string id;
  bool json = false;
  bool markdown = false;
};

int run_explain(const ExplainArguments& arguments) {
  const Rule* rule = report::find_rule(arguments.id);
  if (rule == nullptr) {
    const auto similar = report::similar_rules(arguments.id);
    print_error(arguments.id, similar.empty() ? "no rule has this id; tare rules lists them"
                                              : fmt::format("no rule has this id; did you mean {}?",
                                                            fmt::join(similar, " or ")));
    return kUsage;
  }
  const std::string text = arguments.json       ? report::rule_json(*rule)
                           : arguments.markdown ? report::rule_markdown(*rule)
                                                : report::rule_text(*rule);
  return print(text) ? kOk : kError;
}

}  // namespace

void add_explain(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("explain", "say what a rule of the scan means");
  auto arguments = std::make_shared<ExplainArguments>();
  command->add_option("ID", arguments->id, "the id of a rule, as tare scan prints it")->required();
  auto* json = command->add_flag("--json", arguments->json, "as JSON");
  command->add_flag("--markdown", arguments->markdown, "the page in docs/rules/")->excludes(json);
  command->footer("Examples:\n  tare explain TARE-PKL-001\n  tare rules");
  command->callback([arguments, &exit_code] { exit_code = run_explain(*arguments); });
}

}  // namespace tare::cli
