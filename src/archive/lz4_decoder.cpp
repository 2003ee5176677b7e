#include "archive/stream_decoder.hpp"

#ifdef TARE_HAS_LZ4

#include <lz4frame.h>

#include <algorithm>

namespace tare {
namespace {

class Lz4Decoder : public StreamDecoder {
 public:
  ~Lz4Decoder() override { ::LZ4F_freeDecompressionContext(context_); }

  Result<std::size_t> begin(ByteSpan) override {
    if (context_ != nullptr) {
      ::LZ4F_resetDecompressionContext(context_);
    } else if (::LZ4F_isError(::LZ4F_createDecompressionContext(&context_, LZ4F_VERSION))) {
      return fail(ErrorCode::kIo, "liblz4 failed: no memory?");
    }
    wanted_ = LZ4F_HEADER_SIZE_MAX;
    return 0;
  }

  // Block by block, as the library asks for them: when it fails it does not say how far it came.
  Step step(ByteSpan rest, std::span<std::byte> out) override {
    std::size_t in = std::min(rest.size(), wanted_);
    std::size_t room = out.size();
    const std::size_t status =
        ::LZ4F_decompress(context_, out.data(), &room, rest.data(), &in, nullptr);
    if (::LZ4F_isError(status)) {
      return {0, 0, false,
              Error{ErrorCode::kMalformed, 0, Error::kNoOffset, "the lz4 data is damaged"}};
    }
    wanted_ = status;
    return {in, room, status == 0, {}};
  }

 private:
  LZ4F_dctx* context_ = nullptr;
  std::size_t wanted_ = 0;  // input bytes for the next step
};

}  // namespace

std::unique_ptr<StreamDecoder> make_lz4_decoder() {
  return std::make_unique<Lz4Decoder>();
}

}  // namespace tare

#else

std::unique_ptr<tare::StreamDecoder> tare::make_lz4_decoder() {
  return nullptr;
}

#endif
