#include "archive/stream_decoder.hpp"

#ifdef TARE_HAS_ZSTD

#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>

namespace tare {
namespace {

class ZstdDecoder : public StreamDecoder {
 public:
  ~ZstdDecoder() override { ::ZSTD_freeDCtx(context_); }

  Result<std::size_t> begin(ByteSpan) override {
    if (context_ == nullptr) context_ = ::ZSTD_createDCtx();
    if (context_ == nullptr) return fail(ErrorCode::kIo, "libzstd failed: no memory?");
    ::ZSTD_DCtx_reset(context_, ZSTD_reset_session_only);
    ::ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, std::countr_zero(kMaxMemory));
    wanted_ = kFirstBytes;
    return 0;
  }

  // Block by block, as the library asks for them: when it fails it does not say how far it came.
  Step step(ByteSpan rest, std::span<std::byte> out) override {
    ZSTD_inBuffer in{rest.data(), std::min(rest.size(), wanted_), 0};
    ZSTD_outBuffer room{out.data(), out.size(), 0};
    const std::size_t status = ::ZSTD_decompressStream(context_, &room, &in);
    if (::ZSTD_isError(status)) return {0, 0, false, error_of(::ZSTD_getErrorCode(status))};
    wanted_ = status;
    return {in.pos, room.pos, status == 0, {}};
  }

 private:
  static constexpr std::size_t kFirstBytes = 5;  // the shortest header

  static Error error_of(ZSTD_ErrorCode code) {
    switch (code) {
      case ZSTD_error_frameParameter_windowTooLarge:
        return {ErrorCode::kLimit, 0, Error::kNoOffset,
                "the window of the zstd data is larger than the limit"};
      case ZSTD_error_memory_allocation:
        return {ErrorCode::kIo, 0, Error::kNoOffset, "libzstd: no memory"};
      case ZSTD_error_dictionary_wrong:
        return {ErrorCode::kUnsupported, 0, Error::kNoOffset, "zstd data with a dictionary"};
      default:
        return {ErrorCode::kMalformed, 0, Error::kNoOffset, "the zstd data is damaged"};
    }
  }

  ZSTD_DCtx* context_ = nullptr;
  std::size_t wanted_ = 0;  // input bytes for the next step
};

}  // namespace

std::unique_ptr<StreamDecoder> make_zstd_decoder() {
  return std::make_unique<ZstdDecoder>();
}

}  // namespace tare

#else

std::unique_ptr<tare::StreamDecoder> tare::make_zstd_decoder() {
  return nullptr;
}

#endif
