#include "tare/safetensors.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "format/format.hpp"
#include "format/json_reader.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"
#include "io/utf8.hpp"

namespace tare::safetensors {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::string_view kMetadataKey = "__metadata__";
// A strict file has no more metadata keys than this: each takes memory to find the second of its
// name. Real ones have a handful.
constexpr std::size_t kMaxStrictKeys = std::size_t{1} << 20;

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  // Without randomness the index still works; a hostile header could make it slow.
  if (::getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) seed = 0x9E3779B97F4A7C15;
  return seed;
}

// Multiplies 64 by 64 bits and folds the halves: every bit of both decides about every bit.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Keyed, because whoever writes a header chooses the names.
std::uint64_t hash_of(std::string_view text, std::uint64_t seed) {
  std::uint64_t hash = seed ^ mix(text.size() ^ 0x8BB84B93962EACC9, 0x2D358DCCAA6C78A5);
  while (text.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), 8);
    hash = mix(hash ^ word, seed ^ 0xD6E8FEB86659FD93);
    text.remove_prefix(8);
  }
  std::uint64_t word = 0;
  if (!text.empty()) std::memcpy(&word, text.data(), text.size());
  return mix(hash ^ word, seed ^ 0xA0761D6478BD642F);
}

// For short texts, where a call would take longer.
bool equals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

// A hash table of numbers by text, open addressing: 32 bits of the hash beside 32 of the number.
// The texts stay where they are: `text_of` gives that of a number.
class TextIndex {
 public:
  static constexpr std::uint64_t kFree = UINT64_MAX;

  TextIndex(detail::PodVector<std::uint64_t>& slots, std::size_t count) : slots_(slots) {
    slots_.truncate(0);
    slots_.grow_to(std::bit_ceil(2 * count + 1), kFree);
  }
  void prefetch(std::uint64_t hash) const {
    __builtin_prefetch(&slots_[place_of(slots_, hash)], 1);
  }
  // Enters `number` unless a number with the same text is there: returns that one then.
  template <typename TextOf>
  std::optional<std::uint32_t> insert(std::string_view text, std::uint64_t hash,
                                      std::uint32_t number, const TextOf& text_of) {
    const std::size_t place = find(slots_, text, hash, text_of);
    if (slots_[place] != kFree) return static_cast<std::uint32_t>(slots_[place]);
    slots_[place] = hash >> 32 << 32 | number;
    return std::nullopt;
  }
  // The slot of a text, or the free one where it belongs.
  template <typename TextOf>
  static std::size_t find(const detail::PodVector<std::uint64_t>& slots, std::string_view text,
                          std::uint64_t hash, const TextOf& text_of) {
    std::size_t place = place_of(slots, hash);
    for (;; place = (place + 1) & (slots.size() - 1)) {
      const std::uint64_t slot = slots[place];
      if (slot == kFree) return place;
      if (slot >> 32 == hash >> 32 && text_of(static_cast<std::uint32_t>(slot)) == text) {
        return place;
      }
    }
  }

 private:
  static std::size_t place_of(const detail::PodVector<std::uint64_t>& slots, std::uint64_t hash) {
    return hash & (slots.size() - 1);
  }

  detail::PodVector<std::uint64_t>& slots_;
};

}  // namespace

struct Header::Storage {
  format::TextArena texts;
  // Shapes stand one behind the other in blocks; that at `shape` is being read.
  std::vector<std::unique_ptr<std::uint64_t[]>> blocks;
  std::uint64_t* shape = nullptr;
  std::uint64_t* next_size = nullptr;
  std::uint64_t* block_end = nullptr;

  void begin_shape() { next_size = shape; }
  void add_size(std::uint64_t size) {
    if (next_size == block_end) [[unlikely]]
      add_block();
    *next_size++ = size;
  }
  std::span<const std::uint64_t> end_shape() {
    const std::span<const std::uint64_t> whole(shape, next_size);
    shape = next_size;
    return whole;
  }

 private:
  // With what there is of the shape at its front.
  [[gnu::noinline]] void add_block() {
    constexpr std::size_t kBlock = 8192;
    const std::span begun(shape, next_size);
    const std::size_t size = std::max(2 * begun.size(), kBlock);
    blocks.push_back(std::make_unique_for_overwrite<std::uint64_t[]>(size));
    std::ranges::copy(begun, blocks.back().get());
    shape = blocks.back().get();
    next_size = shape + begun.size();
    block_end = shape + size;
  }
};

