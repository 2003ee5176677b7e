// tare scan: a verdict for each file.
#include <fmt/format.h>

#include <chrono>
#include <map>

#include "cli/cli.hpp"
#include "report/json.hpp"
#include "tare/input.hpp"
#include "tare/scan.hpp"

namespace tare::cli {
namespace {

struct ScanArguments {
  std::vector<std::string> paths;
  std::string format = "text";
  Verdict fail_on = Verdict::kSuspicious;
};

// An error outranks a finding; "nothing to scan" counts only if nothing else was said.
int exit_code_of(const std::vector<report::ScannedFile>& files, Verdict fail_on) {
  bool error = false;
  bool finding = false;
  bool judged = false;
  for (const auto& file : files) {
    if (file.report) {
      judged = true;
      error |= file.report->verdict == Verdict::kUnreadable;
      finding |= file.report->verdict >= fail_on && file.report->verdict != Verdict::kSafe;
    } else {
      error |= file.report.error().code != ErrorCode::kWrongFormat;
    }
  }
  if (error) return kError;
  if (finding) return kFindings;
  return judged ? kOk : kNothing;
}

std::string summary_text(const std::vector<report::ScannedFile>& files, double milliseconds) {
  std::map<Verdict, int> counts;
  int not_scanned = 0;
  for (const auto& file : files) {
    if (file.report) {
      ++counts[file.report->verdict];
    } else {
      ++not_scanned;
    }
  }
  std::string out = fmt::format("{} file{}:", files.size(), files.size() == 1 ? "" : "s");
  const char* separator = " ";
  for (const auto& [verdict, count] : counts) {
    out += fmt::format("{}{} {}", separator, count, verdict_name(verdict));
    separator = ", ";
  }
  if (not_scanned > 0) out += fmt::format("{}{} not scanned", separator, not_scanned);
  return out + fmt::format("  ({:.1f} ms)\n", milliseconds);
}

// False if stdout cannot be written.
bool tell(const report::ScannedFile& file, bool as_text) {
  if (!file.report) {
    const Error& error = file.report.error();
    print_error(file.path, error.code == ErrorCode::kWrongFormat
                               ? fmt::format("nothing to scan: {}", error.what)
                               : report::error_text(error));
    return true;
  }
  return !as_text || print(report::scan_text(file.path, *file.report, colour_for_stdout()));
}

int run_scan(const ScanArguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<report::ScannedFile> files;
  for (const std::string& path : arguments.paths) {
    for (FileReport& scanned : scan_path(path)) {
      files.push_back({scanned.path.string(), std::move(scanned.report)});
      if (!tell(files.back(), arguments.format == "text")) return kError;
    }
  }
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - start;
  const std::string closing =
      arguments.format == "json" ? report::scan_json(files) : summary_text(files, elapsed.count());
  if (!print(closing)) return kError;
  return exit_code_of(files, arguments.fail_on);
}

}  // namespace

void add_scan(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("scan", "judge files: safe, suspicious, dangerous");
  auto arguments = std::make_shared<ScanArguments>();
  command
      ->add_option("PATH", arguments->paths, "files to scan, or folders of distributed checkpoints")
      ->required();
  command->add_option("--format", arguments->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  static const std::map<std::string, Verdict> kLevels = {{"suspicious", Verdict::kSuspicious},
                                                         {"dangerous", Verdict::kDangerous}};
  command->add_option("--fail-on", arguments->fail_on, "verdict from which on the exit code is 1")
      ->transform(CLI::CheckedTransformer(kLevels, CLI::ignore_case))
      ->option_text("{suspicious,dangerous} [suspicious]");
  command->footer("Examples:\n  tare scan model.pt\n  tare scan --format json *.pt");
  command->callback([arguments, &exit_code] { exit_code = run_scan(*arguments); });
}

}  // namespace tare::cli
