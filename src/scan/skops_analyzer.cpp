// The schema of a skops file: a tree of nodes, each with a module, a class, and the loader that
// makes an object of them. What a loader does with the class decides what may stand there: some
// only look it up, some make an object without a call, some call it. The allow-list of classes is
// that of pickles; everything else is at least suspicious.
#include <algorithm>
#include <array>
#include <set>

#include "format/json_tree.hpp"
#include "scan/analyzers.hpp"
#include "scan/policy.hpp"
#include "scan/rules.hpp"
#include "tensor/numpy_dtype.hpp"

namespace tare {
namespace {

using format::JsonKind;
using format::JsonNode;
using format::JsonTree;
using namespace std::string_view_literals;

// What a loader does with module and class.
enum class Does : std::uint8_t {
  kNothing,     // reads neither
  kMakesPlain,  // makes an object of one of a few plain classes
  kNames,       // looks it up
  kMakes,       // makes an object of the class without a call, and sets its state
  kCalls,       // calls it with what stands there
  kArray,       // reads an array, and hands it to the class
  kGenerator,   // calls what numpy.random has by a name that stands there
  kPartial,
  kMethod,
  kOperator,
};

struct Loader {
  std::string_view name;
  Does does;
};

constexpr std::array kLoaders = {
    Loader{"JsonNode", Does::kNothing},
    Loader{"SliceNode", Does::kNothing},
    Loader{"DTypeNode", Does::kNothing},
    Loader{"BytesNode", Does::kNothing},
    Loader{"BytearrayNode", Does::kNothing},
    Loader{"DefaultDictNode", Does::kNothing},
    Loader{"MaskedArrayNode", Does::kNothing},
    Loader{"SparseMatrixNode", Does::kNothing},
    Loader{"DictNode", Does::kMakesPlain},
    Loader{"ListNode", Does::kMakesPlain},
    Loader{"SetNode", Does::kMakesPlain},
    Loader{"TupleNode", Does::kMakesPlain},
    Loader{"RandomStateNode", Does::kMakesPlain},
    Loader{"_DictWithDeprecatedKeysNode", Does::kMakesPlain},
    Loader{"TypeNode", Does::kNames},
    Loader{"FunctionNode", Does::kNames},
    Loader{"ObjectNode", Does::kMakes},
    Loader{"TreeNode", Does::kMakes},
    Loader{"LossNode", Does::kMakes},
    Loader{"SGDNode", Does::kMakes},
    Loader{"ConstructorFromReduceNode", Does::kCalls},
    Loader{"QuantileForestNode", Does::kCalls},
    Loader{"NdArrayNode", Does::kArray},
    Loader{"RandomGeneratorNode", Does::kGenerator},
    Loader{"PartialNode", Does::kPartial},
    Loader{"MethodNode", Does::kMethod},
    Loader{"OperatorFuncNode", Does::kOperator},
};

constexpr std::array kPlainClasses = {
    "builtins.dict"sv,
    "builtins.list"sv,
    "builtins.set"sv,
    "builtins.frozenset"sv,
    "builtins.tuple"sv,
    "collections.OrderedDict"sv,
    "builtins.str"sv,
    "builtins.int"sv,
    "builtins.float"sv,
    "builtins.bool"sv,
    "builtins.complex"sv,
    "builtins.bytes"sv,
    "builtins.slice"sv,
    "builtins.NoneType"sv,
    "builtins.object"sv,
    "numpy.ndarray"sv,
    "numpy.dtype"sv,
    "numpy.matrix"sv,
    "numpy.random.RandomState"sv,
    "numpy.random.mtrand.RandomState"sv,
    "sklearn.utils._bunch.Bunch"sv,
};

// Losses of linear models, made by LossNode from a number or nothing.
constexpr std::array kLosses = {
    "EpsilonInsensitive"sv,        "Hinge"sv,        "Huber"sv,       "Log"sv, "ModifiedHuber"sv,
    "SquaredEpsilonInsensitive"sv, "SquaredHinge"sv, "SquaredLoss"sv,
};

// Calls with any arguments that make a value and nothing else.
constexpr std::array kHarmlessCalls = {
    "datetime.date"sv,     "datetime.datetime"sv, "datetime.time"sv,      "datetime.timedelta"sv,
    "datetime.timezone"sv, "decimal.Decimal"sv,   "fractions.Fraction"sv, "builtins.range"sv,
    "builtins.complex"sv,  "builtins.bytes"sv,
};

constexpr std::array kGenerators = {"MT19937"sv, "PCG64"sv, "PCG64DXSM"sv, "Philox"sv, "SFC64"sv};
constexpr std::array kOperators = {"attrgetter"sv, "itemgetter"sv};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view text) {
  return std::ranges::find(list, text) != list.end();
}

class SkopsAnalyzer {
 public:
  SkopsAnalyzer(const format::Part& part, const JsonTree& tree, Findings& findings)
      : part_(part), tree_(tree), findings_(findings), names_(findings.policy()) {}
  void run() {
    for (const JsonNode& node : tree_.nodes()) {
      if (findings_.is_late()) return;
      if (node.kind == JsonKind::kObject && tree_.member(node, "__loader__") != nullptr) {
        judge(node);
      }
    }
  }

 private:
  std::string_view text_of(const JsonNode& node, std::string_view key) const {
    const JsonNode* const found = tree_.member(node, key);
    return found != nullptr && found->kind == JsonKind::kText ? found->text : ""sv;
  }
  void judge(const JsonNode& node);
  void judge_name(const JsonNode& node, Does does);
  void judge_method(const JsonNode& node);
  void judge_operator(const JsonNode& node);
  void judge_generator(const JsonNode& node);
  bool is_allowed(Does does) const;
  void add(const Rule& rule, const JsonNode& node, std::string detail) {
    findings_.add(rule, part_.path, part_.base + node.offset, std::move(detail));
  }

