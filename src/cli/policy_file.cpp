#include "cli/policy_file.hpp"

#include <fmt/format.h>

#include <ctime>

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "cli/cli.hpp"
#include "tare/input.hpp"

namespace tare::cli {
namespace {

// Where it is in the file, and what is wrong there.
struct Wrong {
  toml::source_position at;
  std::string what;
};

using Checked = std::expected<void, Wrong>;

std::unexpected<Wrong> wrong(const toml::node& node, std::string what) {
  return std::unexpected(Wrong{node.source().begin, std::move(what)});
}

std::string quoted(std::string_view text) {
  return "'" + report::printable(text) + "'";
}

std::string day_text(Day day) {
  return fmt::format("{:04}-{:02}-{:02}", day.year, day.month, day.day);
}

// The keys of one table, each of which must be asked for.
class Table {
 public:
  explicit Table(const toml::table& table) : table_(table) {}

  Checked text(std::string_view key, std::string& out) { return value(key, out, "a text"); }
  Checked truth(std::string_view key, bool& out) { return value(key, out, "true or false"); }
  Checked day(std::string_view key, std::optional<Day>& out) {
    toml::date date{};
    const bool has = table_.contains(key);
    if (auto done = value(key, date, "a date"); !done || !has) return done;
    out = Day{date.year, date.month, date.day};
    return {};
  }
  // To be called last.
  Checked nothing_else() const {
    for (const auto& [key, node] : table_) {
      if (std::ranges::find(known_, key.str()) != known_.end()) continue;
      return std::unexpected(
          Wrong{key.source().begin, "there is no key " + quoted(key.str()) + " here"});
    }
    return {};
  }

 private:
  template <typename Type>
  Checked value(std::string_view key, Type& out, std::string_view type) {
    known_.push_back(key);
    const toml::node* const node = table_.get(key);
    if (node == nullptr) return {};
    const auto found = node->value_exact<Type>();
    if (!found) return wrong(*node, quoted(key) + " must be " + std::string(type));
    out = *found;
    return {};
  }

  const toml::table& table_;
  std::vector<std::string_view> known_;
};

// The first that went wrong.
template <typename... Steps>
Checked all_of(Steps&&... steps) {
  Checked result;
  static_cast<void>(((result = steps()).has_value() && ...));
  return result;
}

void tell_expired(const std::string& path, const toml::node& node, const Policy& policy,
                  const std::optional<Day>& expires) {
  if (!policy.has_expired(expires)) return;
  print_error(path, fmt::format("line {}: this entry expired on {} and no longer counts",
                                node.source().begin.line, day_text(*expires)));
}

Checked add_to(Policy& policy, const toml::table& table, auto entry) {
  if (auto added = policy.add(std::move(entry)); !added) return wrong(table, added.error().what);
  return {};
}

Checked read_name(const std::string& path, const toml::table& table, Policy& policy) {
  PolicyName name;
  Table keys(table);
  const auto read = all_of(
      [&] { return keys.text("module", name.module); },
      [&] { return keys.text("name", name.name); }, [&] { return keys.truth("named", name.named); },
      [&] { return keys.text("call", name.arguments); },
      [&] { return keys.text("state", name.state); },
      [&] { return keys.text("items", name.items); },
      [&] { return keys.text("reason", name.reason); },
      [&] { return keys.day("expires", name.expires); }, [&] { return keys.nothing_else(); });
  if (!read) return read;
  tell_expired(path, table, policy, name.expires);
  return add_to(policy, table, std::move(name));
}

Checked read_allowance(const std::string& path, const toml::table& table, Policy& policy) {
  Allowance entry;
  Table keys(table);
  const auto read = all_of(
      [&] { return keys.text("rule", entry.rule); }, [&] { return keys.text("path", entry.path); },
      [&] { return keys.text("sha256", entry.sha256); },
      [&] { return keys.text("entry", entry.entry); },
      [&] { return keys.text("name", entry.name); },
      [&] { return keys.text("reason", entry.reason); },
      [&] { return keys.day("expires", entry.expires); }, [&] { return keys.nothing_else(); });
  if (!read) return read;
  tell_expired(path, table, policy, entry.expires);
  return add_to(policy, table, std::move(entry));
}

Checked read_entries(const std::string& path, const toml::node& node, Policy& policy,
                     Checked (*read)(const std::string&, const toml::table&, Policy&)) {
  const toml::array* const entries = node.as_array();
  if (entries == nullptr) return wrong(node, "write this as [[name]] or [[allow]]");
  for (const toml::node& entry : *entries) {
    const toml::table* const table = entry.as_table();
    if (table == nullptr) return wrong(entry, "write this as [[name]] or [[allow]]");
    if (auto done = read(path, *table, policy); !done) return done;
  }
  return {};
}

Checked read_document(const std::string& path, const toml::table& document, Policy& policy) {
  for (const auto& [key, node] : document) {
    Checked done;
    if (key.str() == "name") {
      done = read_entries(path, node, policy, read_name);
    } else if (key.str() == "allow") {
      done = read_entries(path, node, policy, read_allowance);
    } else if (key.str() == "version") {
      if (node.value_exact<std::int64_t>() != 1) done = wrong(node, "the version is 1");
    } else {
      done = std::unexpected(
          Wrong{key.source().begin, "there is no key " + quoted(key.str()) + " here"});
    }
    if (!done) return done;
  }
  return {};
}

void tell(const std::string& path, toml::source_position at, std::string_view what) {
  print_error(path, fmt::format("line {}, column {}: {}", at.line, at.column, what));
}

}  // namespace

Day today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  return {utc.tm_year + 1900, static_cast<unsigned>(utc.tm_mon + 1),
          static_cast<unsigned>(utc.tm_mday)};
}

std::optional<Policy> read_policy_or_tell(const std::string& path) {
  constexpr std::size_t kMaxSize = std::size_t{1} << 20;
  const auto input = Input::map(path);
  if (!input) {
    print_error(path, input.error());
    return std::nullopt;
  }
  if (input->bytes().size() > kMaxSize) {
    print_error(path, "is no policy file: it has more than 1 MiB");
    return std::nullopt;
  }
  const auto parsed = toml::parse(as_text(input->bytes()));
  if (!parsed) {
    tell(path, parsed.error().source().begin, report::printable(parsed.error().description()));
    return std::nullopt;
  }
  Policy policy(today());
  if (const auto read = read_document(path, parsed.table(), policy); !read) {
    tell(path, read.error().at, read.error().what);
    return std::nullopt;
  }
  return policy;
}

}  // namespace tare::cli
