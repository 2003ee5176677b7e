// Compressed streams: made by the libraries, and what stands around deflate by hand.
#pragma once

#include <zlib.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef TARE_HAS_BZIP2
#include <bzlib.h>
#endif
#ifdef TARE_HAS_LZMA
#include <lzma.h>
#endif
#ifdef TARE_HAS_LZ4
#include <lz4frame.h>
#endif
#ifdef TARE_HAS_ZSTD
#include <zstd.h>
#endif

#include "archive/decoder.hpp"
#include "support/zip_builder.hpp"

namespace tare::test {

inline std::uint32_t adler_of(std::string_view content) {
  return static_cast<std::uint32_t>(
      ::adler32_z(1, reinterpret_cast<const Bytef*>(content.data()), content.size()));
}

inline std::string zlib_stream(std::string_view content) {
  const std::string sum = u32(adler_of(content));
  return "\x78\x9C" + deflate(content) + std::string(sum.rbegin(), sum.rend());
}

// A gzip member. What is not set is told as it is.
struct GzipMember {
  std::string content;
  unsigned flags = 0;
  std::string fields = {};  // what the flags announce, between the fixed header and the data
  std::optional<std::uint32_t> crc = {};
  std::optional<std::uint32_t> size = {};

  std::string build() const {
    return "\x1F\x8B\x08" + u8(flags) + u32(0) + u8(0) + u8(3) + fields + deflate(content) +
           u32(crc.value_or(crc_of(content))) + u32(size.value_or(content.size()));
  }
};

inline std::string gzip_member(std::string_view content) {
  return GzipMember{std::string(content)}.build();
}

// What joblib's write_zfile() makes: the size as `text` has it.
inline std::string joblib_z(std::string_view content, std::string text) {
  text.resize(19, ' ');
  return "ZF" + text + zlib_stream(content);
}

inline std::string joblib_z(std::string_view content) {
  char text[20];
  std::snprintf(text, sizeof text, "0x%zx", content.size());
  return joblib_z(content, text);
}

// A frame that lz4 and zstd pass over.
inline std::string skippable_frame(std::string_view content) {
  return "\x5A\x2A\x4D\x18" + u32(content.size()) + std::string(content);
}

inline std::string bzip2_stream([[maybe_unused]] std::string_view content) {
  std::string out(content.size() + content.size() / 50 + 700, '\0');
#ifdef TARE_HAS_BZIP2
  auto size = static_cast<unsigned>(out.size());
  std::string input(content);
  if (::BZ2_bzBuffToBuffCompress(out.data(), &size, input.data(),
                                 static_cast<unsigned>(input.size()), 1, 0, 0) != BZ_OK) {
    throw std::runtime_error("bzip2 failed");
  }
  out.resize(size);
#endif
  return out;
}

#ifdef TARE_HAS_LZMA
// `dictionary`: its size in bytes, as the header states it.
inline std::string lzma_data(Codec codec, std::string_view content, std::uint32_t dictionary) {
  lzma_options_lzma options{};
  ::lzma_lzma_preset(&options, 1);
  options.dict_size = dictionary;
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  lzma_stream stream = LZMA_STREAM_INIT;
  const lzma_ret ready = codec == Codec::kXz
                             ? ::lzma_stream_encoder(&stream, filters, LZMA_CHECK_CRC64)
                             : ::lzma_alone_encoder(&stream, &options);
  std::string out(content.size() + content.size() / 3 + 1024, '\0');
  stream.next_in = reinterpret_cast<const std::uint8_t*>(content.data());
  stream.avail_in = content.size();
  stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream.avail_out = out.size();
  const lzma_ret done = ready == LZMA_OK ? ::lzma_code(&stream, LZMA_FINISH) : ready;
  out.resize(stream.total_out);
  ::lzma_end(&stream);
  if (done != LZMA_STREAM_END) throw std::runtime_error("lzma failed");
  return out;
}
#endif

inline std::string lzma_stream_of([[maybe_unused]] Codec codec,
                                  [[maybe_unused]] std::string_view content) {
#ifdef TARE_HAS_LZMA
  return lzma_data(codec, content, 1U << 20);
#else
  return "";
#endif
}

#ifdef TARE_HAS_LZ4
inline std::string lz4_frame(std::string_view content, const LZ4F_frameInfo_t& info) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo = info;
  std::string out(::LZ4F_compressFrameBound(content.size(), &preferences), '\0');
  const std::size_t size =
      ::LZ4F_compressFrame(out.data(), out.size(), content.data(), content.size(), &preferences);
  if (::LZ4F_isError(size)) throw std::runtime_error("lz4 failed");
  out.resize(size);
  return out;
}
#endif

inline std::string lz4_stream([[maybe_unused]] std::string_view content) {
#ifdef TARE_HAS_LZ4
  LZ4F_frameInfo_t info{};
  info.blockSizeID = LZ4F_max64KB;
  info.contentChecksumFlag = LZ4F_contentChecksumEnabled;
  return lz4_frame(content, info);
#else
  return "";
#endif
}

inline std::string zstd_frame([[maybe_unused]] std::string_view content) {
  std::string out;
#ifdef TARE_HAS_ZSTD
  ZSTD_CCtx* const context = ::ZSTD_createCCtx();
  ::ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  out.resize(::ZSTD_compressBound(content.size()));
  const std::size_t size =
      ::ZSTD_compress2(context, out.data(), out.size(), content.data(), content.size());
  ::ZSTD_freeCCtx(context);
  if (::ZSTD_isError(size)) throw std::runtime_error("zstd failed");
  out.resize(size);
#endif
  return out;
}

// The content as one stream of any kind; empty if there is no library for it.
inline std::string packed(Codec codec, std::string_view content) {
  if (!has_codec(codec)) return "";
  switch (codec) {
    case Codec::kDeflate:
      return deflate(content);
    case Codec::kZlib:
      return zlib_stream(content);
    case Codec::kGzip:
      return gzip_member(content);
    case Codec::kBzip2:
      return bzip2_stream(content);
    case Codec::kXz:
    case Codec::kLzma:
      return lzma_stream_of(codec, content);
    case Codec::kLz4:
      return lz4_stream(content);
    case Codec::kZstd:
      return zstd_frame(content);
    case Codec::kJoblibZ:
      return joblib_z(content);
  }
  return "";
}

}  // namespace tare::test
