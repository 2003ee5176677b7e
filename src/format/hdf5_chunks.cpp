// Where HDF5 keeps the chunks of a dataset: one alone, in a row, in B-trees of both versions, in
// fixed and in extensible arrays.
//
// Arrays have an element for every place that a chunk may have, also where none was written; only
// those places are looked up that the dataset has now.
#include <algorithm>
#include <bit>

#include "format/hdf5_reader.hpp"
#include "io/checked.hpp"

namespace tare::hdf5 {

namespace {

// The first bit of a map is the highest of its first byte.
bool has_bit(ByteSpan map, std::uint64_t bit) {
  return (std::to_integer<unsigned>(map[bit / 8]) >> (7 - bit % 8) & 1) != 0;
}

}  // namespace

class File::ChunkReader {
 public:
  // `whole`: bytes of a chunk that is not filtered.
  ChunkReader(File& file, const Dataset& dataset, std::uint64_t whole)
      : file_(file), dataset_(dataset), whole_(whole), rank_(dataset.chunk.size()) {}

  Result<std::vector<Chunk>> read();

 private:
  class ExtensibleArray;
  struct Place {
    std::vector<std::uint64_t> start;  // elements
    std::uint64_t index = 0;           // in the arrays
  };
  // The element of an array at an index; empty if no block was made for it.
  using Lookup = std::function<Result<ByteSpan>(std::uint64_t index)>;

  Result<void> read_tree1();
  Result<void> read_tree2();
  Result<void> read_implicit();
  Result<void> read_fixed();
  Result<void> read_extensible();
  Result<void> read_array(bool unlimited_first, std::uint64_t element_size, const Lookup& lookup);
  Result<std::vector<Place>> places(bool unlimited_first) const;
  // "ADDRESS", or "ADDRESS SIZE MASK" of chunks that are filtered.
  Result<void> add_element(ByteSpan element, std::vector<std::uint64_t> start);
  Result<void> add(std::uint64_t address, std::uint64_t size, std::uint32_t skipped,
                   std::vector<std::uint64_t> start);
  bool is_cut(const std::vector<std::uint64_t>& start) const;
  // A block of an array whose prefix (signature, version, client) is as it should be, behind that.
  Result<Reader> block(std::uint64_t address, std::uint64_t size, std::string_view signature);
  bool is_filtered() const { return !dataset_.filters.empty(); }
  unsigned offset_size() const { return file_.offset_size_; }

  static constexpr std::uint64_t kPrefix = 6;
  static constexpr std::uint64_t kChecksum = 4;

