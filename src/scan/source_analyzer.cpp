// Judges source code by what it refers to (docs/scan.md). TorchScript can be known to be harmless:
// the compiler gives no other meaning to a name than the operators of torch, the functions of the
// same archive, and its own few. Python cannot.
#include <unordered_map>
#include <unordered_set>

#include "scan/analyzers.hpp"
#include "scan/rules.hpp"
#include "scan/source_names.hpp"
#include "scan/source_tokens.hpp"

namespace tare {
namespace {

// The line at a position, or what of it stands near.
std::string line_at(std::string_view text, std::size_t position) {
  constexpr std::size_t kWidth = 200;
  const std::size_t from = position - std::min(position, kWidth);
  const std::size_t before = text.substr(from, position - from).rfind('\n');
  const std::size_t start = before == std::string_view::npos ? from : from + before + 1;
  const std::string_view rest = text.substr(start, 2 * kWidth);
  std::string line;
  for (const char c : rest.substr(0, rest.find('\n', position - start))) {
    if (c >= 0x20 && c < 0x7f) line += c;
  }
  line.erase(0, std::min(line.find_first_not_of(' '), line.size()));
  return line;
}

class SourceAnalyzer {
 public:
  SourceAnalyzer(const format::Part& part, Findings& findings)
      : part_(part),
        source_(as_text(part.bytes)),
        list_(tokenize(source_)),
        references_(references_in(list_.tokens)),
        findings_(findings) {}

  void analyze_script();
  void analyze_python();

 private:
  void add(const Rule& rule, std::uint64_t offset, std::string detail);
  void add_harm(const Rule& rule, const std::string& path, std::uint64_t offset,
                const char* meaning) {
    add(rule, offset, path + " " + meaning);
  }
  void judge_script(const Reference& reference);
  void judge_call(const Reference& reference);
  void judge_script_import(const ImportedName& name);
  std::optional<const char*> harm_of(const Reference& reference) const;

