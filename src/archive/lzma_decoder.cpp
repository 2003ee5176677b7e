// xz, and the older format of the same compressor.
#include "archive/stream_decoder.hpp"

#ifdef TARE_HAS_LZMA

#include <lzma.h>

namespace tare {
namespace {

class LzmaDecoder : public StreamDecoder {
 public:
  explicit LzmaDecoder(bool is_xz) : is_xz_(is_xz) {}
  ~LzmaDecoder() override { ::lzma_end(&stream_); }

  Result<std::size_t> begin(ByteSpan) override {
    // What is there of the last stream is used again.
    const lzma_ret status = is_xz_ ? ::lzma_stream_decoder(&stream_, kMaxMemory, 0)
                                   : ::lzma_alone_decoder(&stream_, kMaxMemory);
    if (status != LZMA_OK) return fail(ErrorCode::kIo, "liblzma failed: no memory?");
    return 0;
  }

  Step step(ByteSpan rest, std::span<std::byte> out) override {
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(rest.data());
    stream_.avail_in = rest.size();
    stream_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream_.avail_out = out.size();
    const lzma_ret status = ::lzma_code(&stream_, LZMA_RUN);
    Step step{rest.size() - stream_.avail_in,
              out.size() - stream_.avail_out,
              status == LZMA_STREAM_END,
              {}};
    // LZMA_BUF_ERROR: the input is cut off, which the caller sees.
    if (status != LZMA_OK && status != LZMA_STREAM_END && status != LZMA_BUF_ERROR) {
      step.error = error_of(status);
    }
    return step;
  }

 private:
  Error error_of(lzma_ret status) const {
    switch (status) {
      case LZMA_MEMLIMIT_ERROR:
        return {ErrorCode::kLimit, 0, Error::kNoOffset,
                "the dictionary of the compressed data is larger than the limit"};
      case LZMA_MEM_ERROR:
        return {ErrorCode::kIo, 0, Error::kNoOffset, "liblzma: no memory"};
      case LZMA_OPTIONS_ERROR:
        return {ErrorCode::kUnsupported, 0, Error::kNoOffset,
                "the compressed data has options that liblzma does not know"};
      default:
        return {ErrorCode::kMalformed, 0, Error::kNoOffset,
                is_xz_ ? "the xz data is damaged" : "the lzma data is damaged"};
    }
  }

  bool is_xz_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

}  // namespace

std::unique_ptr<StreamDecoder> make_xz_decoder() {
  return std::make_unique<LzmaDecoder>(true);
}

std::unique_ptr<StreamDecoder> make_lzma_decoder() {
  return std::make_unique<LzmaDecoder>(false);
}

}  // namespace tare

#else

std::unique_ptr<tare::StreamDecoder> tare::make_xz_decoder() {
  return nullptr;
}

std::unique_ptr<tare::StreamDecoder> tare::make_lzma_decoder() {
  return nullptr;
}

#endif