// Reads the header's JSON: an object of tensor entries and at most one __metadata__.
class HeaderReader {
 public:
  HeaderReader(std::string_view json, Rules rules)
      : header_(json),
        storage_(std::make_shared<Header::Storage>()),
        json_(json, kLengthBytes, storage_->texts),
        strict_(rules == Rules::kStrict) {}

  // Everything but where the data ends.
  Result<Header> read();

  // The strings of a metadata object that was read before.
  static Metadata metadata(std::string_view object);

 private:
  enum Field : unsigned { kDType = 1, kShape = 2, kOffsets = 4, kAllFields = 7 };

  bool malformed(const char* what) { return json_.fail_here(ErrorCode::kMalformed, what); }
  // What the reference accepts, and readers could read differently.
  bool allowed(const char* rule) {
    return strict_ ? json_.fail_here(ErrorCode::kRefused, rule) : true;
  }
  bool colon() { return json_.expect(':', "invalid JSON: ':' is expected"); }

  bool read_object();
  bool read_metadata();
  bool read_tensor(std::string_view name);
  bool read_usual_form(TensorEntry& entry);
  bool take_dtype(TensorEntry& entry);
  bool take_sizes();
  bool read_fields(TensorEntry& entry);
  bool read_array_form(TensorEntry& entry);
  bool read_dtype(TensorEntry& entry);
  bool read_shape(TensorEntry& entry);
  bool read_offsets(TensorEntry& entry);
  bool note_dtype(std::string_view name, TensorEntry& entry);
  bool index_names();
  bool sort_tensors();
  bool check_layout();

  // Where the name of an entry stands in the file, as far as it stands there as it is.
  std::uint64_t place_of(const TensorEntry& entry) const {
    const char* const begin = header_.json_.data();
    const bool inside =
        entry.name.data() >= begin && entry.name.data() < begin + header_.json_.size();
    return kLengthBytes + (inside ? static_cast<std::uint64_t>(entry.name.data() - begin) : 0);
  }
  bool fail_at(const TensorEntry& entry, ErrorCode code, const char* what) {
    error_ = Error{code, 0, place_of(entry), what};
    return false;
  }

  Header header_;
  std::shared_ptr<Header::Storage> storage_;
  format::JsonReader json_;
  bool strict_;
  bool seen_metadata_ = false;
  DType last_dtype_ = DType::kF32;  // most tensors have that of the one before
  Error error_{};
};

Result<Header> HeaderReader::read() {
  if (!read_object()) return std::unexpected(json_.error());
  header_.seed_ = random_seed();
  if (!index_names() || !sort_tensors() || !check_layout()) return std::unexpected(error_);
  header_.storage_ = std::move(storage_);
  return std::move(header_);
}

bool HeaderReader::read_object() {
  if (!header_.json_.starts_with('{') && json_.peek() == '{' &&
      !allowed("strict: white space in front of the header's '{'")) {
    return false;
  }
  if (!json_.expect('{', "invalid header: it is no JSON object")) return false;
  if (!json_.consume('}')) {
    do {
      std::string_view name;
      if (!json_.read_string(name)) return false;
      const bool is_metadata = name == kMetadataKey;
      if (is_metadata && json_.was_escaped() &&
          !allowed("strict: the key __metadata__ is written with escapes")) {
        return false;
      }
      if (!colon() || !(is_metadata ? read_metadata() : read_tensor(name))) return false;
    } while (json_.consume(','));
    if (!json_.expect('}', "invalid JSON: ',' or '}' is expected")) return false;
  }
  return json_.at_end() || malformed("invalid header: bytes behind the JSON object");
}

