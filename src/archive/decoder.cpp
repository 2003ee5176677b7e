#include "archive/decoder.hpp"

#include <algorithm>
#include <array>

#include "archive/stream_decoder.hpp"
#include "io/checked.hpp"
#include "io/spool.hpp"

namespace tare {
namespace {

// Fits the second-level cache; a piece for the sink is never larger.
constexpr std::size_t kPieceBytes = std::size_t{256} << 10;

struct CodecInfo {
  std::string_view name;
  std::unique_ptr<StreamDecoder> (*make)();
  const char* missing;  // what to say if there is no decoder
};

// Indexed by Codec.
constexpr std::array kCodecs = {
    CodecInfo{"deflate", make_deflate_decoder, ""},
    CodecInfo{"zlib", make_zlib_decoder, ""},
    CodecInfo{"gzip", make_gzip_decoder, ""},
    CodecInfo{"bzip2", make_bzip2_decoder, "this build of tare has no bzip2"},
    CodecInfo{"xz", make_xz_decoder, "this build of tare has no liblzma, which xz data needs"},
    CodecInfo{"lzma", make_lzma_decoder, "this build of tare has no liblzma"},
    CodecInfo{"lz4", make_lz4_decoder, "this build of tare has no lz4"},
    CodecInfo{"zstd", make_zstd_decoder, "this build of tare has no zstd"},
    CodecInfo{"joblib ZF", make_joblib_z_decoder, ""},
};

const CodecInfo& info(Codec codec) {
  return kCodecs[static_cast<std::size_t>(codec)];
}

std::size_t zeros_at(ByteSpan bytes) {
  const auto other = std::ranges::find_if(bytes, [](std::byte b) { return b != std::byte{0}; });
  return static_cast<std::size_t>(other - bytes.begin());
}

// Zeros that may stand behind a stream of this kind, before another one or the end.
std::size_t padding_of(Codec codec, ByteSpan rest) {
  if (codec != Codec::kGzip && codec != Codec::kXz) return 0;
  const std::size_t zeros = zeros_at(rest);
  return codec == Codec::kGzip || zeros % 4 == 0 ? zeros : 0;
}

// One call of decode().
class Run {
 public:
  Run(Codec codec, ByteSpan input, const DecodeLimits& limits, const ByteSink& sink)
      : codec_(codec), input_(input), limit_(limits.output_of(input.size())), sink_(sink) {}

  Result<Decoded> all_streams() {
    do {
      if (!decoder_) decoder_ = info(codec_).make();
      if (!decoder_) return fail(ErrorCode::kUnsupported, info(codec_).missing);
      if (auto done = one_stream(); !done) return std::unexpected(done.error());
      ++decoded_.streams;
    } while (next_stream());
    return decoded_;
  }

 private:
  ByteSpan rest() const { return input_.subspan(decoded_.consumed); }

  // An error of a decoder, with the offset in the input.
  std::unexpected<Error> failure(Error error) const {
    error.offset = decoded_.consumed + (error.has_offset() ? error.offset : 0);
    return std::unexpected(error);
  }

  Result<void> one_stream() {
    const auto header = decoder_->begin(rest());
    if (!header) return failure(header.error());
    decoded_.consumed += *header;
    for (bool ended = false; !ended;) {
      const StreamDecoder::Step step = decoder_->step(rest(), piece_);
      decoded_.consumed += step.consumed;
      if (auto taken = emit(ByteSpan(piece_).first(step.produced)); !taken) return taken;
      if (step.error) return failure(*step.error);
      ended = step.ended;
      if (!ended && step.consumed == 0 && step.produced == 0) {
        return fail(ErrorCode::kTruncated, "the compressed data is cut off", input_.size());
      }
    }
    const auto trailer = decoder_->end(rest());
    if (!trailer) return failure(trailer.error());
    decoded_.consumed += *trailer;
    return {};
  }

  Result<void> emit(ByteSpan piece) {
    if (piece.empty()) return {};
    if (piece.size() > limit_ - decoded_.produced) {
      return fail(ErrorCode::kLimit, "the data would decompress beyond the limit",
                  decoded_.consumed);
    }
    decoded_.produced += piece.size();
    return sink_(piece);
  }

  // Moves to the next stream, if there is one behind the last.
  bool next_stream() {
    const std::size_t padding = padding_of(codec_, rest());
    if (padding == rest().size()) {
      decoded_.consumed += padding;
      return false;
    }
    const auto next = following(rest().subspan(padding));
    if (!next) return false;
    decoded_.consumed += padding;
    if (*next != codec_) decoder_.reset();
    codec_ = *next;
    return true;
  }

  // The kind of the stream that begins here, if it goes on with the content of the last.
  std::optional<Codec> following(ByteSpan bytes) const;

  Codec codec_;
  ByteSpan input_;
  std::uint64_t limit_;
  const ByteSink& sink_;
  std::unique_ptr<StreamDecoder> decoder_;
  std::vector<std::byte> piece_ = std::vector<std::byte>(kPieceBytes);
  Decoded decoded_;
};

std::optional<Codec> Run::following(ByteSpan bytes) const {
  switch (codec_) {
    case Codec::kGzip:
    case Codec::kBzip2:
      return codec_of(bytes) == codec_ ? std::optional(codec_) : std::nullopt;
    case Codec::kXz:
    case Codec::kLzma: {
      const auto next = codec_of(bytes);
      return next == Codec::kXz || next == Codec::kLzma ? next : std::nullopt;
    }
    case Codec::kLz4:
    case Codec::kZstd:
      return is_frame_of(codec_, bytes) ? std::optional(codec_) : std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::string_view codec_name(Codec codec) {
  return info(codec).name;
}

bool has_codec(Codec codec) {
  return info(codec).make() != nullptr;
}

std::uint64_t DecodeLimits::output_of(std::uint64_t input_size) const {
  const std::uint64_t by_ratio = checked_mul(input_size, max_ratio).value_or(UINT64_MAX);
  return std::min(max_output, std::max(by_ratio, always_allowed));
}

Result<Decoded> decode(Codec codec, ByteSpan input, const DecodeLimits& limits,
                       const ByteSink& sink) {
  return Run(codec, input, limits, sink).all_streams();
}

Result<Unpacked> unpack(Codec codec, ByteSpan input, const DecodeLimits& limits) {
  if (!has_codec(codec)) return fail(ErrorCode::kUnsupported, info(codec).missing);
  Spool spool;
  Result<void> written;
  const auto decoded = decode(codec, input, limits, [&](ByteSpan piece) {
    written = spool.write(piece);
    return written;
  });
  if (!written) return std::unexpected(written.error());
  auto content = std::move(spool).finish();
  if (!content) return std::unexpected(content.error());
  return Unpacked{std::move(*content), decoded};
}

}  // namespace tare
