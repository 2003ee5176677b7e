// tare scan: a verdict for each file.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "cli/cache.hpp"
#include "cli/cli.hpp"
#include "cli/policy_file.hpp"
#include "cli/remote.hpp"
#include "cli/scan_run.hpp"
#include "cli/size_text.hpp"

namespace tare::cli {
namespace {

struct ScanArguments {
  std::vector<std::string> paths;
  std::string files_from;
  bool nul_separated = false;
  PathFilter filter;
  std::string max_size;
  double timeout = 0;  // seconds; 0: none
  std::size_t threads = 0;
  std::vector<OutputRequest> outputs;
  std::string baseline;
  Verdict fail_on = Verdict::kSuspicious;
  bool exit_zero = false;
  std::string policy;
  std::string cache;  // by what files are known: kByFile, kByContent; empty: no cache
};

constexpr const char* kByFile = "file";
constexpr const char* kByContent = "content";

// An error outranks a finding; "nothing to scan" counts only if nothing else was said. A file that
// was too large to be scanned is an error, and so is one that took too long: nobody knows what is
// in it.
int exit_code_of(const report::ScanTotals& totals, const ScanArguments& arguments) {
  if (totals.unreadable + totals.failed + totals.skipped + totals.out_of_time > 0) return kError;
  const std::uint64_t findings =
      totals.dangerous + (arguments.fail_on == Verdict::kSuspicious ? totals.suspicious : 0);
  if (findings > 0) return arguments.exit_zero ? kOk : kFindings;
  return totals.judged() > 0 ? kOk : kNothing;
}

// What is wrong with the arguments together; empty if nothing is.
std::string fault_of(const ScanArguments& arguments) {
  if (arguments.paths.empty() && arguments.files_from.empty()) return "PATH is required";
  const auto to_stdout = std::ranges::count(arguments.outputs, "", &OutputRequest::path);
  if (to_stdout > 1) return "--format: only one report can go to stdout; name files for the others";
  std::vector<std::string> files;
  for (const OutputRequest& output : arguments.outputs) files.push_back(output.path);
  std::ranges::sort(files);
  if (std::ranges::adjacent_find(files) != files.end()) return "--format: two reports in one file";
  if (arguments.files_from == "-" && std::ranges::count(arguments.paths, "-") > 0) {
    return "--files-from: stdin cannot be the list and a file";
  }
  if (std::ranges::count(arguments.paths, "-") > 1) return "PATH: there is one stdin";
  return "";
}

bool add_list(ScanSource& source, const ScanArguments& arguments) {
  if (arguments.files_from.empty()) return true;
  auto list = PathList::open(arguments.files_from, arguments.nul_separated ? '\0' : '\n');
  if (!list) {
    print_error(arguments.files_from, list.error());
    return false;
  }
  source.add_list(arguments.files_from, std::move(*list));
  return true;
}

JudgeOptions judge_options(const ScanArguments& arguments, const ScanOutputs& outputs,
                           const Policy* policy, cache::ScanCache* cache) {
  JudgeOptions options;
  options.policy = policy;
  options.cache = cache;
  options.reads_all = arguments.cache == kByContent;
  if (!arguments.max_size.empty()) options.max_size = parse_size(arguments.max_size);
  if (arguments.timeout > 0) {
    options.timeout = std::chrono::milliseconds(std::llround(arguments.timeout * 1000));
  }
  for (const std::filesystem::path& path : outputs.temporaries()) {
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0) options.outputs.emplace(status.st_dev, status.st_ino);
  }
  return options;
}

// Null if none is asked for, or after saying why there is none: a scan does without.
std::unique_ptr<cache::ScanCache> open_cache(const ScanArguments& arguments) {
  if (arguments.cache.empty()) return nullptr;
  auto folder = cache_folder();
  if (folder) return cache::ScanCache::open(*folder);
  print_error("--cache", report::error_text(folder.error()) + "; scanning without");
  return nullptr;
}

void close_cache(cache::ScanCache& cache) {
  cache.flush();
  if (const std::string complaint = cache.complaint(); !complaint.empty()) {
    print_error("--cache", report::printable(complaint));
  }
}

// Nothing after saying why there is none.
std::optional<Baseline> read_baseline(const std::string& path) {
  auto baseline = path.empty() ? Result<Baseline>(Baseline()) : Baseline::read(path);
  if (baseline) return std::move(*baseline);
  print_error(path, baseline.error());
  return std::nullopt;
}

// tare-fetch starts before anything is read.
bool start_if_remote(const std::vector<std::string>& paths) {
  if (std::ranges::none_of(paths, remote::is_remote)) return true;
  const auto started = Remote::start();
  if (!started) print_error("tare-fetch", started.error());
  return started.has_value();
}

int run_scan(const ScanArguments& arguments) {
  if (const std::string fault = fault_of(arguments); !fault.empty()) {
    print_error("scan", fault);
    return kUsage;
  }
  if (!start_if_remote(arguments.paths)) return kError;
  std::optional<Policy> policy;
  if (!arguments.policy.empty()) {
    policy = read_policy_or_tell(arguments.policy);
    if (!policy) return kUsage;
  }
  const auto start = std::chrono::steady_clock::now();
  WalkCounts counts;
  ScanSource source(arguments.paths, arguments.filter, counts);
  auto baseline = read_baseline(arguments.baseline);
  if (!baseline || !add_list(source, arguments)) return kError;
  auto outputs = ScanOutputs::open(arguments.outputs.empty() ? std::vector{OutputRequest{}}
                                                             : arguments.outputs);
  if (!outputs) return kError;
  const auto cache = open_cache(arguments);
  const JudgeOptions options =
      judge_options(arguments, *outputs, policy ? &*policy : nullptr, cache.get());
  auto totals = scan_all({source, options, *outputs, &*baseline, arguments.threads});
  if (cache) close_cache(*cache);
  if (!totals) return kError;
  totals->excluded = counts.excluded;
  totals->folder_links = counts.folder_links;
  totals->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!outputs->finish(*totals)) return kError;
  return exit_code_of(*totals, arguments);
}

