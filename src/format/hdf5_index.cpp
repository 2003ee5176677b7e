// Where HDF5 keeps lists: symbol tables and their local heaps, B-trees of both versions, fractal
// heaps with dense links and attributes, and global heaps.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "format/hdf5_reader.hpp"
#include "io/checked.hpp"

namespace tare::hdf5 {
namespace {

// Bytes that numbers up to `limit` take.
unsigned width_of(std::uint64_t limit) {
  return static_cast<unsigned>(std::bit_width(std::max<std::uint64_t>(limit, 1)) + 7) / 8;
}

}  // namespace

// ---- groups

Result<void> File::read_link(ByteSpan data, Object& object) {
  Reader in(data, offset_size_, length_size_);
  in.skip(1);
  const std::uint8_t flags = in.u8();
  const std::uint8_t kind = (flags & 8) != 0 ? in.u8() : std::uint8_t{0};
  if ((flags & 4) != 0) in.skip(8);
  if ((flags & 0x10) != 0) in.skip(1);
  Link link;
  link.name = as_text(in.take(in.sized(1U << (flags & 3))));
  if (kind == 0) {
    link.address = in.address();
  } else {
    Reader value(in.take(in.u16()), offset_size_, length_size_);
    link.kind = kind == 1    ? LinkKind::kSoft
                : kind == 64 ? LinkKind::kExternal
                             : LinkKind::kUserDefined;
    if (kind == 64) {
      value.skip(1);
      link.file = value.text();
      link.target = value.text();
    } else {
      link.target = as_text(value.rest());
    }
  }
  if (!in.good()) return broken("a link is cut off");
  object.links.push_back(link);
  return {};
}

Result<ByteSpan> File::local_heap(std::uint64_t address) {
  auto in = signed_block(address, 8U + 2U * length_size_ + offset_size_, "HEAP");
  if (!in) return std::unexpected(in.error());
  in->skip(4);
  const std::uint64_t size = in->length();
  in->length();
  return at(in->address(), size);
}

Result<void> File::read_symbol_table(ByteSpan data, Object& object) {
  Reader in(data, offset_size_, length_size_);
  const std::uint64_t tree = in.address();
  const std::uint64_t heap = in.address();
  if (!in.good()) return broken("a symbol table is cut off");
  const auto names = local_heap(heap);
  if (!names) return std::unexpected(names.error());
  return walk_tree1(tree, 0, length_size_, [&](ByteSpan, std::uint64_t child) {
    return read_symbols(child, *names, object);
  });
}

Result<void> File::read_symbols(std::uint64_t address, ByteSpan names, Object& object) {
  auto head = signed_block(address, 8, "SNOD");
  if (!head) return std::unexpected(head.error());
  head->skip(2);
  const std::uint64_t count = head->u16();
  auto in = reader_at(address + 8, count * (2U * offset_size_ + 24U));
  if (!in) return std::unexpected(in.error());
  const auto text_at = [names](std::uint64_t offset) {
    const std::string_view all = as_text(names);
    if (offset >= all.size()) return std::string_view();
    return all.substr(offset, all.find('\0', offset) - offset);
  };
  for (std::uint64_t i = 0; i < count; ++i) {
    Link link;
    link.name = text_at(in->sized(offset_size_));
    link.address = in->address();
    const std::uint32_t cache = in->u32();
    in->skip(4);
    const std::uint32_t target = in->u32();
    in->skip(12);
    if (cache == 2) {
      link.kind = LinkKind::kSoft;
      link.target = text_at(target);
    }
    object.links.push_back(link);
  }
  return {};
}

// ---- B-trees, version 1

// Nodes are walked with a list of what is to be read, in no order that matters to the callers.
Result<void> File::walk_tree1(
    std::uint64_t address, std::uint8_t type, std::uint64_t key_size,
    const std::function<Result<void>(ByteSpan key, std::uint64_t child)>& leaf) {
  struct Node {
    std::uint64_t address;
    unsigned level;
  };
  constexpr unsigned kAny = 256;
  std::vector<Node> nodes{{address, kAny}};
  std::set<std::uint64_t> seen;
  const std::uint64_t head_size = 8U + 2U * offset_size_;
  while (!nodes.empty()) {
    const Node node = nodes.back();
    nodes.pop_back();
    if (!seen.insert(node.address).second) return broken("a B-tree refers to itself");
    auto head = signed_block(node.address, head_size, "TREE");
    if (!head) return std::unexpected(head.error());
    const std::uint8_t node_type = head->u8();
    const std::uint8_t level = head->u8();
    const std::uint64_t count = head->u16();
    if (node_type != type || (node.level != kAny && level + 1U != node.level)) {
      return broken("a B-tree with a node of another kind");
    }
    auto in = reader_at(node.address + head_size, count * (key_size + offset_size_));
    if (!in) return std::unexpected(in.error());
    const std::size_t first = nodes.size();
    for (std::uint64_t i = 0; i < count; ++i) {
      const ByteSpan key = in->take(key_size);
      const std::uint64_t child = in->address();
      if (level > 0) {
        nodes.push_back({child, level});
      } else if (auto read = leaf(key, child); !read) {
        return read;
      }
    }
    std::reverse(nodes.begin() + static_cast<std::ptrdiff_t>(first), nodes.end());
  }
  return {};
}

// ---- B-trees, version 2

Result<void> File::walk_tree2(std::uint64_t address, const Visit& visit) {
  auto head = signed_block(address, 22U + offset_size_ + length_size_, "BTHD");
  if (!head) return std::unexpected(head.error());
  head->skip(2);
  const std::uint64_t node_size = head->u32();
  const std::uint64_t record_size = head->u16();
  const unsigned depth = head->u16();
  head->skip(2);
  const std::uint64_t root = head->address();
  const std::uint64_t root_records = head->u16();
  constexpr std::uint64_t kOverhead = 10;  // signature, version, type, checksum
  constexpr unsigned kMaxDepth = 32;
  if (record_size == 0 || node_size < kOverhead + record_size || depth > kMaxDepth) {
    return broken("a B-tree of impossible sizes");
  }
  // What a pointer to a child takes, by the depth of the node that holds it.
  const std::uint64_t leaf_most = (node_size - kOverhead) / record_size;
  const unsigned count_width = width_of(leaf_most);
  std::array<unsigned, kMaxDepth + 1> total_width{};
  std::uint64_t all_below = leaf_most;
  for (unsigned d = 1; d <= depth; ++d) {
    const std::uint64_t pointer = offset_size_ + count_width + (d > 1 ? total_width[d - 1] : 0U);
    if (node_size < kOverhead + pointer + record_size)
      return broken("a B-tree of impossible sizes");
    const std::uint64_t most = (node_size - kOverhead - pointer) / (record_size + pointer);
    const auto below = checked_mul(most + 1, all_below);
    const auto sum = below ? checked_add(*below, most) : std::nullopt;
    if (!sum) return broken("a B-tree of impossible sizes");
    all_below = *sum;
    total_width[d] = width_of(all_below);
  }
  struct Node {
    std::uint64_t address;
    std::uint64_t records;
    unsigned depth;
  };
  std::vector<Node> nodes;
  if (root != kNowhere) nodes.push_back({root, root_records, depth});
  std::set<std::uint64_t> seen;
  while (!nodes.empty()) {
    const Node node = nodes.back();
    nodes.pop_back();
    if (!seen.insert(node.address).second) return broken("a B-tree refers to itself");
    auto in = signed_block(node.address, node_size, node.depth == 0 ? "BTLF" : "BTIN");
    if (!in) return std::unexpected(in.error());
    in->skip(2);
    for (std::uint64_t i = 0; i < node.records; ++i) {
      const ByteSpan record = in->take(record_size);
      if (!in->good()) return broken("a B-tree node with more records than fit");
      if (auto read = visit(record); !read) return read;
    }
    for (std::uint64_t i = 0; node.depth > 0 && i <= node.records; ++i) {
      const std::uint64_t child = in->address();
      const std::uint64_t records = in->sized(count_width);
      if (node.depth > 1) in->skip(total_width[node.depth - 1]);
      if (!in->good()) return broken("a B-tree node with more children than fit");
      nodes.push_back({child, records, node.depth - 1});
    }
  }
  return {};
}

// ---- fractal heaps

struct File::HeapShape {
  std::uint64_t header = 0;
  unsigned id_size = 0;
  unsigned offset_width = 0;
  unsigned length_width = 0;
  std::uint64_t table_width = 0;
  std::uint64_t start_size = 0;   // of a block in the first row
  std::uint64_t direct_most = 0;  // of a block that holds objects
  std::uint64_t root = kNowhere;
  std::uint64_t root_rows = 0;
  bool checksums = false;

