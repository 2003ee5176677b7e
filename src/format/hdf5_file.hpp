// Reads HDF5 files as Keras and h5py write them: objects, links, attributes and datasets.
//
// Format: docs/formats/hdf5.md, after the HDF5 File Format Specification 3.0. Superblocks 0 to 3,
// object headers 1 and 2, groups as symbol tables, as compact and as dense links, attributes in the
// header and dense. Nothing is copied: names and bytes are views of the file, which must outlive
// the reader. Nothing recurses; every block that is read is charged to a budget that the size of
// the file sets, and no node of a tree is read twice, so that cycles end in an error.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"
#include "tare/tensor.hpp"

namespace tare::hdf5 {

// Where an address of the file is undefined.
inline constexpr std::uint64_t kNowhere = UINT64_MAX;
// What an axis without a limit may grow to.
inline constexpr std::uint64_t kUnlimited = UINT64_MAX;

// Where the signature stands: at 0, 512, 1024, 2048 ...; nothing if it stands nowhere.
std::optional<std::uint64_t> find_signature(ByteSpan bytes);

enum class TypeClass : std::uint8_t {
  kInteger = 0,
  kFloat = 1,
  kTime = 2,
  kString = 3,
  kBitField = 4,
  kOpaque = 5,
  kCompound = 6,
  kReference = 7,
  kEnum = 8,
  kVariable = 9,
  kArray = 10,
  kComplex = 11,
};

struct Datatype {
  TypeClass type = TypeClass::kInteger;
  std::uint8_t version = 1;
  std::uint32_t bits = 0;  // of the class
  std::uint32_t size = 0;  // bytes of an element
  ByteSpan properties;

  bool big_endian() const { return (bits & 1) != 0; }
};

struct Attribute {
  std::string_view name;
  Datatype type;
  Shape shape;
  bool is_null = false;  // a dataspace without elements
  ByteSpan data;
};

enum class LinkKind : std::uint8_t { kHard, kSoft, kExternal, kUserDefined };

struct Link {
  std::string_view name;
  LinkKind kind = LinkKind::kHard;
  std::uint64_t address = kNowhere;  // kHard: of the object
  std::string_view file;             // kExternal
  std::string_view target;           // kSoft, kExternal: a path
};

struct Filter {
  std::uint16_t id = 0;
  std::vector<std::uint32_t> values;
};
inline constexpr std::uint16_t kDeflate = 1;
inline constexpr std::uint16_t kShuffle = 2;
inline constexpr std::uint16_t kFletcher32 = 3;
inline constexpr std::uint16_t kLzf = 32000;  // of h5py

enum class LayoutKind : std::uint8_t { kNone, kCompact, kContiguous, kChunked, kVirtual };

enum class ChunkIndex : std::uint8_t { kTree1, kSingle, kImplicit, kFixed, kExtensible, kTree2 };

struct Dataset {
  Datatype type;
  Shape shape;
  Shape most;  // to which the axes may grow: kUnlimited
  bool is_null = false;
  LayoutKind layout = LayoutKind::kNone;
  std::uint64_t address = kNowhere;  // of the data, or of the index of the chunks
  ByteSpan compact;
  std::vector<std::uint64_t> chunk;  // elements per axis
  ChunkIndex index = ChunkIndex::kTree1;
  std::optional<std::uint64_t> single_size;  // of a single chunk that is filtered
  std::uint32_t single_skipped = 0;          // of it, as in Chunk
  std::uint8_t page_bits = 0;                // kFixed: a page has so many elements, as a power of 2
  bool plain_edges = false;                  // chunks that reach over the end are not filtered
  std::vector<Filter> filters;
  ByteSpan fill;                           // one element, or nothing: zeros
  std::vector<std::string_view> external;  // names of files that hold the data
};

struct Object {
  bool is_group = false;
  bool is_dataset = false;
  std::vector<Attribute> attributes;
  std::vector<Link> links;
  Dataset dataset;
};

// A chunk that is in the file.
struct Chunk {
  std::vector<std::uint64_t> start;  // elements per axis
  ByteSpan bytes;                    // as stored
  std::uint32_t skipped = 0;         // bit i: filter i was not applied
};

class File {
 public:
  // Errors: kWrongFormat, kTruncated, kMalformed, kUnsupported.
  static Result<File> open(ByteSpan bytes);

