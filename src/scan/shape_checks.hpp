// What the checks of shapes have in common. For the files of shapes alone.
#pragma once

#include <algorithm>

#include "object/python_objects.hpp"
#include "scan/shapes.hpp"

namespace tare::scan_policy::checks {

using pickle::Graph;
using pickle::Kind;
using pickle::Update;
using pickle::UpdateKind;
using pickle::Value;

inline bool is_size(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kInt && graph.integer(value) >= 0;
}

inline bool is_global(const Graph& graph, Value value, std::string_view module,
                      std::string_view name) {
  return object::is_global(graph, value, module, name);
}

inline bool is_call_to(const Graph& graph, Value value, std::string_view module,
                       std::string_view name) {
  return object::is_call_to(graph, value, module, name);
}

// Hashing and comparing such a value runs no code of the file; nor does anything else with it.
inline bool is_plain(const Graph& graph, Value value) {
  switch (graph.kind(value)) {
    case Kind::kNone:
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kBigInt:
    case Kind::kFloat:
    case Kind::kString:
    case Kind::kPy2String:
    case Kind::kBytes:
      return true;
    default:
      return false;
  }
}

inline bool is_number(const Graph& graph, Value value) {
  const Kind kind = graph.kind(value);
  return kind == Kind::kBool || kind == Kind::kInt || kind == Kind::kBigInt || kind == Kind::kFloat;
}

inline bool is_plain_tuple(const Graph& graph, Value value) {
  return graph.kind(value) == Kind::kTuple &&
         std::ranges::all_of(graph.tuple_items(value).first(
                                 std::min<std::size_t>(graph.tuple_items(value).size(), 64)),
                             [&](Value item) { return is_plain(graph, item); }) &&
         graph.tuple_items(value).size() <= 64;
}

// True if this was done to the object and nothing else, so that no second step undoes what the
// first one checked.
inline bool is_only_update(const Graph& graph, Value object) {
  const auto updates = graph.updates(object);
  auto next = updates.begin();
  return next != updates.end() && ++next == updates.end();
}

// ---- numpy_shapes.cpp

bool is_numpy_type_call(const Graph& graph, Arguments a);
bool is_numpy_array_call(const Graph& graph, Arguments a);
bool is_numpy_buffer(const Graph& graph, Arguments a);
bool is_numpy_scalar(const Graph& graph, Arguments a);
bool is_numpy_masked_call(const Graph& graph, Arguments a);
bool is_bit_generator_call(const Graph& graph, Arguments a);
bool is_generator_call(const Graph& graph, Arguments a);
bool is_seed_sequence(const Graph& graph, Arguments a);
bool is_numpy_type_state(const Graph& graph, Value object, Value state);
bool is_numpy_array_state(const Graph& graph, const pickle::Event& build);
bool is_numpy_masked_state(const Graph& graph, Value object, Value state);
bool is_joblib_state(const Graph& graph, Value object, Value state);
bool is_array(const Graph& graph, Value value);

// ---- torch_shapes.cpp

bool is_size_tuple(const Graph& graph, Value value);
bool is_ordered_dict(const Graph& graph, Value value);
bool is_tensor_v1(const Graph& graph, Arguments a);
bool is_tensor_v2(const Graph& graph, Arguments a);
bool is_tensor_v3(const Graph& graph, Arguments a);
bool is_parameter(const Graph& graph, Arguments a);
bool is_parameter_with_state(const Graph& graph, Arguments a);
bool is_quantized(const Graph& graph, Arguments a);
bool is_sparse(const Graph& graph, Arguments a);
bool is_nested(const Graph& graph, Arguments a);
bool is_meta(const Graph& graph, Arguments a);
bool is_from_array(const Graph& graph, Arguments a);
bool is_typed(const Names& names, const Graph& graph, Arguments a);
bool is_torch_file(const Graph& graph, Arguments a);

}  // namespace tare::scan_policy::checks