  std::uint64_t row_size(std::uint64_t row) const {
    return row < 2 ? start_size : start_size << (row - 1);
  }
};

Result<File::HeapShape> File::fractal_heap(std::uint64_t address) {
  const std::uint64_t size = 26U + 12U * length_size_ + 3U * offset_size_;
  auto in = signed_block(address, size, "FRHP");
  if (!in) return std::unexpected(in.error());
  HeapShape heap;
  heap.header = address;
  in->skip(1);
  heap.id_size = in->u16();
  const std::uint16_t filters = in->u16();
  heap.checksums = (in->u8() & 2) != 0;
  const std::uint32_t object_most = in->u32();
  in->length();
  in->address();  // huge objects
  in->length();
  in->address();  // free space
  for (int i = 0; i < 8; ++i) in->length();
  heap.table_width = in->u16();
  heap.start_size = in->length();
  heap.direct_most = in->length();
  const unsigned heap_bits = in->u16();
  in->u16();
  heap.root = in->address();
  heap.root_rows = in->u16();
  if (filters != 0) return fail(ErrorCode::kUnsupported, "a heap that is filtered");
  const bool powers = std::has_single_bit(heap.start_size) && std::has_single_bit(heap.direct_most);
  constexpr std::uint64_t kMostBlock = std::uint64_t{1} << 31;
  if (!in->good() || !powers || heap.table_width == 0 || heap.direct_most < heap.start_size ||
      heap.direct_most > kMostBlock || heap_bits == 0 || heap_bits > 64) {
    return broken("a heap of impossible sizes");
  }
  heap.offset_width = (heap_bits + 7) / 8;
  const unsigned block_width = static_cast<unsigned>(std::bit_width(heap.direct_most) - 1 + 7) / 8;
  heap.length_width = std::min(block_width, width_of(object_most));
  return heap;
}

// The bytes of the object with this id.
Result<ByteSpan> File::heap_object(const HeapShape& heap, ByteSpan id) {
  Reader in(id, offset_size_, length_size_);
  const std::uint8_t flags = in.u8();
  const unsigned kind = flags >> 4 & 3;
  if (kind == 2 && heap.id_size <= 18) {
    const ByteSpan tiny = in.take((flags & 0xFU) + 1);
    if (!in.good()) return broken("an object of a heap is cut off");
    return tiny;
  }
  if (kind != 0) return fail(ErrorCode::kUnsupported, "an object that stands outside of its heap");
  std::uint64_t offset = in.sized(heap.offset_width);
  const std::uint64_t length = in.sized(heap.length_width);
  if (!in.good()) return broken("an object of a heap is cut off");
  const std::uint64_t head = 5U + offset_size_ + heap.offset_width;
  const std::uint64_t direct_rows = static_cast<std::uint64_t>(std::bit_width(heap.direct_most) -
                                                               std::bit_width(heap.start_size)) +
                                    2;
  std::uint64_t block = heap.root;
  std::uint64_t rows = heap.root_rows;
  std::uint64_t size = heap.start_size;
  // Each step goes into a smaller block.
  for (int level = 0; rows != 0; ++level) {
    constexpr int kMaxLevels = 16;
    if (level >= kMaxLevels || rows > 64) return broken("a heap that is nested too deeply");
    std::uint64_t row = 0;
    std::uint64_t before = 0;
    for (;; ++row) {
      if (row >= rows || heap.row_size(row) > UINT64_MAX / 2 / heap.table_width) {
        return broken("an object behind the end of its heap");
      }
      const std::uint64_t span = heap.row_size(row) * heap.table_width;
      if (offset - before < span) break;
      before += span;
    }
    size = heap.row_size(row);
    const std::uint64_t column = (offset - before) / size;
    offset = (offset - before) % size;
    auto node = signed_block(block, head, "FHIB");
    if (!node) return std::unexpected(node.error());
    const auto entry = checked_mul(row * heap.table_width + column, offset_size_);
    if (!entry) return broken("a heap of impossible sizes");
    auto child = reader_at(block + head + *entry, offset_size_);
    if (!child) return std::unexpected(child.error());
    block = child->address();
    rows = 0;
    if (row >= direct_rows) {
      // An indirect block that covers `size`.
      const std::uint64_t first_row = heap.start_size * heap.table_width;
      rows = static_cast<std::uint64_t>(std::bit_width(size) - std::bit_width(first_row)) + 1;
      if (size < first_row || rows > 64) return broken("a heap of impossible sizes");
    }
  }
  auto direct = signed_block(block, head, "FHDB");
  if (!direct) return std::unexpected(direct.error());
  if (offset > size || length > size - offset) return broken("an object outside of its block");
  auto found = at(block, size);
  if (!found) return found;
  return found->subspan(offset, length);
}

Result<void> File::read_dense(std::uint64_t address, std::uint64_t index, bool links,
                              Object& object) {
  const auto heap = fractal_heap(address);
  if (!heap) return std::unexpected(heap.error());
  return walk_tree2(index, [&](ByteSpan record) -> Result<void> {
    // Links: a hash in front of the id. Attributes: the id in front.
    const std::uint64_t skip = links ? 4 : 0;
    if (record.size() < skip + heap->id_size) return broken("a record of a B-tree is cut off");
    const auto found = heap_object(*heap, record.subspan(skip, heap->id_size));
    if (!found) return std::unexpected(found.error());
    if (auto paid = charge(found->size()); !paid) return paid;
    return links ? read_link(*found, object) : read_attribute(*found, object);
  });
}

// ---- global heaps

// Read once: each text of a list is one of many objects in it.
Result<const std::vector<File::GlobalObject>*> File::global_heap(std::uint64_t address) {
  const auto known = global_heaps_.find(address);
  if (known != global_heaps_.end()) return &known->second;
  const std::uint64_t head_size = 8U + length_size_;
  auto head = signed_block(address, head_size, "GCOL");
  if (!head) return std::unexpected(head.error());
  head->skip(4);
  const std::uint64_t total = head->length();
  if (total < head_size) return broken("a global heap of impossible size");
  auto block = reader_at(address, total);
  if (!block) return std::unexpected(block.error());
  Reader in = *block;
  in.skip(head_size);
  std::vector<GlobalObject> objects;
  constexpr std::size_t kMostObjects = 4'000'000;
  while (in.remaining() >= 8U + length_size_) {
    const std::uint16_t index = in.u16();
    in.skip(6);
    const std::uint64_t length = in.length();
    if (index == 0) break;  // free space
    const ByteSpan data = in.take(length);
    if (!in.good()) return broken("an object of a global heap is cut off");
    if (++global_objects_ > kMostObjects) {
      return fail(ErrorCode::kLimit, "more texts than tare is willing to read");
    }
    objects.push_back({index, data});
    in.skip(std::min((8 - length % 8) % 8, in.remaining()));
  }
  // Of two with one number the first counts.
  std::ranges::stable_sort(objects, {}, &GlobalObject::index);
  return &global_heaps_.emplace(address, std::move(objects)).first->second;
}

Result<ByteSpan> File::variable(ByteSpan element, std::uint32_t item_size) {
  Reader in(element, offset_size_, length_size_);
  const auto size = checked_mul(in.u32(), item_size);
  const std::uint64_t address = in.address();
  const std::uint32_t wanted = in.u32();
  if (!in.good() || !size) return broken("an element of variable length is cut off");
  if (*size == 0 || address == 0 || address == kNowhere) return ByteSpan();
  const auto objects = global_heap(address);
  if (!objects) return std::unexpected(objects.error());
  const auto found = std::ranges::lower_bound(**objects, wanted, {}, &GlobalObject::index);
  if (found == (*objects)->end() || found->index != wanted) {
    return broken("an element of variable length that is not in its heap");
  }
  if (*size > found->bytes.size()) return broken("an element of variable length is cut off");
  return found->bytes.first(*size);
}

}  // namespace tare::hdf5