  File& file_;
  const Dataset& dataset_;
  const std::uint64_t whole_;
  const std::size_t rank_;
  std::vector<Chunk> found_;
};

Result<std::vector<Chunk>> File::ChunkReader::read() {
  Result<void> done;
  switch (dataset_.index) {
    case ChunkIndex::kTree1:
      done = read_tree1();
      break;
    case ChunkIndex::kSingle:
      done = add(dataset_.address, dataset_.single_size.value_or(whole_), dataset_.single_skipped,
                 std::vector<std::uint64_t>(rank_, 0));
      break;
    case ChunkIndex::kImplicit:
      done = read_implicit();
      break;
    case ChunkIndex::kFixed:
      done = read_fixed();
      break;
    case ChunkIndex::kExtensible:
      done = read_extensible();
      break;
    case ChunkIndex::kTree2:
      done = read_tree2();
      break;
  }
  if (!done) return std::unexpected(done.error());
  return std::move(found_);
}

bool File::ChunkReader::is_cut(const std::vector<std::uint64_t>& start) const {
  for (std::size_t i = 0; i < rank_ && i < dataset_.shape.size(); ++i) {
    if (dataset_.chunk[i] > dataset_.shape[i] - std::min(start[i], dataset_.shape[i])) return true;
  }
  return false;
}

Result<void> File::ChunkReader::add(std::uint64_t address, std::uint64_t size,
                                    std::uint32_t skipped, std::vector<std::uint64_t> start) {
  if (address == kNowhere) return {};
  if (dataset_.plain_edges && is_cut(start)) {
    skipped = UINT32_MAX;
    size = whole_;
  }
  const auto bytes = file_.at(address, size);
  if (!bytes) return std::unexpected(bytes.error());
  found_.push_back({std::move(start), *bytes, skipped});
  return {};
}

Result<void> File::ChunkReader::add_element(ByteSpan element, std::vector<std::uint64_t> start) {
  Reader in(element, file_.offset_size_, file_.length_size_);
  const std::uint64_t address = in.address();
  std::uint64_t size = whole_;
  std::uint32_t skipped = 0;
  if (is_filtered()) {
    if (in.remaining() < 5) return broken("an element of an index of chunks is too small");
    size = in.sized(static_cast<unsigned>(in.remaining() - 4));
    skipped = in.u32();
  }
  if (!in.good()) return broken("an element of an index of chunks is too small");
  return add(address, size, skipped, std::move(start));
}

// ---- trees

Result<void> File::ChunkReader::read_tree1() {
  return file_.walk_tree1(dataset_.address, 1, 8 + 8 * (rank_ + 1),
                          [&](ByteSpan key, std::uint64_t child) -> Result<void> {
                            Reader in(key, file_.offset_size_, file_.length_size_);
                            const std::uint64_t size = in.u32();
                            const std::uint32_t skipped = in.u32();
                            std::vector<std::uint64_t> start(rank_);
                            for (std::uint64_t& axis : start) axis = in.u64();
                            return add(child, size, skipped, std::move(start));
                          });
}

// A record is an element with the place behind it, in chunks.
Result<void> File::ChunkReader::read_tree2() {
  return file_.walk_tree2(dataset_.address, [&](ByteSpan record) -> Result<void> {
    const std::uint64_t place_size = 8 * rank_;
    if (record.size() <= place_size) return broken("a record of a B-tree is cut off");
    const ByteSpan element = record.first(record.size() - place_size);
    Reader in(record.last(place_size), file_.offset_size_, file_.length_size_);
    std::vector<std::uint64_t> start(rank_);
    for (std::size_t i = 0; i < rank_; ++i) {
      const auto at = checked_mul(in.u64(), dataset_.chunk[i]);
      if (!at) return broken("a chunk at an impossible place");
      start[i] = *at;
    }
    return add_element(element, std::move(start));
  });
}

// ---- arrays

// The places that the dataset has, with their indexes: row by row of what it may grow to, the axis
// without a limit first if `unlimited_first`.
Result<std::vector<File::ChunkReader::Place>> File::ChunkReader::places(
    bool unlimited_first) const {
  constexpr std::uint64_t kMost = 1'000'000;
  if (dataset_.shape.size() != rank_ || dataset_.most.size() != rank_ ||
      std::ranges::count(dataset_.chunk, 0U) > 0) {
    return broken("chunks of another rank than the dataset");
  }
  const auto chunks_of = [&](std::uint64_t length, std::size_t axis) {
    return length / dataset_.chunk[axis] + (length % dataset_.chunk[axis] != 0 ? 1 : 0);
  };
  std::vector<std::size_t> order(rank_);
  for (std::size_t i = 0; i < rank_; ++i) order[i] = i;
  if (unlimited_first) {
    const auto axis = std::ranges::find(dataset_.most, kUnlimited) - dataset_.most.begin();
    if (static_cast<std::size_t>(axis) == rank_) return broken("no axis without a limit");
    std::rotate(order.begin(), order.begin() + axis, order.begin() + axis + 1);
  }
  std::vector<std::uint64_t> stride(rank_, 1);
  for (std::size_t i = rank_ - 1; i-- > 0;) {
    const std::size_t below = order[i + 1];
    const auto product = checked_mul(stride[below], chunks_of(dataset_.most[below], below));
    if (!product) return broken("an index of impossibly many chunks");
    stride[order[i]] = *product;
  }
  std::vector<Place> found{{std::vector<std::uint64_t>(rank_, 0), 0}};
  for (std::size_t axis = 0; axis < rank_; ++axis) {
    const std::uint64_t count = chunks_of(dataset_.shape[axis], axis);
    if (count > kMost || found.size() * count > kMost) {
      return fail(ErrorCode::kLimit, "a dataset in more than a million chunks");
    }
    std::vector<Place> next;
    next.reserve(found.size() * count);
    for (const Place& place : found) {
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto step = checked_mul(i, stride[axis]);
        const auto index = step ? checked_add(place.index, *step) : std::nullopt;
        if (!index) return broken("an index of impossibly many chunks");
        next.push_back({place.start, *index});
        next.back().start[axis] = i * dataset_.chunk[axis];
      }
    }
    found = std::move(next);
  }
  return found;
}

