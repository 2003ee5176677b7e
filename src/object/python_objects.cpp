#include "object/python_objects.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <compare>
#include <map>
#include <unordered_map>

namespace tare::object {
namespace {

using pickle::Update;
using pickle::UpdateKind;

// Bytes of a text that are compared in the time of a step.
constexpr std::size_t kTextOfAStep = 64;

// A key that is no text, equal to another one if Python takes the two for one. A tuple is equal to
// itself only.
struct OtherKey {
  Role role = Role::kKey;
  enum class Type : std::uint8_t { kBytes, kNumber, kFraction, kObject } type = Type::kObject;
  std::uint64_t number = 0;
  std::string_view bytes{};

  friend auto operator<=>(const OtherKey&, const OtherKey&) = default;
};

// 1, 1.0 and True are one number.
OtherKey float_key(Role role, double value) {
  constexpr double kLimit = 0x1p63;
  if (value >= -kLimit && value < kLimit && value == std::trunc(value)) {
    return {role, OtherKey::Type::kNumber,
            static_cast<std::uint64_t>(static_cast<std::int64_t>(value))};
  }
  return {role, OtherKey::Type::kFraction, std::bit_cast<std::uint64_t>(value)};
}

OtherKey other_key(const Graph& graph, Role role, Value key) {
  using Type = OtherKey::Type;
  switch (graph.kind(key)) {
    case pickle::Kind::kBytes:
      return {role, Type::kBytes, 0, graph.text(key)};
    case pickle::Kind::kInt:
      return {role, Type::kNumber, static_cast<std::uint64_t>(graph.integer(key))};
    case pickle::Kind::kBool:
      return {role, Type::kNumber, graph.boolean(key) ? 1U : 0U};
    case pickle::Kind::kFloat:
      if (!std::isnan(graph.real(key))) return float_key(role, graph.real(key));
      break;
    default:
      break;
  }
  return {role, Type::kObject, key.bits()};
}

// Children of one object, in order, each key once.
class ChildList {
 public:
  explicit ChildList(const Graph& graph) : graph_(graph) {}

  void add_index(Value value) { add({Role::kIndex, {}, indices_++, value}); }
  void add_argument(std::uint64_t index, Value value) { add({Role::kArgument, {}, index, value}); }
  void add_state(Value value) { add({Role::kState, {}, states_++, value}); }
  void set(Role role, Value key, Value value);
  // Keys and values that alternate.
  void set_all(Role role, std::span<const Value> items) {
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) set(role, items[i], items[i + 1]);
  }

  // What was looked at and gave no child.
  void step() { ++steps_; }
  std::uint64_t steps() const { return steps_; }
  std::vector<Child> take() { return std::move(children_); }

 private:
  void add(const Child& child) {
    ++steps_;
    children_.push_back(child);
  }

  const Graph& graph_;
  std::uint64_t steps_ = 0;
  std::vector<Child> children_;
  std::uint64_t indices_ = 0;
  std::uint64_t states_ = 0;
  // Places of what was set: of items and of attributes, by what the key says.
  std::array<std::unordered_map<std::string_view, std::size_t>, 2> texts_;
  std::map<OtherKey, std::size_t> others_;
};

void ChildList::set(Role role, Value key, Value value) {
  const std::size_t place = children_.size();
  const std::size_t found =
      graph_.is_text(key)
          ? texts_.at(role == Role::kKey ? 0 : 1).try_emplace(graph_.text(key), place).first->second
          : others_.try_emplace(other_key(graph_, role, key), place).first->second;
  steps_ += 1 + (graph_.is_text(key) ? graph_.text(key).size() / kTextOfAStep : 0);
  if (found == place) {
    children_.push_back({role, key, 0, value});
  } else {
    children_[found].value = value;
  }
}

// The classes of the standard library that are containers.
struct ContainerClass {
  std::string_view module;
  std::string_view name;
  Kind kind;
};
constexpr std::array kContainers = {
    ContainerClass{"collections", "OrderedDict", Kind::kMapping},
    ContainerClass{"collections", "defaultdict", Kind::kMapping},
    ContainerClass{"collections", "Counter", Kind::kMapping},
    ContainerClass{"collections", "deque", Kind::kSequence},
    ContainerClass{"builtins", "dict", Kind::kMapping},
    ContainerClass{"builtins", "list", Kind::kSequence},
    ContainerClass{"builtins", "tuple", Kind::kSequence},
    ContainerClass{"builtins", "set", Kind::kSequence},
    ContainerClass{"builtins", "frozenset", Kind::kSequence},
};

class Looker {
 public:
  Looker(const Graph& graph, Value value) : graph_(graph), value_(value), children_(graph) {}

  ObjectView look();

 private:
  void look_at_call();
  void look_at_container(Kind kind);
  void look_at_instance(std::span<const Value> arguments, Value keywords);
  void take_class(Value global);
  // What a container is made from: another container.
  void add_contents(Kind kind, Value source);
  void add_pairs(Value source);
  void add_updates();
  void add_attributes(Value state);
  bool add_attribute_dict(Value state);

