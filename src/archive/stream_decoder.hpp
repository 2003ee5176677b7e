// What decoder.cpp asks of each compression library: to decode one stream, step by step.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "archive/decoder.hpp"

namespace tare {

class StreamDecoder {
 public:
  // What a library may take of memory for one stream.
  static constexpr std::uint64_t kMaxMemory = std::uint64_t{256} << 20;

  // Offsets of errors count from the front of what was passed.
  struct Step {
    std::size_t consumed = 0;
    std::size_t produced = 0;
    bool ended = false;          // the stream, or what step() sees of it, ends behind `consumed`
    std::optional<Error> error;  // found behind `consumed`; what was produced before it is valid
  };

  StreamDecoder() = default;
  StreamDecoder(const StreamDecoder&) = delete;
  StreamDecoder& operator=(const StreamDecoder&) = delete;
  virtual ~StreamDecoder() = default;

  // A stream begins at the front of `rest`. Returns the bytes that step() is not to see.
  virtual Result<std::size_t> begin(ByteSpan rest) = 0;
  // Goes on with the stream. `rest` is all input that is left: who neither consumes nor produces
  // anything says that it is cut off.
  virtual Step step(ByteSpan rest, std::span<std::byte> out) = 0;
  // What stands behind the stream that step() has seen the end of. Returns its bytes.
  virtual Result<std::size_t> end(ByteSpan) { return 0; }
};

// Null if the build has no such library.
std::unique_ptr<StreamDecoder> make_deflate_decoder();
std::unique_ptr<StreamDecoder> make_zlib_decoder();
std::unique_ptr<StreamDecoder> make_gzip_decoder();
std::unique_ptr<StreamDecoder> make_joblib_z_decoder();
std::unique_ptr<StreamDecoder> make_bzip2_decoder();
std::unique_ptr<StreamDecoder> make_xz_decoder();
std::unique_ptr<StreamDecoder> make_lzma_decoder();
std::unique_ptr<StreamDecoder> make_lz4_decoder();
std::unique_ptr<StreamDecoder> make_zstd_decoder();

// Coders of 7z archives (docs/formats/7z.md), whose data has no header.
enum class RawCoder : std::uint8_t {
  kLzma,
  kLzma2,
  // Filters: as many bytes come out as go in.
  kDelta,
  kX86,
  kPowerPc,
  kIa64,
  kArm,
  kArmThumb,
  kSparc,
  kArm64,
  kRiscv,
};
// `properties`: those of the coder; its begin() says what is wrong with them. `size`: bytes that
// come out. Null if this build has no such coder.
std::unique_ptr<StreamDecoder> make_raw_decoder(RawCoder coder, ByteSpan properties,
                                                std::uint64_t size);

// True if a frame of this codec (kLz4, kZstd) begins here, or one that its readers skip.
bool is_frame_of(Codec codec, ByteSpan bytes);
// True if zlib data begins here: its header, and a block type that exists.
bool is_zlib(ByteSpan bytes);

// The size that a "ZF" header states, and where the zlib stream behind it begins.
struct JoblibZHeader {
  std::uint64_t content_size;
  std::size_t length;  // bytes
};
std::optional<JoblibZHeader> joblib_z_header(ByteSpan bytes);

}  // namespace tare
