#include "format/hdf5_file.hpp"

#include <algorithm>
#include <bit>

#include "format/hdf5_reader.hpp"
#include "io/checked.hpp"

namespace tare::hdf5 {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n"sv;
constexpr std::size_t kMaxRank = 32;

// Messages of an object header.
enum Message : std::uint16_t {
  kSpaceMessage = 0x01,
  kLinkInfo = 0x02,
  kTypeMessage = 0x03,
  kFillOld = 0x04,
  kFill = 0x05,
  kLinkMessage = 0x06,
  kExternalFiles = 0x07,
  kLayout = 0x08,
  kFilters = 0x0B,
  kAttribute = 0x0C,
  kContinuation = 0x10,
  kSymbolTable = 0x11,
  kAttributeInfo = 0x15,
};

std::uint64_t padded(std::uint64_t size, bool pad) {
  return pad ? (size + 7) / 8 * 8 : size;
}

}  // namespace

std::optional<std::uint64_t> find_signature(ByteSpan bytes) {
  for (std::uint64_t at = 0; at < bytes.size(); at = at == 0 ? 512 : 2 * at) {
    if (as_text(bytes.subspan(at)).starts_with(kSignature)) return at;
  }
  return std::nullopt;
}

// ---- blocks

Result<void> File::charge(std::uint64_t bytes) {
  // A block without bytes costs something as well.
  const std::uint64_t cost = std::max<std::uint64_t>(bytes, 16);
  if (cost > budget_) {
    return fail(ErrorCode::kLimit, "the file refers to more than tare is willing to read");
  }
  budget_ -= cost;
  return {};
}

Result<ByteSpan> File::at(std::uint64_t address, std::uint64_t size) {
  if (address > bytes_.size() || size > bytes_.size() - address) {
    return fail(ErrorCode::kTruncated, "the file refers to bytes behind its end",
                address > UINT64_MAX - base_ ? address : base_ + address);
  }
  return bytes_.subspan(address, size);
}

Result<File::Reader> File::reader_at(std::uint64_t address, std::uint64_t size) {
  if (auto paid = charge(size); !paid) return std::unexpected(paid.error());
  const auto block = at(address, size);
  if (!block) return std::unexpected(block.error());
  return Reader(*block, offset_size_, length_size_);
}

Result<File::Reader> File::signed_block(std::uint64_t address, std::uint64_t size,
                                        std::string_view signature) {
  auto in = reader_at(address, size);
  if (in && as_text(in->take(signature.size())) != signature) {
    return fail(ErrorCode::kMalformed, "a block of another kind than the file says",
                base_ + address);
  }
  return in;
}

// ---- the superblock

Result<File> File::open(ByteSpan bytes) {
  const auto start = find_signature(bytes);
  if (!start) return fail(ErrorCode::kWrongFormat, "no HDF5 file");
  File file;
  file.base_ = *start;
  file.bytes_ = bytes.subspan(*start);
  constexpr std::uint64_t kAtLeast = std::uint64_t{1} << 20;
  file.budget_ = checked_mul(bytes.size(), 16).value_or(UINT64_MAX - kAtLeast);
  file.budget_ = std::max(file.budget_, kAtLeast);
  Reader sizes(file.bytes_, 8, 8);
  sizes.skip(kSignature.size());
  const std::uint8_t version = sizes.u8();
  if (version > 3) return fail(ErrorCode::kUnsupported, "a superblock of a later version", *start);
  if (version < 2) sizes.skip(4);
  file.offset_size_ = sizes.u8();
  file.length_size_ = sizes.u8();
  const auto is_size = [](std::uint8_t size) { return size == 2 || size == 4 || size == 8; };
  if (!is_size(file.offset_size_) || !is_size(file.length_size_)) {
    return fail(ErrorCode::kUnsupported, "addresses of an odd size", *start);
  }
  Reader in(file.bytes_, file.offset_size_, file.length_size_);
  in.skip(version < 2 ? 24 : 12);
  if (version == 1) in.skip(4);
  // The signature stands at the base, or the file was moved behind other bytes as a whole.
  const std::uint64_t base = in.address();
  in.address();  // free space, or the extension of the superblock
  const std::uint64_t end = in.address();
  if (version < 2) {
    in.address();  // of the driver information
    in.address();  // the name of the root
  }
  file.root_ = in.address();
  if (!in.good()) return fail(ErrorCode::kTruncated, "the superblock is cut off", *start);
  if (end < base) return fail(ErrorCode::kMalformed, "a file that ends before it begins", *start);
  const auto whole = checked_add(end - base, *start);
  if (!whole || *whole > bytes.size()) {
    Error error{ErrorCode::kTruncated, 0, bytes.size(), "the file is cut off"};
    error.expected = whole.value_or(UINT64_MAX);
    error.actual = bytes.size();
    return std::unexpected(error);
  }
  file.end_ = *whole;
  return file;
}

