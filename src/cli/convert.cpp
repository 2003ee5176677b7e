// tare convert: the tensors of a checkpoint as safetensors, and back.
#include <fmt/format.h>

#include <chrono>

#include "cli/cli.hpp"
#include "cli/progress.hpp"
#include "cli/size_text.hpp"
#include "report/json.hpp"
#include "tare/convert.hpp"
#include "tare/scan.hpp"

namespace tare::cli {
namespace {

struct ConvertArguments {
  std::string input;
  std::string output;
  std::string target;
  std::string dtype;
  std::string max_shard_size;
  SelectOptions select;
  bool overwrite = false;
  bool no_verify = false;
  bool no_sha256 = false;
  bool densify = false;
  bool dequantize = false;
  bool dry_run = false;
  bool anyway = false;
  bool json = false;
  bool download = false;
};

const std::map<std::string, DType> kCasts = {
    {"f32", DType::kF32}, {"f16", DType::kF16}, {"bf16", DType::kBF16}};

struct Target {
  const char* name;
  ConvertTarget target;
  const char* extension;
};
constexpr Target kTargets[] = {
    {"safetensors", ConvertTarget::kSafetensors, ".safetensors"},
    {"torch", ConvertTarget::kTorch, ".pt"},
    {"npz", ConvertTarget::kNpz, ".npz"},
};

ConvertTarget target_of(const ConvertArguments& arguments) {
  for (const Target& target : kTargets) {
    if (arguments.target == target.name) return target.target;
  }
  const std::string extension = std::filesystem::path(arguments.output).extension().string();
  if (extension == ".npz") return ConvertTarget::kNpz;
  for (const char* torch : {".pt", ".pth", ".ckpt", ".bin"}) {
    if (extension == torch) return ConvertTarget::kTorch;
  }
  return ConvertTarget::kSafetensors;
}

// The name of the input with the extension of the target.
std::filesystem::path default_output(const std::string& input, ConvertTarget target) {
  std::filesystem::path path = remote::display_name(input);
  std::error_code ignored;
  if (remote::is_remote(input)) {
    // Here, by the name that it has there.
    path = path.filename();
    // A dot in the name of a model is no extension.
    if (is_repository(input)) path = remote::HubSpec::parse(input)->name() + ".";
    if (path.empty()) path = "model";
  } else if (std::filesystem::is_directory(path, ignored)) {
    if (path.filename().empty()) path = path.parent_path();
    path /= "model";
  }
  // Files without a name of their own.
  if ((!remote::is_remote(input) && is_pattern(input)) || path.filename() == ".metadata")
    path.replace_filename("model");
  // Of an index, the name of what it is the index of.
  if (path.string().ends_with(".index.json")) path.replace_extension().replace_extension();
  const auto* found = std::ranges::find(kTargets, target, &Target::target);
  return path.replace_extension(found->extension);
}

std::filesystem::path output_of(const ConvertArguments& arguments, ConvertTarget target) {
  std::error_code ignored;
  if (arguments.output.empty()) return default_output(arguments.input, target);
  if (!std::filesystem::is_directory(arguments.output, ignored)) return arguments.output;
  return std::filesystem::path(arguments.output) /
         default_output(arguments.input, target).filename();
}

// ---- the scan before

bool is_hostile(const ScanReport& report) {
  return std::ranges::any_of(report.findings, [](const Finding& finding) {
    return finding.rule->trust == Trust::kHostile;
  });
}

// True if the file may be converted. Only tensors are taken and nothing is run, but what no honest
// program writes is not to be trusted with its tensors either.
bool passes(const std::string& path, const ScanReport& report, bool anyway) {
  for (const Finding& finding : report.findings) {
    if (finding.rule->trust != Trust::kHostile) continue;
    print_error(path, fmt::format("{} {}: {}", finding.rule->id, finding.rule->title,
                                  report::printable(finding.evidence.empty() ? finding.detail
                                                                             : finding.evidence)));
  }
  if (!is_hostile(report)) {
    if (report.verdict != Verdict::kSafe) {
      print_error(path,
                  fmt::format("the scan says {}, `tare scan` says why; only tensors are taken",
                              verdict_name(report.verdict)));
    }
    return true;
  }
  print_error(path, anyway ? "hostile; its tensors are taken nevertheless, as was asked for"
                           : "not converted: the file is hostile; --weights-only-anyway takes its "
                             "tensors");
  return anyway;
}

// Of a file that cannot be opened: what it would do may be the reason.
int refuse_unopened(const ConvertArguments& arguments) {
  if (remote::is_remote(arguments.input)) return kError;
  int code = kError;
  for (const FileReport& file : scan_path(arguments.input)) {
    if (!file.report || file.report->verdict == Verdict::kUnreadable) continue;
    if (!is_hostile(*file.report)) continue;
    if (!passes(file.path.string(), *file.report, arguments.anyway)) code = kFindings;
  }
  return code;
}

// kOk, or why not to go on.
int scan_files(const ConvertArguments& arguments, const Model& model) {
  for (const ModelFile& file : model.files()) {
    const std::string path = report::file_path(remote::display_name(arguments.input), file);
    const auto report = scan_file(file);
    if (!report) {
      print_error(path, report.error());
      return kError;
    }
    if (!passes(path, *report, arguments.anyway)) {
      return report->verdict == Verdict::kUnreadable ? kError : kFindings;
    }
  }
  return kOk;
}

// ---- the conversion

bool is_same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code ignored;
  return std::filesystem::equivalent(a, b, ignored);
}

std::expected<ConvertSummary, Failure> convert_with_progress(const Selection& selection,
                                                             const std::filesystem::path& output,
                                                             ConvertOptions options) {
  std::uint64_t bytes = 0;
  for (const NamedTensor& tensor : selection.tensors) bytes += tensor.view.byte_count();
  ProgressLine progress("writing", bytes);
  options.progress = [&](std::uint64_t done) { progress(done); };
  return convert(selection, output, options);
}

int run_convert(const ConvertArguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  ConvertOptions options;
  options.target = target_of(arguments);
  options.overwrite =
      arguments.overwrite ? safetensors::Overwrite::kYes : safetensors::Overwrite::kNo;
  options.verify = !arguments.no_verify;
  options.file_sha256 = !arguments.no_sha256;
  options.densify = arguments.densify;
  options.dequantize = arguments.dequantize;
  options.dry_run = arguments.dry_run;
  if (!arguments.dtype.empty()) options.cast = kCasts.at(arguments.dtype);
  if (!arguments.max_shard_size.empty()) {
    options.max_shard_bytes = *parse_size(arguments.max_shard_size);
  }
  const std::filesystem::path output = output_of(arguments, options.target);
  RemoteModel remote(arguments.download);
  const auto model = open_or_tell(arguments.input, remote);
  if (!model) return refuse_unopened(arguments);
  for (const ModelFile& file : model->files()) {
    if (!is_same_file(report::file_path(arguments.input, file), output)) continue;
    print_error(output.string(), "would be written over the input");
    return kError;
  }
  if (const int refused = scan_files(arguments, *model); refused != kOk) return refused;
  const auto selection = select_tensors(*model, arguments.select);
  if (!selection) {
    print_error(arguments.input, selection.error());
    return kError;
  }
  const auto summary = convert_with_progress(*selection, output, options);
  if (!summary) {
    const Failure& failure = summary.error();
    const bool of_output = failure.subject == output.string();
    print_error(of_output ? output.string() : arguments.input,
                of_output || failure.subject.empty() ? Failure(failure) : failure);
    return kError;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const auto fetched = remote.fetched();
  const std::string name = remote::display_name(arguments.input);
  const report::ConvertedModel converted{name,
                                         *selection,
                                         *summary,
                                         elapsed.count(),
                                         arguments.dry_run,
                                         fetched ? &*fetched : nullptr};
  return print(arguments.json ? report::convert_json(converted) : report::convert_text(converted))
             ? kOk
             : kError;
}

}  // namespace

void add_convert(CLI::App& app, int& exit_code) {
  auto* command =
      app.add_subcommand("convert", "write the tensors of a checkpoint as safetensors, or back");
  auto arguments = std::make_shared<ConvertArguments>();
  ConvertArguments& to = *arguments;
  command
      ->add_option("IN", to.input,
                   "a model file, the index of a sharded one, a folder, a pattern: *.bin, or\n"
                   "https://, hf://ORG/MODEL, s3://BUCKET/KEY")
      ->required();
  command
      ->add_option("-o,--output", to.output,
                   "the file or directory to write; default: IN with the extension of the target")
      ->option_text("OUT");
  command
      ->add_option("--to", to.target, "safetensors, torch or npz; default: by the extension of OUT")
      ->check(CLI::IsMember({"safetensors", "torch", "npz"}))
      ->option_text("TARGET");
  command->add_flag("--overwrite", to.overwrite, "replace an existing output");
  command->add_flag("--no-verify", to.no_verify,
                    "do not read the output back and compare it with the source");
  command->add_flag("--no-sha256", to.no_sha256, "do not say the SHA-256 of what is written");
  command->add_flag("--dry-run", to.dry_run, "say what would be written, and write nothing");

  command
      ->add_option("--key", to.select.key,
                   "what to take: a path of keys like `model`; `.` is everything")
      ->option_text("KEY");
  command
      ->add_option("--strip-prefix", to.select.strip_prefixes,
                   "take this off the front of names: `module.`, `_orig_mod.`; may be repeated")
      ->option_text("PREFIX");
  command->add_flag("--keep-scalars", to.select.keep_scalars,
                    "numbers and texts of the checkpoint as metadata, by their paths");
  command->add_option("--dtype", to.dtype, "floating-point tensors as f32, f16 or bf16")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}))
      ->option_text("TYPE");
  command->add_flag("--densify", to.densify, "sparse tensors as dense ones");
  command->add_flag("--dequantize", to.dequantize, "quantized tensors as F32");
  command
      ->add_option("--max-shard-size", to.max_shard_size,
                   "several files of at most so many bytes of tensors, and an index: 5GB")
      ->check(size_fault)
      ->option_text("SIZE");
  command->add_flag("--weights-only-anyway", to.anyway,
                    "take the tensors of a file that the scan calls hostile");
  command->add_flag("--download", to.download,
                    "of a file on a server: fetch all of it first, and check its SHA-256 if the\n"
                    "server tells one; else only what is needed is fetched");
  command->add_flag("--json", to.json, "the summary as JSON; has everything that is dropped");
  command->footer(
      "Scans first; runs nothing of the input, and needs none of its classes. What is no tensor "
      "is\n"
      "dropped and listed. The output appears whole or not at all, and is compared with the "
      "source\n"
      "before it gets its name.\n\n"
      "Exit codes: 0 done, 1 refused because of what the scan found, 2 error, 4 usage.\n\n"
      "Examples:\n"
      "  tare convert model.pt\n"
      "  tare convert yolo.pt -o yolo.safetensors --key ema --dtype f16\n"
      "  tare convert pytorch_model.bin.index.json -o model.safetensors --max-shard-size 5GB\n"
      "  tare convert checkpoint_folder -o model.safetensors\n"
      "  tare convert 'shard-*.bin' -o model.safetensors\n"
      "  tare convert model.safetensors -o model.pt");
  command->callback([arguments, &exit_code] { exit_code = run_convert(*arguments); });
}

}  // namespace tare::cli
