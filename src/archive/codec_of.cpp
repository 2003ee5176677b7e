// What kind of compressed stream some bytes begin with (docs/formats/compression.md).
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>

#include "archive/stream_decoder.hpp"
#include "io/cursor.hpp"

namespace tare {
namespace {

using namespace std::string_view_literals;

constexpr std::uint32_t kLz4Magic = 0x184D2204;
constexpr std::uint32_t kZstdMagic = 0xFD2FB528;
constexpr std::uint32_t kSkippableMagic = 0x184D2A50;  // the lowest four bits are free
// Nobody writes more of them in front of the first frame.
constexpr int kMaxSkippable = 1024;

bool starts_with(ByteSpan bytes, std::string_view prefix) {
  return as_text(bytes).starts_with(prefix);
}

bool is_skippable(std::optional<std::uint32_t> magic) {
  return magic && (*magic & 0xFFFFFFF0) == kSkippableMagic;
}

bool is_bzip2(ByteSpan bytes) {
  if (bytes.size() < 10 || !starts_with(bytes, "BZh")) return false;
  const std::string_view text = as_text(bytes);
  const std::string_view block = text.substr(4, 6);
  return text[3] >= '1' && text[3] <= '9' &&
         (block == "\x31\x41\x59\x26\x53\x59"sv || block == "\x17\x72\x45\x38\x50\x90"sv);
}

// There is no magic number: the properties that every encoder takes by default, a dictionary and a
// size such as liblzma takes for real, and the zero that the coded data begins with.
bool is_lzma(ByteSpan bytes) {
  Cursor cursor(bytes);
  if (cursor.read<std::uint8_t>() != 0x5D) return false;
  const auto dictionary = cursor.read<std::uint32_t>();
  const auto size = cursor.read<std::uint64_t>();
  if (!size || cursor.read<std::uint8_t>() != 0) return false;
  // 2^n, or 2^n + 2^(n-1).
  const std::uint32_t ones = static_cast<std::uint32_t>(std::popcount(*dictionary));
  const bool doubled = ones == 2 && (*dictionary & (*dictionary << 1)) != 0;
  return (ones == 1 || doubled) && (*dictionary & 0xFF) == 0 &&
         (*size == UINT64_MAX || *size < (std::uint64_t{1} << 38));
}

// The first frame that is not to be skipped tells lz4 from zstd.
std::optional<Codec> codec_of_frames(ByteSpan bytes) {
  Cursor cursor(bytes);
  for (int i = 0; i < kMaxSkippable; ++i) {
    const auto magic = cursor.read<std::uint32_t>();
    if (magic == kLz4Magic) return Codec::kLz4;
    if (magic == kZstdMagic) return Codec::kZstd;
    if (!is_skippable(magic)) return std::nullopt;
    const auto length = cursor.read<std::uint32_t>();
    if (!length || !cursor.take(*length)) return std::nullopt;
  }
  return std::nullopt;
}

// True unless inflating fails: "x^" may begin a text as well.
bool inflates(ByteSpan bytes) {
  std::array<std::byte, 4096> out;
  const auto decoder = make_zlib_decoder();
  return decoder->begin(bytes) && !decoder->step(bytes, out).error;
}

}  // namespace

bool is_frame_of(Codec codec, ByteSpan bytes) {
  const auto magic = Cursor(bytes).read<std::uint32_t>();
  return magic == (codec == Codec::kLz4 ? kLz4Magic : kZstdMagic) || is_skippable(magic);
}

bool is_zlib(ByteSpan bytes) {
  Cursor cursor(bytes);
  if (cursor.read<char>() != 'x') return false;
  const auto flags = cursor.read<std::uint8_t>();
  if (flags != 0x01 && flags != 0x5E && flags != 0x9C && flags != 0xDA) return false;
  const auto block = cursor.read<std::uint8_t>();
  return block && (*block >> 1 & 3) != 3;
}

std::optional<JoblibZHeader> joblib_z_header(ByteSpan bytes) {
  constexpr std::size_t kTextBytes = 19;  // of "0x10000000000000000"
  Cursor cursor(bytes);
  const auto mark = cursor.take(2);
  const auto field = cursor.take(kTextBytes);
  if (!field || as_text(*mark) != "ZF") return std::nullopt;
  std::string_view text = as_text(*field);
  if (!text.starts_with("0x")) return std::nullopt;
  text.remove_prefix(2);
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  JoblibZHeader header{0, 2 + kTextBytes};
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [last, problem] = std::from_chars(begin, end, header.content_size, 16);
  if (problem != std::errc{} || last != end) return std::nullopt;
  if (cursor.read<char>() == ' ') ++header.length;
  return is_zlib(bytes.subspan(header.length)) ? std::optional(header) : std::nullopt;
}

std::optional<Codec> codec_of(ByteSpan front) {
  if (starts_with(front, "\x1F\x8B\x08"sv)) return Codec::kGzip;
  if (starts_with(front,
                  "\xFD"
                  "7zXZ\0"sv)) {
    return Codec::kXz;
  }
  if (is_bzip2(front)) return Codec::kBzip2;
  if (is_lzma(front)) return Codec::kLzma;
  if (joblib_z_header(front)) return Codec::kJoblibZ;
  if (is_zlib(front) && (front[1] != std::byte{0x5E} || inflates(front))) return Codec::kZlib;
  return codec_of_frames(front);
}

}  // namespace tare
