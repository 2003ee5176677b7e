// tare convert: a checkpoint to safetensors.
#include <fmt/format.h>

#include <chrono>

#include "cli/cli.hpp"
#include "cli/progress.hpp"
#include "tare/convert.hpp"
#include "tare/scan.hpp"

namespace tare::cli {
namespace {

struct ConvertArguments {
  std::string input;
  std::string output;
  bool overwrite = false;
  bool no_verify = false;
};

std::filesystem::path default_output(const std::string& input) {
  return std::filesystem::path(input).replace_extension(".safetensors");
}

// Refuses what is not safe. Only tensors would be taken and nothing run, but a file that hides a
// payload is not to be trusted with its tensors either.
int refuse_findings(const std::string& path, const ScanReport& report) {
  for (const Finding& finding : report.findings) {
    print_error(path, fmt::format("{} {}: {}", finding.rule->id, finding.rule->title,
                                  finding.evidence.empty() ? finding.detail : finding.evidence));
  }
  print_error(path, fmt::format("not converted: the scan says {}", verdict_name(report.verdict)));
  return report.verdict == Verdict::kUnreadable ? kError : kFindings;
}

int run_convert(const ConvertArguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  const std::filesystem::path output = arguments.output.empty()
                                           ? default_output(arguments.input)
                                           : std::filesystem::path(arguments.output);
  const auto model = open_or_tell(arguments.input);
  if (!model) return kError;
  for (const ModelFile& file : model->files()) {
    if (file.is_index) continue;  // names of files, which were read as such
    const std::string path = report::file_path(arguments.input, file.name);
    const auto report = scan(file.input.bytes());
    if (!report) {
      print_error(path, report.error());
      return kError;
    }
    if (report->verdict != Verdict::kSafe) return refuse_findings(path, *report);
  }

  ConvertOptions options;
  options.overwrite =
      arguments.overwrite ? safetensors::Overwrite::kYes : safetensors::Overwrite::kNo;
  options.verify = !arguments.no_verify;
  const auto summary = [&] {
    ProgressLine progress("writing", model->tensor_bytes());
    options.progress = [&](std::uint64_t done) { progress(done); };
    return convert_to_safetensors(*model, output, options);
  }();
  if (!summary) {
    const ConvertFailure& failure = summary.error();
    print_error(failure.subject == output.string() ? output.string() : arguments.input,
                failure.subject == output.string()
                    ? report::error_text(failure.error)
                    : fmt::format("'{}' {}", report::printable(failure.subject),
                                  report::error_text(failure.error)));
    return kError;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  std::string text = fmt::format(
      "{}: {} tensors, {} in {:.2f} s ({:.0f} MB/s){}\n", report::printable(output.string()),
      summary->tensors, report::human_bytes(summary->file_bytes), elapsed.count(),
      static_cast<double>(summary->file_bytes) / 1e6 / std::max(elapsed.count(), 1e-9),
      summary->verified ? ", verified against the source" : ", not verified");
  if (summary->shared > 0) {
    text += fmt::format("{} tensors share memory in the source; each is written in full\n",
                        summary->shared);
  }
  text += fmt::format("sha256 {}\n", summary->sha256);
  return print(text) ? kOk : kError;
}

}  // namespace

void add_convert(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("convert", "write the tensors of a checkpoint as safetensors");
  auto arguments = std::make_shared<ConvertArguments>();
  command->add_option("IN", arguments->input, "a checkpoint")->required();
  command->add_option("-o,--output", arguments->output,
                      "the file to write; default: IN with the extension .safetensors");
  command->add_flag("--overwrite", arguments->overwrite, "replace an existing output");
  command->add_flag("--no-verify", arguments->no_verify,
                    "do not read the output back and compare it with the source");
  command->footer("Examples:\n  tare convert model.pt\n  tare convert model.pt -o out.safetensors");
  command->callback([arguments, &exit_code] { exit_code = run_convert(*arguments); });
}

}  // namespace tare::cli
