// FlatBuffers from front to back: each table stands before what it refers to.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/binary.hpp"

namespace tare::test {

// A value of a slot: bytes in place, or something by offset.
struct Flat {
  enum class Kind : std::uint8_t {
    kAbsent,
    kInline,
    kTable,
    kVector,
    kTables
  } kind = Kind::kAbsent;
  std::string bytes;           // kInline, and of kVector its elements
  std::uint64_t count = 0;     // of a vector
  std::vector<Flat> children;  // slots of a table, tables of a vector

  static Flat absent() { return {}; }
  static Flat number(std::string bytes) { return {Kind::kInline, std::move(bytes), 0, {}}; }
  static Flat vector(std::string bytes, std::uint64_t count) {
    return {Kind::kVector, std::move(bytes), count, {}};
  }
  static Flat text(std::string bytes) {
    const std::uint64_t length = bytes.size();
    return vector(std::move(bytes), length);
  }
  static Flat ints(const std::vector<std::int32_t>& values) {
    return vector(memory_of(values), values.size());
  }
  static Flat table(std::vector<Flat> slots) { return {Kind::kTable, {}, 0, std::move(slots)}; }
  static Flat tables(std::vector<Flat> items) { return {Kind::kTables, {}, 0, std::move(items)}; }
};

class FlatBuilder {
 public:
  std::string build(const Flat& root, std::string_view identifier) {
    out_ = u32(0) + std::string(identifier);
    point(0, put(root));
    return out_;
  }

 private:
  void align() {
    while (out_.size() % 8 != 0) out_ += '\0';
  }
  void point(std::size_t from, std::size_t to) { out_.replace(from, 4, u32(to - from)); }

  std::size_t put(const Flat& value) {
    align();
    if (value.kind == Flat::Kind::kVector) {
      const std::size_t at = out_.size();
      out_ += u32(value.count) + value.bytes + '\0';
      return at;
    }
    return value.kind == Flat::Kind::kTables ? put_tables(value) : put_table(value);
  }
  std::size_t put_tables(const Flat& value) {
    const std::size_t at = out_.size();
    out_ += u32(value.children.size()) + std::string(4 * value.children.size(), '\0');
    for (std::size_t i = 0; i < value.children.size(); ++i) {
      point(at + 4 + 4 * i, put(value.children[i]));
    }
    return at;
  }
  // The vtable, then the table with eight bytes for each slot.
  std::size_t put_table(const Flat& value) {
    std::string vtable = u16(4 + 2 * value.children.size()) + u16(8 + 8 * value.children.size());
    for (std::size_t i = 0; i < value.children.size(); ++i) {
      vtable += u16(value.children[i].kind == Flat::Kind::kAbsent ? 0 : 8 + 8 * i);
    }
    const std::size_t vtable_at = out_.size();
    out_ += vtable;
    align();
    const std::size_t at = out_.size();
    out_ += u32(at - vtable_at) + u32(0) + std::string(8 * value.children.size(), '\0');
    for (std::size_t i = 0; i < value.children.size(); ++i) {
      const Flat& child = value.children[i];
      const std::size_t place = at + 8 + 8 * i;
      if (child.kind == Flat::Kind::kInline) {
        out_.replace(place, child.bytes.size(), child.bytes);
      } else if (child.kind != Flat::Kind::kAbsent) {
        point(place, put(child));
      }
    }
    return at;
  }

  std::string out_;
};

}  // namespace tare::test
