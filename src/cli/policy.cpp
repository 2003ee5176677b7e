// tare policy: what pickles may do, as TOML; and whether a policy file is well-formed.
#include <fmt/format.h>

#include <iterator>

#include "cli/cli.hpp"
#include "cli/policy_file.hpp"
#include "scan/policy.hpp"

namespace tare::cli {
namespace {

// Names of the tables have no characters that TOML would want escaped; a user's may.
std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += '\\';
    if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04X}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

void write_name(fmt::memory_buffer& out, std::string_view module, std::string_view name, bool named,
                std::string_view call, std::string_view state, std::string_view items) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "\n[[name]]\nmodule = {}\nname = {}\n", toml_text(module), toml_text(name));
  if (!named) fmt::format_to(to, "named = false\n");
  if (call != "never") fmt::format_to(to, "call = {}\n", toml_text(call));
  if (state != "none") fmt::format_to(to, "state = {}\n", toml_text(state));
  if (items != "none") fmt::format_to(to, "items = {}\n", toml_text(items));
}

void write_user_policy(fmt::memory_buffer& out, const Policy& policy) {
  auto to = std::back_inserter(out);
  const auto text = [&](std::string_view key, std::string_view value) {
    if (!value.empty()) fmt::format_to(to, "{} = {}\n", key, toml_text(value));
  };
  const auto day = [&](const std::optional<Day>& expires) {
    if (expires) {
      fmt::format_to(to, "expires = {:04}-{:02}-{:02}\n", expires->year, expires->month,
                     expires->day);
    }
  };
  for (const PolicyName& name : policy.names()) {
    write_name(out, name.module, name.name, name.named, name.arguments, name.state, name.items);
    text("reason", name.reason);
    day(name.expires);
  }
  for (const Allowance& entry : policy.allowances()) {
    fmt::format_to(to, "\n[[allow]]\n");
    text("rule", entry.rule);
    text("path", entry.path);
    text("sha256", entry.sha256);
    text("entry", entry.entry);
    text("name", entry.name);
    text("reason", entry.reason);
    day(entry.expires);
  }
}

int print_policy(const Policy& user) {
  fmt::memory_buffer out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "# What pickles may name and do. What is not listed is suspicious.\n");
  fmt::format_to(to, "version = 1\n");
  scan_policy::for_each_name([&](const scan_policy::ListedName& entry) {
    write_name(out, entry.module, entry.name, entry.use.named,
               scan_policy::word_of(entry.use.arguments), scan_policy::word_of(entry.use.state),
               scan_policy::word_of(entry.use.items));
  });
  write_user_policy(out, user);
  fmt::format_to(to, "\n# Known gadgets, which no policy file can allow as names.\n");
  for (const auto& gadget : scan_policy::listed_gadgets()) {
    fmt::format_to(to, "# {} {}: {}\n", gadget.module, gadget.name,
                   scan_policy::category_word(gadget.category));
  }
  return print({out.data(), out.size()}) ? kOk : kError;
}

struct PolicyArguments {
  std::string policy;
  std::string file;
};

}  // namespace

void add_policy(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("policy", "what pickles may name and do, as TOML");
  auto arguments = std::make_shared<PolicyArguments>();
  command->add_option("--policy", arguments->policy, "a policy file that adds to it")
      ->option_text("FILE");
  CLI::App* check = command->add_subcommand("check", "whether a policy file is well-formed");
  check->add_option("file", arguments->file, "the policy file")->required()->option_text("FILE");
  command->footer(
      "Examples:\n  tare policy\n  tare policy --policy our.toml\n"
      "  tare policy check our.toml");
  command->callback([arguments, check, &exit_code] {
    if (check->parsed()) {
      exit_code = read_policy_or_tell(arguments->file) ? kOk : kUsage;
      return;
    }
    Policy policy(today());
    if (!arguments->policy.empty()) {
      auto read = read_policy_or_tell(arguments->policy);
      if (!read) {
        exit_code = kUsage;
        return;
      }
      policy = std::move(*read);
    }
    exit_code = print_policy(policy);
  });
}

}  // namespace tare::cli
