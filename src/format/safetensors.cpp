#include "tare/safetensors.hpp"

#include <algorithm>

#include "format/json_reader.hpp"
#include "io/cursor.hpp"
#include "io/utf8.hpp"

namespace tare::safetensors {
namespace {

constexpr std::string_view kMetadataKey = "__metadata__";

// Reads the header's JSON: an object of tensor entries and at most one __metadata__.
class HeaderReader {
 public:
  HeaderReader(std::string_view json, Header& header) : json_(json, 8), header_(header) {}

  Result<void> read();

 private:
  Result<void> read_metadata();
  Result<void> read_tensor(std::string name);
  Result<void> read_field(TensorEntry& entry, bool (&seen)[3]);
  Result<std::vector<std::uint64_t>> read_numbers();
  std::unexpected<Error> malformed(const char* what) const {
    return fail(ErrorCode::kMalformed, what, json_.offset());
  }

  format::JsonReader json_;
  Header& header_;
};

Result<void> HeaderReader::read() {
  if (auto open = json_.expect('{', "invalid header: it is no JSON object"); !open) return open;
  if (!json_.consume('}')) {
    do {
      auto name = json_.read_string();
      if (!name) return std::unexpected(name.error());
      auto colon = json_.expect(':', "invalid JSON in the header: ':' is expected");
      if (!colon) return colon;
      auto entry = *name == kMetadataKey ? read_metadata() : read_tensor(std::move(*name));
      if (!entry) return entry;
    } while (json_.consume(','));
    auto close = json_.expect('}', "invalid JSON in the header: ',' or '}' is expected");
    if (!close) return close;
  }
  if (!json_.at_end()) return malformed("invalid header: bytes behind the JSON object");
  return {};
}

Result<void> HeaderReader::read_metadata() {
  if (header_.has_metadata) return malformed("invalid header: __metadata__ occurs twice");
  header_.has_metadata = true;
  auto open = json_.expect('{', "invalid header: __metadata__ is no object of strings");
  if (!open) return open;
  if (json_.consume('}')) return {};
  do {
    auto key = json_.read_string();
    if (!key) return std::unexpected(key.error());
    auto colon = json_.expect(':', "invalid JSON in the header: ':' is expected");
    if (!colon) return colon;
    auto value = json_.read_string();
    if (!value) return std::unexpected(value.error());
    if (!header_.metadata.emplace(std::move(*key), std::move(*value)).second) {
      return malformed("invalid header: a metadata key occurs twice");
    }
  } while (json_.consume(','));
  return json_.expect('}', "invalid JSON in the header: ',' or '}' is expected");
}

Result<void> HeaderReader::read_tensor(std::string name) {
  TensorEntry entry;
  entry.name = std::move(name);
  bool seen[3] = {};
  auto open = json_.expect('{', "invalid header: a tensor entry is no object");
  if (!open) return open;
  do {
    if (auto field = read_field(entry, seen); !field) return field;
  } while (json_.consume(','));
  auto close = json_.expect('}', "invalid JSON in the header: ',' or '}' is expected");
  if (!close) return close;
  if (!seen[0] || !seen[1] || !seen[2]) {
    return malformed("invalid header: a tensor entry lacks dtype, shape or data_offsets");
  }
  header_.tensors.push_back(std::move(entry));
  return {};
}

Result<void> HeaderReader::read_field(TensorEntry& entry, bool (&seen)[3]) {
  const auto field = json_.read_string();
  if (!field) return std::unexpected(field.error());
  auto colon = json_.expect(':', "invalid JSON in the header: ':' is expected");
  if (!colon) return colon;
  const int index = *field == "dtype"          ? 0
                    : *field == "shape"        ? 1
                    : *field == "data_offsets" ? 2
                                               : -1;
  if (index < 0) return malformed("refused: a tensor entry has an unknown field");
  if (seen[index]) return malformed("invalid header: a field of a tensor entry occurs twice");
  seen[index] = true;
  if (index == 0) {
    const auto text = json_.read_string();
    if (!text) return std::unexpected(text.error());
    const auto dtype = dtype_from_name(*text);
    if (!dtype) return fail(ErrorCode::kUnsupported, "an unknown dtype", json_.offset());
    entry.dtype = *dtype;
    return {};
  }
  auto numbers = read_numbers();
  if (!numbers) return std::unexpected(numbers.error());
  if (index == 1) {
    entry.shape = std::move(*numbers);
    return {};
  }
  if (numbers->size() != 2) return malformed("invalid header: data_offsets are not two numbers");
  entry.begin = (*numbers)[0];
  entry.end = (*numbers)[1];
  return {};
}

Result<std::vector<std::uint64_t>> HeaderReader::read_numbers() {
  std::vector<std::uint64_t> numbers;
  if (auto open = json_.expect('[', "invalid header: a list of numbers is expected"); !open) {
    return std::unexpected(open.error());
  }
  if (json_.consume(']')) return numbers;
  do {
    const auto number = json_.read_u64();
    if (!number) return std::unexpected(number.error());
    numbers.push_back(*number);
  } while (json_.consume(','));
  if (auto close = json_.expect(']', "invalid JSON in the header: ',' or ']' is expected");
      !close) {
    return std::unexpected(close.error());
  }
  return numbers;
}

Result<void> check_unique(const std::vector<TensorEntry>& tensors) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorEntry& entry : tensors) names.push_back(entry.name);
  std::ranges::sort(names);
  if (std::ranges::adjacent_find(names) != names.end()) {
    return fail(ErrorCode::kMalformed,
                "refused: a tensor name occurs twice; readers differ in "
                "which one they take",
                8);
  }
  return {};
}