Result<void> File::ChunkReader::read_implicit() {
  const auto all = places(false);
  if (!all) return std::unexpected(all.error());
  for (const Place& place : *all) {
    const auto offset = checked_mul(place.index, whole_);
    const auto address = offset ? checked_add(dataset_.address, *offset) : std::nullopt;
    if (!address) return broken("a chunk at an impossible place");
    if (auto added = add(*address, whole_, 0, place.start); !added) return added;
  }
  return {};
}

Result<File::Reader> File::ChunkReader::block(std::uint64_t address, std::uint64_t size,
                                              std::string_view signature) {
  auto in = file_.signed_block(address, size, signature);
  if (!in) return in;
  const std::uint8_t version = in->u8();
  const std::uint8_t client = in->u8();
  if (version != 0) return fail(ErrorCode::kUnsupported, "an index of chunks of a later version");
  if (client != (is_filtered() ? 1 : 0)) return broken("an index of chunks of another kind");
  return in;
}

Result<void> File::ChunkReader::read_array(bool unlimited_first, std::uint64_t element_size,
                                           const Lookup& lookup) {
  if (element_size < offset_size()) return broken("an index of impossible sizes");
  const auto all = places(unlimited_first);
  if (!all) return std::unexpected(all.error());
  for (const Place& place : *all) {
    const auto element = lookup(place.index);
    if (!element) return std::unexpected(element.error());
    if (element->empty()) continue;
    if (auto paid = file_.charge(element->size()); !paid) return paid;
    if (auto added = add_element(*element, place.start); !added) return added;
  }
  return {};
}

Result<void> File::ChunkReader::read_fixed() {
  auto head = block(dataset_.address, kPrefix + 2U + file_.length_size_ + offset_size(), "FAHD");
  if (!head) return std::unexpected(head.error());
  const std::uint64_t size = head->u8();
  const unsigned page_bits = head->u8();
  const std::uint64_t count = head->length();
  const std::uint64_t data = head->address();
  if (data == kNowhere) return {};
  if (page_bits > 62) return broken("an index of impossible sizes");
  const std::uint64_t page = std::uint64_t{1} << page_bits;
  const bool is_paged = count > page;
  const std::uint64_t pages = count / page + (count % page != 0 ? 1 : 0);
  const std::uint64_t prefix = kPrefix + offset_size();
  const std::uint64_t map_size = is_paged ? (pages + 7) / 8 : 0;
  if (auto found = block(data, prefix, "FADB"); !found) return std::unexpected(found.error());
  const auto map = file_.at(data + prefix, map_size);
  if (!map) return std::unexpected(map.error());
  const std::uint64_t first = data + prefix + map_size + (is_paged ? kChecksum : 0);
  return read_array(false, size, [&](std::uint64_t index) -> Result<ByteSpan> {
    if (index >= count) return broken("a chunk that its index has no place for");
    const std::uint64_t in_page = index / page;
    if (is_paged && !has_bit(*map, in_page)) return ByteSpan();
    const auto offset = checked_mul(index, size);
    const auto at = offset ? checked_add(first, *offset) : std::nullopt;
    const auto place = at ? checked_add(*at, is_paged ? in_page * kChecksum : 0) : std::nullopt;
    if (!place) return broken("an index of impossible sizes");
    return file_.at(*place, size);
  });
}