// ---- object headers

Result<Object> File::object(std::uint64_t address) {
  Object object;
  if (auto read = read_messages(address, object, false); !read) {
    return std::unexpected(read.error());
  }
  return object;
}

Result<void> File::read_messages(std::uint64_t address, Object& object, bool type_only) {
  struct Block {
    std::uint64_t address;
    std::uint64_t size;
  };
  std::vector<Block> blocks;
  std::set<std::uint64_t> seen;
  // The prefix: its version says where the messages begin.
  constexpr std::uint64_t kPrefix = 64;
  const std::uint64_t left = bytes_.size() - std::min<std::uint64_t>(address, bytes_.size());
  const auto prefix = at(address, std::min(left, kPrefix));
  if (!prefix) return std::unexpected(prefix.error());
  Reader in(*prefix, offset_size_, length_size_);
  const bool second = as_text(*prefix).starts_with("OHDR");
  std::uint8_t flags = 0;
  if (second) {
    in.skip(4);
    if (in.u8() != 2) return fail(ErrorCode::kUnsupported, "an object header of another version");
    flags = in.u8();
    if ((flags & 0x20) != 0) in.skip(16);
    if ((flags & 0x10) != 0) in.skip(4);
    const std::uint64_t size = in.sized(1U << (flags & 3));
    blocks.push_back({address + (prefix->size() - in.remaining()), size});
  } else {
    if (in.u8() != 1)
      return fail(ErrorCode::kMalformed, "no object header where one should be", address);
    in.skip(7);
    blocks.push_back({address + 16, in.u32()});
  }
  if (!in.good()) return broken("an object header is cut off");
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (!seen.insert(blocks[i].address).second) return broken("an object header refers to itself");
    auto block = reader_at(blocks[i].address, blocks[i].size);
    if (!block) return std::unexpected(block.error());
    Reader messages = *block;
    if (second && i > 0) {
      if (as_text(messages.take(4)) != "OCHK") return broken("no continuation where one should be");
    }
    const std::uint64_t checksum = second && i > 0 ? 4 : 0;
    const std::uint64_t head = second ? ((flags & 4) != 0 ? 6 : 4) : 8;
    while (messages.remaining() >= head + checksum) {
      const std::uint16_t type = second ? messages.u8() : messages.u16();
      const std::uint16_t size = messages.u16();
      const std::uint8_t message_flags = messages.u8();
      messages.skip(second ? head - 4 : 3);
      const ByteSpan data = messages.take(size);
      if (!messages.good()) return broken("a message of an object header is cut off");
      if (type == kContinuation) {
        Reader next(data, offset_size_, length_size_);
        const std::uint64_t where = next.address();
        blocks.push_back({where, next.length()});
        if (!next.good()) return broken("a continuation is cut off");
      } else if (!type_only || type == kTypeMessage) {
        if (auto read = read_message(type, message_flags, data, object); !read) return read;
      }
    }
  }
  return {};
}

