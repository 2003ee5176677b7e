// tare hash: SHA-256 of a model, whole and by tensor.
#include "cli/cli.hpp"
#include "cli/progress.hpp"
#include "report/json.hpp"
#include "tare/digest.hpp"

namespace tare::cli {
namespace {

struct HashArguments {
  std::string path;
  std::string key;
  bool whole = false;
  bool tensors = false;
  bool json = false;
};

int run_hash(const HashArguments& arguments) {
  const auto model = arguments.whole ? open_or_tell(arguments.path)
                                     : open_selected_or_tell(arguments.path, arguments.key);
  if (!model) return kError;
  DigestOptions options;
  options.files = !arguments.tensors;
  options.tensors = !arguments.whole;
  const auto hashed = [&] {
    ProgressLine progress("hashing", digest_work(*model, options));
    options.progress = [&](std::uint64_t done) { progress(done); };
    return digest(*model, options);
  }();
  if (!hashed) {
    print_error(arguments.path, hashed.error());
    return kError;
  }
  const std::string name = remote::display_name(arguments.path);
  const report::HashedModel result{name, *model, *hashed};
  if (!print(arguments.json ? report::hash_json(result) : report::hash_text(result))) return kError;
  // The digests of files are right whatever could not be read in them.
  return arguments.whole || model->contents().problems.empty() ? kOk : kError;
}

}  // namespace

void add_hash(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("hash", "SHA-256 of a model, whole and by tensor");
  auto arguments = std::make_shared<HashArguments>();
  command
      ->add_option("PATH", arguments->path,
                   "a model file, the index of a sharded one, a folder, or a pattern")
      ->required();
  auto* whole = command->add_flag("--whole", arguments->whole,
                                  "only the files, as lines for `sha256sum --check`");
  command->add_flag("--tensors", arguments->tensors, "only the tensors")->excludes(whole);
  command->add_option("--key", arguments->key, "which tensors to take, as in convert")
      ->option_text("KEY");
  command->add_flag("--json", arguments->json, "as JSON");
  command->footer(
      "The digest of a tensor is that of its elements, packed, in row-major order. The digest\n"
      "\"all tensors\" covers names, dtypes, shapes and elements: it is the same in every format\n"
      "and for every way to spread the tensors over shards. docs/models.md says how to compute "
      "it.\n\n"
      "Examples:\n"
      "  tare hash model.safetensors\n"
      "  tare hash --whole model.safetensors | sha256sum --check\n"
      "  tare hash --json model.safetensors.index.json");
  command->callback([arguments, &exit_code] { exit_code = run_hash(*arguments); });
}

}  // namespace tare::cli
