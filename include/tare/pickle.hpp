// The pickle machine: what a pickle stream would do, found out without doing any of it.
//
// run() interprets a stream symbolically, the way CPython's unpicklers do (docs/pickle.md), up to
// STOP or up to where the stream breaks. Its result is
//   - a graph of what would be built: values in an arena, texts and bytes as views of the input;
//   - an ordered list of events: every import, call, state assignment, persistent load, extension
//     look-up and buffer access, each with its byte offset. What stands before a break has already
//     run in a real unpickler, so it is kept;
//   - oddities: places that real unpicklers read differently.
// Nothing is imported or called. Time and memory are linear in the input; nothing recurses.
// A Run borrows the input bytes, which must outlive it. Distinct Runs are independent of each
// other.
#pragma once

#include <chrono>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/detail/pod_vector.hpp"
#include "tare/error.hpp"

namespace tare::pickle {

// The byte of each opcode of protocols 0 to 5.
enum class Op : std::uint8_t {
#define TARE_OPCODE(identifier, name, byte, ...) identifier = byte,
#include "tare/pickle_opcodes.def"
#undef TARE_OPCODE
};

// The name of an opcode ("STACK_GLOBAL"), or "?" for a byte that is none.
std::string_view op_name(Op op);

// A value of the graph: small integers, None, booleans and () are immediate, everything else is an
// index into the arena. Two equal Values are the same object.
class Value {
 public:
  constexpr Value() = default;  // None
  friend constexpr bool operator==(Value, Value) = default;
  constexpr std::uint32_t bits() const { return bits_; }
  static constexpr Value from_bits(std::uint32_t bits) { return Value(bits); }

 private:
  explicit constexpr Value(std::uint32_t bits) : bits_(bits) {}
  std::uint32_t bits_ = 2;
};

enum class Kind : std::uint8_t {
  kNone,
  kBool,
  kInt,     // fits 64 bits
  kBigInt,  // does not
  kFloat,
  kString,     // str
  kPy2String,  // a Python 2 str: str or bytes, as the loader's `encoding` says
  kBytes,
  kByteArray,
  kTuple,
  kList,
  kDict,
  kSet,
  kFrozenSet,
  kGlobal,      // the result of an import
  kCall,        // the result of REDUCE, NEWOBJ, NEWOBJ_EX, OBJ or INST
  kPersistent,  // what the loader's persistent_load returns
  kExtension,   // a registered object nobody here knows
  kBuffer,      // an out-of-band buffer, or the read-only form of an object
};

// The stable lower-case name of a kind ("int", "str", "call").
std::string_view kind_name(Kind kind);

// A change to an object after it was made: items appended, keys set, elements added, state given.
enum class UpdateKind : std::uint8_t { kAppend, kSetItems, kAddItems, kBuild };

struct Update {
  UpdateKind kind;
  std::span<const Value> items;  // kSetItems: key, value, key, value, ...
  std::uint32_t position = 0;    // see Event::position
};

class Graph;

// The updates of one object, in order.
class UpdateRange {
 public:
  class Iterator {
   public:
    using value_type = Update;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    Iterator(const Graph* graph, std::uint32_t chunk) : graph_(graph), chunk_(chunk) {}
    Update operator*() const;
    Iterator& operator++();
    Iterator operator++(int) {
      Iterator old = *this;
      ++*this;
      return old;
    }
    bool operator==(const Iterator& other) const { return chunk_ == other.chunk_; }

   private:
    const Graph* graph_ = nullptr;
    std::uint32_t chunk_ = 0;
  };

  UpdateRange(const Graph* graph, std::uint32_t first) : graph_(graph), first_(first) {}
  Iterator begin() const { return {graph_, first_}; }
  Iterator end() const { return {graph_, 0}; }

 private:
  const Graph* graph_;
  std::uint32_t first_;
};

// The arena. Accessors for one kind must be called on values of that kind only.
class Graph {
 public:
  Kind kind(Value value) const;

  bool boolean(Value value) const { return value == kTrue; }
  std::int64_t integer(Value value) const;  // kInt
  double real(Value value) const;           // kFloat
  // kBigInt: digits as written if is_decimal_text(), else two's complement, little-endian.
  // kString: UTF-8, lone surrogates encoded as such. kPy2String, kBytes, kByteArray: the bytes.
  std::string_view text(Value value) const;
  bool is_decimal_text(Value value) const;

