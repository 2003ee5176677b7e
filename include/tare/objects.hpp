// What a model file holds as objects, inert: dicts, lists, texts, numbers, and objects of classes
// that nobody here has. Nothing of it is ever made or called; it is there to be looked at.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "tare/error.hpp"
#include "tare/named_tensor.hpp"

namespace tare {

enum class ObjectKind : std::uint8_t {
  kNone,
  kBool,
  kInt,
  kFloat,
  kComplex,
  kText,
  kBytes,
  kName,       // a class, a function or a constant of a module, by its name
  kSequence,   // list, tuple, set and their kin
  kMapping,    // dict and its kin
  kInstance,   // an object of any other class
  kTensor,     // a tensor or array
  kSpecial,    // a SpecialTensor
  kBroken,     // a tensor or a part that cannot be read
  kReference,  // a container or instance that has been visited before
  kOpaque,     // a persistent id, an extension, a buffer: its meaning is outside of the file
};

// The stable lower-case name of a kind ("mapping"), for reports.
std::string_view object_kind_name(ObjectKind kind);

// How an object is held by the one above.
enum class ObjectRole : std::uint8_t {
  kRoot,       // by nothing; the key is the entry of the file, if it has several
  kIndex,      // by position
  kKey,        // as the value of a key
  kAttribute,  // as an attribute
  kArgument,   // as an argument of the call that made it
  kState,      // as a state that is no dict of attributes
};

struct ObjectNode {
  ObjectKind kind = ObjectKind::kNone;
  ObjectRole role = ObjectRole::kRoot;
  unsigned depth = 0;
  // kKey and kAttribute: a text as it is, any other key as Python writes it; cut off as the value
  // is. UTF-8 if the file has it so; not fit for a terminal.
  std::string key;
  // kSequence, kMapping: "list", "collections.OrderedDict". kInstance: the class, "module.Name".
  std::string type;
  // Scalars and names: a text as it is, anything else as Python writes it; cut off at 10,000 bytes.
  std::string value;
  std::uint64_t children = 0;  // of containers and instances
  // Containers and instances have numbers, in the order of the walk; a reference has the number of
  // what it refers to.
  std::uint64_t number = 0;
  const TensorView* tensor = nullptr;      // kTensor
  const SpecialTensor* special = nullptr;  // kSpecial
  Error error{};                           // kBroken
};

// What is walked: valid as long as the Model it came with. Not safe for several threads at once.
class Objects {
 public:
  virtual ~Objects() = default;

  // Visits every object once, the holder before what it holds, until `visit` returns false. What
  // lies below `max_depth` is not visited. Time and memory are linear in the file.
  virtual void walk(const std::function<bool(const ObjectNode&)>& visit,
                    unsigned max_depth = UINT32_MAX) const = 0;
};

}  // namespace tare