Result<void> File::read_message(std::uint16_t type, std::uint8_t flags, ByteSpan data,
                                Object& object) {
  const bool shared = (flags & 2) != 0;
  if (shared && type != kTypeMessage) {
    const bool matters = type == kSpaceMessage || type == kFilters || type == kFill ||
                         type == kAttribute || type == kFillOld;
    if (!matters) return {};
    return fail(ErrorCode::kUnsupported, "a message that is shared between objects");
  }
  Dataset& dataset = object.dataset;
  Reader in(data, offset_size_, length_size_);
  switch (type) {
    case kSpaceMessage: {
      auto space = read_space(data, length_size_);
      if (!space) return broken("a dataspace that cannot be read");
      dataset.shape = std::move(space->shape);
      dataset.most = std::move(space->most);
      dataset.is_null = space->is_null;
      return {};
    }
    case kTypeMessage: {
      if (shared) {
        auto found = shared_type(data);
        if (!found) return std::unexpected(found.error());
        dataset.type = *found;
        return {};
      }
      const auto read = read_type(data);
      if (!read) return broken("a datatype that cannot be read");
      dataset.type = *read;
      return {};
    }
    case kFillOld:
      if (const std::uint32_t size = in.u32(); dataset.fill.empty()) dataset.fill = in.take(size);
      return {};
    case kFill: {
      const std::uint8_t version = in.u8();
      const std::uint8_t how = in.u8();
      bool defined = (how & 0x20) != 0;
      if (version < 3) {
        in.skip(1);
        defined = in.u8() != 0 || version == 1;
      }
      if (!defined) return {};
      const std::uint32_t size = in.u32();
      dataset.fill = in.take(size);
      return in.good() ? Result<void>() : broken("a fill value is cut off");
    }
    case kLayout:
      object.is_dataset = true;
      return read_layout(data, dataset);
    case kFilters:
      return read_filters(data, dataset);
    case kExternalFiles:
      return read_external(data, dataset);
    case kAttribute:
      return read_attribute(data, object);
    case kLinkMessage:
      object.is_group = true;
      return read_link(data, object);
    case kSymbolTable:
      object.is_group = true;
      return read_symbol_table(data, object);
    case kLinkInfo:
    case kAttributeInfo: {
      const bool links = type == kLinkInfo;
      object.is_group = object.is_group || links;
      in.skip(1);
      const std::uint8_t what = in.u8();
      if ((what & 1) != 0) in.skip(links ? 8 : 2);
      const std::uint64_t heap = in.address();
      const std::uint64_t index = in.address();
      if (!in.good()) return broken("a message of an object header is cut off");
      return heap == kNowhere ? Result<void>() : read_dense(heap, index, links, object);
    }
    default:
      return {};
  }
}

// A datatype that is an object of its own.
Result<Datatype> File::shared_type(ByteSpan reference) {
  Reader in(reference, offset_size_, length_size_);
  const std::uint8_t version = in.u8();
  const std::uint8_t kind = in.u8();
  if (version == 1) in.skip(6);
  if (version == 3 && kind != 2) {
    return fail(ErrorCode::kUnsupported, "a datatype in the heap of shared messages");
  }
  const std::uint64_t address = in.address();
  if (!in.good() || version < 1 || version > 3) return broken("a shared message is cut off");
  // The object has a datatype that is not shared, or the reader would go on for ever.
  Object committed;
  auto header = at(address, 0);
  if (!header) return std::unexpected(header.error());
  if (sharing_) return broken("a shared datatype refers to a shared one");
  sharing_ = true;
  auto read = read_messages(address, committed, true);
  sharing_ = false;
  if (!read) return std::unexpected(read.error());
  return committed.dataset.type;
}

std::optional<Datatype> read_type(ByteSpan data) {
  Cursor in(data);
  const auto head = in.read<std::uint32_t>();
  const auto size = in.read<std::uint32_t>();
  if (!head || !size) return std::nullopt;
  Datatype type;
  if ((*head & 0xF) > static_cast<std::uint32_t>(TypeClass::kComplex)) return std::nullopt;
  type.type = static_cast<TypeClass>(*head & 0xF);
  type.version = static_cast<std::uint8_t>(*head >> 4 & 0xF);
  type.bits = *head >> 8;
  type.size = *size;
  type.properties = data.subspan(in.offset());
  return type;
}

