#include "archive/stream_decoder.hpp"

#ifdef TARE_HAS_BZIP2

#include <bzlib.h>

#include <algorithm>

namespace tare {
namespace {

class Bzip2Decoder : public StreamDecoder {
 public:
  ~Bzip2Decoder() override { close(); }

  Result<std::size_t> begin(ByteSpan) override {
    close();
    stream_ = {};
    open_ = ::BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK;
    if (!open_) return fail(ErrorCode::kIo, "libbz2 failed: no memory?");
    return 0;
  }

  Step step(ByteSpan rest, std::span<std::byte> out) override {
    // Not const for historical reasons; it is not written to.
    stream_.next_in = reinterpret_cast<char*>(const_cast<std::byte*>(rest.data()));  // NOLINT
    stream_.avail_in = clamped(rest.size());
    stream_.next_out = reinterpret_cast<char*>(out.data());
    stream_.avail_out = clamped(out.size());
    const unsigned in = stream_.avail_in;
    const unsigned room = stream_.avail_out;
    const int status = ::BZ2_bzDecompress(&stream_);
    Step step{in - stream_.avail_in, room - stream_.avail_out, status == BZ_STREAM_END, {}};
    if (status != BZ_OK && status != BZ_STREAM_END) step.error = error_of(status);
    return step;
  }

 private:
  static unsigned clamped(std::size_t size) {
    return static_cast<unsigned>(std::min<std::size_t>(size, std::size_t{1} << 30));
  }
  static Error error_of(int status) {
    if (status == BZ_MEM_ERROR) return {ErrorCode::kIo, 0, Error::kNoOffset, "libbz2: no memory"};
    return {ErrorCode::kMalformed, 0, Error::kNoOffset, "the bzip2 data is damaged"};
  }
  void close() {
    if (open_) ::BZ2_bzDecompressEnd(&stream_);
    open_ = false;
  }

  bz_stream stream_{};
  bool open_ = false;
};

}  // namespace

std::unique_ptr<StreamDecoder> make_bzip2_decoder() {
  return std::make_unique<Bzip2Decoder>();
}

}  // namespace tare

#else

std::unique_ptr<tare::StreamDecoder> tare::make_bzip2_decoder() {
  return nullptr;
}

#endif
