// What a pickle may import and call.
//
// The policy is an allow-list of exact (module, name) pairs with *how* each may be used: named
// only, or called with arguments of a given shape. Everything else is at least suspicious. The list
// of gadgets only raises what is not allowed to dangerous and says why: without it nothing would
// become safe (a test removes it).
#pragma once

#include <optional>
#include <string_view>

#include "tare/pickle.hpp"

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
};

// "runs code", for a sentence.
const char* category_text(Category category);

// Nothing if the pair is no known gadget. A module listed as a whole covers its submodules.
std::optional<Category> find_gadget(std::string_view module, std::string_view name);

// True if the pair may be named by a pickle at all.
bool is_allowed_name(std::string_view module, std::string_view name);

// True if this call may be made: the callable is allowed and the arguments have its shape.
bool is_allowed_call(const pickle::Graph& graph, pickle::Value call);

// True if the object may be given this state.
bool is_allowed_state(const pickle::Graph& graph, pickle::Value object, pickle::Value state);

// True if items may be stored in this object, with these keys and values.
bool is_allowed_items(const pickle::Graph& graph, const pickle::Event& event);

// True if a persistent load is a tensor storage of torch.
bool is_allowed_persistent(const pickle::Graph& graph, pickle::Value persistent);

}  // namespace tare::scan_policy