std::optional<Space> read_space(ByteSpan data, std::uint8_t length_size) {
  Cursor in(data);
  const auto version = in.read<std::uint8_t>();
  const auto rank = in.read<std::uint8_t>();
  const auto flags = in.read<std::uint8_t>();
  const auto kind = in.read<std::uint8_t>();  // reserved in version 1
  if (!version || !rank || !flags || !kind || *rank > kMaxRank) return std::nullopt;
  if (*version < 1 || *version > 2) return std::nullopt;
  if (*version == 1 && !in.take(4)) return std::nullopt;
  Space space;
  space.is_null = *version == 2 && *kind == 2;
  const auto read_axes = [&](Shape& axes) {
    for (unsigned i = 0; i < *rank; ++i) {
      const auto bytes = in.take(length_size);
      if (!bytes) return false;
      std::uint64_t length = 0;
      std::memcpy(&length, bytes->data(), bytes->size());
      const bool all_set = length_size < 8 && length == (std::uint64_t{1} << 8 * length_size) - 1;
      axes.push_back(all_set ? kUnlimited : length);
    }
    return true;
  };
  if (!read_axes(space.shape)) return std::nullopt;
  space.most = space.shape;
  if ((*flags & 1) != 0) {
    space.most.clear();
    if (!read_axes(space.most)) return std::nullopt;
  }
  return space;
}

Result<void> File::read_attribute(ByteSpan data, Object& object) {
  Reader in(data, offset_size_, length_size_);
  const std::uint8_t version = in.u8();
  const std::uint8_t flags = in.u8();
  const std::uint16_t name_size = in.u16();
  const std::uint16_t type_size = in.u16();
  const std::uint16_t space_size = in.u16();
  if (version < 1 || version > 3) {
    return fail(ErrorCode::kUnsupported, "an attribute of another version");
  }
  if (version == 3) in.skip(1);
  const bool pad = version == 1;
  const std::string_view name = as_text(in.take(padded(name_size, pad)));
  const ByteSpan type_data = in.take(padded(type_size, pad));
  const ByteSpan space_data = in.take(padded(space_size, pad));
  if (!in.good()) return broken("an attribute is cut off");
  Attribute attribute;
  attribute.name = name.substr(0, name.find('\0'));
  if (version > 1 && (flags & 2) != 0) {
    return fail(ErrorCode::kUnsupported, "an attribute with a shared dataspace");
  }
  if (version > 1 && (flags & 1) != 0) {
    auto type = shared_type(type_data);
    if (!type) return std::unexpected(type.error());
    attribute.type = *type;
  } else if (const auto type = read_type(type_data)) {
    attribute.type = *type;
  } else {
    return broken("an attribute with a datatype that cannot be read");
  }
  auto space = read_space(space_data, length_size_);
  if (!space) return broken("an attribute with a dataspace that cannot be read");
  attribute.shape = std::move(space->shape);
  attribute.is_null = space->is_null;
  const auto count = element_count(attribute.shape);
  const auto size = count ? checked_mul(*count, attribute.type.size) : std::nullopt;
  if (!size || (!attribute.is_null && *size > in.remaining())) {
    return broken("an attribute that is larger than its bytes");
  }
  attribute.data = in.take(attribute.is_null ? 0 : *size);
  object.attributes.push_back(std::move(attribute));
  return {};
}

// ---- datasets

