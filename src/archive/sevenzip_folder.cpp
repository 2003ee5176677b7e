#include "archive/sevenzip_folder.hpp"

#include <algorithm>
#include <array>

#include "archive/stream_decoder.hpp"
#include "io/checked.hpp"
#include "io/spool.hpp"

namespace tare::sevenzip {
namespace {

constexpr std::uint64_t kCopy = 0x00;
constexpr std::size_t kMaxCoders = 4;  // as many as 7-Zip's own small decoder takes
constexpr std::size_t kPieceBytes = std::size_t{256} << 10;

struct RawMethod {
  std::uint64_t id;
  RawCoder coder;
};
constexpr std::array kRawMethods = {
    RawMethod{0x030101, RawCoder::kLzma},       RawMethod{0x21, RawCoder::kLzma2},
    RawMethod{0x03, RawCoder::kDelta},          RawMethod{0x04, RawCoder::kX86},
    RawMethod{0x03030103, RawCoder::kX86},      RawMethod{0x05, RawCoder::kPowerPc},
    RawMethod{0x03030205, RawCoder::kPowerPc},  RawMethod{0x06, RawCoder::kIa64},
    RawMethod{0x03030401, RawCoder::kIa64},     RawMethod{0x07, RawCoder::kArm},
    RawMethod{0x03030501, RawCoder::kArm},      RawMethod{0x08, RawCoder::kArmThumb},
    RawMethod{0x03030701, RawCoder::kArmThumb}, RawMethod{0x09, RawCoder::kSparc},
    RawMethod{0x03030805, RawCoder::kSparc},    RawMethod{0x0A, RawCoder::kArm64},
    RawMethod{0x0B, RawCoder::kRiscv},
};

// Methods that are known, and not read.
struct OtherMethod {
  std::uint64_t id;
  ErrorCode code;
  const char* what;
};
constexpr std::array kOtherMethods = {
    OtherMethod{0x06F10701, ErrorCode::kRefused, "the data is encrypted"},
    OtherMethod{0x030401, ErrorCode::kUnsupported, "the data is compressed by PPMd"},
    OtherMethod{0x0303011B, ErrorCode::kUnsupported, "the data went through the filter BCJ2"},
    OtherMethod{0x040109, ErrorCode::kUnsupported, "the data is compressed by Deflate64"},
};

std::unique_ptr<StreamDecoder> decoder_of(const Coder& coder, std::uint64_t size) {
  switch (coder.method) {
    case 0x040108:
      return make_deflate_decoder();
    case 0x040202:
      return make_bzip2_decoder();
    case 0x04F71101:
      return make_zstd_decoder();
    default:
      break;
  }
  const auto* const raw = std::ranges::find(kRawMethods, coder.method, &RawMethod::id);
  if (raw == kRawMethods.end()) return nullptr;
  return make_raw_decoder(raw->coder, coder.properties, size);
}

// Frames in a row are one stream.
bool has_frames(const Coder& coder) {
  return coder.method == 0x04F71101;
}

std::unexpected<Error> unsupported(const Folder& folder) {
  for (const OtherMethod& other : kOtherMethods) {
    if (std::ranges::find(folder.coders, other.id, &Coder::method) == folder.coders.end()) continue;
    return fail(other.code, other.what);
  }
  return fail(ErrorCode::kUnsupported, "the data is compressed in a way that tare does not know");
}

// The coders in the order in which they decode. Nothing unless they are a row, each with one input
// and one output.
std::optional<std::vector<std::size_t>> row_of(const Folder& folder) {
  const auto is_simple = [](const Coder& coder) { return coder.inputs == 1; };
  if (folder.packed_inputs.size() != 1 || !std::ranges::all_of(folder.coders, is_simple)) {
    return std::nullopt;
  }
  std::vector<std::size_t> row = {folder.packed_inputs.front()};
  while (row.size() <= folder.coders.size()) {
    const auto next = std::ranges::find(folder.bonds, row.back(), &Bond::output);
    if (next == folder.bonds.end()) break;
    row.push_back(next->input);
  }
  return row.size() == folder.coders.size() ? std::optional(row) : std::nullopt;
}

class Stage {
 public:
  Stage(const Coder& coder, ByteSpan input, std::uint64_t size)
      : coder_(coder), input_(input), size_(size) {}