  // Bytes in front of the signature.
  std::uint64_t user_block() const { return base_; }
  // Where the file says that it ends, from the start of `bytes`.
  std::uint64_t end() const { return end_; }
  std::uint64_t root() const { return root_; }
  // Where bytes of the file stand in it; nowhere if there are none.
  std::uint64_t offset_of(ByteSpan view) const {
    if (view.empty()) return Error::kNoOffset;
    return base_ + static_cast<std::uint64_t>(view.data() - bytes_.data());
  }

  // The object whose header stands at `address`. Errors: kTruncated, kMalformed, kUnsupported,
  // kLimit.
  Result<Object> object(std::uint64_t address);
  // The chunks of a chunked dataset. Errors: likewise.
  Result<std::vector<Chunk>> chunks(const Dataset& dataset);
  // The bytes of an element of variable length, as it stands in the data: a length, and a place in
  // a global heap.
  Result<ByteSpan> variable(ByteSpan element, std::uint32_t item_size);
  // `size` bytes at an address.
  Result<ByteSpan> at(std::uint64_t address, std::uint64_t size);
  // Bytes of an element of variable length.
  std::uint32_t variable_size() const { return 8U + offset_size_; }

 private:
  class Reader;
  class ChunkReader;
  struct HeapShape;
  struct GlobalObject {
    std::uint32_t index;
    ByteSpan bytes;
  };
  using Visit = std::function<Result<void>(ByteSpan record)>;

  Result<Reader> reader_at(std::uint64_t address, std::uint64_t size);
  Result<Reader> signed_block(std::uint64_t address, std::uint64_t size,
                              std::string_view signature);
  Result<void> charge(std::uint64_t bytes);

  Result<void> read_messages(std::uint64_t address, Object& object, bool type_only);
  Result<void> read_message(std::uint16_t type, std::uint8_t flags, ByteSpan data, Object& object);
  Result<Datatype> shared_type(ByteSpan reference);
  Result<void> read_attribute(ByteSpan data, Object& object);
  Result<void> read_layout(ByteSpan data, Dataset& dataset);
  Result<void> read_layout4(Reader& in, Dataset& dataset);
  Result<void> read_filters(ByteSpan data, Dataset& dataset);
  Result<void> read_external(ByteSpan data, Dataset& dataset);
  Result<void> read_link(ByteSpan data, Object& object);
  Result<void> read_symbol_table(ByteSpan data, Object& object);
  Result<void> read_symbols(std::uint64_t address, ByteSpan names, Object& object);
  Result<void> read_dense(std::uint64_t heap, std::uint64_t index, bool links, Object& object);
  Result<ByteSpan> local_heap(std::uint64_t address);
  Result<const std::vector<GlobalObject>*> global_heap(std::uint64_t address);
  Result<HeapShape> fractal_heap(std::uint64_t address);
  Result<ByteSpan> heap_object(const HeapShape& heap, ByteSpan id);
  Result<void> walk_tree1(
      std::uint64_t address, std::uint8_t type, std::uint64_t key_size,
      const std::function<Result<void>(ByteSpan key, std::uint64_t child)>& leaf);
  Result<void> walk_tree2(std::uint64_t address, const Visit& visit);

  ByteSpan bytes_;  // from the signature on
  std::uint64_t base_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t root_ = kNowhere;
  std::uint8_t offset_size_ = 8;
  std::uint8_t length_size_ = 8;
  std::uint64_t budget_ = 0;  // bytes that may still be read
  // The objects of global heaps that were looked into, by the place of the heap.
  std::map<std::uint64_t, std::vector<GlobalObject>> global_heaps_;
  std::size_t global_objects_ = 0;
  bool sharing_ = false;  // a shared datatype is being read
};

// The type as that of a tensor; nothing for texts, structures and others.
std::optional<DType> tensor_type(const Datatype& type);

}  // namespace tare::hdf5
