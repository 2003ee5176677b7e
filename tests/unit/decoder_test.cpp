#include "archive/decoder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "support/packed.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using test::gzip_member;
using test::GzipMember;
using test::packed;
using test::repeat;

constexpr Codec kAll[] = {Codec::kDeflate, Codec::kZlib, Codec::kGzip, Codec::kBzip2,  Codec::kXz,
                          Codec::kLzma,    Codec::kLz4,  Codec::kZstd, Codec::kJoblibZ};

// What came out before the end or the error, and which of them it was.
struct Outcome {
  std::string content;
  Result<Decoded> decoded;
  std::size_t largest_piece = 0;

  ErrorCode error() const { return decoded ? ErrorCode::kInvalidArgument : decoded.error().code; }
};

Outcome outcome(Codec codec, std::string_view input, const DecodeLimits& limits = {}) {
  Outcome out;
  out.decoded = decode(codec, as_bytes(input), limits, [&](ByteSpan piece) -> Result<void> {
    out.content += as_text(piece);
    out.largest_piece = std::max(out.largest_piece, piece.size());
    return {};
  });
  return out;
}

std::string noise(std::size_t size) {
  std::mt19937 random(7);
  std::string out(size, '\0');
  std::ranges::generate(out, [&] { return static_cast<char>(random()); });
  return out;
}

// Neither all alike nor all noise.
std::string sample(std::size_t size) {
  std::string out;
  while (out.size() < size) out += noise(300) + repeat("text ", 60);
  out.resize(size);
  return out;
}

// ---- every kind