  // Errors: of the file. Why there is less than there should be is in `outcome`.
  Result<Input> run(Result<void>& outcome) {
    decoder_ = decoder_of(coder_, size_);
    if (decoder_) {
      outcome = decode();
      if (!written_) return std::unexpected(written_.error());
    } else {
      outcome = fail(ErrorCode::kUnsupported, "this build of tare lacks the library for the data");
    }
    return std::move(spool_).finish();
  }

 private:
  Result<void> decode() {
    std::vector<std::byte> piece(kPieceBytes);
    bool is_running = false;
    while (spool_.size() < size_) {
      if (!is_running) {
        const auto begun = decoder_->begin(rest());
        if (!begun) return std::unexpected(begun.error());
        consumed_ += *begun;
      }
      const StreamDecoder::Step step = decoder_->step(rest(), piece);
      consumed_ += step.consumed;
      const auto taken = std::min<std::uint64_t>(step.produced, size_ - spool_.size());
      written_ = spool_.write(ByteSpan(piece).first(taken));
      if (!written_) return written_;
      if (step.error) return std::unexpected(*step.error);
      const bool goes_on = !step.ended || (has_frames(coder_) && !rest().empty());
      const bool moves = step.consumed != 0 || step.produced != 0;
      if (spool_.size() < size_ && (!goes_on || !moves)) {
        return fail(ErrorCode::kTruncated, "the compressed data ends too early");
      }
      is_running = !step.ended;
    }
    return {};
  }
  ByteSpan rest() const { return input_.subspan(consumed_); }

  const Coder& coder_;
  ByteSpan input_;
  std::uint64_t size_;
  std::uint64_t consumed_ = 0;
  std::unique_ptr<StreamDecoder> decoder_;
  Spool spool_;
  Result<void> written_;
};

Error without_offset(Error error) {
  error.offset = Error::kNoOffset;
  return error;
}

}  // namespace

std::uint64_t bytes_written_by(const Folder& folder) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < folder.coders.size(); ++i) {
    if (folder.coders[i].method == kCopy) continue;
    const auto more = i < folder.sizes.size() ? checked_add(sum, folder.sizes[i]) : std::nullopt;
    if (!more) return UINT64_MAX;
    sum = *more;
  }
  return sum;
}

Result<Content> unpack_folder(const Folder& folder, const std::vector<ByteSpan>& packed,
                              std::uint64_t max_output) {
  Content content;
  const auto row = row_of(folder);
  const auto is_read = [](const Coder& coder) {
    return coder.method == kCopy || decoder_of(coder, 0) != nullptr;
  };
  if (!row || row->size() > kMaxCoders || !std::ranges::all_of(folder.coders, is_read)) {
    content.complete = unsupported(folder);
    return content;
  }
  if (bytes_written_by(folder) > max_output) {
    content.complete =
        fail(ErrorCode::kLimit, "the archive decompresses to more than tare is willing to hold");
    return content;
  }
  content.bytes = packed.front();
  for (const std::size_t index : *row) {
    const Coder& coder = folder.coders[index];
    const std::uint64_t size = folder.sizes[index];
    Result<void> outcome;
    if (coder.method == kCopy) {
      if (content.bytes.size() < size) {
        outcome = fail(ErrorCode::kTruncated, "the stored data ends too early");
      }
      content.bytes = content.bytes.first(std::min<std::uint64_t>(size, content.bytes.size()));
    } else {
      auto output = Stage(coder, content.bytes, size).run(outcome);
      if (!output) return std::unexpected(output.error());
      content.unpacked = std::move(*output);
      content.bytes = content.unpacked->bytes();
    }
    // What broke first is why the others did.
    if (!outcome && content.complete) {
      content.complete = std::unexpected(without_offset(outcome.error()));
    }
  }
  return content;
}

}  // namespace tare::sevenzip