void add_files(CLI::App& command, ScanArguments& to) {
  command.add_option("PATH", to.paths,
                     "files, folders with all that is below, patterns like 'models/*.pt', - for "
                     "stdin, or https://, hf://ORG/MODEL, s3://BUCKET/KEY");
  command
      .add_option("--files-from", to.files_from,
                  "a list of paths, one on each line; - for stdin. They come after PATH")
      ->option_text("FILE");
  command.add_flag("-0", to.nul_separated, "a NUL stands behind each path of the list");
  command
      .add_option("--include", to.filter.include,
                  "of what is in folders and lists, only files like this: '*.pt'; may be repeated")
      ->allow_extra_args(false)
      ->option_text("PATTERN");
  command
      .add_option("--exclude", to.filter.exclude,
                  "no files and folders like this: 'cache', 'runs/*/tmp'; may be repeated")
      ->allow_extra_args(false)
      ->option_text("PATTERN");
  command
      .add_option_function<std::string>(
          "--shard",
          [&to](const std::string& text) {
            const auto shard = parse_shard(text);
            if (!shard) throw CLI::ValidationError("--shard", "is no share like 2/8: " + text);
            to.filter.shard = *shard;
          },
          "the I-th of N shares of all files, for N runs beside each other")
      ->option_text("I/N");
}

void add_limits(CLI::App& command, ScanArguments& to) {
  command.add_option("--max-size", to.max_size, "larger files are not scanned, which is an error")
      ->check(size_fault)
      ->option_text("SIZE");
  command
      .add_option("--timeout", to.timeout,
                  "seconds for each file; one that takes longer is unreadable")
      ->check(CLI::Range(0.001, 1e6))
      ->option_text("SECONDS");
  command.add_option("-j,--jobs", to.threads, "files at a time; default: one for each processor")
      ->check(CLI::Range(1, 1024))
      ->option_text("N");
}

void add_results(CLI::App& command, ScanArguments& to) {
  command
      .add_option_function<std::vector<std::string>>(
          "--format",
          [&to](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              const auto output = parse_output(text);
              if (!output) throw CLI::ValidationError("--format", output.error());
              to.outputs.push_back(*output);
            }
          },
          "of the report; with =FILE into a file, which may be repeated")
      ->allow_extra_args(false)
      ->option_text("{text,json,ndjson,sarif,junit,markdown,html}[=FILE] [text]");
  command
      .add_option("--policy", to.policy, "a policy file: what is allowed as well (docs/policy.md)")
      ->option_text("FILE");
  command
      .add_flag(fmt::format("--cache{{{}}}", kByFile), to.cache,
                "keep results, and take those of files that have not changed (docs/cache.md); "
                "=content: read every file to be sure of that")
      ->check(CLI::IsMember({kByFile, kByContent}))
      ->option_text("[=content]");
  command
      .add_option("--baseline", to.baseline,
                  "the JSON report of an earlier run, whose findings do not count again")
      ->option_text("FILE");
  static const std::map<std::string, Verdict> kLevels = {{"suspicious", Verdict::kSuspicious},
                                                         {"dangerous", Verdict::kDangerous}};
  command.add_option("--fail-on", to.fail_on, "verdict from which on the exit code is 1")
      ->transform(CLI::CheckedTransformer(kLevels, CLI::ignore_case))
      ->option_text("{suspicious,dangerous} [suspicious]");
  command.add_flag("--exit-zero", to.exit_zero, "exit code 0 instead of 1; errors keep theirs");
}

}  // namespace

void add_scan(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("scan", "judge files: safe, suspicious, dangerous");
  auto arguments = std::make_shared<ScanArguments>();
  add_files(*command, *arguments);
  add_limits(*command, *arguments);
  add_results(*command, *arguments);
  command->footer(
      "Exit codes: 0 safe, 1 findings, 2 error or unreadable, 3 nothing to scan, 4 usage.\n"
      "An error outranks a finding.\n\n"
      "Examples:\n"
      "  tare scan model.pt\n"
      "  tare scan --exclude .git --max-size 20GB models/\n"
      "  git ls-files -z | tare scan -0 --files-from -\n"
      "  tare scan --format text --format json=report.json models/\n"
      "  tare scan --baseline report.json models/\n"
      "  tare scan --cache models/");
  command->callback([arguments, &exit_code] { exit_code = run_scan(*arguments); });
}

}  // namespace tare::cli
