#include "archive/snappy.hpp"

#include <algorithm>

#include "io/cursor.hpp"

namespace tare {
namespace {

std::unexpected<Error> cut(const Cursor& in) {
  return fail(ErrorCode::kTruncated, "a block of snappy is cut off", in.offset());
}

std::optional<std::uint64_t> little_number(Cursor& in, unsigned width) {
  const auto digits = in.take(width);
  if (!digits) return std::nullopt;
  std::uint64_t value = 0;
  for (unsigned i = 0; i < width; ++i) {
    value |= std::to_integer<std::uint64_t>((*digits)[i]) << (8 * i);
  }
  return value;
}

// The size that the content has.
std::optional<std::uint64_t> size_of(Cursor& in) {
  std::uint64_t size = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    const auto byte = in.read<std::uint8_t>();
    if (!byte) return std::nullopt;
    size |= (*byte & 0x7FULL) << shift;
    if (*byte < 0x80) return size;
  }
  return std::nullopt;
}

struct Copy {
  std::uint64_t length;
  std::uint64_t distance;
};

std::optional<Copy> copy_of(Cursor& in, std::uint64_t tag) {
  if ((tag & 3) == 1) {
    const auto low = in.read<std::uint8_t>();
    if (!low) return std::nullopt;
    return Copy{(tag >> 2 & 7U) + 4, (tag >> 5U) << 8U | *low};
  }
  const auto distance = little_number(in, (tag & 3) == 2 ? 2 : 4);
  if (!distance) return std::nullopt;
  return Copy{(tag >> 2U) + 1, *distance};
}

}  // namespace

Result<std::vector<std::byte>> decode_snappy(ByteSpan block, std::uint64_t most) {
  Cursor in(block);
  const auto size = size_of(in);
  if (!size) return cut(in);
  if (*size > most) return fail(ErrorCode::kLimit, "a block of snappy grows too large");
  std::vector<std::byte> out;
  while (!in.at_end()) {
    const std::uint8_t tag = *in.read<std::uint8_t>();
    if ((tag & 3) == 0) {
      std::uint64_t length = tag >> 2U;
      if (length >= 60) {
        const auto longer = little_number(in, static_cast<unsigned>(length) - 59);
        if (!longer) return cut(in);
        length = *longer;
      }
      const auto bytes = in.take(length + 1);
      if (!bytes) return cut(in);
      if (bytes->size() > *size - out.size()) break;
      out.insert(out.end(), bytes->begin(), bytes->end());
      continue;
    }
    const auto copy = copy_of(in, tag);
    if (!copy) return cut(in);
    if (copy->distance == 0 || copy->distance > out.size() || copy->length > *size - out.size()) {
      return fail(ErrorCode::kMalformed, "a block of snappy refers to what is not there",
                  in.offset());
    }
    // A copy may overlap what it makes.
    for (std::uint64_t i = 0; i < copy->length; ++i) {
      out.push_back(out[out.size() - copy->distance]);
    }
  }
  if (out.size() != *size || !in.at_end()) {
    return fail(ErrorCode::kMalformed, "a block of snappy is not as long as it says");
  }
  return out;
}

}  // namespace tare
