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
    graph_.edges_.resize(1);  // index 0 means "no chunk"
  }

  static constexpr Value none() { return Graph::kNone; }
  static constexpr Value boolean(bool value) { return value ? Graph::kTrue : Graph::kFalse; }
  static constexpr Value empty_tuple() { return Graph::kEmptyTuple; }

  Value integer(std::int64_t value) {
    constexpr std::int64_t kMin = -(std::int64_t{1} << 29);
    constexpr std::int64_t kMax = (std::int64_t{1} << 29) - 1;
    if (value >= kMin && value <= kMax) {
      return Value::from_bits(static_cast<std::uint32_t>(value) << 2 | Graph::kTagInt);
    }
    return add({Kind::kInt, 0, 0, 0, static_cast<std::uint64_t>(value)});
  }

  Value real(double value) {
    return add({Kind::kFloat, 0, 0, 0, std::bit_cast<std::uint64_t>(value)});
  }

  // Texts, bytes and big integers: `length` bytes at `offset` of the input.
  Value text_in_input(Kind kind, std::uint64_t offset, std::uint64_t length) {
    return text_node(kind, Graph::kInInput, offset, length);
  }
  Value text_in_arena(Kind kind, std::string_view text) {
    const std::uint64_t offset = graph_.arena_.size();
    graph_.arena_ += text;
    return text_node(kind, Graph::kInArena, offset, text.size());
  }
  Value decimal(std::uint64_t offset, std::uint64_t length) {
    return text_node(Kind::kBigInt, Graph::kInInput | Graph::kDecimal, offset, length);
  }

  Value tuple(const Value* items, std::size_t count) {
    if (count == 0) return empty_tuple();
    const std::uint64_t first = graph_.edges_.size();
    graph_.edges_.insert(graph_.edges_.end(), items, items + count);
    return add({Kind::kTuple, 0, 0, static_cast<std::uint32_t>(count), first});
  }

  Value container(Kind kind) { return add({kind, 0, 0, 0, 0}); }

  // A value whose nature only the loader knows: a record of up to four fields.
  Value opaque(Kind kind, Op op, std::uint64_t offset, Value a, Value b = none(), Value c = none(),
               Value d = none()) {
    const auto record = static_cast<std::uint32_t>(graph_.edges_.size());
    const Value fields[] = {Value::from_bits(0), Value::from_bits(0), a, b, c, d};
    graph_.edges_.insert(graph_.edges_.end(), std::begin(fields), std::end(fields));
    return add({kind, static_cast<std::uint8_t>(op), 0, record, offset});
  }

  // Appends an update to a container or an opaque value.
  void update(Value object, UpdateKind kind, const Value* items, std::size_t count) {
    Graph::Node& node = graph_.nodes_[object.bits() >> 2];
    if (node.kind >= Kind::kGlobal) {
      append_chunk(node.low, node.low + 1, kind, items, count);
    } else {
      // Containers keep first chunk, last chunk and length in the node itself.
      std::uint32_t first = node.low;
      auto last = static_cast<std::uint32_t>(node.payload);
      const std::uint64_t length =
          (node.payload >> 32) + (kind == UpdateKind::kSetItems ? count / 2 : count);
      link_chunk(first, last, kind, items, count);
      node.low = first;
      node.payload = length << 32 | last;
    }
  }

  std::size_t node_count() const { return graph_.nodes_.size(); }
  std::size_t edge_count() const { return graph_.edges_.size(); }

 private:
  static constexpr std::uint32_t kHeader = 3;  // next chunk, number of items, kind

  Value add(const Graph::Node& node) {
    const auto index = static_cast<std::uint32_t>(graph_.nodes_.size());
    graph_.nodes_.push_back(node);
    return Value::from_bits(index << 2 | Graph::kTagNode);
  }

  Value text_node(Kind kind, int flag, std::uint64_t offset, std::uint64_t length) {
    return add({kind, static_cast<std::uint8_t>(flag), static_cast<std::uint16_t>(length >> 32),
                static_cast<std::uint32_t>(length), offset});
  }

  void append_chunk(std::uint32_t first_slot, std::uint32_t last_slot, UpdateKind kind,
                    const Value* items, std::size_t count) {
    std::uint32_t first = graph_.edges_[first_slot].bits();
    std::uint32_t last = graph_.edges_[last_slot].bits();
    link_chunk(first, last, kind, items, count);
    graph_.edges_[first_slot] = Value::from_bits(first);
    graph_.edges_[last_slot] = Value::from_bits(last);
  }

  void link_chunk(std::uint32_t& first, std::uint32_t& last, UpdateKind kind, const Value* items,
                  std::size_t count) {
    auto& edges = graph_.edges_;
    const auto tag = Value::from_bits(static_cast<std::uint32_t>(kind));
    // The last chunk grows in place when nothing was written behind it: a list built by single
    // APPENDs is one chunk.
    if (last != 0 && kind != UpdateKind::kBuild && edges[last + 2] == tag &&
        last + kHeader + edges[last + 1].bits() == edges.size()) {
      edges[last + 1] =
          Value::from_bits(edges[last + 1].bits() + static_cast<std::uint32_t>(count));
    } else {
      const auto chunk = static_cast<std::uint32_t>(edges.size());
      const Value header[kHeader] = {Value::from_bits(0),
                                     Value::from_bits(static_cast<std::uint32_t>(count)), tag};
      edges.insert(edges.end(), header, header + kHeader);
      if (last != 0) edges[last] = Value::from_bits(chunk);
      if (first == 0) first = chunk;
      last = chunk;
    }
    edges.insert(edges.end(), items, items + count);
  }

  Graph& graph_;
};

}  // namespace tare::pickle