  const Graph& graph_;
  Value value_;
  ChildList children_;
  ObjectView view_;
};

ObjectView Looker::look() {
  switch (graph_.kind(value_)) {
    case pickle::Kind::kNone:
      view_.kind = Kind::kNone;
      break;
    case pickle::Kind::kBool:
      view_.kind = Kind::kBool;
      break;
    case pickle::Kind::kInt:
    case pickle::Kind::kBigInt:
      view_.kind = Kind::kInt;
      break;
    case pickle::Kind::kFloat:
      view_.kind = Kind::kFloat;
      break;
    case pickle::Kind::kString:
    case pickle::Kind::kPy2String:
      view_.kind = Kind::kText;
      break;
    case pickle::Kind::kBytes:
    case pickle::Kind::kByteArray:
      view_.kind = Kind::kBytes;
      break;
    case pickle::Kind::kTuple:
    case pickle::Kind::kList:
    case pickle::Kind::kSet:
    case pickle::Kind::kFrozenSet:
      view_.kind = Kind::kSequence;
      add_contents(Kind::kSequence, value_);
      break;
    case pickle::Kind::kDict:
      view_.kind = Kind::kMapping;
      add_contents(Kind::kMapping, value_);
      break;
    case pickle::Kind::kGlobal:
      view_.kind = Kind::kName;
      take_class(value_);
      break;
    case pickle::Kind::kCall:
      look_at_call();
      break;
    case pickle::Kind::kPersistent:
    case pickle::Kind::kExtension:
    case pickle::Kind::kBuffer:
      add_updates();
      break;
  }
  view_.steps = children_.steps();
  view_.children = children_.take();
  return std::move(view_);
}

void Looker::take_class(Value global) {
  if (graph_.kind(global) != pickle::Kind::kGlobal) return;
  view_.module = graph_.module_text(global);
  view_.name = graph_.name_text(global);
}

void Looker::look_at_call() {
  const std::string_view module = called_module(graph_, value_);
  const std::string_view name = called_name(graph_, value_);
  const auto arguments = call_arguments(graph_, value_);
  take_class(graph_.callable(value_));
  for (const ContainerClass& known : kContainers) {
    if (known.module == module && known.name == name) return look_at_container(known.kind);
  }
  if ((module == "_codecs" && name == "encode") ||
      (module == "builtins" && (name == "bytes" || name == "bytearray"))) {
    view_.kind = Kind::kBytes;
    return;
  }
  if (module == "builtins" && name == "complex") {
    view_.kind = Kind::kComplex;
    return;
  }
  // Constants by their names: members of an Enum, up to Python 3.11.3.
  if (module == "builtins" && name == "getattr" && arguments.size() == 2 &&
      graph_.kind(arguments[0]) == pickle::Kind::kGlobal && graph_.is_text(arguments[1])) {
    view_.kind = Kind::kName;
    take_class(arguments[0]);
    return;
  }
  const bool is_copyreg = module == "copyreg" && !arguments.empty();
  if (is_copyreg && name == "_reconstructor" && arguments.size() == 3) {
    take_class(arguments[0]);
    view_.kind = Kind::kInstance;
    add_contents(Kind::kSequence, arguments[2]);
    return add_updates();
  }
  if (is_copyreg && name == "__newobj__") {
    take_class(arguments[0]);
    return look_at_instance(arguments.subspan(1), Value());
  }
  if (is_copyreg && name == "__newobj_ex__" && arguments.size() == 3 &&
      graph_.kind(arguments[1]) == pickle::Kind::kTuple) {
    take_class(arguments[0]);
    return look_at_instance(graph_.tuple_items(arguments[1]), arguments[2]);
  }
  look_at_instance(arguments, graph_.keywords(value_));
}

void Looker::look_at_container(Kind kind) {
  view_.kind = kind;
  auto arguments = call_arguments(graph_, value_);
  // The first argument of a defaultdict makes its missing values.
  if (view_.name == "defaultdict" && !arguments.empty()) arguments = arguments.subspan(1);
  if (!arguments.empty()) {
    if (kind == Kind::kMapping) add_pairs(arguments[0]);
    add_contents(kind, arguments[0]);
  }
  add_updates();
}

void Looker::look_at_instance(std::span<const Value> arguments, Value keywords) {
  view_.kind = Kind::kInstance;
  for (std::size_t i = 0; i < arguments.size(); ++i) children_.add_argument(i, arguments[i]);
  if (graph_.kind(keywords) == pickle::Kind::kDict) add_attribute_dict(keywords);
  add_updates();
}

void Looker::add_contents(Kind kind, Value source) {
  if (graph_.kind(source) == pickle::Kind::kTuple) {
    if (kind == Kind::kMapping) return;
    for (const Value item : graph_.tuple_items(source)) children_.add_index(item);
    return;
  }
  if (graph_.kind(source) >= pickle::Kind::kGlobal) return;  // not a plain container
  for (const Update update : graph_.updates(source)) {
    children_.step();
    if (update.kind == UpdateKind::kSetItems) {
      children_.set_all(Role::kKey, update.items);
    } else if (kind == Kind::kSequence) {
      for (const Value item : update.items) children_.add_index(item);
    }
  }
}

// A list of pairs, which dict() takes as well.
void Looker::add_pairs(Value source) {
  const pickle::Kind kind = graph_.kind(source);
  if (kind != pickle::Kind::kList && kind != pickle::Kind::kTuple) return;
  const auto add = [this](Value pair) {
    children_.step();
    std::vector<Value> items;
    if (graph_.kind(pair) == pickle::Kind::kTuple) {
      const auto span = graph_.tuple_items(pair);
      if (span.size() == 2) items.assign(span.begin(), span.end());
    } else if (graph_.kind(pair) == pickle::Kind::kList) {
      for (const Update update : graph_.updates(pair)) {
        if (items.size() + update.items.size() > 2) return;
        items.insert(items.end(), update.items.begin(), update.items.end());
      }
    }
    if (items.size() == 2) children_.set(Role::kKey, items[0], items[1]);
  };
  if (kind == pickle::Kind::kTuple) {
    for (const Value pair : graph_.tuple_items(source)) add(pair);
    return;
  }
  for (const Update update : graph_.updates(source)) {
    for (const Value pair : update.items) add(pair);
  }
}

void Looker::add_updates() {
  for (const Update update : graph_.updates(value_)) {
    children_.step();
    switch (update.kind) {
      case UpdateKind::kSetItems:
        children_.set_all(Role::kKey, update.items);
        break;
      case UpdateKind::kAppend:
      case UpdateKind::kAddItems:
        for (const Value item : update.items) children_.add_index(item);
        break;
      case UpdateKind::kBuild:
        for (const Value state : update.items) add_attributes(state);
        break;
    }
  }
}

// A state is a dict of attributes, or a pair of that and of the slots, unless the class has a
// __setstate__ of its own.
void Looker::add_attributes(Value state) {
  if (add_attribute_dict(state)) return;
  if (graph_.kind(state) == pickle::Kind::kTuple) {
    const auto parts = graph_.tuple_items(state);
    const auto fits = [this](Value part) {
      return graph_.kind(part) == pickle::Kind::kNone || graph_.kind(part) == pickle::Kind::kDict;
    };
    if (parts.size() == 2 && fits(parts[0]) && fits(parts[1])) {
      add_attribute_dict(parts[0]);
      add_attribute_dict(parts[1]);
      return;
    }
  }
  children_.add_state(state);
}

bool Looker::add_attribute_dict(Value state) {
  if (graph_.kind(state) != pickle::Kind::kDict) return false;
  for (const Update update : graph_.updates(state)) {
    children_.step();
    if (update.kind == UpdateKind::kSetItems) children_.set_all(Role::kAttribute, update.items);
  }
  return true;
}

}  // namespace

