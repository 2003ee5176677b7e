// What the verbs of the command line have in common: exit codes, and how errors are told.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "cli/remote.hpp"
#include "report/text.hpp"
#include "tare/error.hpp"
#include "tare/model.hpp"
#include "tare/select.hpp"

namespace tare::cli {

// The field's own exit codes. An error outranks a finding.
enum ExitCode : int {
  kOk = 0,
  kFindings = 1,
  kError = 2,
  kNothing = 3,  // nothing that tare knows how to judge
  kUsage = 4,
};

// One line on stderr: "tare: FILE: what failed".
void print_error(std::string_view subject, std::string_view what);
void print_error(std::string_view subject, const Error& error);
void print_error(std::string_view subject, const Failure& failure);

// Whether a text is a pattern of file names, with `*`, `?` or `[`; not if a file is called so.
bool is_pattern(const std::string& path);

// The files that a pattern stands for, sorted.
std::vector<std::filesystem::path> files_of(const std::string& pattern);

// open_model(), or open_models() of the files that a pattern stands for.
std::expected<Model, Failure> open_argument(const std::string& path);
// The same; what stands on a server is opened through `remote`, which outlives the model.
std::expected<Model, Failure> open_argument(const std::string& path, RemoteModel& remote);

// The same; says on stderr why there is no model.
std::optional<Model> open_or_tell(const std::string& path);
// The same of a model that may be on a server, and what of it was fetched.
std::optional<Model> open_or_tell(const std::string& path, RemoteModel& remote);

// The model in a file as select_tensors() finds it, tied names included; says on stderr why there
// is none.
std::optional<Model> open_selected_or_tell(const std::string& path, const std::string& key);
// What select_tensors() could not choose among, as options that would.
void print_error(std::string_view path, const SelectFailure& failure);

// Writes to stdout; false if stdout is closed or full.
bool print(std::string_view text);

// Colours are for terminals, and only if the user has not asked for none (NO_COLOR, CLICOLOR=0,
// TERM=dumb).
report::Colour colour_for_stdout();

// Each verb adds its subcommand; the callback returns the exit code.
void add_scan(CLI::App& app, int& exit_code);
void add_inspect(CLI::App& app, int& exit_code);
void add_check(CLI::App& app, int& exit_code);
void add_verify(CLI::App& app, int& exit_code);
void add_hash(CLI::App& app, int& exit_code);
void add_convert(CLI::App& app, int& exit_code);
void add_decompile(CLI::App& app, int& exit_code);
void add_trace(CLI::App& app, int& exit_code);
void add_disasm(CLI::App& app, int& exit_code);
void add_craft(CLI::App& app, int& exit_code);
void add_rules(CLI::App& app, int& exit_code);
void add_explain(CLI::App& app, int& exit_code);
void add_policy(CLI::App& app, int& exit_code);
void add_cache(CLI::App& app, int& exit_code);

// Starts tare-demo in place of this process, before any input is read. Returns only on failure.
int run_demo(int argc, char** argv);

}  // namespace tare::cli
