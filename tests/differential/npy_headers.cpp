// Reads .npy files from standard input, each with its length in front (u64, little-endian), and
// says in one line what tare makes of the header of each: "no" and the kind of error, or where the
// data begins, its length, the order, the shape and the type.
#include <cstdio>
#include <string>
#include <vector>

#include "format/npy_header.hpp"

namespace {

using namespace tare;

bool read_exactly(void* place, std::size_t count) {
  return std::fread(place, 1, count, stdin) == count;
}

std::string hex_of(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string text_of(const Shape& shape) {
  std::string out = "(";
  for (const std::uint64_t length : shape) out += std::to_string(length) + ",";
  return out + ")";
}

std::string text_of(const NumpyDType& type) {
  const std::string size = std::to_string(type.item_size);
  if (!type.base.empty()) return "[" + text_of(type.base[0]) + text_of(type.shape) + "]";
  if (!type.fields.empty()) {
    std::string out = "{";
    for (const auto& field : type.fields) {
      out += hex_of(field.name) + "=" + (field.title ? hex_of(*field.title) : "-") + "@" +
             std::to_string(field.offset) + ":" + text_of(field.type) + ",";
    }
    return out + "}" + size;
  }
  const char order = type.order == NumpyDType::Order::kNone  ? '|'
                     : type.order == NumpyDType::Order::kBig ? '>'
                                                             : '<';
  return std::string{order, type.kind} + size + "/" + type.unit;
}

}  // namespace

int main() {
  std::uint64_t length = 0;
  while (read_exactly(&length, sizeof length)) {
    std::vector<std::byte> file(length);
    if (!read_exactly(file.data(), length)) return 2;
    const auto header = format::parse_npy_header(file);
    if (!header) {
      std::printf("no %s: %s\n", error_code_name(header.error().code), header.error().what);
      continue;
    }
    const auto tensor = to_tensor_dtype(header->dtype);
    std::printf("%llu %llu %c %s %s %d %s\n", static_cast<unsigned long long>(header->data_offset),
                static_cast<unsigned long long>(header->data_bytes),
                header->fortran_order ? 'F' : 'C', text_of(header->shape).c_str(),
                text_of(header->dtype).c_str(), header->dtype.has_objects ? 1 : 0,
                tensor ? std::string(dtype_name(*tensor)).c_str() : "-");
  }
  return 0;
}
