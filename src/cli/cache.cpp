// tare cache: what results are kept, and removing them.
#include "cli/cache.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cache/scan_cache.hpp"
#include "cli/cli.hpp"
#include "report/text.hpp"

namespace tare::cli {
namespace {

std::string_view variable(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? "" : text;
}

// "2026-11-26" of the days since 1970.
std::string day_text(std::int64_t days) {
  const std::chrono::year_month_day day{std::chrono::sys_days(std::chrono::days(days))};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()),
                     static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()));
}

std::string text_of(const cache::CacheFolder& folder, const cache::CacheStats& stats) {
  std::string text = fmt::format("folder:   {}\nsize:     {}\nresults:  {}\nfiles:    {}\n",
                                 report::printable(folder.path().native()),
                                 report::human_bytes(stats.bytes), stats.results, stats.files);
  if (stats.oldest > 0) text += fmt::format("oldest:   used on {}\n", day_text(stats.oldest));
  if (!stats.damaged.empty()) text += fmt::format("damaged:  {} set aside\n", stats.damaged.size());
  return text;
}

std::string json_of(const cache::CacheFolder& folder, const cache::CacheStats& stats) {
  nlohmann::ordered_json json;
  json["folder"] = report::printable(folder.path().native());
  json["bytes"] = stats.bytes;
  json["results"] = stats.results;
  json["files"] = stats.files;
  json["oldest_use"] = stats.oldest > 0 ? nlohmann::ordered_json(day_text(stats.oldest)) : nullptr;
  json["damaged_files"] = stats.damaged.size();
  return json.dump(2) + "\n";
}

// Prints what `text` makes of the folder and what is done with it.
template <typename Do, typename Text>
int with_folder(Do work, Text text) {
  const auto folder = cache_folder();
  if (!folder) {
    print_error("cache", folder.error());
    return kError;
  }
  const auto stats = work(*folder);
  if (!stats) {
    print_error(folder->current().native(), stats.error());
    return kError;
  }
  return print(text(*folder, *stats)) ? kOk : kError;
}

std::string cleared_text(const cache::CacheFolder&, const cache::CacheStats& stats) {
  return fmt::format("removed {} results ({})\n", stats.results, report::human_bytes(stats.bytes));
}

}  // namespace

Result<cache::CacheFolder> cache_folder() {
  const auto path = cache::CacheFolder::default_path(variable("XDG_CACHE_HOME"), variable("HOME"));
  if (!path) return std::unexpected(path.error());
  return cache::CacheFolder::open(*path);
}

void add_cache(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("cache", "results of scans that are kept (scan --cache)");
  command->require_subcommand(1);
  auto* stats = command->add_subcommand("stats", "how many there are, and where");
  auto json = std::make_shared<bool>(false);
  stats->add_flag("--json", *json, "as JSON");
  command->add_subcommand("clear", "remove all of them");
  command->footer("Examples:\n  tare cache stats\n  tare cache stats --json\n  tare cache clear");
  command->callback([stats, json, &exit_code] {
    exit_code = stats->parsed() ? with_folder(cache::stats_of, *json ? json_of : text_of)
                                : with_folder(cache::clear, cleared_text);
  });
}

}  // namespace tare::cli
