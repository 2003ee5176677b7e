// Configurations that Hydra instantiates: `_target_` names what is imported and called, wherever in
// the document it stands; OmegaConf's interpolations read the environment or call functions.
#include <algorithm>
#include <array>

#include "format/yaml_pairs.hpp"
#include "scan/analyzers.hpp"
#include "scan/excerpt.hpp"
#include "scan/policy.hpp"
#include "scan/rules.hpp"

namespace tare {
namespace {

using format::YamlScalar;
using namespace std::string_view_literals;

struct Home {
  std::string_view module;
  std::string_view classes;  // with spaces between them
};
constexpr std::array kHomes = {
#define TARE_HYDRA_NAMES(module, classes) Home{module, classes},
#include "scan/hydra_names.def"
#undef TARE_HYDRA_NAMES
};

bool has_word(std::string_view words, std::string_view word) {
  for (std::size_t at = words.find(word); at != words.npos; at = words.find(word, at + 1)) {
    const bool starts = at == 0 || words[at - 1] == ' ';
    const std::size_t end = at + word.size();
    if (starts && (end == words.size() || words[end] == ' ')) return true;
  }
  return false;
}

bool is_known(std::string_view target) {
  const std::size_t dot = target.rfind('.');
  if (dot == std::string_view::npos) return false;
  const std::string_view name = target.substr(dot + 1);
  return std::ranges::any_of(kHomes, [&](const Home& home) {
    return home.module == target.substr(0, dot) && has_word(home.classes, name);
  });
}

// Hydra imports as much of the name as is a module and takes the rest as attributes, other modules
// among them: "os.path.join", "random._os.system".
std::optional<scan_policy::Category> gadget_of(std::string_view target) {
  std::size_t start = 0;
  for (std::size_t dot = target.find('.'); dot != target.npos; dot = target.find('.', dot + 1)) {
    const std::string_view name = target.substr(dot + 1, target.find('.', dot + 1) - dot - 1);
    std::string_view module = target.substr(start, dot - start);
    while (module.starts_with('_')) module.remove_prefix(1);
    for (const std::string_view holder : {target.substr(0, dot), module}) {
      if (name.empty() || holder.empty()) continue;
      if (const auto found = scan_policy::find_gadget(holder, name)) return found;
    }
    start = dot + 1;
  }
  return std::nullopt;
}

// "a.b.C" and nothing else.
bool is_dotted(std::string_view text) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  };
  return text.find('.') != text.npos && std::ranges::all_of(text, is_word);
}

// The name of the resolver in "${name:...}"; empty for a reference to another key. What cannot be
// told apart is taken for a resolver.
std::string_view resolver_of(std::string_view inside) {
  while (inside.starts_with(' ')) inside.remove_prefix(1);
  const std::size_t end = inside.find_first_of(":}$");
  if (end == std::string_view::npos || inside[end] == '$') return inside.substr(0, 40);
  return inside[end] == ':' ? inside.substr(0, end) : "";
}

class HydraAnalyzer {
 public:
  HydraAnalyzer(const format::Part& part, Findings& findings) : part_(part), findings_(findings) {}

  void read(const YamlScalar& scalar) {
    // NeMo and latent-diffusion models call it `target`, where other texts stand as well.
    const bool is_target =
        scalar.key == "_target_" || (scalar.key == "target" && is_dotted(scalar.value));
    if (is_target) read_target(scalar);
    read_interpolations(scalar);
  }

 private:
  void report(const Rule& rule, const YamlScalar& scalar, std::string detail) {
    Finding* finding =
        findings_.add(rule, part_.path, part_.base + scalar.offset, std::move(detail));
    if (finding == nullptr) return;
    finding->evidence =
        excerpt(scalar.key, 60) + ": " + (scalar.is_alias ? "*" : "") + excerpt(scalar.value, 120);
    finding->name = shown(scalar.value);
  }

  void read_target(const YamlScalar& scalar) {
    if (scalar.is_alias || !is_dotted(scalar.value)) {
      return report(scan_rules::kHydraUnknown, scalar, "what is called stands somewhere else");
    }
    if (const auto category = gadget_of(scalar.value)) {
      return report(scan_rules::kHydraGadget, scalar,
                    shown(scalar.value) + ' ' + scan_policy::category_text(*category));
    }
    if (is_known(scalar.value)) return;
    report(scan_rules::kHydraUnknown, scalar, shown(scalar.value) + " is imported and called");
  }

  void read_interpolations(const YamlScalar& scalar) {
    const std::string_view text = scalar.value;
    for (std::size_t at = text.find("${"); at != text.npos; at = text.find("${", at + 2)) {
      const std::string_view resolver = resolver_of(text.substr(at + 2));
      if (resolver.empty()) continue;
      const bool is_environment = resolver == "oc.env" || resolver == "env";
      report(
          scan_rules::kHydraResolver, scalar,
          is_environment ? "it reads the environment" : "it calls the resolver " + shown(resolver));
      return;
    }
  }

  const format::Part& part_;
  Findings& findings_;
};

}  // namespace

void analyze_hydra(const format::Part& part, Findings& findings) {
  const auto pairs = format::read_yaml_pairs(as_text(part.bytes));
  HydraAnalyzer analyzer(part, findings);
  for (const YamlScalar& scalar : pairs.scalars) analyzer.read(scalar);
  if (!pairs.broken) return;
  findings.add(scan_rules::kHydraBroken, part.path, part.base + *pairs.broken,
               "YAML that tare does not read stands here");
}

}  // namespace tare
