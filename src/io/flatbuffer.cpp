#include "io/flatbuffer.hpp"

namespace tare {
namespace {

constexpr std::uint64_t kMaxTables = 1'000'000;
// A shared vector may be read this often for each byte of the file.
constexpr std::uint64_t kMaxGrowth = 4;
constexpr std::uint64_t kLeastBytes = 65'536;
constexpr std::uint16_t kVtableHead = 4;  // its own size, and that of the table

}  // namespace

FlatBuffer::FlatBuffer(ByteSpan bytes)
    : bytes_(bytes),
      tables_left_(kMaxTables),
      bytes_left_(kLeastBytes + kMaxGrowth * bytes.size()) {}

void FlatBuffer::fail(std::uint64_t offset, const char* what, ErrorCode code) {
  if (failed_) return;
  failed_ = true;
  error_ = Error{code, 0, offset, what};
}

// Offsets point forward, and never to the begin of the file.
std::optional<std::uint64_t> FlatBuffer::follow(std::uint64_t offset) {
  const auto distance = read<std::uint32_t>(offset);
  if (!distance) return std::nullopt;
  if (*distance == 0 || *distance > INT32_MAX || *distance >= bytes_.size() - offset) {
    fail(offset, "an offset points behind the file");
    return std::nullopt;
  }
  return offset + *distance;
}

FlatTable FlatBuffer::root() {
  const auto place = follow(0);
  return place ? table_at(*place) : FlatTable();
}

FlatTable FlatBuffer::table_at(std::uint64_t offset) {
  if (tables_left_ == 0) {
    fail(offset, "more than a million tables", ErrorCode::kLimit);
    return {};
  }
  --tables_left_;
  const auto distance = read<std::int32_t>(offset);
  if (!distance) return {};
  // The vtable may stand on either side.
  const auto vtable = static_cast<std::int64_t>(offset) - *distance;
  if (vtable < 0) {
    fail(offset, "a table without a vtable");
    return {};
  }
  const auto place = static_cast<std::uint64_t>(vtable);
  const auto slots_end = read<std::uint16_t>(place);
  const auto size = read<std::uint16_t>(place + 2);
  if (!slots_end || !size) return {};
  if (*slots_end < kVtableHead || *slots_end % 2 != 0 || *slots_end > bytes_.size() - place ||
      *size < 4 || *size > bytes_.size() - offset) {
    fail(place, "a table or its vtable ends behind the file");
    return {};
  }
  return {this, offset, place, *slots_end, *size};
}

std::optional<FlatVector> FlatBuffer::vector_at(std::uint64_t offset, unsigned element_bytes) {
  const auto place = follow(offset);
  const auto count = place ? read<std::uint32_t>(*place) : std::nullopt;
  if (!count) return std::nullopt;
  const std::uint64_t size = std::uint64_t{*count} * element_bytes;
  if (size > bytes_.size() - *place - 4) {
    fail(*place, "a vector ends behind the file");
    return std::nullopt;
  }
  if (size > bytes_left_) {
    fail(*place, "the same bytes are used for many vectors", ErrorCode::kLimit);
    return std::nullopt;
  }
  bytes_left_ -= size;
  return FlatVector{*place + 4, *count};
}

std::uint64_t FlatTable::place_of(unsigned slot, unsigned bytes) const {
  const unsigned entry = kVtableHead + 2 * slot;
  if (buffer_ == nullptr || entry + 2 > slots_end_) return 0;
  const auto distance = buffer_->read<std::uint16_t>(vtable_ + entry);
  if (!distance || *distance == 0) return 0;
  if (*distance < 4 || *distance > size_ || bytes > static_cast<unsigned>(size_ - *distance)) {
    buffer_->fail(vtable_ + entry, "a field lies outside of its table");
    return 0;
  }
  return offset_ + *distance;
}

FlatTable FlatTable::table(unsigned slot) const {
  const std::uint64_t place = place_of(slot, 4);
  const auto found = place == 0 ? std::nullopt : buffer_->follow(place);
  return found ? buffer_->table_at(*found) : FlatTable();
}

FlatVector FlatTable::numbers(unsigned slot, unsigned element_bytes) const {
  const std::uint64_t place = place_of(slot, 4);
  if (place == 0) return {};
  return buffer_->vector_at(place, element_bytes).value_or(FlatVector{});
}

ByteSpan FlatTable::bytes(unsigned slot) const {
  const FlatVector vector = numbers(slot, 1);
  return vector.count == 0 ? ByteSpan() : buffer_->bytes_.subspan(vector.offset, vector.count);
}

std::string_view FlatTable::text(unsigned slot) const {
  return as_text(bytes(slot));
}

FlatTable FlatTable::table_of(const FlatVector& vector, std::uint64_t index) const {
  const auto place = buffer_->follow(vector.offset + 4 * index);
  return place ? buffer_->table_at(*place) : FlatTable();
}

}  // namespace tare