bool HeaderReader::read_metadata() {
  if (seen_metadata_) return malformed("invalid header: __metadata__ occurs twice");
  seen_metadata_ = true;
  if (json_.peek() == 'n') {
    return allowed("strict: __metadata__ is null") && json_.read_null();
  }
  const std::uint64_t start = json_.offset();
  if (!json_.expect('{', "invalid header: __metadata__ is no object of strings")) return false;
  detail::PodVector<std::string_view> keys;
  if (!json_.consume('}')) {
    do {
      std::string_view key;
      std::string_view value;
      if (!json_.read_string(key) || !colon() || !json_.read_string(value)) return false;
      if (!strict_) continue;
      if (keys.size() == kMaxStrictKeys) {
        return json_.fail_here(ErrorCode::kLimit, "strict: more than 1,048,576 metadata keys");
      }
      keys.push_back(key);
    } while (json_.consume(','));
    if (!json_.expect('}', "invalid JSON: ',' or '}' is expected")) return false;
  }
  header_.metadata_json_ = header_.json_.substr(start - kLengthBytes, json_.offset() - start);
  detail::PodVector<std::uint64_t> slots;
  TextIndex index(slots, keys.size());
  const std::uint64_t seed = random_seed();
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    const auto text_of = [&keys](std::uint32_t number) { return keys[number]; };
    if (index.insert(keys[i], hash_of(keys[i], seed), i, text_of)) {
      return allowed("strict: a metadata key occurs twice");
    }
  }
  return true;
}

bool HeaderReader::read_tensor(std::string_view name) {
  TensorEntry entry;
  entry.name = name;
  if (!read_usual_form(entry)) {
    const bool read = json_.peek() == '[' ? read_array_form(entry) : read_fields(entry);
    if (!read) return false;
  }
  header_.tensors_.push_back(entry);
  return true;
}

// An entry byte for byte as writers write it, which takes half the time. Any other is left where it
// was, errors as well.
bool HeaderReader::read_usual_form(TensorEntry& entry) {
  const char* const start = json_.place();
  if (json_.take("{\"dtype\":\"") && take_dtype(entry) && json_.take(",\"shape\":[") &&
      take_sizes() && json_.take("],\"data_offsets\":[") && json_.take_u64(entry.begin) &&
      json_.take(",") && json_.take_u64(entry.end) && json_.take("]}")) {
    entry.shape = storage_->end_shape();
    return true;
  }
  json_.go_to(start);
  return false;
}

bool HeaderReader::take_dtype(TensorEntry& entry) {
  std::string_view name;
  if (!json_.take_to_quote(name)) return false;
  if (!equals(name, dtype_name(last_dtype_))) {
    const auto dtype = dtype_from_name(name);
    if (!dtype) return false;
    last_dtype_ = *dtype;
  }
  entry.dtype = last_dtype_;
  return true;
}

bool HeaderReader::take_sizes() {
  storage_->begin_shape();
  do {
    std::uint64_t size = 0;
    if (!json_.take_u64(size)) return false;
    storage_->add_size(size);
  } while (json_.take(","));
  return true;
}

bool HeaderReader::read_fields(TensorEntry& entry) {
  if (!json_.expect('{', "invalid header: a tensor entry is no object")) return false;
  unsigned seen = 0;
  if (!json_.consume('}')) {
    do {
      std::string_view name;
      if (!json_.read_string(name) || !colon()) return false;
      const unsigned field = name == "dtype"          ? kDType
                             : name == "shape"        ? kShape
                             : name == "data_offsets" ? kOffsets
                                                      : 0U;
      if ((seen & field) != 0) {
        return malformed("invalid header: a field of a tensor entry occurs twice");
      }
      seen |= field;
      bool read = false;
      switch (field) {
        case kDType:
          read = read_dtype(entry);
          break;
        case kShape:
          read = read_shape(entry);
          break;
        case kOffsets:
          read = read_offsets(entry);
          break;
        default:
          read = allowed("strict: a tensor entry has an unknown field") && json_.skip_value(2);
          break;
      }
      if (!read) return false;
    } while (json_.consume(','));
    if (!json_.expect('}', "invalid JSON: ',' or '}' is expected")) return false;
  }
  return seen == kAllFields ||
         malformed("invalid header: a tensor entry lacks dtype, shape or data_offsets");
}

// The reference takes ["F32",[1],[0,4]] as well.
bool HeaderReader::read_array_form(TensorEntry& entry) {
  const auto comma = [this] {
    return json_.expect(',', "invalid header: a tensor entry lacks dtype, shape or data_offsets");
  };
  return allowed("strict: a tensor entry is an array") &&
         json_.expect('[', "invalid header: a tensor entry is no object") && read_dtype(entry) &&
         comma() && read_shape(entry) && comma() && read_offsets(entry) &&
         json_.expect(']', "invalid header: a tensor entry has more than three values");
}

