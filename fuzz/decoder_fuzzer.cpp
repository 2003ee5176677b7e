// Any bytes as a compressed stream, of the kind that they look like or of the kind that the first
// byte says: what comes out stays within the limits, and is the same in a spool.
#include <cstdlib>
#include <string>

#include "archive/decoder.hpp"

namespace {

using namespace tare;

constexpr int kCodecCount = 9;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(Codec codec, ByteSpan input) {
  const DecodeLimits limits{.max_output = 1 << 20, .always_allowed = 1 << 18};
  std::string content;
  const auto decoded = decode(codec, input, limits, [&](ByteSpan piece) -> Result<void> {
    content += as_text(piece);
    return {};
  });
  require(content.size() <= limits.output_of(input.size()));
  if (decoded) {
    require(decoded->consumed <= input.size() && decoded->produced == content.size());
  } else {
    require(decoded.error().offset <= input.size());
  }
  const auto unpacked = unpack(codec, input, limits);
  require(unpacked.has_value() && unpacked->decoded.has_value() == decoded.has_value());
  require(as_text(unpacked->content.bytes()) == content);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan bytes = std::as_bytes(std::span(data, size));
  if (const auto codec = codec_of(bytes)) {
    check(*codec, bytes);
  } else if (size > 0) {
    check(static_cast<Codec>(data[0] % kCodecCount), bytes.subspan(1));
  }
  return 0;
}
