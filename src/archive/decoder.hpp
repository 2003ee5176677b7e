// Decompression: one interface to every kind of stream that model files are packed in.
//
// Formats: docs/formats/compression.md. The input is there as a whole, as a mapped file is; the
// output goes to a sink piece by piece. Memory is bounded by the kind of stream, never by what a
// stream claims. Streams of one kind in a row are one content, as their readers have it.
// Every function may be called from several threads.
#pragma once

#include <optional>

#include "tare/byte_sink.hpp"
#include "tare/input.hpp"

namespace tare {

enum class Codec : std::uint8_t {
  kDeflate,  // RFC 1951, without header and checksum
  kZlib,     // RFC 1950
  kGzip,     // RFC 1952
  kBzip2,
  kXz,
  kLzma,     // the older format of the same compressor: .lzma, "alone"
  kLz4,      // frames
  kZstd,     // frames
  kJoblibZ,  // joblib before 0.10: "ZF", a size, a zlib stream
};

// "gzip", "joblib ZF": for messages.
std::string_view codec_name(Codec codec);

// False if this build has no library for it.
bool has_codec(Codec codec);

// The kind of stream that `front` begins with; never kDeflate, which has no mark. `front` is a
// whole file, or enough of it: 64 KiB are, unless skippable frames come first.
std::optional<Codec> codec_of(ByteSpan front);

struct DecodeLimits {
  std::uint64_t max_output = std::uint64_t{64} << 30;
  // Output bytes for each byte of input: what is above this is a bomb, unless it is small.
  std::uint64_t max_ratio = 1032;
  std::uint64_t always_allowed = std::uint64_t{256} << 20;  // output bytes, at any ratio

  // What `input_size` bytes may decompress to.
  std::uint64_t output_of(std::uint64_t input_size) const;
};

struct Decoded {
  std::uint64_t consumed = 0;  // input bytes; what is behind them belongs to no stream
  std::uint64_t produced = 0;  // output bytes
  std::uint64_t streams = 0;   // members, frames (skippable ones too)
};

// Decompresses the streams that `input` begins with and hands the content to `sink`, in pieces of
// at most 1 MiB. On an error the sink has been given all that came before it. Errors, with the
// offset in `input`: kTruncated; kMalformed (also for a wrong checksum); kLimit (the limits, or
// memory above 256 MiB); kUnsupported (no library, a preset dictionary); those of the sink.
Result<Decoded> decode(Codec codec, ByteSpan input, const DecodeLimits& limits,
                       const ByteSink& sink);

struct Unpacked {
  Input content;
  // An error if a stream is broken. The content ends there, and loaders may have run it by then.
  Result<Decoded> decoded;
};

// Decompresses `input` into memory, or into a file without a name if it is large (io/spool.hpp).
// Errors: kUnsupported if this build has no such codec; kNoSpace, kNoPermission, kIo of the file.
Result<Unpacked> unpack(Codec codec, ByteSpan input, const DecodeLimits& limits = {});

}  // namespace tare
