#include "archive/zip_writer.hpp"

#include <zlib.h>

#include <algorithm>

#include "io/byte_buffer.hpp"

namespace tare::zip {
namespace {

constexpr std::uint16_t kFlagUtf8 = 0x0800;
constexpr std::uint16_t kFlagDescriptor = 0x0008;

std::uint32_t clamp32(std::uint64_t value) {
  return value >= UINT32_MAX ? UINT32_MAX : static_cast<std::uint32_t>(value);
}

// The writer imitated here sets bit 3 only on records that have content.
std::uint16_t flags_of(std::uint64_t size) {
  return size > 0 ? kFlagUtf8 | kFlagDescriptor : kFlagUtf8;
}

}  // namespace

Result<void> Writer::write(ByteSpan bytes) {
  written_ += bytes.size();
  return sink_(bytes);
}

Result<void> Writer::begin(std::string_view name, std::uint64_t size) {
  if (name.size() > UINT16_MAX) return fail(ErrorCode::kInvalidArgument, "a record name too long");
  if (left_ != 0) return fail(ErrorCode::kInvalidArgument, "the record before is incomplete");
  Record record{std::string(name), size, written_, 0};

  ByteBuffer extra;
  if (size >= UINT32_MAX || record.offset >= UINT32_MAX) {
    ByteBuffer zip64;
    if (size >= UINT32_MAX) zip64.u64(size).u64(0);
    if (record.offset >= UINT32_MAX) zip64.u64(record.offset);
    extra.u16(0x0001).u16(static_cast<std::uint16_t>(zip64.size())).bytes(zip64.view());
  }
  const std::uint64_t unpadded = record.offset + 30 + name.size() + extra.size() + 4;
  const std::uint64_t padding = (alignment_ - unpadded % alignment_) % alignment_;
  extra.text("FB").u16(static_cast<std::uint16_t>(padding)).fill(padding, std::byte{'Z'});

  ByteBuffer header;
  header.u32(0x04034b50).u16(0).u16(flags_of(size)).u16(0).u32(0);
  // A record of 4 GiB or more points to its zip64 field from the size alone.
  header.u32(0).u32(0).u32(size >= UINT32_MAX ? UINT32_MAX : 0);
  header.u16(static_cast<std::uint16_t>(name.size()));
  header.u16(static_cast<std::uint16_t>(extra.size())).text(name).bytes(extra.view());
  records_.push_back(std::move(record));
  left_ = size;
  return write(header.view());
}

Result<void> Writer::append(ByteSpan bytes) {
  if (bytes.size() > left_) {
    return fail(ErrorCode::kInvalidArgument, "more bytes than the record was declared to have");
  }
  left_ -= bytes.size();
  auto& crc = records_.back().crc32;
  crc = static_cast<std::uint32_t>(
      ::crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  return write(bytes);
}

Result<void> Writer::end() {
  if (left_ != 0) {
    return fail(ErrorCode::kInvalidArgument, "fewer bytes than the record was declared to have");
  }
  const Record& record = records_.back();
  if (record.size == 0) return {};
  ByteBuffer descriptor;
  descriptor.u32(0x08074b50).u32(record.crc32);
  if (record.size >= UINT32_MAX || record.offset >= UINT32_MAX) {
    descriptor.u64(record.size).u64(record.size);
  } else {
    descriptor.u32(clamp32(record.size)).u32(clamp32(record.size));
  }
  return write(descriptor.view());
}

Result<void> Writer::add(std::string_view name, ByteSpan content) {
  if (auto begun = begin(name, content.size()); !begun) return begun;
  if (auto appended = append(content); !appended) return appended;
  return end();
}

Result<void> Writer::finish() {
  const std::uint64_t directory = written_;
  for (const Record& record : records_) {
    ByteBuffer extra;
    if (record.size >= UINT32_MAX || record.offset >= UINT32_MAX) {
      ByteBuffer zip64;
      if (record.size >= UINT32_MAX) zip64.u64(record.size).u64(record.size);
      if (record.offset >= UINT32_MAX) zip64.u64(record.offset);
      extra.u16(0x0001).u16(static_cast<std::uint16_t>(zip64.size())).bytes(zip64.view());
    }
    ByteBuffer header;
    header.u32(0x02014b50).u16(0).u16(0).u16(flags_of(record.size)).u16(0).u32(0);
    header.u32(record.crc32).u32(clamp32(record.size)).u32(clamp32(record.size));
    header.u16(static_cast<std::uint16_t>(record.name.size()));
    header.u16(static_cast<std::uint16_t>(extra.size())).u16(0).u16(0).u16(0).u32(0);
    header.u32(clamp32(record.offset)).text(record.name).bytes(extra.view());
    if (auto written = write(header.view()); !written) return written;
  }
  const std::uint64_t end = written_;
  ByteBuffer tail;
  tail.u32(0x06064b50).u64(44).u16(0x031E).u16(45).u32(0).u32(0);
  tail.u64(records_.size()).u64(records_.size()).u64(end - directory).u64(directory);
  tail.u32(0x07064b50).u32(0).u64(end).u32(1);
  const auto count =
      static_cast<std::uint16_t>(std::min<std::uint64_t>(records_.size(), UINT16_MAX));
  tail.u32(0x06054b50).u16(0).u16(0).u16(count).u16(count);
  tail.u32(clamp32(end - directory)).u32(clamp32(directory)).u16(0);
  return write(tail.view());
}

}  // namespace tare::zip
