// tare inspect: tensors, metadata and imports of a model, and where its bytes are.
#include "cli/cli.hpp"
#include "report/json.hpp"
#include "tare/model.hpp"

namespace tare::cli {

void add_inspect(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("inspect", "list tensors, metadata and imports");
  struct Arguments {
    std::string path;
    report::InspectOptions options;
    bool json = false;
  };
  constexpr unsigned kMostLevels = 64;
  auto arguments = std::make_shared<Arguments>();
  command
      ->add_option("PATH", arguments->path,
                   "a model file, the index of a sharded one, a folder, a pattern, or\n"
                   "https://, hf://ORG/MODEL, s3://BUCKET/KEY")
      ->required();
  command->add_flag(
      "--tree", arguments->options.tree,
      "sizes by the prefixes of names and the other content, in place of the tensors");
  command->add_option("--depth", arguments->options.depth, "levels of the tree")
      ->check(CLI::Range(1U, kMostLevels))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "as JSON; has the tree as well");
  command->footer(
      "Reads the structure of a file, none of its tensors: it takes as long for a large model.\n\n"
      "Examples:\n"
      "  tare inspect model.pt\n"
      "  tare inspect --tree --depth 2 model.safetensors.index.json\n"
      "  tare inspect --json model.safetensors");
  command->callback([arguments, &exit_code] {
    RemoteModel remote;
    const auto model = open_or_tell(arguments->path, remote);
    if (!model) {
      exit_code = kError;
      return;
    }
    auto options = arguments->options;
    const auto fetched = remote.fetched();
    if (fetched) options.fetched = &*fetched;
    const std::string name = remote::display_name(arguments->path);
    const bool printed = print(arguments->json ? report::inspect_json(name, *model, options)
                                               : report::inspect_text(name, *model, options));
    exit_code = printed ? kOk : kError;
  });
}

}  // namespace tare::cli
