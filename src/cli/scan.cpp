// tare scan: a verdict for each file.
#include <fmt/format.h>

#include <chrono>
#include <map>

#include "cli/cli.hpp"
#include "cli/policy_file.hpp"
#include "report/scan_writer.hpp"
#include "tare/scan.hpp"

namespace tare::cli {
namespace {

struct ScanArguments {
  std::vector<std::string> paths;
  report::ScanFormat format = report::ScanFormat::kText;
  Verdict fail_on = Verdict::kSuspicious;
  std::string policy;
};

// An error outranks a finding; "nothing to scan" counts only if nothing else was said.
int exit_code_of(const report::ScanTotals& totals, Verdict fail_on) {
  if (totals.unreadable + totals.failed > 0) return kError;
  const std::uint64_t findings =
      totals.dangerous + (fail_on == Verdict::kSuspicious ? totals.suspicious : 0);
  if (findings > 0) return kFindings;
  return totals.judged() > 0 ? kOk : kNothing;
}

void tell_error(const report::ScannedFile& file) {
  const Error& error = file.report.error();
  print_error(file.path, error.code == ErrorCode::kWrongFormat
                             ? fmt::format("nothing to scan: {}", error.what)
                             : report::error_text(error));
}

int run_scan(const ScanArguments& arguments) {
  std::optional<Policy> policy;
  if (!arguments.policy.empty()) {
    policy = read_policy_or_tell(arguments.policy);
    if (!policy) return kUsage;
  }
  const auto start = std::chrono::steady_clock::now();
  const auto writer = report::make_scan_writer(arguments.format, colour_for_stdout());
  report::ScanTotals totals;
  for (const std::string& path : arguments.paths) {
    for (FileReport& scanned : scan_path(path, policy ? &*policy : nullptr)) {
      const report::ScannedFile file{scanned.path.string(), std::move(scanned.report)};
      totals.add(file);
      if (!file.report) tell_error(file);
      if (!print(writer->add(file))) return kError;
    }
  }
  totals.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!print(writer->finish(totals))) return kError;
  return exit_code_of(totals, arguments.fail_on);
}

}  // namespace

void add_scan(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("scan", "judge files: safe, suspicious, dangerous");
  auto arguments = std::make_shared<ScanArguments>();
  command
      ->add_option("PATH", arguments->paths, "files to scan, or folders of distributed checkpoints")
      ->required();
  command
      ->add_option_function<std::string>(
          "--format",
          [arguments](const std::string& name) {
            const auto format = report::scan_format_of(name);
            if (!format) throw CLI::ValidationError("--format", "unknown format " + name);
            arguments->format = *format;
          },
          "text or json")
      ->option_text("{text,json} [text]");
  static const std::map<std::string, Verdict> kLevels = {{"suspicious", Verdict::kSuspicious},
                                                         {"dangerous", Verdict::kDangerous}};
  command->add_option("--fail-on", arguments->fail_on, "verdict from which on the exit code is 1")
      ->transform(CLI::CheckedTransformer(kLevels, CLI::ignore_case))
      ->option_text("{suspicious,dangerous} [suspicious]");
  command->add_option("--policy", arguments->policy, "a policy file: what is allowed as well")
      ->option_text("FILE");
  command->footer("Examples:\n  tare scan model.pt\n  tare scan --format json *.pt");
  command->callback([arguments, &exit_code] { exit_code = run_scan(*arguments); });
}

}  // namespace tare::cli