// The tensors, by position, must tile the data section.
Result<void> check_layout(std::vector<TensorEntry>& tensors, std::uint64_t data_bytes) {
  std::ranges::stable_sort(tensors, [](const TensorEntry& a, const TensorEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t position = 0;
  for (const TensorEntry& entry : tensors) {
    if (entry.begin != position || entry.end < entry.begin) {
      return fail(ErrorCode::kMalformed,
                  "invalid offsets: the tensors do not follow each other "
                  "without holes or overlap",
                  8);
    }
    const auto count = element_count(entry.shape);
    if (!count) return std::unexpected(count.error());
    const auto bytes = packed_bytes(entry.dtype, *count);
    if (!bytes) return std::unexpected(bytes.error());
    if (*bytes != entry.end - entry.begin) {
      return fail(ErrorCode::kMalformed, "a tensor's offsets do not fit its dtype and shape", 8);
    }
    position = entry.end;
  }
  if (position > data_bytes) {
    return fail(ErrorCode::kTruncated,
                "the file is shorter than its header says: an incomplete "
                "download?",
                data_bytes);
  }
  if (position < data_bytes) {
    return fail(ErrorCode::kMalformed, "there are bytes behind the last tensor", position);
  }
  return {};
}

}  // namespace

Result<Header> parse(ByteSpan file) {
  Cursor cursor(file);
  const auto length = cursor.read<std::uint64_t>();
  if (!length) return fail(ErrorCode::kTruncated, "too short for a safetensors header", 0);
  if (*length > kMaxHeaderBytes) {
    return fail(ErrorCode::kLimit, "not a safetensors file, or its header is above 100 MB", 0);
  }
  const auto json = cursor.take(*length);
  if (!json) {
    return fail(ErrorCode::kTruncated, "the file ends inside its header: an incomplete download?",
                file.size());
  }
  Header header;
  header.json = as_text(*json);
  header.data_offset = cursor.offset();
  if (!is_utf8(header.json)) return fail(ErrorCode::kMalformed, "the header is not UTF-8", 8);
  if (!header.json.starts_with('{')) {
    return fail(ErrorCode::kMalformed, "the header does not begin with '{'", 8);
  }
  if (auto read = HeaderReader(header.json, header).read(); !read) {
    return std::unexpected(read.error());
  }
  if (auto unique = check_unique(header.tensors); !unique) return std::unexpected(unique.error());
  if (auto layout = check_layout(header.tensors, cursor.remaining()); !layout) {
    return std::unexpected(layout.error());
  }
  return header;
}

}  // namespace tare::safetensors