  const format::Part& part_;
  const JsonTree& tree_;
  Findings& findings_;
  scan_policy::NamePolicy names_;
  // Of the node that is being judged.
  std::string_view module_;
  std::string_view class_;
  std::string full_;
  std::string_view loader_;
};

void SkopsAnalyzer::judge(const JsonNode& node) {
  loader_ = text_of(node, "__loader__");
  module_ = text_of(node, "__module__");
  class_ = text_of(node, "__class__");
  full_ = std::string(module_) + "." + std::string(class_);
  const auto* const found = std::ranges::find(kLoaders, loader_, &Loader::name);
  if (found == kLoaders.end()) {
    return add(scan_rules::kSkopsUnknown, node,
               std::string(loader_) + " is no loader of skops that tare knows");
  }
  if (module_.empty() || class_.empty()) {
    return add(scan_rules::kSkopsUnknown, node,
               "a node of " + std::string(loader_) + " without a class");
  }
  switch (found->does) {
    case Does::kMethod:
      return judge_method(node);
    case Does::kOperator:
      return judge_operator(node);
    case Does::kGenerator:
      judge_generator(node);
      [[fallthrough]];
    default:
      return judge_name(node, found->does);
  }
}

// Scalars of numpy, which take an array.
bool is_numpy_scalar(std::string_view module, std::string_view name) {
  constexpr std::array kMore = {"bool_"sv, "str_"sv, "bytes_"sv, "object_"sv, "longlong"sv};
  return module == "numpy" && (numpy_scalar(name).has_value() || contains(kMore, name));
}

bool SkopsAnalyzer::is_allowed(Does does) const {
  const bool is_plain = contains(kPlainClasses, full_);
  switch (does) {
    case Does::kNothing:
      return true;
    case Does::kMakesPlain:
      return is_plain;
    case Does::kArray:
      return is_plain || is_numpy_scalar(module_, class_);
    case Does::kGenerator:
      return full_ == "numpy.random._generator.Generator" || full_ == "numpy.random.Generator";
    case Does::kNames:
      return is_plain || is_numpy_scalar(module_, class_) || names_.allows_name(module_, class_);
    case Does::kMakes: {
      if (module_ == "sklearn.linear_model._sgd_fast" && contains(kLosses, class_)) return true;
      const auto use = names_.find(module_, class_);
      return use && use->state != scan_policy::StateShape::kNone;
    }
    case Does::kCalls:
      return contains(kHarmlessCalls, full_);
    case Does::kPartial:
    case Does::kMethod:
    case Does::kOperator:
      return false;
  }
  return false;
}

void SkopsAnalyzer::judge_name(const JsonNode& node, Does does) {
  if (is_allowed(does)) return;
  const auto category = scan_policy::find_gadget(module_, class_);
  if (category && does != Does::kPartial) {
    return add(scan_rules::kSkopsGadget, node,
               full_ + ", which " + scan_policy::category_text(*category) + ", by " +
                   std::string(loader_));
  }
  add(scan_rules::kSkopsUnknown, node, full_ + ", by " + std::string(loader_));
}

// The attribute of an object: with dunders, a way to anything.
void SkopsAnalyzer::judge_method(const JsonNode& node) {
  const JsonNode* const content = tree_.member(node, "content");
  const std::string_view name = content == nullptr ? ""sv : text_of(*content, "func");
  const JsonNode* const object = content == nullptr ? nullptr : tree_.member(*content, "obj");
  const std::string what = full_ + "." + std::string(name);
  const bool is_same = object != nullptr && text_of(*object, "__module__") == module_ &&
                       text_of(*object, "__class__") == class_;
  if (!is_same || name.empty() || name.starts_with('_') || name.find('.') != name.npos) {
    return add(scan_rules::kSkopsGadget, node,
               what + ", an attribute that is no method of the object that it names");
  }
  if (scan_policy::find_gadget(module_, class_) || scan_policy::find_gadget(full_, name)) {
    return add(scan_rules::kSkopsGadget, node, what + ", a method that reaches outside");
  }
  add(scan_rules::kSkopsUnknown, node, what + ", a method");
}

// Up to 0.11 the class was looked up in operator whatever module stood there (CVE-2025-54412).
void SkopsAnalyzer::judge_operator(const JsonNode& node) {
  const bool is_home = module_ == "operator" || module_ == "_operator";
  if (is_home && contains(kOperators, class_)) return;
  if (is_home && class_ == "methodcaller") {
    return add(scan_rules::kSkopsUnknown, node, full_ + ", which calls a method by its name");
  }
  add(scan_rules::kSkopsGadget, node,
      full_ + ", called by OperatorFuncNode, which is no getter of operator");
}

void SkopsAnalyzer::judge_generator(const JsonNode& node) {
  const JsonNode* step = &node;
  for (const auto key : {"content"sv, "bit_generator"sv, "content"sv, "bit_generator"sv}) {
    step = step == nullptr ? nullptr : tree_.member(*step, key);
  }
  const std::string_view name = step == nullptr ? ""sv : text_of(*step, "content");
  const bool is_quoted = name.size() > 2 && name.starts_with('"') && name.ends_with('"');
  if (is_quoted && contains(kGenerators, name.substr(1, name.size() - 2))) return;
  add(scan_rules::kSkopsGadget, node, "numpy.random is asked for what is no bit generator");
}

}  // namespace

void analyze_skops(const format::Part& part, Findings& findings) {
  const auto tree = JsonTree::parse(as_text(part.bytes));
  if (!tree) return;  // the format has refused it
  SkopsAnalyzer(part, *tree, findings).run();
}

}  // namespace tare