bool HeaderReader::read_dtype(TensorEntry& entry) {
  std::string_view name;
  if (json_.peek() != '{') return json_.read_string(name) && note_dtype(name, entry);
  // The reference takes {"F32":null} as well.
  return allowed("strict: a dtype is an object") && json_.consume('{') && json_.read_string(name) &&
         note_dtype(name, entry) && colon() && json_.read_null() &&
         json_.expect('}', "invalid header: a dtype of more than one name");
}

bool HeaderReader::note_dtype(std::string_view name, TensorEntry& entry) {
  const auto dtype = dtype_from_name(name);
  if (!dtype) return json_.fail_here(ErrorCode::kUnsupported, "an unknown dtype");
  entry.dtype = *dtype;
  return true;
}

bool HeaderReader::read_shape(TensorEntry& entry) {
  if (!json_.expect('[', "invalid header: a shape is no list of numbers")) return false;
  storage_->begin_shape();
  if (!json_.consume(']')) {
    do {
      std::uint64_t size = 0;
      if (!json_.read_u64(size)) return false;
      storage_->add_size(size);
    } while (json_.consume(','));
    if (!json_.expect(']', "invalid JSON: ',' or ']' is expected")) return false;
  }
  entry.shape = storage_->end_shape();
  return true;
}

bool HeaderReader::read_offsets(TensorEntry& entry) {
  constexpr const char* kNotTwo = "invalid header: data_offsets are not two numbers";
  return json_.expect('[', kNotTwo) && json_.read_u64(entry.begin) && json_.expect(',', kNotTwo) &&
         json_.read_u64(entry.end) && json_.expect(']', kNotTwo);
}

// Makes the index of names. Of a name that occurs twice, the reference takes the last.
bool HeaderReader::index_names() {
  constexpr std::size_t kAhead = 8;  // hashes in front, so that the memory of their slots is there
  auto& tensors = header_.tensors_;
  TextIndex index(header_.index_, tensors.size());
  const auto hash_at = [&](std::size_t i) { return hash_of(tensors[i].name, header_.seed_); };
  const auto text_of = [&tensors](std::uint32_t number) { return tensors[number].name; };
  std::array<std::uint64_t, kAhead> hashes{};
  for (std::size_t i = 0; i < std::min(kAhead, tensors.size()); ++i) hashes[i] = hash_at(i);
  std::uint32_t kept = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::uint64_t hash = hashes[i % kAhead];
    if (i + kAhead < tensors.size()) {
      hashes[i % kAhead] = hash_at(i + kAhead);
      index.prefetch(hashes[i % kAhead]);
    }
    const auto earlier = index.insert(tensors[i].name, hash, kept, text_of);
    if (!earlier) {
      if (kept != i) tensors[kept] = tensors[i];
      ++kept;
      continue;
    }
    if (strict_) {
      return fail_at(tensors[i], ErrorCode::kRefused,
                     "strict: a tensor name occurs twice; readers differ in which one they take");
    }
    tensors[*earlier] = tensors[i];
  }
  tensors.truncate(kept);
  return true;
}

// Brings the tensors into the order of their positions, and the index with them.
bool HeaderReader::sort_tensors() {
  auto& tensors = header_.tensors_;
  const auto position = [](const TensorEntry& entry) { return std::pair(entry.begin, entry.end); };
  if (std::ranges::is_sorted(header_.tensors(), {}, position)) return true;
  // No stable sort: that takes half as much memory again.
  std::sort(tensors.data(), tensors.data() + tensors.size(),
            [&](const TensorEntry& a, const TensorEntry& b) {
              return position(a) != position(b) ? position(a) < position(b) : a.name < b.name;
            });
  return index_names();
}

// The tensors, by position, must tile the data section from 0 on.
bool HeaderReader::check_layout() {
  std::uint64_t position = 0;
  for (const TensorEntry& entry : header_.tensors()) {
    if (entry.begin != position || entry.end < entry.begin) {
      return fail_at(
          entry, ErrorCode::kMalformed,
          "invalid offsets: the tensors do not follow each other without holes or overlap");
    }
    const auto count = element_count(entry.shape);
    const auto bytes = count ? packed_bytes(entry.dtype, *count) : count;
    if (!bytes) return fail_at(entry, bytes.error().code, bytes.error().what);
    if (*bytes != entry.end - entry.begin) {
      return fail_at(entry, ErrorCode::kMalformed,
                     "a tensor's offsets do not fit its dtype and shape");
    }
    position = entry.end;
  }
  return true;
}

