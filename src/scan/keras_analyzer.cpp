// Configurations of Keras: what they make Keras import, run and read when a model is loaded.
//
// An object of a configuration names its class by module and class_name; a function stands as
// class_name "function" with its name as the config. What Keras itself exports and is harmless is
// on a list (keras_names.def); everything else is at least suspicious.
#include <algorithm>
#include <array>
#include <set>

#include "format/json_tree.hpp"
#include "scan/analyzers.hpp"
#include "scan/excerpt.hpp"
#include "scan/policy.hpp"
#include "scan/rules.hpp"

namespace tare {
namespace {

using format::JsonKind;
using format::JsonNode;
using format::JsonTree;
using namespace std::string_view_literals;

using Names = std::set<std::string_view>;

void add_words(Names& names, std::string_view words) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    names.insert(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
}

struct Home {
  std::string_view module;
  std::string_view words;
};
struct Gadget {
  std::string_view name;
  const char* what;
};
constexpr std::array kGadgets = {
#define TARE_KERAS_CLASSES(module, words)
#define TARE_KERAS_FUNCTIONS(words)
#define TARE_KERAS_GADGET(name, what) Gadget{name, what},
#include "scan/keras_names.def"
#undef TARE_KERAS_CLASSES
#undef TARE_KERAS_FUNCTIONS
#undef TARE_KERAS_GADGET
};

// The public modules, and the classes that each exports.
constexpr std::array kHomes = {
#define TARE_KERAS_CLASSES(module, words) Home{module, words},
#define TARE_KERAS_FUNCTIONS(words)
#define TARE_KERAS_GADGET(name, what)
#include "scan/keras_names.def"
#undef TARE_KERAS_CLASSES
#undef TARE_KERAS_FUNCTIONS
#undef TARE_KERAS_GADGET
};

constexpr std::string_view kFunctions =
#define TARE_KERAS_CLASSES(module, words)
#define TARE_KERAS_FUNCTIONS(words) words
#define TARE_KERAS_GADGET(name, what)
#include "scan/keras_names.def"
    ;
#undef TARE_KERAS_CLASSES
#undef TARE_KERAS_FUNCTIONS
#undef TARE_KERAS_GADGET

const Names& known_functions() {
  static const Names names = [] {
    Names all;
    add_words(all, kFunctions);
    return all;
  }();
  return names;
}

const Names& known_classes(std::size_t home) {
  static const std::array<Names, kHomes.size()> names = [] {
    std::array<Names, kHomes.size()> all;
    for (std::size_t i = 0; i < kHomes.size(); ++i) add_words(all[i], kHomes[i].words);
    return all;
  }();
  return names[home];
}

// "keras.layers", "tensorflow.keras.layers": the part behind the package; nothing if the module is
// none of Keras.
bool take_package(std::string_view& module) {
  for (const std::string_view package :
       {"tensorflow.keras"sv, "tensorflow.python.keras"sv, "tf_keras"sv, "tf.keras"sv, "keras"sv}) {
    if (!module.starts_with(package)) continue;
    const std::string_view rest = module.substr(package.size());
    if (!rest.empty() && rest[0] != '.') continue;
    module = rest.empty() ? rest : rest.substr(1);
    return true;
  }
  return false;
}

// True if the class is on the list, and the module is one that has it.
bool is_known_class(std::string_view module, std::string_view name) {
  // Without a module Keras looks the name up among its own. Private modules have it by its name.
  bool any = module.empty();
  if (!any && !take_package(module)) return false;
  any = any || module.empty() || module.starts_with("src.") || module.starts_with("engine.");
  for (std::size_t i = 0; i < kHomes.size(); ++i) {
    const std::string_view home = kHomes[i].module;
    const bool is_home = module == home || (module.starts_with(home) && module[home.size()] == '.');
    if ((any || is_home) && known_classes(i).contains(name)) return true;
  }
  return false;
}

bool is_known_function(std::string_view module, std::string_view name) {
  if (!known_functions().contains(name)) return false;
  return module.empty() || module == "builtins" || take_package(module);
}

// Values that Keras writes as objects.
bool is_value(std::string_view name) {
  constexpr std::array kValues = {"__bytes__"sv, "__ellipsis__"sv, "__keras_tensor__"sv,
                                  "__numpy__"sv, "__slice__"sv,    "__tensor__"sv,
                                  "__tuple__"sv};
  return std::ranges::find(kValues, name) != kValues.end();
}

// ---- marshalled code, as far as names in it tell a person what it does

std::string decode_base64(std::string_view text, std::size_t most) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const auto value = kDigits.find(c);
    if (value == std::string_view::npos) continue;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xFF);
    if (out.size() >= most) break;
  }
  return out;
}