std::string_view called_module(const Graph& graph, Value call) {
  const Value callable = graph.callable(call);
  return graph.kind(callable) == pickle::Kind::kGlobal ? graph.module_text(callable) : "";
}

std::string_view called_name(const Graph& graph, Value call) {
  const Value callable = graph.callable(call);
  return graph.kind(callable) == pickle::Kind::kGlobal ? graph.name_text(callable) : "";
}

bool is_global(const Graph& graph, Value value, std::string_view module, std::string_view name) {
  return graph.kind(value) == pickle::Kind::kGlobal && graph.module_text(value) == module &&
         graph.name_text(value) == name;
}

bool is_call_to(const Graph& graph, Value value, std::string_view module, std::string_view name) {
  return graph.kind(value) == pickle::Kind::kCall &&
         is_global(graph, graph.callable(value), module, name);
}

std::span<const Value> call_arguments(const Graph& graph, Value call) {
  const Value arguments = graph.arguments(call);
  return graph.kind(arguments) == pickle::Kind::kTuple ? graph.tuple_items(arguments)
                                                       : std::span<const Value>();
}

ObjectView look(const Graph& graph, Value value) {
  return Looker(graph, value).look();
}

std::optional<Value> paddle_argument(const Graph& graph, std::span<const Value> arguments) {
  if (arguments.size() != 2 || graph.text_or_empty(arguments[0]) != "data" ||
      graph.kind(arguments[1]) != pickle::Kind::kDict) {
    return std::nullopt;
  }
  std::optional<Value> found;
  for (const Update update : graph.updates(arguments[1])) {
    if (found || update.items.size() != 2 || graph.text_or_empty(update.items[0]) != "data") {
      return std::nullopt;
    }
    found = update.items[1];
  }
  return found;
}

std::optional<Value> paddle_tensor(const Graph& graph, Value value) {
  if (!is_call_to(graph, value, "builtins", "eval")) return std::nullopt;
  return paddle_argument(graph, call_arguments(graph, value));
}

const Child* find_attribute(const ObjectView& view, const Graph& graph, std::string_view name) {
  const auto found = std::ranges::find_if(view.children, [&](const Child& child) {
    return child.role == Role::kAttribute && graph.text_or_empty(child.key) == name;
  });
  return found == view.children.end() ? nullptr : &*found;
}

}  // namespace tare::object
