#include "io/protobuf.hpp"

#include <cstring>

namespace tare {
namespace {

constexpr unsigned kEndGroup = 4;
constexpr unsigned kMaxVarintBytes = 10;

}  // namespace

std::optional<WireField> ProtobufReader::stop(ErrorCode code, const char* what) {
  failed_ = true;
  error_ = Error{code, 0, base_ + at_, what};
  return std::nullopt;
}

std::optional<std::uint64_t> ProtobufReader::varint() {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < kMaxVarintBytes; ++i) {
    if (at_ + i == bytes_.size()) {
      stop(ErrorCode::kTruncated, "a message ends inside of a number");
      return std::nullopt;
    }
    const auto byte = std::to_integer<std::uint64_t>(bytes_[at_ + i]);
    value |= (byte & 0x7F) << (7 * i);
    if ((byte & 0x80) == 0) {
      at_ += i + 1;
      return value;
    }
  }
  stop(ErrorCode::kMalformed, "a number of more than 10 bytes");
  return std::nullopt;
}

std::optional<WireField> ProtobufReader::next() {
  if (failed_ || at_ == bytes_.size()) return std::nullopt;
  WireField field;
  field.offset = base_ + at_;
  if (!read_tag(field) || !read_value(field)) return std::nullopt;
  return field;
}

bool ProtobufReader::read_tag(WireField& field) {
  const auto tag = varint();
  if (!tag) return false;
  field.number = static_cast<std::uint32_t>(*tag >> 3);
  const auto type = static_cast<unsigned>(*tag & 7);
  if (*tag > UINT32_MAX || field.number == 0 || type > 5) {
    stop(ErrorCode::kMalformed, "a field with an invalid number or type");
    return false;
  }
  if (type == kEndGroup) {
    stop(ErrorCode::kMalformed, "the end of a group that has no begin");
    return false;
  }
  field.type = static_cast<WireType>(type);
  return true;
}

bool ProtobufReader::read_value(WireField& field) {
  const auto cut = [this] {
    stop(ErrorCode::kTruncated, "a field is longer than what holds it");
    return false;
  };
  if (field.type == WireType::kGroup) return skip_group(field.number);
  field.content = base_ + at_;
  if (field.type == WireType::kVarint || field.type == WireType::kBytes) {
    const auto value = varint();
    if (!value) return false;
    field.value = *value;
    if (field.type == WireType::kVarint) return true;
    if (*value > bytes_.size() - at_) return cut();
    field.content = base_ + at_;
    field.bytes = bytes_.subspan(at_, *value);
    at_ += *value;
    return true;
  }
  const std::size_t size = field.type == WireType::kFixed64 ? 8 : 4;
  if (size > bytes_.size() - at_) return cut();
  std::memcpy(&field.value, bytes_.data() + at_, size);
  at_ += size;
  return true;
}

bool ProtobufReader::skip_group(std::uint32_t number) {
  std::vector<std::uint32_t> open{number};
  while (!open.empty()) {
    const auto tag = varint();
    if (!tag) return false;
    const auto inner = static_cast<std::uint32_t>(*tag >> 3);
    const auto type = static_cast<unsigned>(*tag & 7);
    const bool is_end = type == kEndGroup;
    if (*tag > UINT32_MAX || inner == 0 || type > 5 || (is_end && inner != open.back())) {
      stop(ErrorCode::kMalformed, "a field with an invalid number or type in a group");
      return false;
    }
    if (is_end) {
      open.pop_back();
    } else if (type == static_cast<unsigned>(WireType::kGroup)) {
      if (open.size() == kMaxMessageDepth) {
        stop(ErrorCode::kLimit, "groups stand in groups more than 100 deep");
        return false;
      }
      open.push_back(inner);
    } else {
      WireField skipped;
      skipped.type = static_cast<WireType>(type);
      if (!read_value(skipped)) return false;
    }
  }
  return true;
}

}  // namespace tare