// Short texts of marshal: a type byte, a length, the characters.
std::string names_in(std::string_view code) {
  std::string names;
  constexpr std::size_t kMost = 160;
  for (std::size_t i = 0; i + 2 < code.size() && names.size() < kMost; ++i) {
    const char type = static_cast<char>(code[i] & 0x7F);
    const auto length = static_cast<unsigned char>(code[i + 1]);
    if ((type != 'z' && type != 'Z') || length < 2 || i + 2 + length > code.size()) continue;
    const std::string_view name = code.substr(i + 2, length);
    if (!std::ranges::all_of(name, [](char c) { return c >= 0x20 && c < 0x7F; })) continue;
    names += (names.empty() ? "" : ", ") + excerpt(name, 60);
    i += 1 + length;
  }
  return names;
}

class KerasAnalyzer {
 public:
  KerasAnalyzer(const format::Part& part, const JsonTree& tree, Findings& findings)
      : part_(part), tree_(tree), findings_(findings) {}

  void run() {
    for (const JsonNode& node : tree_.nodes()) {
      if (node.key == "class_name") read(tree_.at(node.parent), node);
      if (node.key == "vocabulary") read_vocabulary(node);
    }
  }

 private:
  void report(const Rule& rule, const JsonNode& node, std::string evidence, std::string detail);
  void read(const JsonNode& object, const JsonNode& class_name);
  void read_lambda(const JsonNode& object);
  void read_code(const JsonNode& place, const JsonNode* code);
  void read_function(const JsonNode& object);
  void read_name(const JsonNode& object, const JsonNode& named, std::string_view name);
  void read_vocabulary(const JsonNode& node);
  std::string_view text_of(const JsonNode& object, std::string_view key) const {
    const JsonNode* found = tree_.member(object, key);
    return found != nullptr && found->kind == JsonKind::kText ? found->text : "";
  }

  const format::Part& part_;
  const JsonTree& tree_;
  Findings& findings_;
};

void KerasAnalyzer::report(const Rule& rule, const JsonNode& node, std::string evidence,
                           std::string detail) {
  Finding* finding = findings_.add(rule, part_.path, part_.base + node.offset, std::move(detail));
  if (finding != nullptr) finding->evidence = std::move(evidence);
}

void KerasAnalyzer::read(const JsonNode& object, const JsonNode& class_name) {
  if (class_name.kind != JsonKind::kText) {
    return report(scan_rules::kKerasUnknown, class_name, "class_name", "the class has no name");
  }
  const std::string_view name = class_name.text;
  if (is_value(name)) return;
  if (name == "__lambda__") {
    const JsonNode* config = tree_.member(object, "config");
    const JsonNode* code = config == nullptr ? nullptr : tree_.member(*config, "code");
    if (code == nullptr && config != nullptr) code = tree_.member(*config, "value");
    return read_code(class_name, code);
  }
  if (name == "Lambda") return read_lambda(object);
  if (name == "function" || name == "builtin_function_or_method") return read_function(object);
  if (name == "TorchModuleWrapper") {
    return report(scan_rules::kKerasTorch, class_name, "TorchModuleWrapper",
                  "a pickle that torch.load reads (CVE-2025-49655)");
  }
  if (name == "TFSMLayer") {
    return report(scan_rules::kKerasFile, class_name, "TFSMLayer",
                  "a SavedModel that is loaded from a path (CVE-2026-1462)");
  }
  const std::string_view registered = text_of(object, "registered_name");
  if (is_known_class(text_of(object, "module"), name) &&
      (registered.empty() || registered == name)) {
    return;
  }
  read_name(object, class_name, name);
}

