// What a pickle may import and call.
//
// The policy is an allow-list of exact (module, name) pairs with *how* each may be used: named
// only, or called with arguments of a given shape (allow.def, library_classes.inc, shapes.def), and
// what a user adds to it. Everything else is at least suspicious. The list of gadgets
// (gadgets.def) only raises what is not allowed to dangerous and says why: without it nothing would
// become safe (a test removes it).
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "scan/shapes.hpp"
#include "tare/pickle.hpp"
#include "tare/policy.hpp"

namespace tare::scan_policy {

// What a known gadget can do.
enum class Category : std::uint8_t {
  kCodeExecution,
  kImport,
  kFile,
  kNetwork,
  kLibrary,
  kDeserialization,
  kAttribute,
  kProcess,
  kDenial,
};

// "runs code", for a sentence.
const char* category_text(Category category);
// "code-execution", the word of policy files.
const char* category_word(Category category);

// Nothing if the pair is no known gadget. A module listed as a whole covers its submodules.
std::optional<Category> find_gadget(std::string_view module, std::string_view name);

// The policy of one scan. `user` may be null; it outlives this.
class NamePolicy final : public Names {
 public:
  enum class Gadgets : bool { kUnknown, kKnown };
  // Without the list of gadgets: for the test that it makes nothing safe.
  explicit NamePolicy(const Policy* user = nullptr, Gadgets gadgets = Gadgets::kKnown)
      : user_(user), gadgets_(gadgets) {}

  std::optional<Use> find(std::string_view module, std::string_view name) const override;
  bool is_gadget(std::string_view module, std::string_view name) const override {
    return gadgets_ == Gadgets::kKnown && find_gadget(module, name).has_value();
  }

  // True if the pair may be named by a pickle at all, as a value.
  bool allows_name(std::string_view module, std::string_view name) const;
  // True if this call may be made: the callable is on the list and the arguments have its shape.
  bool allows_call(const pickle::Graph& graph, pickle::Value call) const;
  // True if the object may be given this state.
  bool allows_state(const pickle::Graph& graph, const pickle::Event& build) const;
  // True if items may be stored in this object, with these keys and values.
  bool allows_items(const pickle::Graph& graph, const pickle::Event& event) const;

 private:
  const Policy* user_;
  Gadgets gadgets_;
};

// True if a persistent load is a tensor storage of torch, or the class of a module.
bool is_allowed_persistent(const pickle::Graph& graph, pickle::Value persistent);

// ---- the tables, for those who print them

struct ListedName {
  std::string_view module;
  std::string_view name;
  Use use;
};
// Every name of the compiled-in policy, in order of module and name.
void for_each_name(const std::function<void(const ListedName&)>& visit);

struct ListedGadget {
  std::string_view module;
  std::string_view name;  // "*": the module and what is in it
  Category category;
};
std::span<const ListedGadget> listed_gadgets();

}  // namespace tare::scan_policy
