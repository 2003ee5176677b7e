#include "pickle/decompile_plan.hpp"

#include <algorithm>

namespace tare::pickle {
namespace {

// Texts up to this length are repeated where they are used again; a longer one would let a small
// file decompile to a huge source.
constexpr std::size_t kShortText = 32;
// Longer ones have a statement to themselves.
constexpr std::size_t kLongText = 4000;
constexpr std::uint32_t kMaxWeight = 800;
constexpr std::uint32_t kMaxHeight = 12;

bool is_opaque(Kind kind) {
  return kind >= Kind::kGlobal;
}

bool is_text_like(Kind kind) {
  return kind >= Kind::kBigInt && kind <= Kind::kByteArray && kind != Kind::kFloat;
}

bool is_container(Kind kind) {
  return kind >= Kind::kList && kind <= Kind::kFrozenSet;
}

// Every n-th item of an update is hashed.
std::size_t key_distance(const Update& update) {
  return update.kind == UpdateKind::kSetItems ? 2 : 1;
}

}  // namespace

DecompilePlan::DecompilePlan(const Run& run) : run_(run), graph_(run.graph) {
  nodes_.grow_to(graph_.node_count(), {});
  // Without events there is no object whose hash is more than a number.
  if (!run.events.empty()) find_code_keys();
  for (const Event& event : run.events) use_event(event);
  if (run.end == End::kStop) use(run.result, UINT32_MAX);
  // The values that a value uses come behind it in the order. On the way back each value is decided
  // after those that are written inside it.
  while (!open_.empty()) {
    const std::uint32_t index = open_.back();
    open_.pop_back();
    order_.push_back(index);
    use_items(Graph::node_at(index), index);
  }
  for (std::size_t i = order_.size(); i > 0; --i) decide(order_[i - 1]);
  std::ranges::sort(steps_, {}, &Step::position);
}

void DecompilePlan::take_use(Value value) {
  const auto index = graph_.node_index(value);
  if (!index || nodes_[*index].uses == kManyUses) return;
  if (nodes_[*index].uses > 0) --nodes_[*index].uses;
}

bool DecompilePlan::has_uses_left(Value value) const {
  const auto index = graph_.node_index(value);
  return index && nodes_[*index].uses > 0;
}

// Finds the containers that hash objects of the stream, used or not, and buffers made read-only.
void DecompilePlan::find_code_keys() {
  const auto count = static_cast<std::uint32_t>(nodes_.size());
  runs_code_.resize(count);
  // What a tuple or a frozenset holds was there before it.
  for (std::uint32_t i = 0; i < count; ++i) {
    const Value value = Graph::node_at(i);
    const Kind kind = graph_.kind(value);
    runs_code_[i] = is_opaque(kind) ||
                    ((kind == Kind::kTuple || kind == Kind::kFrozenSet) && has_code_key(value));
    if (kind == Kind::kFrozenSet && runs_code_[i]) must_be_variable(value);
    if (kind == Kind::kBuffer && graph_.made_by(value) == Op::kReadonlyBuffer) {
      steps_.push_back({graph_.position(value), value});
      use(graph_.writable_form(value), graph_.position(value));
    }
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const Value value = Graph::node_at(i);
    const Kind kind = graph_.kind(value);
    if ((kind == Kind::kDict || kind == Kind::kSet) && has_code_key(value)) must_be_variable(value);
  }
}

bool DecompilePlan::has_code_key(Value value) const {
  const auto runs_code = [this](Value key) {
    const auto index = graph_.node_index(key);
    return index && runs_code_[*index];
  };
  if (graph_.kind(value) == Kind::kTuple) {
    return std::ranges::any_of(graph_.tuple_items(value), runs_code);
  }
  for (const Update update : graph_.updates(value)) {
    for (std::size_t i = 0; i < update.items.size(); i += key_distance(update)) {
      if (runs_code(update.items[i])) return true;
    }
  }
  return false;
}

void DecompilePlan::see(std::uint32_t index) {
  if (nodes_[index].seen) return;
  nodes_[index].seen = 1;
  open_.push_back(index);
}

void DecompilePlan::must_be_variable(Value value) {
  if (const auto index = graph_.node_index(value)) {
    nodes_[*index].variable = 1;
    see(*index);
  }
}

void DecompilePlan::use(Value value, std::uint32_t position) {
  if (const auto index = graph_.node_index(value)) use_node(*index, position, kNobody);
}

void DecompilePlan::use_all(std::span<const Value> values, std::uint32_t position,
                            std::uint32_t user) {
  constexpr std::size_t kWeight = 8;  // of a number or a name
  add_weight(nodes_[user], kWeight * std::min<std::size_t>(values.size(), kMaxWeight));
  for (const Value value : values) {
    if (const auto index = graph_.node_index(value)) use_node(*index, position, user);
  }
}

void DecompilePlan::use_node(std::uint32_t index, std::uint32_t position, std::uint32_t user) {
  const Value value = Graph::node_at(index);
  const Kind kind = graph_.kind(value);
  if (kind == Kind::kInt || kind == Kind::kFloat) return;
  if (is_text_like(kind) && kind != Kind::kByteArray) {
    // Short texts, which are most values, are written as they are wherever they are used.
    const std::size_t length = graph_.text(value).size();
    if (length <= kShortText) {
      if (user != kNobody) add_weight(nodes_[user], length);
      return;
    }
  }
  Node& node = nodes_[index];
  if (node.uses < kManyUses) ++node.uses;
  node.used_at = position;
  node.user = user;
  see(index);
}

void DecompilePlan::use_event(const Event& event) {
  const std::uint32_t at = event.position;
  switch (event.kind) {
    case EventKind::kImport:
      use(graph_.module(event.subject), at);
      use(graph_.name(event.subject), at);
      break;
    case EventKind::kCall: {
      const Value arguments = graph_.arguments(event.subject);
      use(graph_.callable(event.subject), at);
      use(arguments, at);
      use(graph_.keywords(event.subject), at);
      const auto index = graph_.node_index(arguments);
      if (index && graph_.kind(arguments) == Kind::kTuple) nodes_[*index].is_arguments = 1;
      break;
    }
    case EventKind::kBuild:
      use(event.subject, at);
      use(event.argument, at);
      break;
    case EventKind::kAppend:
    case EventKind::kSetItems:
    case EventKind::kAddItems:
      use(event.subject, at);
      if (!is_opaque(graph_.kind(event.subject))) must_be_variable(event.subject);
      for (const Value item : graph_.tuple_items(event.argument)) use(item, at);
      break;
    case EventKind::kPersistentLoad:
      use(event.argument, at);
      break;
    case EventKind::kExtension:
    case EventKind::kBuffer:
      break;
  }
}

void DecompilePlan::use_items(Value value, std::uint32_t user) {
  const Kind kind = graph_.kind(value);
  if (kind == Kind::kTuple) {
    use_all(graph_.tuple_items(value), graph_.position(value), user);
  } else if (is_container(kind)) {
    for (const Update update : graph_.updates(value)) {
      // list[i] = x is an event.
      if (kind == Kind::kList && update.kind != UpdateKind::kAppend) continue;
      use_all(update.items, update.position, user);
    }
  }
}

bool DecompilePlan::is_too_large(const Node& node) {
  return node.weight > kMaxWeight || node.height > kMaxHeight;
}

void DecompilePlan::add_weight(Node& node, std::size_t weight) {
  const auto sum = std::min<std::size_t>(node.weight + weight, kMaxWeight + 1);
  node.weight = static_cast<std::uint32_t>(sum) & 1023;
}

void DecompilePlan::add_to_user(const Node& node) {
  if (node.user == kNobody || node.variable || node.uses != 1) return;
  Node& user = nodes_[node.user];
  add_weight(user, node.weight);
  if (user.height <= node.height) user.height = (node.height + 1U) & 15;
}

void DecompilePlan::decide(std::uint32_t index) {
  Node& node = nodes_[index];
  const Value value = Graph::node_at(index);
  const Kind kind = graph_.kind(value);
  if (is_text_like(kind)) {
    const std::size_t length = graph_.text(value).size();
    const bool shared = node.uses > 1 && (length > kShortText || kind == Kind::kByteArray);
    if (shared || length > kLongText) node.variable = 1;
    add_weight(node, length);
  } else if (kind == Kind::kTuple) {
    if (node.uses > 1 || (!node.is_arguments && is_too_large(node))) node.variable = 1;
  } else if (is_container(kind)) {
    std::uint32_t last = 0;
    for (const Update update : graph_.updates(value)) last = update.position;
    if (node.uses > 1 || last > node.used_at || is_too_large(node)) node.variable = 1;
  }
  if (node.variable) add_steps(value);
  add_to_user(node);
  node.used_at = 0;
}

void DecompilePlan::add_steps(Value value) {
  const Kind kind = graph_.kind(value);
  if (kind == Kind::kTuple) {
    steps_.push_back({graph_.position(value), value});
  } else if (is_container(kind)) {
    for (const Update update : graph_.updates(value)) {
      if (kind == Kind::kList && update.kind != UpdateKind::kAppend) continue;
      steps_.push_back({update.position, value});
    }
  }
}

}  // namespace tare::pickle