  const format::Part& part_;
  std::string_view source_;
  TokenList list_;
  References references_;
  Findings& findings_;
  std::unordered_set<std::string> local_;                  // names that the code gives a value to
  std::unordered_map<std::string, std::string> imported_;  // names, and what they stand for
};

void SourceAnalyzer::add(const Rule& rule, std::uint64_t offset, std::string detail) {
  Finding* finding = findings_.add(rule, part_.path, part_.base + offset, std::move(detail));
  if (finding != nullptr) finding->evidence = line_at(source_, offset);
}

// The name that a path begins with.
std::string_view root_of(std::string_view path) {
  return path.substr(0, path.find('.'));
}

// ---- TorchScript

bool is_known_class(std::string_view path) {
  constexpr std::string_view kNative = "__torch__.torch.classes.";
  if (!path.starts_with(kNative)) return true;  // of the archive: its code is judged as well
  path.remove_prefix(kNative.size());
  return path.starts_with("quantized.") || path.starts_with("sparse.") ||
         path.starts_with("xnnpack.");
}

void SourceAnalyzer::judge_script(const Reference& reference) {
  const std::string& path = reference.path;
  if (path == "__setstate__" || path.ends_with(".__setstate__")) {
    return add_harm(scan_rules::kScriptDangerous, path, reference.offset,
                    "runs when the object is loaded");
  }
  if (reference.is_method || reference.is_defined) return;
  const std::string_view root = root_of(path);
  auto harm = source_names::harm_of_script(path);
  const bool is_local = local_.contains(std::string(root));
  if (!harm && root != "torch" && !is_local) harm = source_names::harm_of(path);
  if (harm) return add_harm(scan_rules::kScriptDangerous, path, reference.offset, *harm);
  if (root == "torch" || root == "ops") {
    if (!source_names::is_known_operator(path)) {
      add(scan_rules::kScriptCode, reference.offset,
          path + " is no operator that is known to be harmless");
    }
  } else if (root == "__torch__") {
    if (!is_known_class(path)) {
      add(scan_rules::kScriptCode, reference.offset, path + " is a class of native code");
    }
  } else if (reference.called && path == root) {
    judge_call(reference);
  }
}

// A call of a name without dots.
void SourceAnalyzer::judge_call(const Reference& reference) {
  if (const auto harm = source_names::harm_of_builtin(reference.path)) {
    return add_harm(scan_rules::kScriptDangerous, reference.path, reference.offset, *harm);
  }
  if (local_.contains(reference.path) || source_names::is_script_builtin(reference.path)) return;
  add(scan_rules::kScriptCode, reference.offset,
      reference.path + " is no function that TorchScript has");
}

void SourceAnalyzer::judge_script_import(const ImportedName& name) {
  if (root_of(name.path) == "__torch__") return;  // code before torch 1.5
  if (const auto harm = source_names::harm_of(name.path + ".")) {
    return add_harm(scan_rules::kScriptDangerous, name.path, name.offset, *harm);
  }
  add(scan_rules::kScriptCode, name.offset, "an import of " + name.path);
}

void SourceAnalyzer::analyze_script() {
  for (const Reference& reference : references_.names) {
    if ((reference.is_assigned || reference.is_defined) && !reference.is_method) {
      local_.insert(reference.path);
    }
  }
  for (const Reference& reference : references_.names) judge_script(reference);
  for (const ImportedName& name : references_.imports) judge_script_import(name);
  if (!list_.is_plain) {
    add(scan_rules::kScriptCode, 0, "the code is written as no compiler of TorchScript writes it");
  }
}

// ---- Python

// What an attribute of anything leads to.
bool reaches_all(std::string_view path) {
  const std::string_view last = path.substr(path.rfind('.') + 1);
  return last == "__subclasses__" || last == "__globals__" || last == "__builtins__";
}

std::optional<const char*> SourceAnalyzer::harm_of(const Reference& reference) const {
  const std::string& path = reference.path;
  if (reaches_all(path)) return "reaches anything by its name";
  if (reference.is_method) return std::nullopt;
  const bool is_plain = path.find('.') == std::string::npos;
  const auto imported = imported_.find(std::string(root_of(path)));
  if (imported != imported_.end()) {
    const std::string full = imported->second + path.substr(root_of(path).size());
    const auto harm = source_names::harm_of(full);
    return harm || !is_plain ? harm : source_names::harm_of_module(full);
  }
  const bool is_call = is_plain && reference.called;
  return is_call ? source_names::harm_of_builtin(path) : std::nullopt;
}

void SourceAnalyzer::analyze_python() {
  for (const ImportedName& name : references_.imports) {
    imported_.insert_or_assign(name.name, name.path);
    if (!name.path.ends_with(".*")) continue;
    const auto harm = source_names::harm_of_module(name.path.substr(0, name.path.size() - 2));
    if (harm) add_harm(scan_rules::kSourceDangerous, name.path, name.offset, *harm);
  }
  for (const Reference& reference : references_.names) {
    if (reference.is_defined) continue;
    const auto harm = harm_of(reference);
    if (harm) add_harm(scan_rules::kSourceDangerous, reference.path, reference.offset, *harm);
  }
  add(scan_rules::kSourceCode, 0,
      std::to_string(part_.bytes.size()) + " bytes of Python that a loader may run");
}

}  // namespace

void analyze_torchscript(const format::Part& part, Findings& findings) {
  SourceAnalyzer(part, findings).analyze_script();
}

void analyze_python(const format::Part& part, Findings& findings) {
  SourceAnalyzer(part, findings).analyze_python();
}

void analyze_script_names(const format::Part& part, const pickle::Run& run, Findings& findings) {
  const pickle::Graph& graph = run.graph;
  for (std::uint32_t i = 0; i < graph.node_count(); ++i) {
    const pickle::Value value = pickle::Graph::node_at(i);
    if (!graph.is_text(value)) continue;
    const std::string_view text = graph.text(value);
    const bool is_schema = text.find("::") != std::string_view::npos;
    const bool runs_on_load = text.ends_with(".__setstate__");
    if (runs_on_load || (is_schema && !source_names::is_known_schema(text))) {
      const Finding* finding = findings.add(
          runs_on_load ? scan_rules::kScriptDangerous : scan_rules::kScriptCode, part.path, 0,
          pickle::expression(graph, value) +
              (runs_on_load ? " runs when the object is loaded"
                            : " is no operator that is known to be harmless"));
      if (finding == nullptr) return;
    }
  }
}

}  // namespace tare