// The first elements of an extensible array stand in its index block; the next ones in data blocks
// that it knows; all others in data blocks of super blocks that it knows. Super block u stands for
// 2^(u/2) data blocks, which become larger the further back they are.
class File::ChunkReader::ExtensibleArray {
 public:
  explicit ExtensibleArray(ChunkReader& reader) : reader_(reader), file_(reader.file_) {}

  Result<void> open(std::uint64_t address);
  std::uint64_t element_size() const { return size_; }
  // The element at an index; empty if no block was made for it.
  Result<ByteSpan> at(std::uint64_t index);

 private:
  struct Pages {
    ByteSpan map;  // a bit for each page that was made
    std::uint64_t first_bit = 0;
  };

  Result<ByteSpan> in_data_block(std::uint64_t address, std::uint64_t index, std::uint64_t count,
                                 Pages pages);
  Result<ByteSpan> in_super_block(std::uint64_t address, std::uint64_t index,
                                  std::uint64_t block_elements, std::uint64_t block_count);
  Result<std::uint64_t> address_at(std::uint64_t place);

  ChunkReader& reader_;
  File& file_;
  std::uint64_t prefix_ = 0;      // bytes of the head of a block
  std::uint64_t size_ = 0;        // bytes of an element
  std::uint64_t place_size_ = 0;  // bytes that tell where a block stands
  std::uint64_t page_ = 0;        // elements of a page
  std::uint64_t in_index_ = 0;    // elements of the index block
  std::uint64_t least_ = 1;       // of the first data blocks
  unsigned direct_supers_ = 0;    // super blocks whose data blocks the index block knows
  // Where the lists of the index block begin. No index block: kNowhere.
  std::uint64_t elements_ = kNowhere;
  std::uint64_t blocks_ = 0;
  std::uint64_t supers_ = 0;
};

Result<void> File::ChunkReader::ExtensibleArray::open(std::uint64_t address) {
  prefix_ = kPrefix + file_.offset_size_;
  auto head = reader_.block(address, prefix_ + 6 + std::uint64_t{6} * file_.length_size_, "EAHD");
  if (!head) return std::unexpected(head.error());
  size_ = head->u8();
  const unsigned most_bits = head->u8();
  in_index_ = head->u8();
  least_ = head->u8();
  const std::uint64_t pointers = head->u8();  // of the first super block that has its own
  const unsigned page_bits = head->u8();
  for (int i = 0; i < 6; ++i) head->length();  // what there is of everything
  const std::uint64_t index_block = head->address();
  if (!std::has_single_bit(least_) || !std::has_single_bit(pointers) || most_bits > 64 ||
      page_bits > 32 || size_ < file_.offset_size_) {
    return broken("an index of impossible sizes");
  }
  if (index_block == kNowhere) return {};
  place_size_ = (most_bits + 7) / 8;
  page_ = std::uint64_t{1} << page_bits;
  direct_supers_ = 2 * static_cast<unsigned>(std::bit_width(pointers) - 1);
  if (auto found = reader_.block(index_block, prefix_, "EAIB"); !found) {
    return std::unexpected(found.error());
  }
  elements_ = index_block + prefix_;
  blocks_ = elements_ + in_index_ * size_;
  supers_ = blocks_ + 2 * (pointers - 1) * file_.offset_size_;
  return {};
}

Result<std::uint64_t> File::ChunkReader::ExtensibleArray::address_at(std::uint64_t place) {
  auto in = file_.reader_at(place, file_.offset_size_);
  if (!in) return std::unexpected(in.error());
  return in->address();
}