class Decoder : public testing::TestWithParam<Codec> {
 protected:
  void SetUp() override {
    if (!has_codec(GetParam())) GTEST_SKIP() << "this build has no " << codec_name(GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(Codecs, Decoder, testing::ValuesIn(kAll), [](const auto& test) {
  std::string name(codec_name(test.param));
  std::erase(name, ' ');
  return name;
});

TEST_P(Decoder, GivesTheContent) {
  for (const std::size_t size : {0UL, 1UL, 100UL, 65'536UL, 3'000'000UL}) {
    const std::string content = sample(size);
    const std::string input = packed(GetParam(), content);
    const Outcome out = outcome(GetParam(), input);
    ASSERT_TRUE(out.decoded.has_value()) << out.decoded.error().what;
    EXPECT_TRUE(out.content == content) << size;
    EXPECT_EQ(out.decoded->consumed, input.size());
    EXPECT_EQ(out.decoded->produced, size);
    EXPECT_EQ(out.decoded->streams, 1U);
    EXPECT_LE(out.largest_piece, std::size_t{1} << 20);
  }
}

TEST_P(Decoder, IsKnownByContent) {
  const auto expected = GetParam() == Codec::kDeflate ? std::nullopt : std::optional(GetParam());
  for (const std::size_t size : {1UL, 3'000'000UL}) {
    EXPECT_EQ(codec_of(as_bytes(packed(GetParam(), sample(size)))), expected) << size;
  }
}

TEST_P(Decoder, ReportsBytesBehindTheStream) {
  const std::string input = packed(GetParam(), sample(1000));
  const Outcome out = outcome(GetParam(), input + "trailing");
  ASSERT_TRUE(out.decoded.has_value()) << out.decoded.error().what;
  EXPECT_EQ(out.decoded->consumed, input.size());
  EXPECT_EQ(out.decoded->produced, 1000U);
}

TEST_P(Decoder, KnowsACutStream) {
  const std::string content = sample(2000);
  const std::string input = packed(GetParam(), content);
  for (std::size_t length = 0; length < input.size(); ++length) {
    // A string of its own, so that sanitizers see a read behind its end.
    const std::string cut(input, 0, length);
    const Outcome out = outcome(GetParam(), cut);
    // The header of a ZF file is read as a whole.
    const bool header = GetParam() == Codec::kJoblibZ && length < 24;
    ASSERT_EQ(out.error(), header ? ErrorCode::kMalformed : ErrorCode::kTruncated) << length;
    ASSERT_LE(out.decoded.error().offset, length);
    ASSERT_TRUE(content.starts_with(out.content)) << length;
  }
}

TEST_P(Decoder, SurvivesDamage) {
  const std::string content = sample(2000);
  const std::string input = packed(GetParam(), content);
  std::mt19937 random(1);
  for (std::size_t at = 0; at < input.size(); ++at) {
    std::string damaged = input;
    damaged[at] = static_cast<char>(damaged[at] ^ static_cast<char>(1 + random() % 255));
    const Outcome out = outcome(GetParam(), damaged, {.max_output = 1 << 20});
    if (!out.decoded) {
      ASSERT_LE(out.decoded.error().offset, damaged.size());
    }
  }
}

TEST_P(Decoder, StopsABomb) {
  const std::string input = packed(GetParam(), std::string(5'000'000, '\0'));
  const DecodeLimits by_size{.max_output = 4'999'999};
  EXPECT_EQ(outcome(GetParam(), input, by_size).error(), ErrorCode::kLimit);
  EXPECT_LE(outcome(GetParam(), input, by_size).content.size(), by_size.max_output);
  const DecodeLimits by_ratio{.max_ratio = 10, .always_allowed = 1'000'000};
  EXPECT_EQ(outcome(GetParam(), input, by_ratio).error(), ErrorCode::kLimit);
  const DecodeLimits exact{.max_output = 5'000'000, .max_ratio = 10, .always_allowed = 5'000'000};
  EXPECT_TRUE(outcome(GetParam(), input, exact).decoded.has_value());
}

TEST_P(Decoder, PassesOnWhatTheSinkSays) {
  int calls = 0;
  const std::string input = packed(GetParam(), noise(1'000'000));
  const auto decoded = decode(GetParam(), as_bytes(input), {}, [&](ByteSpan) -> Result<void> {
    ++calls;
    return fail(ErrorCode::kNoSpace, "full", 5);
  });
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(decoded.error().offset, 5U);
  EXPECT_EQ(calls, 1);
}

TEST_P(Decoder, Unpacks) {
  const std::string content = sample(100'000);
  const auto whole = unpack(GetParam(), as_bytes(packed(GetParam(), content)));
  ASSERT_TRUE(whole.has_value());
  EXPECT_TRUE(whole->decoded.has_value());
  EXPECT_TRUE(as_text(whole->content.bytes()) == content);
}

TEST_P(Decoder, UnpacksUpToWhereAStreamBreaks) {
  const std::string content = noise(2'000'000);
  const std::string input = packed(GetParam(), content);
  const auto cut = unpack(GetParam(), as_bytes(input).first(input.size() - 1));
  ASSERT_TRUE(cut.has_value());
  ASSERT_FALSE(cut->decoded.has_value());
  EXPECT_EQ(cut->decoded.error().code, ErrorCode::kTruncated);
  EXPECT_GT(cut->content.size(), 900'000U);
  EXPECT_TRUE(content.starts_with(as_text(cut->content.bytes())));
}

TEST(DecoderNames, TellWhatTheBuildLacks) {
  for (const Codec codec : kAll) {
    const auto unpacked = unpack(codec, {});
    EXPECT_EQ(unpacked.has_value(), has_codec(codec)) << codec_name(codec);
    EXPECT_EQ(outcome(codec, "").error() == ErrorCode::kUnsupported, !has_codec(codec));
    if (unpacked) continue;
    EXPECT_THAT(unpacked.error().what, testing::StartsWith("this build of tare has no "));
  }
}

TEST(DecoderNames, AreAllDifferent) {
  std::vector<std::string_view> names;
  for (const Codec codec : kAll) names.push_back(codec_name(codec));
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

// ---- streams in a row

class DecoderOfMany : public Decoder {};

INSTANTIATE_TEST_SUITE_P(Codecs, DecoderOfMany,
                         testing::Values(Codec::kGzip, Codec::kBzip2, Codec::kXz, Codec::kLzma,
                                         Codec::kLz4, Codec::kZstd),
                         [](const auto& test) { return std::string(codec_name(test.param)); });

TEST_P(DecoderOfMany, ReadsThemAsOne) {
  const std::string input =
      packed(GetParam(), "one ") + packed(GetParam(), "") + packed(GetParam(), "three");
  const Outcome out = outcome(GetParam(), input + "x");
  ASSERT_TRUE(out.decoded.has_value()) << out.decoded.error().what;
  EXPECT_EQ(out.content, "one three");
  EXPECT_EQ(out.decoded->consumed, input.size());
  EXPECT_EQ(out.decoded->streams, 3U);
}

TEST_P(DecoderOfMany, FailsWhereALaterOneIsDamaged) {
  const std::string first = packed(GetParam(), "one ");
  std::string second = packed(GetParam(), sample(1000));
  second.resize(second.size() - 1);
  const Outcome out = outcome(GetParam(), first + second);
  EXPECT_EQ(out.error(), ErrorCode::kTruncated);
  EXPECT_TRUE(out.content.starts_with("one "));
  EXPECT_EQ(out.decoded.error().offset, first.size() + second.size());
}

TEST_P(DecoderOfMany, TakesTimeInProportion) {
  const std::string input = repeat(packed(GetParam(), "x"), 5'000);
  const Outcome out = outcome(GetParam(), input);
  ASSERT_TRUE(out.decoded.has_value()) << out.decoded.error().what;
  EXPECT_EQ(out.decoded->streams, 5'000U);
}

class DecoderOfOne : public Decoder {};

INSTANTIATE_TEST_SUITE_P(Codecs, DecoderOfOne,
                         testing::Values(Codec::kDeflate, Codec::kZlib, Codec::kJoblibZ),
                         [](const auto& test) {
                           return std::string(codec_name(test.param).substr(0, 6));
                         });

TEST_P(DecoderOfOne, LeavesASecondStreamAlone) {
  const std::string first = packed(GetParam(), "one");
  const Outcome out = outcome(GetParam(), first + packed(GetParam(), "two"));
  ASSERT_TRUE(out.decoded.has_value());
  EXPECT_EQ(out.content, "one");
  EXPECT_EQ(out.decoded->consumed, first.size());
}

TEST(XzDecoder, GoesOnInTheOlderFormatAndBack) {
  if (!has_codec(Codec::kXz)) GTEST_SKIP() << "this build has no liblzma";
  const std::string xz = packed(Codec::kXz, "a");
  const std::string lzma = packed(Codec::kLzma, "b");
  EXPECT_EQ(outcome(Codec::kXz, xz + lzma + xz).content, "aba");
  EXPECT_EQ(outcome(Codec::kLzma, lzma + xz).content, "ba");
}

TEST(XzDecoder, PassesOverZerosByFours) {
  if (!has_codec(Codec::kXz)) GTEST_SKIP() << "this build has no liblzma";
  const std::string xz = packed(Codec::kXz, "a");
  const std::string padded = xz + std::string(8, '\0') + xz + std::string(4, '\0');
  const Outcome out = outcome(Codec::kXz, padded);
  EXPECT_EQ(out.content, "aa");
  EXPECT_EQ(out.decoded->consumed, padded.size());
  EXPECT_EQ(outcome(Codec::kXz, xz + std::string(3, '\0')).decoded->consumed, xz.size());
}

// ---- gzip

TEST(GzipDecoder, PassesOverZeros) {
  const std::string padded =
      gzip_member("a") + "\0\0\0"s + gzip_member("b") + std::string(500, '\0');
  const Outcome out = outcome(Codec::kGzip, padded);
  EXPECT_EQ(out.content, "ab");
  EXPECT_EQ(out.decoded->consumed, padded.size());
  const Outcome trailing = outcome(Codec::kGzip, gzip_member("a") + "\0x"s);
  EXPECT_EQ(trailing.decoded->consumed, gzip_member("a").size());
}

TEST(GzipDecoder, ReadsEveryField) {
  const GzipMember all{"content", 0x1F,
                       test::u16(3) + "ext" + "name\0"s + "comment\0"s + "\xAA\xBB"};
  const std::string input = all.build();
  EXPECT_EQ(outcome(Codec::kGzip, input).content, "content");
  for (std::size_t length = 0; length < input.size(); ++length) {
    ASSERT_EQ(outcome(Codec::kGzip, input.substr(0, length)).error(), ErrorCode::kTruncated);
  }
}

TEST(GzipDecoder, IsAsLenientAboutTheHeaderAsPython) {
  // Reserved flags, and a CRC of the header that is none.
  const GzipMember odd{"content", 0xE2, "\0\0"s};
  EXPECT_EQ(outcome(Codec::kGzip, odd.build()).content, "content");
}

TEST(GzipDecoder, ChecksTheTrailerBehindTheContent) {
  const Outcome crc = outcome(Codec::kGzip, GzipMember{"content", 0, "", 1}.build());
  EXPECT_EQ(crc.error(), ErrorCode::kMalformed);
  EXPECT_EQ(crc.content, "content");
  EXPECT_EQ(crc.decoded.error().offset, gzip_member("content").size() - 8);
  const Outcome size = outcome(Codec::kGzip, GzipMember{"content", 0, "", {}, 8}.build());
  EXPECT_EQ(size.error(), ErrorCode::kMalformed);
  EXPECT_EQ(size.decoded.error().offset, gzip_member("content").size() - 4);
}

TEST(GzipDecoder, NamesWhatItIsNot) {
  std::string other = gzip_member("content");
  other[2] = 7;
  EXPECT_EQ(outcome(Codec::kGzip, other).error(), ErrorCode::kUnsupported);
  EXPECT_EQ(outcome(Codec::kGzip, "PK\x03\x04 and more than ten bytes").error(),
            ErrorCode::kMalformed);
}

// ---- zlib and ZF

TEST(ZlibDecoder, ChecksTheContent) {
  std::string input = test::zlib_stream("content");
  input.back() ^= 1;
  const Outcome out = outcome(Codec::kZlib, input);
  EXPECT_EQ(out.error(), ErrorCode::kMalformed);
  EXPECT_EQ(out.content, "content");
}

TEST(ZlibDecoder, HasNoDictionaries) {
  EXPECT_EQ(outcome(Codec::kZlib, "\x78\xBB\x01\x02\x03\x04more").error(), ErrorCode::kUnsupported);
}

TEST(JoblibZDecoder, ReadsTheWiderHeaderOfPython2) {
  std::string input = test::joblib_z("content");
  input.insert(21, " ");
  EXPECT_EQ(codec_of(as_bytes(input)), Codec::kJoblibZ);
  EXPECT_EQ(outcome(Codec::kJoblibZ, input).content, "content");
}

TEST(JoblibZDecoder, ComparesTheSize) {
  const Outcome out = outcome(Codec::kJoblibZ, test::joblib_z("content", "0x8"));
  EXPECT_EQ(out.error(), ErrorCode::kMalformed);
  EXPECT_EQ(out.content, "content");
  EXPECT_EQ(outcome(Codec::kJoblibZ, test::joblib_z("content", "0x7")).content, "content");
}

TEST(JoblibZDecoder, RefusesASizeThatIsNone) {
  for (const char* text : {"", "7", "0x", "0xg", "-0x7", "0x 7", "0x7 7", "0x10000000000000000"}) {
    const std::string input = test::joblib_z("content", text);
    EXPECT_EQ(codec_of(as_bytes(input)), std::nullopt) << text;
    EXPECT_EQ(outcome(Codec::kJoblibZ, input).error(), ErrorCode::kMalformed) << text;
  }
}

// ---- memory

TEST(XzDecoder, RefusesALargeDictionary) {
#ifdef TARE_HAS_LZMA
  for (const Codec codec : {Codec::kXz, Codec::kLzma}) {
    std::string input = test::lzma_data(codec, "content", 64U << 20);
    EXPECT_EQ(outcome(codec, input).content, "content");
    if (codec == Codec::kXz) continue;
    input.replace(1, 4, test::u32(1U << 30));
    EXPECT_EQ(outcome(codec, input).error(), ErrorCode::kLimit);
  }
  EXPECT_EQ(outcome(Codec::kXz, test::lzma_data(Codec::kXz, "content", 1U << 29)).error(),
            ErrorCode::kLimit);
#else
  GTEST_SKIP() << "this build has no liblzma";
#endif
}

TEST(ZstdDecoder, RefusesALargeWindow) {
  if (!has_codec(Codec::kZstd)) GTEST_SKIP() << "this build has no zstd";
  // Magic, a descriptor without flags, the window, one empty raw block that is the last.
  const auto frame = [](unsigned log) {
    return "\x28\xB5\x2F\xFD"s + test::u8(0) + test::u8((log - 10) << 3) + "\x01\0\0"s;
  };
  EXPECT_TRUE(outcome(Codec::kZstd, frame(28)).decoded.has_value());
  EXPECT_EQ(outcome(Codec::kZstd, frame(29)).error(), ErrorCode::kLimit);
}

// ---- frames

TEST(ZstdDecoder, ChecksTheContent) {
  if (!has_codec(Codec::kZstd)) GTEST_SKIP() << "this build has no zstd";
  std::string input = packed(Codec::kZstd, sample(1000));
  input.back() ^= 1;
  EXPECT_EQ(outcome(Codec::kZstd, input).error(), ErrorCode::kMalformed);
}

TEST(ZstdDecoder, HasNoDictionaries) {
  if (!has_codec(Codec::kZstd)) GTEST_SKIP() << "this build has no zstd";
  // One byte of dictionary id.
  const std::string frame = "\x28\xB5\x2F\xFD\x01\x58\x07\x01\0\0"s;
  EXPECT_EQ(outcome(Codec::kZstd, frame).error(), ErrorCode::kUnsupported);
}

TEST(FrameDecoders, PassOverSkippableFrames) {
  for (const Codec codec : {Codec::kLz4, Codec::kZstd}) {
    if (!has_codec(codec)) GTEST_SKIP() << "this build has no " << codec_name(codec);
    const std::string skip = test::skippable_frame("some notes");
    const std::string input =
        skip + skip + packed(codec, "one ") + skip + packed(codec, "two") + skip;
    EXPECT_EQ(codec_of(as_bytes(input)), codec);
    const Outcome out = outcome(codec, input);
    ASSERT_TRUE(out.decoded.has_value()) << out.decoded.error().what;
    EXPECT_EQ(out.content, "one two");
    EXPECT_EQ(out.decoded->consumed, input.size());
  }
}

TEST(FrameDecoders, LeaveFramesOfTheOtherKindAlone) {
  const std::string lz4 = packed(Codec::kLz4, "one");
  const std::string zstd = packed(Codec::kZstd, "two");
  if (lz4.empty() || zstd.empty()) GTEST_SKIP() << "this build has no lz4 or no zstd";
  EXPECT_EQ(outcome(Codec::kLz4, lz4 + zstd).decoded->consumed, lz4.size());
  EXPECT_EQ(outcome(Codec::kZstd, zstd + lz4).decoded->consumed, zstd.size());
}

TEST(Lz4Decoder, ReadsEveryKindOfFrame) {
#ifdef TARE_HAS_LZ4
  const std::string content = sample(700'000);
  for (const auto size : {LZ4F_max64KB, LZ4F_max256KB, LZ4F_max1MB, LZ4F_max4MB}) {
    for (const auto mode : {LZ4F_blockLinked, LZ4F_blockIndependent}) {
      for (const bool checks : {false, true}) {
        LZ4F_frameInfo_t info{};
        info.blockSizeID = size;
        info.blockMode = mode;
        info.contentChecksumFlag = checks ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum;
        info.blockChecksumFlag = checks ? LZ4F_blockChecksumEnabled : LZ4F_noBlockChecksum;
        info.contentSize = checks ? content.size() : 0;
        std::string input = test::lz4_frame(content, info);
        EXPECT_TRUE(outcome(Codec::kLz4, input).content == content);
        if (!checks) continue;
        input[input.size() / 2] ^= 1;
        EXPECT_EQ(outcome(Codec::kLz4, input).error(), ErrorCode::kMalformed);
      }
    }
  }
#else
  GTEST_SKIP() << "this build has no lz4";
#endif
}

// A block that is damaged must not take with it what came before.
TEST(FrameDecoders, KeepTheBlocksBeforeADamagedOne) {
  for (const Codec codec : {Codec::kLz4, Codec::kZstd}) {
    if (!has_codec(codec)) GTEST_SKIP() << "this build has no " << codec_name(codec);
    const std::string content = noise(1'000'000);
    std::string input = packed(codec, content);
    input.back() ^= 1;  // of the checksum, which the last block comes with
    const Outcome out = outcome(codec, input);
    EXPECT_EQ(out.error(), ErrorCode::kMalformed);
    EXPECT_GE(out.content.size(), content.size() - (128U << 10)) << codec_name(codec);
  }
}

// ---- what is no stream

TEST(CodecOf, DoesNotTakeOtherFilesForStreams) {
  const std::string others[] = {
      "",
      "x",
      "x^2 + y^2 = z^2 is what everybody knows, and more text follows here to be read",
      "x^",
      "xyz",
      "x\x9D some bytes",
      "x\x9C\x07",  // a block type that does not exist
      "BZ",
      "BZh9 is how a text may begin",
      "ZF0x10 a text",
      "\x1F\x8B\x07 not deflate",
      "]q\0(K\x01K\x02"s + "e.",
      "\x80\x02]q\0."s,
      "]\0\0\x80\0 too short"s.substr(0, 13),
      "]\0\0\x81\0\0\0\0\0\0\0\0\0\0"s,  // no such dictionary
      "]\0\0\x80\0\0\0\0\0\0\0\0\1\0"s,  // 2^56 bytes
      "]\0\0\x80\0\x05\0\0\0\0\0\0\0\x01"s,
      "PK\x03\x04",
      test::skippable_frame("nothing but this"),
      test::skippable_frame("cut").substr(0, 9),
      std::string(1000, '\0'),
  };
  for (const std::string& other : others) {
    EXPECT_EQ(codec_of(as_bytes(other)), std::nullopt) << testing::PrintToString(other);
  }
}

TEST(CodecOf, KnowsZlibOfEveryLevel) {
  for (const int level : {0, 1, 5, 6, 9}) {
    const std::string content = sample(10'000);
    std::string out(::compressBound(content.size()), '\0');
    uLongf size = out.size();
    ::compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                reinterpret_cast<const Bytef*>(content.data()), content.size(), level);
    out.resize(size);
    EXPECT_EQ(codec_of(as_bytes(out)), Codec::kZlib) << level;
    EXPECT_TRUE(outcome(Codec::kZlib, out).content == content);
  }
}

TEST(DecodeLimits, CountsWithoutOverflow) {
  const DecodeLimits limits{.max_output = 1000, .max_ratio = 10, .always_allowed = 50};
  EXPECT_EQ(limits.output_of(0), 50U);
  EXPECT_EQ(limits.output_of(20), 200U);
  EXPECT_EQ(limits.output_of(UINT64_MAX), 1000U);
}

}  // namespace
}  // namespace tare
