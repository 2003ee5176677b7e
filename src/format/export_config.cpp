#include "format/export_config.hpp"

#include <array>
#include <set>
#include <utility>

#include "format/json_reader.hpp"
#include "io/utf8.hpp"

namespace tare::format {
namespace {

constexpr const char* kBroken = "invalid list of payloads";
// torch._export.serde.schema.Layout
constexpr std::uint64_t kStrided = 7;

// By torch._export.serde.schema.ScalarType.
constexpr std::array<std::pair<std::uint64_t, DType>, 21> kTypes = {{
    {1, DType::kU8},          {2, DType::kI8},          {3, DType::kI16},     {4, DType::kI32},
    {5, DType::kI64},         {6, DType::kF16},         {7, DType::kF32},     {8, DType::kF64},
    {9, DType::kC32},         {10, DType::kC64},        {11, DType::kC128},   {12, DType::kBool},
    {13, DType::kBF16},       {28, DType::kU16},        {29, DType::kF8E4M3}, {30, DType::kF8E5M2},
    {31, DType::kF8E4M3FNUZ}, {32, DType::kF8E5M2FNUZ}, {33, DType::kF8E8M0}, {34, DType::kU32},
    {35, DType::kU64},
}};

std::optional<DType> type_of(std::uint64_t number) {
  for (const auto& [known, dtype] : kTypes) {
    if (known == number) return dtype;
  }
  return std::nullopt;
}

class ConfigReader {
 public:
  explicit ConfigReader(std::string_view text) : json_(text, 0, texts_) {}

  Result<std::vector<Payload>> read_payloads();
  Result<std::vector<Payload>> read_aoti();

 private:
  bool broken() { return json_.fail_here(ErrorCode::kMalformed, kBroken); }
  // Calls `member` with each key; it reads the value.
  template <typename Member>
  bool read_object(Member member);
  // Calls `item` for each item.
  template <typename Item>
  bool read_array(Item item);

  bool add(Payload payload);
  bool read_payload(std::string_view name);
  bool read_tensor(Payload& payload);
  bool read_aoti_payload(std::string_view name);
  bool read_text(std::string& out);
  bool read_bool(bool& out);
  bool read_size(std::uint64_t& out);
  bool read_sizes(std::vector<std::uint64_t>& out);
  bool read_numbers(std::vector<std::uint64_t>& out);
  Result<std::vector<Payload>> finish(bool done);

  TextArena texts_;
  JsonReader json_;
  std::vector<Payload> payloads_;
  std::set<std::string> names_;
};

template <typename Member>
bool ConfigReader::read_object(Member member) {
  if (!json_.expect('{', kBroken)) return false;
  if (json_.consume('}')) return true;
  do {
    std::string_view key;
    if (!json_.read_string(key) || !json_.expect(':', kBroken) || !member(key)) return false;
  } while (json_.consume(','));
  return json_.expect('}', kBroken);
}

template <typename Item>
bool ConfigReader::read_array(Item item) {
  if (!json_.expect('[', kBroken)) return false;
  if (json_.consume(']')) return true;
  do {
    if (!item()) return false;
  } while (json_.consume(','));
  return json_.expect(']', kBroken);
}

bool ConfigReader::add(Payload payload) {
  if (!names_.insert(payload.name).second) {
    return json_.fail_here(ErrorCode::kRefused, "the list has a name twice");
  }
  payloads_.push_back(std::move(payload));
  return true;
}

bool ConfigReader::read_text(std::string& out) {
  std::string_view text;
  if (!json_.read_string(text)) return false;
  out = text;
  return true;
}

bool ConfigReader::read_bool(bool& out) {
  const char first = json_.peek();
  if (first != 't' && first != 'f') return broken();
  out = first == 't';
  return json_.skip_value(1);
}

// {"as_int": 3}
bool ConfigReader::read_size(std::uint64_t& out) {
  bool found = false;
  const bool read = read_object([&](std::string_view key) {
    if (key != "as_int") return json_.skip_value(1);
    found = true;
    return json_.read_u64(out);
  });
  return read && (found || broken());
}

bool ConfigReader::read_sizes(std::vector<std::uint64_t>& out) {
  out.clear();
  return read_array([&] { return read_size(out.emplace_back()); });
}

bool ConfigReader::read_numbers(std::vector<std::uint64_t>& out) {
  out.clear();
  return read_array([&] { return json_.read_u64(out.emplace_back()); });
}

bool ConfigReader::read_tensor(Payload& payload) {
  if (json_.peek() == 'n') return json_.read_null();
  PayloadView view;
  std::uint64_t type = 0;
  std::uint64_t layout = kStrided;
  const bool read = read_object([&](std::string_view key) {
    if (key == "dtype") return json_.read_u64(type);
    if (key == "layout") return json_.read_u64(layout);
    if (key == "sizes") return read_sizes(view.shape);
    if (key == "strides") return read_sizes(view.strides);
    if (key == "storage_offset") return read_size(view.offset);
    return json_.skip_value(1);
  });
  if (!read) return false;
  view.dtype = type_of(type);
  payload.view = std::move(view);
  if (!payload.view->value().dtype) {
    payload.view = fail(ErrorCode::kUnsupported, "is of a type that this version does not read");
  } else if (layout != kStrided) {
    payload.view = fail(ErrorCode::kUnsupported, "a layout that this version does not read");
  }
  return true;
}

bool ConfigReader::read_payload(std::string_view name) {
  Payload payload{std::string(name), "", false, std::nullopt};
  const bool read = read_object([&](std::string_view key) {
    if (key == "path_name") return read_text(payload.record);
    if (key == "use_pickle") return read_bool(payload.is_pickled);
    if (key == "tensor_meta") return read_tensor(payload);
    return json_.skip_value(1);
  });
  return read && add(std::move(payload));
}

bool ConfigReader::read_aoti_payload(std::string_view name) {
  Payload payload{std::string(name), "", true, std::nullopt};
  PayloadView view;
  const bool read =
      json_.expect('[', kBroken) && read_text(payload.record) && json_.expect(',', kBroken) &&
      read_numbers(view.shape) && json_.expect(',', kBroken) && read_numbers(view.strides) &&
      json_.expect(',', kBroken) && json_.read_u64(view.offset) && json_.expect(']', kBroken);
  payload.view = std::move(view);
  return read && add(std::move(payload));
}

Result<std::vector<Payload>> ConfigReader::finish(bool done) {
  if (!done || (!json_.at_end() && !broken())) return std::unexpected(json_.error());
  return std::move(payloads_);
}

Result<std::vector<Payload>> ConfigReader::read_payloads() {
  return finish(read_object([&](std::string_view key) {
    if (key != "config") return json_.skip_value(1);
    return read_object([&](std::string_view name) { return read_payload(name); });
  }));
}

Result<std::vector<Payload>> ConfigReader::read_aoti() {
  return finish(read_object([&](std::string_view name) { return read_aoti_payload(name); }));
}

}  // namespace

Result<std::vector<Payload>> read_payload_config(ByteSpan text) {
  if (!is_utf8(as_text(text))) return fail(ErrorCode::kMalformed, kBroken);
  return ConfigReader(as_text(text)).read_payloads();
}

Result<std::vector<Payload>> read_aoti_config(ByteSpan text) {
  if (!is_utf8(as_text(text))) return fail(ErrorCode::kMalformed, kBroken);
  return ConfigReader(as_text(text)).read_aoti();
}

}  // namespace tare::format
