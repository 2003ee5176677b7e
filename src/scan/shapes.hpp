// The shapes of the policy: what a call, a state or an item must look like. A shape looks at the
// values that the pickle itself has; what is made by another call in them is judged with that call.
// Each check takes time for what it looks at, which is bounded where a value may be shared by many.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "tare/pickle.hpp"

namespace tare::scan_policy {

enum class ArgumentShape : std::uint8_t {
#define TARE_ARGUMENTS(identifier, word, text) identifier,
#define TARE_STATE(...)
#define TARE_ITEMS(...)
#include "scan/shapes.def"
#undef TARE_ARGUMENTS
#undef TARE_STATE
#undef TARE_ITEMS
};

enum class StateShape : std::uint8_t {
#define TARE_ARGUMENTS(...)
#define TARE_STATE(identifier, word, text) identifier,
#define TARE_ITEMS(...)
#include "scan/shapes.def"
#undef TARE_ARGUMENTS
#undef TARE_STATE
#undef TARE_ITEMS
};

enum class ItemShape : std::uint8_t {
#define TARE_ARGUMENTS(...)
#define TARE_STATE(...)
#define TARE_ITEMS(identifier, word, text) identifier,
#include "scan/shapes.def"
#undef TARE_ARGUMENTS
#undef TARE_STATE
#undef TARE_ITEMS
};

// How a name may be used. What is named alone is a value; it is only called as it says.
struct Use {
  bool named = true;  // false: it does harm in other hands, so it is allowed as the callable only
  ArgumentShape arguments = ArgumentShape::kNever;
  StateShape state = StateShape::kNone;
  ItemShape items = ItemShape::kNone;
};

using Arguments = std::span<const pickle::Value>;

// The words of shapes.def.
std::string_view word_of(ArgumentShape shape);
std::string_view word_of(StateShape shape);
std::string_view word_of(ItemShape shape);
std::optional<ArgumentShape> argument_shape(std::string_view word);
std::optional<StateShape> state_shape(std::string_view word);
std::optional<ItemShape> item_shape(std::string_view word);

// A use of a name that a pickle makes: `find` is the policy, for names inside of arguments.
class Names {
 public:
  virtual ~Names() = default;
  // How a name may be used; nothing if it is not on the list.
  virtual std::optional<Use> find(std::string_view module, std::string_view name) const = 0;
  virtual bool is_gadget(std::string_view module, std::string_view name) const = 0;
};

bool has_arguments(ArgumentShape shape, const Names& names, const pickle::Graph& graph,
                   pickle::Value call);
bool has_state(StateShape shape, const pickle::Graph& graph, const pickle::Event& build);
bool has_items(ItemShape shape, const pickle::Graph& graph, const pickle::Event& event);

// The class in ('module', class, file, source): the persistent id by which torch up to 1.5 saves a
// class of modules; it compares the source with that of the class, and gives the class.
std::optional<pickle::Value> legacy_module(const pickle::Graph& graph, pickle::Value persistent);

// The class that an object is of: the callable that made it, or the class that
// copyreg._reconstructor makes new. None if that is no global.
std::optional<pickle::Value> class_of(const pickle::Graph& graph, pickle::Value object);

}  // namespace tare::scan_policy
