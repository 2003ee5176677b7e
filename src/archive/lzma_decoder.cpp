// xz, the older format of the same compressor, and its coders without any header (7z).
#include "archive/stream_decoder.hpp"

#ifdef TARE_HAS_LZMA

#include <lzma.h>

#include <algorithm>
#include <array>

#include "io/cursor.hpp"

namespace tare {
namespace {

// What liblzma decodes, once a decoder has been set up in begin().
class LzmaDecoder : public StreamDecoder {
 public:
  explicit LzmaDecoder(const char* damaged) : damaged_(damaged) {}
  ~LzmaDecoder() override { ::lzma_end(&stream_); }

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

 protected:
  lzma_stream* stream() { return &stream_; }

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
        return {ErrorCode::kMalformed, 0, Error::kNoOffset, damaged_};
    }
  }

 private:
  const char* damaged_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

class XzDecoder : public LzmaDecoder {
 public:
  XzDecoder() : LzmaDecoder("the xz data is damaged") {}
  Result<std::size_t> begin(ByteSpan) override {
    // What is there of the last stream is used again.
    if (::lzma_stream_decoder(stream(), kMaxMemory, 0) == LZMA_OK) return 0;
    return fail(ErrorCode::kIo, "liblzma failed: no memory?");
  }
};

class LzmaAloneDecoder : public LzmaDecoder {
 public:
  // `max_memory`: bytes.
  explicit LzmaAloneDecoder(std::uint64_t max_memory = kMaxMemory)
      : LzmaDecoder("the lzma data is damaged"), max_memory_(max_memory) {}
  Result<std::size_t> begin(ByteSpan) override {
    if (::lzma_alone_decoder(stream(), max_memory_) == LZMA_OK) return 0;
    return fail(ErrorCode::kIo, "liblzma failed: no memory?");
  }

 private:
  std::uint64_t max_memory_;
};

// ---- without headers

constexpr const char* kBadProperties = "the properties of a 7z coder are damaged";
// 7-Zip takes dictionaries of 256 MiB; the decoder takes a little more than its dictionary.
constexpr std::uint64_t kMaxRawMemory = StreamDecoder::kMaxMemory + (std::uint64_t{16} << 20);

// A dictionary longer than the content is of no use.
std::uint32_t dictionary_for(std::uint64_t stated, std::uint64_t size) {
  const std::uint64_t needed = std::max<std::uint64_t>(size, LZMA_DICT_SIZE_MIN);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>({stated, needed, UINT32_MAX}));
}

// LZMA: the older format without its header, which is made up here.
class RawLzmaDecoder : public LzmaAloneDecoder {
 public:
  RawLzmaDecoder(ByteSpan properties, std::uint64_t size)
      : LzmaAloneDecoder(kMaxRawMemory), properties_(properties), size_(size) {}

  Result<std::size_t> begin(ByteSpan rest) override {
    Cursor cursor(properties_);
    const auto settings = cursor.read<std::uint8_t>();
    const auto dictionary = cursor.read<std::uint32_t>();
    if (!dictionary) return fail(ErrorCode::kMalformed, kBadProperties);
    std::array<std::byte, 13> header{std::byte{*settings}};
    const std::uint32_t needed = dictionary_for(*dictionary, size_);
    std::memcpy(header.data() + 1, &needed, sizeof needed);
    std::memcpy(header.data() + 5, &size_, sizeof size_);
    if (auto begun = LzmaAloneDecoder::begin(rest); !begun) return begun;
    std::byte room{};  // without any it reads nothing
    const Step step = this->step(header, {&room, 1});
    if (step.error) return std::unexpected(*step.error);
    if (step.consumed != header.size()) return fail(ErrorCode::kMalformed, kBadProperties);
    return 0;
  }

 private:
  ByteSpan properties_;
  std::uint64_t size_;
};

// A chain of liblzma's that ends in LZMA2.
class RawChainDecoder : public LzmaDecoder {
 public:
  RawChainDecoder() : LzmaDecoder("the lzma data is damaged") {}

 protected:
  // `filter`: LZMA_VLI_UNKNOWN for LZMA2 alone.
  Result<std::size_t> begin_chain(lzma_vli filter, void* options, std::uint32_t dictionary) {
    lzma_options_lzma lzma{};
    lzma.dict_size = dictionary;
    std::array<lzma_filter, 3> chain{lzma_filter{filter, options},
                                     lzma_filter{LZMA_FILTER_LZMA2, &lzma},
                                     lzma_filter{LZMA_VLI_UNKNOWN, nullptr}};
    const lzma_filter* const first = chain.data() + (filter == LZMA_VLI_UNKNOWN ? 1 : 0);
    if (::lzma_raw_decoder_memusage(first) > kMaxRawMemory) {
      return std::unexpected(error_of(LZMA_MEMLIMIT_ERROR));
    }
    const lzma_ret status = ::lzma_raw_decoder(stream(), first);
    if (status != LZMA_OK) return std::unexpected(error_of(status));
    return 0;
  }
};

class RawLzma2Decoder : public RawChainDecoder {
 public:
  RawLzma2Decoder(ByteSpan properties, std::uint64_t size) : properties_(properties), size_(size) {}

  Result<std::size_t> begin(ByteSpan) override {
    const auto bits = Cursor(properties_).read<std::uint8_t>();
    if (!bits || *bits > 40) return fail(ErrorCode::kMalformed, kBadProperties);
    const std::uint64_t stated =
        *bits == 40 ? UINT32_MAX : std::uint64_t{2U | (*bits & 1U)} << (*bits / 2 + 11);
    return begin_chain(LZMA_VLI_UNKNOWN, nullptr, dictionary_for(stated, size_));
  }

