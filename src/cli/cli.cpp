#include "cli/cli.hpp"

#include <glob.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace tare::cli {

void print_error(std::string_view subject, std::string_view what) {
  const std::string name = remote::display_name(subject);
  const std::string line = "tare: " + report::printable(name) + ": " + std::string(what) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void print_error(std::string_view subject, const Error& error) {
  print_error(subject, report::error_text(error));
}

void print_error(std::string_view subject, const Failure& failure) {
  print_error(subject, report::failure_text(failure));
}

bool is_pattern(const std::string& path) {
  std::error_code ignored;
  return path.find_first_of("*?[") != std::string::npos && !std::filesystem::exists(path, ignored);
}

std::vector<std::filesystem::path> files_of(const std::string& pattern) {
  ::glob_t found{};
  std::vector<std::filesystem::path> paths;
  if (::glob(pattern.c_str(), GLOB_NOESCAPE, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return paths;
}

std::expected<Model, Failure> open_argument(const std::string& path) {
  if (!is_pattern(path)) return open_model(path);
  const auto paths = files_of(path);
  if (!paths.empty()) return open_models(paths);
  return std::unexpected(
      Failure(Error{ErrorCode::kNotFound, 0, Error::kNoOffset, "no file has such a name"}));
}

std::expected<Model, Failure> open_argument(const std::string& path, RemoteModel& remote) {
  return remote::is_remote(path) ? remote.open(path) : open_argument(path);
}

std::optional<Model> open_or_tell(const std::string& path, RemoteModel& remote) {
  auto model = open_argument(path, remote);
  if (model) return std::move(*model);
  print_error(path, model.error());
  return std::nullopt;
}

std::optional<Model> open_or_tell(const std::string& path) {
  RemoteModel remote;
  return open_or_tell(path, remote);
}

void print_error(std::string_view path, const SelectFailure& failure) {
  print_error(path, Failure(failure));
  for (const std::string& candidate : failure.candidates) {
    print_error(path, "--key " + report::printable(candidate));
  }
}

std::optional<Model> open_selected_or_tell(const std::string& path, const std::string& key) {
  auto model = open_or_tell(path);
  if (!model) return std::nullopt;
  auto selection = select_tensors(*model, {.key = key});
  if (!selection) {
    print_error(path, selection.error());
    return std::nullopt;
  }
  return with_tied_names(restrict_to(std::move(*model), std::move(*selection)));
}

bool print(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

report::Colour colour_for_stdout() {
  const auto variable = [](const char* name) {
    const char* const text = std::getenv(name);
    return std::string_view(text == nullptr ? "" : text);
  };
  const bool wanted = variable("NO_COLOR").empty() && variable("CLICOLOR") != "0" &&
                      variable("TERM") != "" && variable("TERM") != "dumb" &&
                      ::isatty(STDOUT_FILENO) == 1;
  return wanted ? report::Colour::kYes : report::Colour::kNo;
}

}  // namespace tare::cli
