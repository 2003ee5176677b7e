// What the values of a pickle's graph are as Python objects: which calls make containers, texts and
// numbers of the standard library, and what any other object is made of.
//
// Nothing here knows a class that is not Python's own: such an object is an instance with
// arguments, attributes and items. Sources: the __reduce__ methods of CPython and its copyreg
// module.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "tare/pickle.hpp"

namespace tare::object {

using pickle::Graph;
using pickle::Value;

bool is_global(const Graph& graph, Value value, std::string_view module, std::string_view name);
// True if `value` is a call of that global, by any opcode.
bool is_call_to(const Graph& graph, Value value, std::string_view module, std::string_view name);
// The arguments of a call; none if they are no tuple.
std::span<const Value> call_arguments(const Graph& graph, Value call);
// The global that a call calls; empty if it calls something else.
std::string_view called_module(const Graph& graph, Value call);
std::string_view called_name(const Graph& graph, Value call);

enum class Kind : std::uint8_t {
  kNone,
  kBool,
  kInt,
  kFloat,
  kComplex,
  kText,
  kBytes,
  kName,      // a class, a function, a constant of a module
  kSequence,  // list, tuple, set, frozenset, deque
  kMapping,   // dict and its kin
  kInstance,  // an object of any other class
  kOpaque,    // nobody here knows: a persistent id, an extension, a buffer
};

// How an object holds another one.
enum class Role : std::uint8_t {
  kIndex,      // by position
  kKey,        // as the value of a key
  kAttribute,  // as an attribute; the key is its name
  kArgument,   // as an argument of the call that made it
  kState,      // as a state that is no dict of attributes
};

struct Child {
  Role role;
  Value key;            // kKey, kAttribute
  std::uint64_t index;  // kIndex, kArgument, kState
  Value value;
};

struct ObjectView {
  Kind kind = Kind::kOpaque;
  // Of the class, for kInstance and for containers that are not built in; of the name, for kName.
  std::string_view module;
  std::string_view name;
  // A key that is set again keeps its first place and takes its last value, as in a dict.
  std::vector<Child> children;
  // Values that were looked at, for budgets: each time that a key is set counts.
  std::uint64_t steps = 0;
};

// Looks at one value; time and memory are linear in `steps`.
ObjectView look(const Graph& graph, Value value);

// The array in eval('data', {'data': array}), by which PaddlePaddle saves tensors; nothing for any
// other call of eval().
std::optional<Value> paddle_tensor(const Graph& graph, Value value);
// The same by the arguments of the call.
std::optional<Value> paddle_argument(const Graph& graph, std::span<const Value> arguments);

// The attribute of that name, if there is one.
const Child* find_attribute(const ObjectView& view, const Graph& graph, std::string_view name);

}  // namespace tare::object