  std::span<const Value> tuple_items(Value value) const;  // kTuple
  // kList, kDict, kSet, kFrozenSet: what it holds; opaque kinds: what was done to it.
  UpdateRange updates(Value value) const;
  Update update_at(std::uint32_t position) const;
  // Elements of a list, set or frozenset, keys of a dict (counting repeated ones). Linear in the
  // number of its updates.
  std::uint64_t length(Value value) const;

  // kGlobal: what Python 3 imports, after the mapping of Python 2 names.
  Value module(Value global) const { return record(global, 1); }
  Value name(Value global) const { return record(global, 2); }
  // kGlobal: as written in the stream.
  Value written_module(Value global) const { return record(global, 3); }
  Value written_name(Value global) const { return record(global, 4); }
  // kGlobal: module and name as text; empty if they are computed and so unknown.
  std::string_view module_text(Value global) const { return text_or_empty(module(global)); }
  std::string_view name_text(Value global) const { return text_or_empty(name(global)); }

  Value callable(Value call) const { return record(call, 1); }   // kCall
  Value arguments(Value call) const { return record(call, 2); }  // kCall: a tuple, if well-formed
  Value keywords(Value call) const { return record(call, 3); }   // kCall: None unless NEWOBJ_EX
  Value persistent_id(Value persistent) const { return record(persistent, 1); }  // kPersistent
  Value extension_code(Value extension) const { return record(extension, 1); }   // kExtension
  // kGlobal: the protocol at that point of the stream. From 4 on, a name with dots is a path.
  std::uint8_t protocol(Value global) const;
  // kBuffer made by READONLY_BUFFER: the object that it is the read-only form of.
  Value writable_form(Value buffer) const { return record(buffer, 1); }
  // Opaque kinds: the opcode that made it and its offset in the stream.
  Op made_by(Value value) const;
  std::uint64_t made_at(Value value) const;

  bool is_text(Value value) const {
    return kind(value) == Kind::kString || kind(value) == Kind::kPy2String;
  }
  std::string_view text_or_empty(Value value) const { return is_text(value) ? text(value) : ""; }

  // Tuples with items, opaque kinds: when it was made, on the scale of Event::position.
  std::uint32_t position(Value value) const { return node(value).edge(); }

  std::size_t node_count() const { return nodes_.size(); }
  static Value node_at(std::uint32_t index) { return Value::from_bits(index << 2 | kTagNode); }
  // A dense number for values that live in the arena, for visited sets; nothing for immediates.
  std::optional<std::uint32_t> node_index(Value value) const {
    return (value.bits() & kTagMask) == kTagNode ? std::optional(value.bits() >> 2) : std::nullopt;
  }

 private:
  friend class Builder;
  friend class UpdateRange::Iterator;

  static constexpr std::uint32_t kTagMask = 3;
  static constexpr std::uint32_t kTagNode = 0;
  static constexpr std::uint32_t kTagInt = 1;
  static constexpr std::uint32_t kTagAtom = 2;
  static constexpr Value kNone = Value::from_bits(2);
  static constexpr Value kFalse = Value::from_bits(2 | 1 << 2);
  static constexpr Value kTrue = Value::from_bits(2 | 2 << 2);
  static constexpr Value kEmptyTuple = Value::from_bits(2 | 3 << 2);

  // One word per value: 5 bits of kind, 3 of flags, and what fits into the rest (graph.cpp). What
  // does not fit stands in edges_, at the index that the word then holds, under kFar.
  class Node {
   public:
    constexpr Node() = default;
    constexpr Node(Kind kind, std::uint32_t flags, std::uint64_t payload)
        : word_(static_cast<std::uint64_t>(kind) | std::uint64_t{flags} << 5 | payload << 8) {}
    Kind kind() const { return static_cast<Kind>(word_ & 31); }
    std::uint32_t flags() const { return static_cast<std::uint32_t>(word_ >> 5 & 7); }
    std::uint64_t payload() const { return word_ >> 8; }  // 56 bits
    // Containers, tuples and opaque values: an index into edges_, and 24 bits beside it.
    std::uint32_t edge() const { return static_cast<std::uint32_t>(word_ >> 32); }
    std::uint32_t small() const { return static_cast<std::uint32_t>(word_ >> 8 & 0xFFFFFF); }
    void set_edge(std::uint32_t edge) { word_ = (word_ & 0xFFFFFFFF) | std::uint64_t{edge} << 32; }