Result<void> File::read_layout(ByteSpan data, Dataset& dataset) {
  Reader in(data, offset_size_, length_size_);
  const std::uint8_t version = in.u8();
  constexpr LayoutKind kKinds[] = {LayoutKind::kCompact, LayoutKind::kContiguous,
                                   LayoutKind::kChunked, LayoutKind::kVirtual};
  const std::uint8_t rank = version < 3 ? in.u8() : std::uint8_t{0};
  const std::uint8_t kind = in.u8();
  if (version < 1 || version > 5 || kind > 3 || (kind == 3 && version < 4)) {
    return fail(ErrorCode::kUnsupported, "a layout of a kind that tare does not read");
  }
  dataset.layout = kKinds[kind];
  if (dataset.layout == LayoutKind::kVirtual) return {};
  if (version > 3 && kind == 2) return read_layout4(in, dataset);
  if (version < 3) in.skip(5);
  if (kind == 0) {
    if (version < 3) in.skip(std::uint64_t{4} * rank);
    dataset.compact = in.take(version < 3 ? in.u32() : in.u16());
  } else if (kind == 1) {
    dataset.address = in.address();
  } else {
    std::uint8_t axes = rank;
    if (version == 3) axes = in.u8();
    dataset.address = in.address();
    if (axes < 1 || axes > kMaxRank + 1) return broken("chunks of an impossible rank");
    for (unsigned i = 0; i + 1 < axes; ++i) dataset.chunk.push_back(in.u32());
    in.u32();  // the size of an element
  }
  return in.good() ? Result<void>() : broken("a layout is cut off");
}

Result<void> File::read_layout4(Reader& in, Dataset& dataset) {
  const std::uint8_t flags = in.u8();
  const std::uint8_t axes = in.u8();
  const std::uint8_t width = in.u8();
  if (axes < 1 || axes > kMaxRank + 1 || width < 1 || width > 8) {
    return broken("chunks of an impossible rank");
  }
  for (unsigned i = 0; i < axes; ++i) {
    const std::uint64_t length = in.sized(width);
    if (i + 1U < axes) dataset.chunk.push_back(length);
  }
  dataset.plain_edges = (flags & 1) != 0;
  const std::uint8_t index = in.u8();
  if (index < 1 || index > 5) {
    return fail(ErrorCode::kUnsupported, "an index of chunks that tare does not read");
  }
  dataset.index = static_cast<ChunkIndex>(index);
  if (dataset.index == ChunkIndex::kSingle && (flags & 2) != 0) {
    dataset.single_size = in.length();
    dataset.single_skipped = in.u32();
  } else if (dataset.index == ChunkIndex::kFixed) {
    dataset.page_bits = in.u8();
  } else if (dataset.index == ChunkIndex::kExtensible) {
    in.skip(5);  // stands in its header as well
  } else if (dataset.index == ChunkIndex::kTree2) {
    in.skip(6);
  }
  dataset.address = in.address();
  return in.good() ? Result<void>() : broken("a layout is cut off");
}

Result<void> File::read_filters(ByteSpan data, Dataset& dataset) {
  Reader in(data, offset_size_, length_size_);
  const std::uint8_t version = in.u8();
  const std::uint8_t count = in.u8();
  if (version < 1 || version > 2) return broken("a filter pipeline of another version");
  if (version == 1) in.skip(6);
  for (unsigned i = 0; i < count && in.good(); ++i) {
    Filter filter;
    filter.id = in.u16();
    const bool named = version == 1 || filter.id >= 256;
    const std::uint16_t name = named ? in.u16() : std::uint16_t{0};
    in.skip(2);
    const std::uint16_t values = in.u16();
    in.skip(padded(name, version == 1));
    for (unsigned v = 0; v < values && in.good(); ++v) filter.values.push_back(in.u32());
    if (version == 1 && values % 2 != 0) in.skip(4);
    dataset.filters.push_back(std::move(filter));
  }
  return in.good() ? Result<void>() : broken("a filter pipeline is cut off");
}

