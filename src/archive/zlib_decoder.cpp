// Deflate and what it is wrapped in: zlib, gzip, joblib's ZF.
#include <zlib.h>

#include <algorithm>

#include "archive/stream_decoder.hpp"
#include "io/cursor.hpp"

namespace tare {
namespace {

// zlib counts in unsigned int.
uInt clamped(std::size_t size) {
  return static_cast<uInt>(std::min<std::size_t>(size, std::size_t{1} << 30));
}

class Inflater : public StreamDecoder {
 public:
  // `window_bits` as inflateInit2() has them: they tell zlib from raw deflate.
  explicit Inflater(int window_bits) : window_bits_(window_bits) {}
  ~Inflater() override { ::inflateEnd(&stream_); }

  Result<std::size_t> begin(ByteSpan) override {
    const int status = ready_ ? ::inflateReset(&stream_) : ::inflateInit2(&stream_, window_bits_);
    ready_ = status == Z_OK;
    if (!ready_) return fail(ErrorCode::kIo, "zlib failed: no memory?");
    return 0;
  }

  Step step(ByteSpan rest, std::span<std::byte> out) override {
    // zlib's next_in is not const for historical reasons; it is not written to.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest.data()));  // NOLINT
    stream_.avail_in = clamped(rest.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = clamped(out.size());
    const uInt in = stream_.avail_in;
    const uInt room = stream_.avail_out;
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    Step step{in - stream_.avail_in, room - stream_.avail_out, status == Z_STREAM_END, {}};
    if (status == Z_NEED_DICT) {
      step.error =
          Error{ErrorCode::kUnsupported, 0, Error::kNoOffset, "zlib data with a preset dictionary"};
    } else if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      step.error =
          Error{ErrorCode::kMalformed, 0, Error::kNoOffset, "the compressed data is damaged"};
    }
    return step;
  }

 private:
  int window_bits_;
  bool ready_ = false;
  z_stream stream_{};
};

// Around raw deflate, because zlib is stricter about the header than Python's gzip is.
class GzipDecoder : public Inflater {
 public:
  GzipDecoder() : Inflater(-MAX_WBITS) {}

  Result<std::size_t> begin(ByteSpan rest) override {
    const auto header = header_length(rest);
    if (!header) return header;
    crc_ = ::crc32_z(0, nullptr, 0);
    size_ = 0;
    if (auto started = Inflater::begin(rest); !started) return started;
    return header;
  }

  Step step(ByteSpan rest, std::span<std::byte> out) override {
    const Step step = Inflater::step(rest, out);
    crc_ = ::crc32_z(crc_, reinterpret_cast<const Bytef*>(out.data()), step.produced);
    size_ += static_cast<std::uint32_t>(step.produced);
    return step;
  }

  Result<std::size_t> end(ByteSpan rest) override {
    Cursor cursor(rest);
    const auto crc = cursor.read<std::uint32_t>();
    const auto size = cursor.read<std::uint32_t>();
    if (!size) return fail(ErrorCode::kTruncated, "the gzip member is cut off", rest.size());
    if (*crc != crc_) return fail(ErrorCode::kMalformed, "the checksum of the content is wrong", 0);
    if (*size != size_) {
      return fail(ErrorCode::kMalformed, "the content has another size than declared", 4);
    }
    return cursor.offset();
  }

 private:
  static Result<std::size_t> header_length(ByteSpan bytes);
  static bool skip_fields(Cursor& cursor, unsigned flags);

  uLong crc_ = 0;
  std::uint32_t size_ = 0;  // modulo 2^32, as the format has it
};

// Reserved flags and the CRC of the header are not looked at: Python does not either.
Result<std::size_t> GzipDecoder::header_length(ByteSpan bytes) {
  Cursor cursor(bytes);
  const auto fixed = cursor.take(10);
  if (fixed && ((*fixed)[0] != std::byte{0x1F} || (*fixed)[1] != std::byte{0x8B})) {
    return fail(ErrorCode::kMalformed, "not a gzip member");
  }
  if (fixed && (*fixed)[2] != std::byte{8}) {
    return fail(ErrorCode::kUnsupported, "a gzip member that is not deflated", 2);
  }
  if (!fixed || !skip_fields(cursor, std::to_integer<unsigned>((*fixed)[3]))) {
    return fail(ErrorCode::kTruncated, "the gzip header is cut off", bytes.size());
  }
  return cursor.offset();
}

bool GzipDecoder::skip_fields(Cursor& cursor, unsigned flags) {
  constexpr unsigned kHeaderCrc = 2;
  constexpr unsigned kExtra = 4;
  constexpr unsigned kName = 8;
  constexpr unsigned kComment = 16;
  if ((flags & kExtra) != 0) {
    const auto length = cursor.read<std::uint16_t>();
    if (!length || !cursor.take(*length)) return false;
  }
  for (const unsigned text : {kName, kComment}) {
    if ((flags & text) != 0 && !cursor.take_until(std::byte{0})) return false;
  }
  return (flags & kHeaderCrc) == 0 || cursor.take(2);
}

class JoblibZDecoder : public Inflater {
 public:
  JoblibZDecoder() : Inflater(MAX_WBITS) {}

  Result<std::size_t> begin(ByteSpan rest) override {
    const auto header = joblib_z_header(rest);
    if (!header) return fail(ErrorCode::kMalformed, "the header of the ZF file is damaged", 0);
    expected_ = header->content_size;
    produced_ = 0;
    if (auto started = Inflater::begin(rest); !started) return started;
    return header->length;
  }

  Step step(ByteSpan rest, std::span<std::byte> out) override {
    const Step step = Inflater::step(rest, out);
    produced_ += step.produced;
    return step;
  }

  Result<std::size_t> end(ByteSpan) override {
    if (produced_ == expected_) return 0;
    return fail(ErrorCode::kMalformed, "the content has another size than declared", 0);
  }

 private:
  std::uint64_t expected_ = 0;
  std::uint64_t produced_ = 0;
};

}  // namespace

std::unique_ptr<StreamDecoder> make_deflate_decoder() {
  return std::make_unique<Inflater>(-MAX_WBITS);
}

std::unique_ptr<StreamDecoder> make_zlib_decoder() {
  return std::make_unique<Inflater>(MAX_WBITS);
}

std::unique_ptr<StreamDecoder> make_gzip_decoder() {
  return std::make_unique<GzipDecoder>();
}

std::unique_ptr<StreamDecoder> make_joblib_z_decoder() {
  return std::make_unique<JoblibZDecoder>();
}

}  // namespace tare