// A class or function that is not on the list.
void KerasAnalyzer::read_name(const JsonNode& object, const JsonNode& named,
                              std::string_view name) {
  const std::string_view module = text_of(object, "module");
  const std::string shown = module.empty()
                                ? excerpt(name, 80)
                                : "from " + excerpt(module, 80) + " import " + excerpt(name, 80);
  const auto gadget = std::ranges::find(kGadgets, name, &Gadget::name);
  std::string_view inner = module;
  if (gadget != kGadgets.end() && (module.empty() || take_package(inner))) {
    return report(scan_rules::kKerasGadget, named, shown, std::string("it ") + gadget->what);
  }
  if (const auto category = scan_policy::find_gadget(module, name)) {
    return report(scan_rules::kKerasGadget, named, shown,
                  std::string("it ") + scan_policy::category_text(*category) + " (CVE-2025-1550)");
  }
  report(scan_rules::kKerasUnknown, named, shown,
         module.empty() ? "a class that the loading program must bring"
                        : "the module is imported when the model is loaded (CVE-2025-1550)");
}

void KerasAnalyzer::read_function(const JsonNode& object) {
  const JsonNode* config = tree_.member(object, "config");
  if (config == nullptr || config->kind != JsonKind::kText) {
    return report(scan_rules::kKerasUnknown, object, "function", "a function without a name");
  }
  if (is_known_function(text_of(object, "module"), config->text)) return;
  read_name(object, *config, config->text);
}

// A Lambda layer: {"function": ["BASE64", ...]} of Keras 2, {"class_name": "__lambda__"} of Keras
// 3, the name of a function, or an object that names one.
void KerasAnalyzer::read_lambda(const JsonNode& object) {
  const JsonNode* config = tree_.member(object, "config");
  const JsonNode* function = config == nullptr ? nullptr : tree_.member(*config, "function");
  if (function == nullptr) {
    return report(scan_rules::kKerasUnknown, object, "Lambda", "a Lambda layer without a function");
  }
  for (auto i = config->first; i != JsonNode::kNone; i = tree_.at(i).next) {
    const JsonNode& member = tree_.at(i);
    const bool holds_code =
        member.key == "function" || member.key == "output_shape" || member.key == "mask";
    if (!holds_code || member.kind != JsonKind::kArray || member.first == JsonNode::kNone) continue;
    const JsonNode& code = tree_.at(member.first);
    if (code.kind == JsonKind::kText) read_code(member, &code);
  }
  if (function->kind == JsonKind::kText && !known_functions().contains(function->text)) {
    read_name(*config, *function, function->text);
  } else if (function->kind == JsonKind::kObject &&
             tree_.member(*function, "class_name") == nullptr) {
    report(scan_rules::kKerasUnknown, *function, "Lambda", "a function of unknown kind");
  }
}

void KerasAnalyzer::read_code(const JsonNode& place, const JsonNode* code) {
  constexpr std::size_t kMost = std::size_t{1} << 20;
  std::string names;
  if (code != nullptr && code->kind == JsonKind::kText) {
    names = names_in(decode_base64(code->text, kMost));
  }
  report(scan_rules::kKerasLambda, place,
         names.empty() ? "marshal.loads(...)" : "marshal.loads(...)  # " + names,
         "compiled Python that runs when the model is loaded or used (CVE-2024-3660)");
}

void KerasAnalyzer::read_vocabulary(const JsonNode& node) {
  if (node.kind != JsonKind::kText) return;
  const std::string_view path = node.text;
  const bool leaves = path.starts_with('/') || path.starts_with('~') || path.starts_with('\\') ||
                      path.find(':') != std::string_view::npos ||
                      path.find("..") != std::string_view::npos;
  report(leaves ? scan_rules::kKerasFile : scan_rules::kKerasVocabulary, node,
         "open('" + excerpt(path, 120) + "')",
         "a vocabulary that is read from a file (CVE-2025-12058)");
}

}  // namespace

void analyze_keras_config(const format::Part& part, Findings& findings) {
  const auto tree = JsonTree::parse(as_text(part.bytes));
  // What does not parse has been reported by the format: nobody makes a part of it.
  if (tree) KerasAnalyzer(part, *tree, findings).run();
}

}  // namespace tare
