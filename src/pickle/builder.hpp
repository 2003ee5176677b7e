// Builds the graph of a Run: the only code that writes to it. Internal to the pickle machine.
#pragma once

#include <bit>
#include <cstring>

#include "tare/pickle.hpp"

namespace tare::pickle {

class Builder {
 public:
  Builder(Graph& graph, ByteSpan input) : graph_(graph) {
    graph_.input_ = input;
    // More than most streams need, in address space alone.
    graph_.nodes_.reserve(input.size() / 2);
    graph_.edges_.reserve(input.size());
    graph_.edges_.push_back(Value::from_bits(0));  // index 0 means "no chunk"
  }

  static constexpr Value none() { return Graph::kNone; }
  static constexpr Value boolean(bool value) { return value ? Graph::kTrue : Graph::kFalse; }
  static constexpr Value empty_tuple() { return Graph::kEmptyTuple; }

  // Below 2**29.
  static constexpr Value small_integer(std::uint32_t value) {
    return Value::from_bits(value << 2 | Graph::kTagInt);
  }
  Value integer(std::int64_t value) {
    constexpr std::int64_t kMin = -(std::int64_t{1} << 29);
    constexpr std::int64_t kMax = (std::int64_t{1} << 29) - 1;
    if (value >= kMin && value <= kMax) [[likely]] {
      return Value::from_bits(static_cast<std::uint32_t>(value) << 2 | Graph::kTagInt);
    }
    const auto bits = static_cast<std::uint64_t>(value);
    if (value == static_cast<std::int64_t>(bits << 8) >> 8) {
      return add({Kind::kInt, 0, bits & kPayloadMask});
    }
    return far(Kind::kInt, 0, {bits});
  }

  // A float whose 8 big-endian bytes stand at `offset` of the input.
  Value real_in_input(std::uint64_t offset) {
    return add({Kind::kFloat, Graph::kInStream, offset & kPayloadMask});
  }
  Value real(double value) { return far(Kind::kFloat, 0, {std::bit_cast<std::uint64_t>(value)}); }

  // Texts, bytes and big integers: `length` bytes at `offset` of the input.
  Value text_in_input(Kind kind, std::uint64_t offset, std::uint64_t length) {
    return text_node(kind, 0, offset, length);
  }
  Value text_in_arena(Kind kind, std::string_view text) {
    const std::uint64_t offset = graph_.arena_.size();
    graph_.arena_ += text;
    return text_node(kind, Graph::kInArena, offset, text.size());
  }
  Value decimal(std::uint64_t offset, std::uint64_t length) {
    return text_node(Kind::kBigInt, Graph::kDecimal, offset, length);
  }

  Value tuple(const Value* items, std::size_t count) {
    if (count == 0) return empty_tuple();
    const std::size_t first = graph_.edges_.size();
    if (count <= kMaxSmall) [[likely]] {
      Value* place = graph_.edges_.extend(count);
      // Tuples are short: a loop beats a call.
      for (std::size_t i = 0; i < count; ++i) place[i] = items[i];
      return add({Kind::kTuple, 0, std::uint64_t{first} << 24 | count});
    }
    graph_.edges_.push_back(Value::from_bits(static_cast<std::uint32_t>(count)));
    graph_.edges_.append(items, count);
    return add({Kind::kTuple, Graph::kFar, std::uint64_t{first} << 24});
  }

  Value container(Kind kind) { return add({kind, 0, 0}); }

  // A value whose nature only the loader knows: a record of its updates, up to four fields, the
  // opcode and its offset.
  Value opaque(Kind kind, Op op, std::uint64_t offset, Value a, Value b = none(), Value c = none(),
               Value d = none()) {
    const std::uint64_t first = graph_.edges_.size();
    const Value fields[] = {
        Value::from_bits(0), a, b, c, d, Value::from_bits(static_cast<std::uint32_t>(op))};
    graph_.edges_.append(fields, std::size(fields));
    append_wide(offset);
    return add({kind, 0, first << 24});
  }

  void note_protocol(Value global, std::uint8_t protocol) {
    Value& op = graph_.edges_[graph_.node(global).edge() + 5];
    op = Value::from_bits(op.bits() | std::uint32_t{protocol} << 8);
  }

