// tare inspect: tensors, metadata and imports of a model, and where its bytes are.
#include "cli/cli.hpp"
#include "report/json.hpp"
#include "tare/model.hpp"
#include "tare/nesting.hpp"

namespace tare::cli {

namespace {

struct Arguments {
  std::string path;
  report::InspectOptions options;
  bool json = false;
};

// What stands in the file, if it is of a kind that holds others.
std::optional<Nesting> nesting_of(const std::string& path, RemoteModel& remote) {
  const auto input = remote::is_remote(path) ? remote.open_bytes(path) : Input::map(path);
  if (!input) return std::nullopt;
  auto nesting = list_nesting(input->bytes());
  return nesting ? std::optional(std::move(*nesting)) : std::nullopt;
}

int inspect(const Arguments& arguments) {
  RemoteModel remote;
  const auto model = open_argument(arguments.path, remote);
  std::optional<Nesting> nesting;
  if (arguments.options.tree) nesting = nesting_of(arguments.path, remote);
  // An archive need not hold a model to be looked into.
  const bool is_done = model || (nesting && model.error().code == ErrorCode::kWrongFormat);
  if (!is_done) print_error(arguments.path, model.error());
  if (!model && !nesting) return kError;
  auto options = arguments.options;
  const auto fetched = remote.fetched();
  if (fetched) options.fetched = &*fetched;
  const std::string name = remote::display_name(arguments.path);
  std::string text;
  if (arguments.json) {
    text = report::inspect_json(name, model ? &*model : nullptr, nesting ? &*nesting : nullptr,
                                options);
  } else {
    if (model) text = report::inspect_text(name, *model, options);
    if (model && nesting) text += '\n';
    if (nesting) text += report::nesting_text(name, *nesting);
  }
  return print(text) && is_done ? kOk : kError;
}

}  // namespace

void add_inspect(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("inspect", "list tensors, metadata and imports");
  constexpr unsigned kMostLevels = 64;
  auto arguments = std::make_shared<Arguments>();
  command
      ->add_option("PATH", arguments->path,
                   "a model file, the index of a sharded one, a folder, a pattern, or\n"
                   "https://, hf://ORG/MODEL, s3://BUCKET/KEY")
      ->required();
  command->add_flag(
      "--tree", arguments->options.tree,
      "sizes by the prefixes of names and the other content, in place of the tensors; what stands "
      "in an archive, and in that");
  command->add_option("--depth", arguments->options.depth, "levels of the tree")
      ->check(CLI::Range(1U, kMostLevels))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "as JSON; has the tree as well");
  command->footer(
      "Reads the structure of a file, none of its tensors: it takes as long for a large model.\n\n"
      "Examples:\n"
      "  tare inspect model.pt\n"
      "  tare inspect --tree --depth 2 model.safetensors.index.json\n"
      "  tare inspect --tree models.7z\n"
      "  tare inspect --json model.safetensors");
  command->callback([arguments, &exit_code] { exit_code = inspect(*arguments); });
}

}  // namespace tare::cli
