#include "scan/policy.hpp"

#include <algorithm>
#include <array>
#include <tuple>

#include "object/python_objects.hpp"
#include "object/torch_objects.hpp"
#include "object/torch_types.hpp"

namespace tare::scan_policy {
namespace {

using pickle::Graph;
using pickle::Kind;
using pickle::Value;
using namespace std::string_view_literals;

// ---- the tables: sorted when they are compiled, searched in logarithmic time

constexpr bool kNamed = true;
constexpr bool kCalled = false;

constexpr auto kAllowed = [] {
  auto table = std::to_array<ListedName>({
#define TARE_ALLOW(module, name, how, arguments, state, items) \
  ListedName{module, name, {how, ArgumentShape::arguments, StateShape::state, ItemShape::items}},
#include "scan/allow.def"
#undef TARE_ALLOW
  });
  std::ranges::sort(table, [](const ListedName& a, const ListedName& b) {
    return std::tie(a.module, a.name) < std::tie(b.module, b.name);
  });
  return table;
}();

// Classes of libraries, by what they are. tools/list_library_classes.py says what it has looked at.
enum class ClassKind : std::uint8_t {
  kModule,    // torch.nn.Module: __setstate__ takes attributes
  kObject,    // a plain object
  kMapping,   // a dict with attributes
  kEnum,      // made by value
  kFunction,  // named, never called by the pickle
};

constexpr Use use_of(ClassKind kind) {
  switch (kind) {
    case ClassKind::kModule:
      return {kNamed, ArgumentShape::kNew, StateShape::kAttributes, ItemShape::kNone};
    case ClassKind::kObject:
      return {kCalled, ArgumentShape::kNew, StateShape::kAttributes, ItemShape::kNone};
    case ClassKind::kMapping:
      return {kCalled, ArgumentShape::kNew, StateShape::kAttributes, ItemShape::kKeys};
    case ClassKind::kEnum:
      return {kNamed, ArgumentShape::kValue, StateShape::kNone, ItemShape::kNone};
    case ClassKind::kFunction:
      break;
  }
  return {};
}

struct LibraryClasses {
  std::string_view module;
  ClassKind kind;
  std::string_view names;  // with one space before and behind each
};

// Literals that know their length: counting 300,000 characters is too much for some compilers.
constexpr LibraryClasses kLibrary[] = {
#define TARE_CLASSES(module, kind, names) {module##sv, ClassKind::kind, " " names " "sv},
#include "scan/library_classes.inc"
#undef TARE_CLASSES
};
static_assert(std::ranges::is_sorted(kLibrary, {}, &LibraryClasses::module));

const ListedName* find_allowed(std::string_view module, std::string_view name) {
  const auto found = std::ranges::lower_bound(
      kAllowed, std::tie(module, name), std::less{},
      [](const ListedName& entry) { return std::tie(entry.module, entry.name); });
  if (found == kAllowed.end() || found->module != module || found->name != name) return nullptr;
  return &*found;
}

// True if it is one of the names, which have spaces around them.
bool has_name(std::string_view names, std::string_view name) {
  if (name.empty() || name.contains(' ')) return false;
  for (std::size_t at = names.find(name); at != std::string_view::npos;
       at = names.find(name, at + 1)) {
    if (names[at - 1] == ' ' && names[at + name.size()] == ' ') return true;
  }
  return false;
}

// Layers, whose constructors make nothing but tensors: they stand as values in other modules. Some
// constructors of whole models evaluate texts (ultralytics).
bool is_layer_module(std::string_view module) {
  return module.starts_with("torch.nn.") || module.starts_with("timm.layers.") ||
         module.starts_with("torchvision.ops.");
}

Use use_in(std::string_view module, ClassKind kind) {
  Use use = use_of(kind);
  if (kind == ClassKind::kModule) use.named = is_layer_module(module);
  return use;
}

std::optional<Use> find_class(std::string_view module, std::string_view name) {
  const auto rows = std::ranges::equal_range(kLibrary, module, {}, &LibraryClasses::module);
  for (const LibraryClasses& row : rows) {
    if (has_name(row.names, name)) return use_in(module, row.kind);
  }
  return std::nullopt;
}

bool is_storage_or_type(std::string_view module, std::string_view name) {
  if (module == "torch" || module == "torch.cuda" || module == "torch.storage") {
    if (object::find_storage_class(name) != nullptr) return true;
  }
  return module == "torch" && object::is_torch_dtype_name(name);
}

// The words were looked at when the name was added.
Use use_of(const PolicyName& name) {
  return {name.named, argument_shape(name.arguments).value_or(ArgumentShape::kNever),
          state_shape(name.state).value_or(StateShape::kNone),
          item_shape(name.items).value_or(ItemShape::kNone)};
}

std::optional<Use> use_of_class(const NamePolicy& policy, const Graph& graph, Value object) {
  const auto made_by = class_of(graph, object);
  if (!made_by) return std::nullopt;
  return policy.find(graph.module_text(*made_by), graph.name_text(*made_by));
}

}  // namespace

std::optional<Use> NamePolicy::find(std::string_view module, std::string_view name) const {
  if (const ListedName* const entry = find_allowed(module, name)) return entry->use;
  if (is_storage_or_type(module, name)) return Use{};
  if (const auto use = find_class(module, name)) return use;
  if (user_ == nullptr) return std::nullopt;
  const PolicyName* const added = user_->find(module, name);
  return added == nullptr ? std::nullopt : std::optional(use_of(*added));
}

bool NamePolicy::allows_name(std::string_view module, std::string_view name) const {
  const auto use = find(module, name);
  return use && use->named;
}

bool NamePolicy::allows_call(const Graph& graph, Value call) const {
  Value callable = graph.callable(call);
  if (const auto module = legacy_module(graph, callable)) callable = *module;
  if (graph.kind(callable) != Kind::kGlobal) return false;
  const auto use = find(graph.module_text(callable), graph.name_text(callable));
  return use && has_arguments(use->arguments, *this, graph, call);
}

bool NamePolicy::allows_state(const Graph& graph, const pickle::Event& build) const {
  const auto use = use_of_class(*this, graph, build.subject);
  return use && has_state(use->state, graph, build);
}

bool NamePolicy::allows_items(const Graph& graph, const pickle::Event& event) const {
  const auto use = use_of_class(*this, graph, event.subject);
  return use && has_items(use->items, graph, event);
}

bool is_allowed_persistent(const Graph& graph, Value persistent) {
  return object::read_storage_id(graph, persistent).has_value() ||
         legacy_module(graph, persistent).has_value();  // the class is judged by its import
}

void for_each_name(const std::function<void(const ListedName&)>& visit) {
  for (const ListedName& entry : kAllowed) visit(entry);
  for (const LibraryClasses& row : kLibrary) {
    for (std::size_t at = 1; at < row.names.size();) {
      const std::size_t end = row.names.find(' ', at);
      visit({row.module, row.names.substr(at, end - at), use_in(row.module, row.kind)});
      at = end + 1;
    }
  }
}

}  // namespace tare::scan_policy