  // Appends an update to a container or an opaque value.
  void update(Value object, UpdateKind kind, const Value* items, std::size_t count) {
    auto& edges = graph_.edges_;
    Graph::Node& node = graph_.nodes_[object.bits() >> 2];
    const bool opaque = node.kind() >= Kind::kGlobal;
    const std::uint32_t first = opaque ? edges[node.edge()].bits() : node.edge();
    const auto tag = static_cast<std::uint32_t>(kind);
    if (first != 0) {
      // The last chunk grows in place when nothing was written behind it: a list built by single
      // APPENDs is one chunk.
      const std::uint32_t last = edges[first + 1].bits();
      const std::uint32_t count_and_kind = edges[last + 2].bits();
      if (kind != UpdateKind::kBuild && (count_and_kind & 3) == tag &&
          last + kHeader + (count_and_kind >> 2) == edges.size()) {
        edges[last + 2] =
            Value::from_bits(count_and_kind + (static_cast<std::uint32_t>(count) << 2));
        copy_items(items, count);
        return;
      }
    }
    const auto chunk = static_cast<std::uint32_t>(edges.size());
    Value* header = edges.extend(kHeader);
    header[0] = Value::from_bits(0);      // next
    header[1] = Value::from_bits(chunk);  // last; kept up to date in the first chunk only
    header[2] = Value::from_bits(static_cast<std::uint32_t>(count) << 2 | tag);
    copy_items(items, count);
    if (first != 0) {
      edges[edges[first + 1].bits()] = Value::from_bits(chunk);
      edges[first + 1] = Value::from_bits(chunk);
    } else if (opaque) {
      edges[node.edge()] = Value::from_bits(chunk);
    } else {
      node.set_edge(chunk);
    }
  }

  std::size_t node_count() const { return graph_.nodes_.size(); }
  std::size_t edge_count() const { return graph_.edges_.size(); }
  Kind kind_of_node(Value value) const { return graph_.nodes_[value.bits() >> 2].kind(); }
  bool is_node_of(Value value, Kind kind) const {
    return is_node(value) && kind_of_node(value) == kind;
  }
  static bool is_node(Value value) { return (value.bits() & Graph::kTagMask) == Graph::kTagNode; }

 private:
  static constexpr std::uint32_t kHeader = 3;  // next chunk, last chunk, count and kind
  static constexpr std::uint64_t kPayloadMask = (std::uint64_t{1} << 56) - 1;
  static constexpr std::size_t kMaxSmall = 0xFFFFFF;

  Value add(const Graph::Node& node) {
    const auto index = static_cast<std::uint32_t>(graph_.nodes_.size());
    graph_.nodes_.push_back(node);
    return Value::from_bits(index << 2 | Graph::kTagNode);
  }

  void append_wide(std::uint64_t value) {
    graph_.edges_.push_back(Value::from_bits(static_cast<std::uint32_t>(value)));
    graph_.edges_.push_back(Value::from_bits(static_cast<std::uint32_t>(value >> 32)));
  }

  Value far(Kind kind, std::uint32_t flags, std::initializer_list<std::uint64_t> values) {
    const std::uint64_t first = graph_.edges_.size();
    for (const std::uint64_t value : values) append_wide(value);
    return add({kind, flags | Graph::kFar, first << 24});
  }

  Value text_node(Kind kind, std::uint32_t flags, std::uint64_t offset, std::uint64_t length) {
    if (length >> Graph::kLengthBits == 0 && offset >> (56 - Graph::kLengthBits) == 0) [[likely]] {
      return add({kind, flags, offset << Graph::kLengthBits | length});
    }
    return far(kind, flags, {length, offset});
  }

  void copy_items(const Value* items, std::size_t count) {
    Value* place = graph_.edges_.extend(count);
    if (count > 64) {
      std::memcpy(place, items, count * sizeof(Value));
      return;
    }
    // Most are short: blocks of a fixed size are copied without a call.
    constexpr std::size_t kBlock = 4;
    std::size_t i = 0;
    for (; i + kBlock <= count; i += kBlock)
      std::memcpy(place + i, items + i, kBlock * sizeof(Value));
    for (; i < count; ++i) place[i] = items[i];
  }

  Graph& graph_;
};

}  // namespace tare::pickle