 private:
  ByteSpan properties_;
  std::uint64_t size_;
};

// A filter alone, which liblzma does not take: its input is put into chunks of LZMA2 that are not
// compressed.
class RawFilterDecoder : public RawChainDecoder {
 public:
  RawFilterDecoder(lzma_vli filter, ByteSpan properties)
      : filter_(filter), properties_(properties) {}

  Result<std::size_t> begin(ByteSpan) override {
    head_ = {};
    left_ = 0;
    is_first_ = true;
    is_over_ = false;
    if (filter_ == LZMA_FILTER_DELTA) {
      lzma_options_delta delta{};
      const auto distance = Cursor(properties_).read<std::uint8_t>();
      if (!distance) return fail(ErrorCode::kMalformed, kBadProperties);
      delta.type = LZMA_DELTA_TYPE_BYTE;
      delta.dist = *distance + 1U;
      return begin_chain(filter_, &delta, LZMA_DICT_SIZE_MIN);
    }
    lzma_options_bcj branch{};
    if (!properties_.empty()) {
      const auto offset = Cursor(properties_).read<std::uint32_t>();
      if (!offset) return fail(ErrorCode::kMalformed, kBadProperties);
      branch.start_offset = *offset;
    }
    return begin_chain(filter_, &branch, LZMA_DICT_SIZE_MIN);
  }

  Step step(ByteSpan rest, std::span<std::byte> out) override {
    if (head_.empty() && left_ == 0 && !is_over_) next_chunk(rest.size());
    if (!head_.empty()) {
      Step step = LzmaDecoder::step(head_, out);
      head_ = head_.subspan(step.consumed);
      step.consumed = 0;
      if (step.error || step.ended || step.produced != 0 || !head_.empty()) return step;
    }
    const Step step = LzmaDecoder::step(rest.first(std::min<std::size_t>(left_, rest.size())), out);
    left_ -= step.consumed;
    return step;
  }

 private:
  // An empty one ends the stream: the filter gives what it has kept back.
  void next_chunk(std::size_t bytes) {
    left_ = std::min<std::size_t>(bytes, std::size_t{1} << 16);
    is_over_ = left_ == 0;
    const unsigned size = is_over_ ? 0 : static_cast<unsigned>(left_ - 1);
    const std::byte copies = is_first_ ? std::byte{1} : std::byte{2};
    bytes_ = {is_over_ ? std::byte{0} : copies, static_cast<std::byte>(size >> 8),
              static_cast<std::byte>(size & 0xFF)};
    head_ = ByteSpan(bytes_).first(is_over_ ? 1 : 3);
    is_first_ = false;
  }

  lzma_vli filter_;
  ByteSpan properties_;
  std::array<std::byte, 3> bytes_{};
  ByteSpan head_;         // of a chunk, what is left of it
  std::size_t left_ = 0;  // of the data of a chunk
  bool is_first_ = true;
  bool is_over_ = false;
};

// LZMA_VLI_UNKNOWN if this liblzma has no such filter.
lzma_vli filter_of(RawCoder coder) {
  switch (coder) {
    case RawCoder::kDelta:
      return LZMA_FILTER_DELTA;
    case RawCoder::kX86:
      return LZMA_FILTER_X86;
    case RawCoder::kPowerPc:
      return LZMA_FILTER_POWERPC;
    case RawCoder::kIa64:
      return LZMA_FILTER_IA64;
    case RawCoder::kArm:
      return LZMA_FILTER_ARM;
    case RawCoder::kArmThumb:
      return LZMA_FILTER_ARMTHUMB;
    case RawCoder::kSparc:
      return LZMA_FILTER_SPARC;
#ifdef LZMA_FILTER_ARM64
    case RawCoder::kArm64:
      return LZMA_FILTER_ARM64;
#endif
#ifdef LZMA_FILTER_RISCV
    case RawCoder::kRiscv:
      return LZMA_FILTER_RISCV;
#endif
    default:
      return LZMA_VLI_UNKNOWN;
  }
}

}  // namespace

std::unique_ptr<StreamDecoder> make_xz_decoder() {
  return std::make_unique<XzDecoder>();
}

std::unique_ptr<StreamDecoder> make_lzma_decoder() {
  return std::make_unique<LzmaAloneDecoder>();
}

std::unique_ptr<StreamDecoder> make_raw_decoder(RawCoder coder, ByteSpan properties,
                                                std::uint64_t size) {
  if (coder == RawCoder::kLzma) return std::make_unique<RawLzmaDecoder>(properties, size);
  if (coder == RawCoder::kLzma2) return std::make_unique<RawLzma2Decoder>(properties, size);
  const lzma_vli filter = filter_of(coder);
  if (filter == LZMA_VLI_UNKNOWN) return nullptr;
  return std::make_unique<RawFilterDecoder>(filter, properties);
}

}  // namespace tare

#else

std::unique_ptr<tare::StreamDecoder> tare::make_xz_decoder() {
  return nullptr;
}

std::unique_ptr<tare::StreamDecoder> tare::make_lzma_decoder() {
  return nullptr;
}

std::unique_ptr<tare::StreamDecoder> tare::make_raw_decoder(RawCoder, ByteSpan, std::uint64_t) {
  return nullptr;
}

#endif