Result<ByteSpan> File::ChunkReader::ExtensibleArray::at(std::uint64_t index) {
  if (elements_ == kNowhere) return ByteSpan();
  if (index < in_index_) return file_.at(elements_ + index * size_, size_);
  index -= in_index_;
  const unsigned super = static_cast<unsigned>(std::bit_width(index / least_ + 1)) - 1;
  if (super > 61) return broken("a chunk that its index has no place for");
  const std::uint64_t block_elements = least_ << ((super + 1) / 2);
  const std::uint64_t block_count = std::uint64_t{1} << (super / 2);
  index -= least_ * ((std::uint64_t{1} << super) - 1);
  if (super >= direct_supers_) {
    const auto address =
        address_at(supers_ + std::uint64_t{super - direct_supers_} * file_.offset_size_);
    if (!address) return std::unexpected(address.error());
    return in_super_block(*address, index, block_elements, block_count);
  }
  std::uint64_t block = index / block_elements;
  for (unsigned u = 0; u < super; ++u) block += std::uint64_t{1} << (u / 2);
  const auto address = address_at(blocks_ + block * file_.offset_size_);
  if (!address) return std::unexpected(address.error());
  return in_data_block(*address, index % block_elements, block_elements, {});
}

Result<ByteSpan> File::ChunkReader::ExtensibleArray::in_super_block(std::uint64_t address,
                                                                    std::uint64_t index,
                                                                    std::uint64_t block_elements,
                                                                    std::uint64_t block_count) {
  if (address == kNowhere) return ByteSpan();
  if (auto found = reader_.block(address, prefix_, "EASB"); !found) {
    return std::unexpected(found.error());
  }
  // A bit for each page of each data block, in one row, in more bytes than that takes.
  const std::uint64_t pages = block_elements > page_ ? block_elements / page_ : 0;
  const auto map_size = checked_mul((pages + 7) / 8, block_count);
  if (!map_size) return broken("an index of impossible sizes");
  const std::uint64_t map_at = address + prefix_ + place_size_;
  const auto map = file_.at(map_at, *map_size);
  if (!map) return std::unexpected(map.error());
  const std::uint64_t block = index / block_elements;
  const auto data = address_at(map_at + *map_size + block * file_.offset_size_);
  if (!data) return std::unexpected(data.error());
  return in_data_block(*data, index % block_elements, block_elements, {*map, block * pages});
}

Result<ByteSpan> File::ChunkReader::ExtensibleArray::in_data_block(std::uint64_t address,
                                                                   std::uint64_t index,
                                                                   std::uint64_t count,
                                                                   Pages pages) {
  if (address == kNowhere) return ByteSpan();
  if (auto found = reader_.block(address, prefix_, "EADB"); !found) {
    return std::unexpected(found.error());
  }
  std::uint64_t place = address + prefix_ + place_size_ + index * size_;
  if (count > page_) {
    const std::uint64_t bit = pages.first_bit + index / page_;
    if (bit / 8 >= pages.map.size()) return broken("an index of impossible sizes");
    if (!has_bit(pages.map, bit)) return ByteSpan();
    place += kChecksum + index / page_ * kChecksum;
  }
  return file_.at(place, size_);
}

Result<void> File::ChunkReader::read_extensible() {
  ExtensibleArray array(*this);
  if (auto opened = array.open(dataset_.address); !opened) return opened;
  return read_array(true, array.element_size(),
                    [&](std::uint64_t index) { return array.at(index); });
}

Result<std::vector<Chunk>> File::chunks(const Dataset& dataset) {
  if (dataset.address == kNowhere) return std::vector<Chunk>();
  const auto count = element_count(dataset.chunk);
  const auto whole = count ? checked_mul(*count, dataset.type.size) : std::nullopt;
  if (!whole) return fail(ErrorCode::kOverflow, "chunks that are too large");
  if (dataset.chunk.empty()) return broken("chunks of an impossible rank");
  return ChunkReader(*this, dataset, *whole).read();
}

}  // namespace tare::hdf5
