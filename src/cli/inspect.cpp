// tare inspect: tensors, metadata and imports of a model.
#include "cli/cli.hpp"
#include "report/json.hpp"
#include "tare/model.hpp"

namespace tare::cli {

void add_inspect(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("inspect", "list tensors, metadata and imports");
  struct Arguments {
    std::string path;
    bool json = false;
  };
  auto arguments = std::make_shared<Arguments>();
  command->add_option("PATH", arguments->path, "a model file")->required();
  command->add_flag("--json", arguments->json, "as JSON");
  command->footer("Examples:\n  tare inspect model.pt\n  tare inspect --json model.safetensors");
  command->callback([arguments, &exit_code] {
    const auto model = open_or_tell(arguments->path);
    if (!model) {
      exit_code = kError;
      return;
    }
    const bool printed = print(arguments->json ? report::inspect_json(arguments->path, *model)
                                               : report::inspect_text(arguments->path, *model));
    exit_code = printed ? kOk : kError;
  });
}

}  // namespace tare::cli
