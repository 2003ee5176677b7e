// Decides how the source of a run is laid out: which values get a variable, and when each of those
// takes its items. Internal to the decompiler.
//
// What runs is the program, so everything that may run code keeps its place in the order of the
// stream: events, and the hashing of keys that the stream itself made. Plain containers are written
// inside the statement that uses them, unless that would lose something. A value gets a variable
//   - if it is used more than once (an alias, a cycle, or just long),
//   - if it changes after its only use,
//   - if it holds keys whose hash is computed by code,
//   - if it is so large or deep that no one could read the statement, or no compiler take it.
// Memory and time are linear in the graph, but for sorting the items of variables.
#pragma once

#include <vector>

#include "tare/pickle.hpp"

namespace tare::pickle {

class DecompilePlan {
 public:
  explicit DecompilePlan(const Run& run);

  // A tuple is made, a container takes the items of update_at(position), or a buffer is made
  // read-only. An event with a higher position comes later.
  struct Step {
    std::uint32_t position;
    Value value;
  };
  // In order.
  const std::vector<Step>& steps() const { return steps_; }

  bool is_variable(Value value) const {
    const auto index = run_.graph.node_index(value);
    return index && nodes_[*index].variable;
  }
  // Counts one use of a value in the text.
  void take_use(Value value);
  // Whether there are more to come. Values that are used very often always have some.
  bool has_uses_left(Value value) const;

  // A number that the writer keeps with a value: 0 at first.
  std::uint32_t& slot(Value value) { return nodes_[*run_.graph.node_index(value)].used_at; }

 private:
  static constexpr std::uint32_t kNobody = UINT32_MAX;
  static constexpr std::uint32_t kManyUses = (1 << 15) - 1;

  struct Node {
    std::uint32_t used_at = 0;      // position of the last use; once decided, the slot
    std::uint32_t user = kNobody;   // the node that uses it, if one does
    std::uint32_t uses : 15 = 0;    // up to kManyUses
    std::uint32_t weight : 10 = 0;  // about the characters that its text takes
    std::uint32_t height : 4 = 0;   // levels of brackets
    std::uint32_t seen : 1 = 0;
    std::uint32_t variable : 1 = 0;      // until decided: it must be one
    std::uint32_t is_arguments : 1 = 0;  // its items are written as the arguments of a call
  };
  static_assert(sizeof(Node) == 12);

  void find_code_keys();
  bool has_code_key(Value value) const;
  void use(Value value, std::uint32_t position);
  // What the node `user` holds.
  void use_all(std::span<const Value> values, std::uint32_t position, std::uint32_t user);
  void use_node(std::uint32_t index, std::uint32_t position, std::uint32_t user);
  void see(std::uint32_t index);
  void must_be_variable(Value value);
  void use_event(const Event& event);
  void use_items(Value value, std::uint32_t user);
  void decide(std::uint32_t index);
  static bool is_too_large(const Node& node);
  static void add_weight(Node& node, std::size_t weight);
  void add_to_user(const Node& node);
  void add_steps(Value value);

  const Run& run_;
  const Graph& graph_;
  detail::PodVector<Node> nodes_;
  std::vector<bool> runs_code_;             // hashing the value may run code that the stream chose
  detail::PodVector<std::uint32_t> open_;   // values that were seen, but not yet what they use
  detail::PodVector<std::uint32_t> order_;  // values behind those that use them
  std::vector<Step> steps_;
};

}  // namespace tare::pickle
