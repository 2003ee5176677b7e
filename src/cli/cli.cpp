#include "cli/cli.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace tare::cli {

void print_error(std::string_view subject, std::string_view what) {
  const std::string line = "tare: " + report::printable(subject) + ": " + std::string(what) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void print_error(std::string_view subject, const Error& error) {
  print_error(subject, report::error_text(error));
}

void print_error(std::string_view subject, const Failure& failure) {
  print_error(subject, report::failure_text(failure));
}

std::optional<Model> open_or_tell(const std::string& path) {
  auto model = open_model(path);
  if (model) return std::move(*model);
  print_error(path, model.error());
  return std::nullopt;
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
  const char* no_colour = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool wanted = (no_colour == nullptr || *no_colour == '\0') && term != nullptr &&
                      std::string_view(term) != "dumb" && ::isatty(STDOUT_FILENO) == 1;
  return wanted ? report::Colour::kYes : report::Colour::kNo;
}

}  // namespace tare::cli