Metadata HeaderReader::metadata(std::string_view object) {
  format::TextArena texts;
  format::JsonReader json(object, 0, texts);
  Metadata metadata;
  if (!json.consume('{') || json.consume('}')) return metadata;
  do {
    std::string_view key;
    std::string_view value;
    if (!json.read_string(key) || !json.consume(':') || !json.read_string(value)) break;
    metadata.insert_or_assign(std::string(key), std::string(value));
  } while (json.consume(','));
  return metadata;
}

namespace {

// What the file really is, if that is the better answer than why it is no safetensors file.
Error diagnosed(const Error& error, ByteSpan front) {
  // Its length in front may look like the signature of something else.
  if (format::kSafetensors.recognises(front)) return error;
  const char* const content = foreign_content(front);
  if (*content == '\0') return error;
  return Error{ErrorCode::kWrongFormat, 0, Error::kNoOffset, content};
}

Error cut_off(std::uint64_t expected, std::uint64_t actual, const char* what) {
  return Error{ErrorCode::kTruncated, 0, actual, what, expected, actual};
}

}  // namespace

Metadata Header::metadata() const {
  return HeaderReader::metadata(metadata_json_);
}

const TensorEntry* Header::find(std::string_view name) const {
  const std::size_t place =
      TextIndex::find(index_, name, hash_of(name, seed_),
                      [this](std::uint32_t number) { return tensors_[number].name; });
  const std::uint64_t slot = index_[place];
  return slot == TextIndex::kFree ? nullptr : &tensors_[static_cast<std::uint32_t>(slot)];
}

Result<std::uint64_t> front_bytes(std::uint64_t first_word) {
  if (first_word > kMaxHeaderBytes) {
    return fail(ErrorCode::kLimit, "not a safetensors file, or its header is above 100 MB", 0);
  }
  return kLengthBytes + first_word;
}

Result<Header> parse_front(ByteSpan front, std::uint64_t file_bytes, Rules rules) {
  const auto length = Cursor(front).read<std::uint64_t>();
  if (!length) {
    const char* what = "too short for a safetensors header";
    return std::unexpected(diagnosed(cut_off(kLengthBytes, file_bytes, what), front));
  }
  const auto wanted = front_bytes(*length);
  if (!wanted) return std::unexpected(diagnosed(wanted.error(), front));
  if (*wanted > file_bytes || *wanted > front.size()) {
    const char* what = "the file ends inside its header: an incomplete download?";
    return std::unexpected(diagnosed(cut_off(*wanted, file_bytes, what), front));
  }
  const std::string_view json = as_text(front.subspan(kLengthBytes, *length));
  if (!is_utf8(json)) {
    return std::unexpected(
        diagnosed(Error{ErrorCode::kMalformed, 0, kLengthBytes, "the header is not UTF-8"}, front));
  }
  auto header = HeaderReader(json, rules).read();
  if (!header) return std::unexpected(diagnosed(header.error(), front));
  if (!checked_add(header->data_offset(), header->data_bytes())) {
    return fail(ErrorCode::kOverflow, "the tensors together are too large for a file");
  }
  if (header->file_bytes() > file_bytes) {
    return std::unexpected(
        cut_off(header->file_bytes(), file_bytes,
                "the file is shorter than its header says: an incomplete download?"));
  }
  if (header->file_bytes() < file_bytes) {
    return fail(ErrorCode::kMalformed, "there are bytes behind the last tensor",
                header->file_bytes());
  }
  return header;
}

TensorView view_of(const TensorEntry& entry, ByteSpan data) {
  const Shape shape(entry.shape.begin(), entry.shape.end());
  return {entry.dtype, shape, row_major_strides(shape), 0,
          data.subspan(entry.begin, entry.byte_count())};
}

Result<Header> parse(ByteSpan file, Rules rules) {
  return parse_front(file, file.size(), rules);
}

}  // namespace tare::safetensors