   private:
    std::uint64_t word_ = 0;
  };
  static constexpr std::uint32_t kFar = 1;
  static constexpr std::uint32_t kInArena = 2;   // texts: in arena_, not in input_
  static constexpr std::uint32_t kDecimal = 4;   // big integers: text, not two's complement
  static constexpr std::uint32_t kInStream = 2;  // floats: the payload is an offset in input_
  // Texts: 23 bits of length, 33 bits of offset.
  static constexpr unsigned kLengthBits = 23;

  const Node& node(Value value) const { return nodes_[value.bits() >> 2]; }
  Value record(Value value, std::uint32_t field) const {
    return edges_[node(value).edge() + field];
  }
  std::uint64_t wide(std::uint32_t edge) const {
    return edges_[edge].bits() | std::uint64_t{edges_[edge + 1].bits()} << 32;
  }

  ByteSpan input_;
  std::string arena_;  // texts that are not literally in the input
  detail::PodVector<Node> nodes_;
  detail::PodVector<Value> edges_;  // tuple items, chunks of updates, records
};

// What readers of a graph call for every value.
inline Kind Graph::kind(Value value) const {
  const std::uint32_t tag = value.bits() & kTagMask;
  if (tag == kTagNode) return node(value).kind();
  if (tag == kTagInt) return Kind::kInt;
  if (value == kNone) return Kind::kNone;
  return value == kEmptyTuple ? Kind::kTuple : Kind::kBool;
}

inline std::int64_t Graph::integer(Value value) const {
  if ((value.bits() & kTagMask) == kTagInt) return static_cast<std::int32_t>(value.bits()) >> 2;
  const Node& number = node(value);
  if ((number.flags() & kFar) != 0) return static_cast<std::int64_t>(wide(number.edge()));
  return static_cast<std::int64_t>(number.payload() << 8) >> 8;
}

inline Update Graph::update_at(std::uint32_t position) const {
  const std::uint32_t count_and_kind = edges_[position + 2].bits();
  return {static_cast<UpdateKind>(count_and_kind & 3),
          {edges_.data() + position + 3, count_and_kind >> 2},
          position};
}

inline std::string_view Graph::text(Value value) const {
  const Node& text_node = node(value);
  std::uint64_t length = text_node.payload() & ((1U << kLengthBits) - 1);
  std::uint64_t offset = text_node.payload() >> kLengthBits;
  if ((text_node.flags() & kFar) != 0) {
    length = wide(text_node.edge());
    offset = wide(text_node.edge() + 2);
  }
  const std::string_view source =
      (text_node.flags() & kInArena) != 0 ? std::string_view(arena_) : as_text(input_);
  return source.substr(offset, length);
}

inline std::span<const Value> Graph::tuple_items(Value value) const {
  if (value == kEmptyTuple) return {};
  const Node& tuple = node(value);
  if ((tuple.flags() & kFar) != 0) {
    return {edges_.data() + tuple.edge() + 1, edges_[tuple.edge()].bits()};
  }
  return {edges_.data() + tuple.edge(), tuple.small()};
}

inline UpdateRange Graph::updates(Value value) const {
  if ((value.bits() & kTagMask) != kTagNode) return {this, 0};
  const Node& object = node(value);
  switch (object.kind()) {
    case Kind::kList:
    case Kind::kDict:
    case Kind::kSet:
    case Kind::kFrozenSet:
      return {this, object.edge()};
    case Kind::kGlobal:
    case Kind::kCall:
    case Kind::kPersistent:
    case Kind::kExtension:
    case Kind::kBuffer:
      return {this, edges_[object.edge()].bits()};
    default:
      return {this, 0};
  }
}

inline UpdateRange::Iterator& UpdateRange::Iterator::operator++() {
  chunk_ = graph_->edges_[chunk_].bits();
  return *this;
}

inline Update UpdateRange::Iterator::operator*() const {
  return graph_->update_at(chunk_);
}

enum class EventKind : std::uint8_t {
  kImport,          // subject: the global
  kCall,            // subject: the call
  kBuild,           // subject: the object, argument: the state
  kAppend,          // subject: an object that is no list, argument: a tuple of the items
  kSetItems,        // subject: an object that is no dict, argument: a tuple of keys and values
  kAddItems,        // subject: an object that is no set, argument: a tuple of the items
  kPersistentLoad,  // subject: the result, argument: the id
  kExtension,       // subject: the result, argument: the code
  kBuffer,          // subject: the buffer
};

struct Event {
  EventKind kind;
  Op op;
  Value subject;
  Value argument;
  // How far the graph had grown. An update or a tuple with a lower position was there before the
  // event, any other came later: this is how the order of things is told.
  std::uint32_t position;
  std::uint64_t offset;  // of the opcode, bytes from the start of the stream
};

// Places that real unpicklers read differently, or that no pickler writes.
enum class OddityKind : std::uint8_t {
  kNumberText,        // an integer or float that is not written canonically
  kNulInLine,         // C stops at the NUL, Python fails
  kNonAsciiString,    // depends on the loader's `encoding`
  kFrameOverlap,      // a FRAME inside another one
  kFrameCrossed,      // an argument reaches past the end of its frame
  kFrameTooLong,      // a FRAME longer than the input: C fails, Python goes on
  kProtocolLate,      // PROTO is not the first opcode
  kMemoOverwritten,   // a memo slot is written twice
  kMemoSparse,        // a memo index no pickler would reach
  kPickleCut,         // the last line has no end: C fails, Python goes on without its last byte
  kArgumentsNoTuple,  // REDUCE with arguments that only the Python unpicklers accept
  kComputedName,      // STACK_GLOBAL with an operand that is the result of a call
  kExtensionUnknown,  // an extension code that the stream itself did not register
  kSelfRegistered,    // an extension code that the stream itself registered
  kOutOfBand,         // NEXT_BUFFER: data from outside the stream
  kStateOnLiteral,    // BUILD without effect on a plain value
};

// What an oddity means, as a sentence without a full stop.
const char* oddity_text(OddityKind kind);

struct Oddity {
  OddityKind kind;
  std::uint64_t offset;
};

// Bytes between opcodes that are none: joblib writes the data of arrays behind their objects.
class InlineData {
 public:
  virtual ~InlineData() = default;
  // Called when `object` has got a state by BUILD: how many bytes from `offset` on, counted from
  // the start of the stream, belong to it and are no opcodes. An error breaks the stream there.
  virtual Result<std::uint64_t> length(const Graph& graph, Value object, std::uint64_t offset) = 0;
};

struct Limits {
  std::uint64_t max_nodes = std::uint64_t{1} << 28;
  std::uint64_t max_edges = std::uint64_t{1} << 30;
  // Whether frequent opcodes take a short cut. Off only to test that this makes no difference.
  bool fast = true;
  // What knows of bytes between the opcodes; null if there are none.
  InlineData* inline_data = nullptr;
  // When to give up: looked at every few thousand opcodes.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

enum class End : std::uint8_t {
  kStop,    // the stream ends with STOP
  kBroken,  // it breaks: see `error`
  kLimit,   // a budget is used up: see `error`
};

struct Run {
  Graph graph;
  std::vector<Event> events;
  std::vector<Oddity> oddities;
  Value result;  // what STOP returns
  End end = End::kBroken;
  Error error{};                 // why the stream ends without STOP, and where
  std::uint64_t end_offset = 0;  // first byte behind STOP, or where it broke
  std::uint64_t opcode_count = 0;
  std::uint8_t protocol = 0;  // the last PROTO seen
  // Set if an argument crosses a frame: what an unpickler sees that reads from a file object and
  // drops the rest of the frame (docs/pickle.md). Judge it as well.
  std::unique_ptr<Run> other_reading;
};

// Interprets one pickle from the start of `stream`. Bytes behind STOP are not looked at; see
// Run::end_offset. Never fails: an unusable stream is a Run that ends as kBroken at offset 0.
Run run(ByteSpan stream, const Limits& limits = {});

// The expression that `value` amounts to, as one line of Python: at most about `max_length` bytes,
// "..." where it was cut. Printable ASCII only.
std::string expression(const Graph& graph, Value value, std::size_t max_length = 200);
// The statement that an event amounts to: "os.system('id')".
std::string statement(const Graph& graph, const Event& event, std::size_t max_length = 200);

}  // namespace tare::pickle