Result<void> File::read_external(ByteSpan data, Dataset& dataset) {
  Reader in(data, offset_size_, length_size_);
  in.skip(4);
  in.u16();
  const std::uint16_t used = in.u16();
  const auto names = local_heap(in.address());
  // The names are for people: that there are any is what matters.
  if (used == 0 || !names) dataset.external.emplace_back("?");
  for (unsigned i = 0; i < used && in.good() && names; ++i) {
    const std::uint64_t offset = in.length();
    in.length();
    in.length();
    const std::string_view all = as_text(*names);
    const std::string_view name = offset < all.size() ? all.substr(offset) : "?"sv;
    dataset.external.push_back(name.substr(0, name.find('\0')));
  }
  return in.good() ? Result<void>() : broken("a list of external files is cut off");
}

// ---- types of tensors

namespace {

bool is_whole(const Datatype& type) {
  Cursor in(type.properties);
  const auto offset = in.read<std::uint16_t>();
  const auto precision = in.read<std::uint16_t>();
  return offset && precision && *offset == 0 && *precision == 8 * type.size;
}

std::optional<DType> integer_type(const Datatype& type) {
  if (!is_whole(type)) return std::nullopt;
  const bool is_signed = (type.bits & 8) != 0;
  switch (type.size) {
    case 1:
      return is_signed ? DType::kI8 : DType::kU8;
    case 2:
      return is_signed ? DType::kI16 : DType::kU16;
    case 4:
      return is_signed ? DType::kI32 : DType::kU32;
    case 8:
      return is_signed ? DType::kI64 : DType::kU64;
    default:
      return std::nullopt;
  }
}

std::optional<DType> float_type(const Datatype& type) {
  struct Kind {
    std::uint32_t size;
    std::uint8_t exponent, exponent_bits, mantissa_bits;
    std::uint32_t bias;
    DType dtype;
  };
  constexpr Kind kKinds[] = {{2, 10, 5, 10, 15, DType::kF16},
                             {2, 7, 8, 7, 127, DType::kBF16},
                             {4, 23, 8, 23, 127, DType::kF32},
                             {8, 52, 11, 52, 1023, DType::kF64}};
  Cursor in(type.properties);
  in.take(4);
  const auto exponent = in.read<std::uint8_t>();
  const auto exponent_bits = in.read<std::uint8_t>();
  const auto mantissa = in.read<std::uint8_t>();
  const auto mantissa_bits = in.read<std::uint8_t>();
  const auto bias = in.read<std::uint32_t>();
  // Bit 6 is the order of the VAX.
  if (!bias || !is_whole(type) || *mantissa != 0 || (type.bits & 0x40) != 0) return std::nullopt;
  for (const Kind& kind : kKinds) {
    if (kind.size == type.size && kind.exponent == *exponent &&
        kind.exponent_bits == *exponent_bits && kind.mantissa_bits == *mantissa_bits &&
        kind.bias == *bias) {
      return kind.dtype;
    }
  }
  return std::nullopt;
}

// h5py writes bool as an enumeration of FALSE and TRUE; other enumerations are their integers.
std::optional<DType> enum_type(const Datatype& type) {
  constexpr std::size_t kBase = 12;  // bytes of an integer type
  if (type.properties.size() < kBase) return std::nullopt;
  const auto base = read_type(type.properties);
  if (!base || base->type != TypeClass::kInteger || base->size != type.size) return std::nullopt;
  const std::string_view members = as_text(type.properties.subspan(kBase));
  const bool is_bool = base->size == 1 && (type.bits & 0xFFFF) == 2 &&
                       (members.starts_with("FALSE\0TRUE\0\0\1"sv) ||
                        members.starts_with("FALSE\0\0\0TRUE\0\0\0\0\0\1"sv));
  return is_bool ? DType::kBool : integer_type(*base);
}

}  // namespace

std::optional<DType> tensor_type(const Datatype& type) {
  switch (type.type) {
    case TypeClass::kInteger:
      return integer_type(type);
    case TypeClass::kFloat:
      return float_type(type);
    case TypeClass::kEnum:
      return enum_type(type);
    default:
      return std::nullopt;
  }
}

}  // namespace tare::hdf5
