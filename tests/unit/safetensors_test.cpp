#include "tare/safetensors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>

#include "support/binary.hpp"
#include "support/safetensors_builder.hpp"

namespace tare::safetensors {
namespace {

using namespace std::string_literals;
using test::safetensors_file;
using test::tensor_json;
using test::u64;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

ErrorCode parse_error(std::string_view file, Rules rules = Rules::kStrict) {
  const auto header = parse(as_bytes(file), rules);
  return header ? ErrorCode::kIo : header.error().code;
}
constexpr ErrorCode kFine = ErrorCode::kIo;

// A file with one tensor F32 [1] named "t" and its 4 bytes, with anything changed in the JSON.
ErrorCode json_error(std::string_view json) {
  return parse_error(safetensors_file(json, "1234"));
}

// ---- reading: the layout

TEST(Safetensors, ReadsAFile) {
  const std::string file = safetensors_file(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[2],"data_offsets":[8,10]},)"
      R"("a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}  )",
      "12345678xy");
  const auto header = parse(as_bytes(file));
  ASSERT_TRUE(header.has_value()) << header.error().what;
  EXPECT_TRUE(header->has_metadata());
  EXPECT_THAT(header->metadata(), ElementsAre(Pair("format", "pt")));
  ASSERT_EQ(header->tensors().size(), 2U);
  EXPECT_EQ(header->tensors()[0].name, "a");  // by position, not as written
  EXPECT_EQ(header->tensors()[0].dtype, DType::kF32);
  EXPECT_THAT(header->tensors()[0].shape, ElementsAre(2U, 1U));
  EXPECT_EQ(header->tensors()[1].name, "b");
  EXPECT_EQ(header->tensors()[1].begin, 8U);
  EXPECT_EQ(header->tensors()[1].end, 10U);
  EXPECT_EQ(header->data_offset(), file.size() - 10);
}

TEST(Safetensors, RefusesFilesTooShort) {
  EXPECT_EQ(parse_error(""), ErrorCode::kTruncated);
  EXPECT_EQ(parse_error("1234567"), ErrorCode::kTruncated);
  EXPECT_EQ(parse_error(u64(2)), ErrorCode::kTruncated);
  EXPECT_EQ(parse_error(u64(3) + "{}"), ErrorCode::kTruncated);
  EXPECT_EQ(parse_error(u64(kMaxHeaderBytes) + "{}"), ErrorCode::kTruncated);
}

TEST(Safetensors, RefusesHeadersTooLong) {
  EXPECT_EQ(parse_error(u64(kMaxHeaderBytes + 1) + "{}"), ErrorCode::kLimit);
  EXPECT_EQ(parse_error(u64(0xFFFFFF000000003C) + "{}"), ErrorCode::kLimit);
  // Added to the 8 bytes in front, these are 0 and 7.
  EXPECT_EQ(parse_error(u64(UINT64_MAX - 7) + "{}"), ErrorCode::kLimit);
  EXPECT_EQ(parse_error(u64(UINT64_MAX) + "{}"), ErrorCode::kLimit);
}

TEST(Safetensors, ReadsTheLargestHeaderThereMayBe) {
  std::string file = u64(kMaxHeaderBytes) + "{}";
  file.resize(8 + kMaxHeaderBytes, ' ');
  EXPECT_EQ(parse_error(file), kFine);
}

TEST(Safetensors, ReadsAFileOfNothing) {
  EXPECT_EQ(parse_error(safetensors_file("{}")), kFine);
  EXPECT_EQ(parse_error(safetensors_file("{}\r \t\n")), kFine);
  EXPECT_EQ(parse_error(safetensors_file(R"({"__metadata__":{}})")), kFine);
}

TEST(Safetensors, RefusesBytesThatBelongToNoTensor) {
  const std::string json = "{" + tensor_json("t", "F32", "[1]", 0, 4) + "}";
  EXPECT_EQ(parse_error(safetensors_file(json, "1234")), kFine);
  EXPECT_EQ(parse_error(safetensors_file(json, "12345")), ErrorCode::kMalformed);
  EXPECT_EQ(parse_error(safetensors_file(json, "123")), ErrorCode::kTruncated);
  EXPECT_EQ(parse_error(safetensors_file("{}", "extra_bogus_data_for_polyglot_file")),
            ErrorCode::kMalformed);
}

TEST(Safetensors, NeedsNoAlignment) {
  const std::string json =
      "{" + tensor_json("a", "U8", "[1]", 0, 1) + "," + tensor_json("b", "F32", "[1]", 1, 5) + "}";
  for (std::size_t padding = 0; padding < 8; ++padding) {
    EXPECT_EQ(parse_error(safetensors_file(json + std::string(padding, ' '), "12345")), kFine);
  }
}

TEST(Safetensors, RefusesHolesAndOverlap) {
  const auto two = [](std::uint64_t begin, std::uint64_t end, std::size_t data) {
    return parse_error(safetensors_file("{" + tensor_json("a", "F32", "[1]", 0, 4) + "," +
                                            tensor_json("b", "F32", "[1]", begin, end) + "}",
                                        std::string(data, 'x')));
  };
  EXPECT_EQ(two(4, 8, 8), kFine);
  EXPECT_EQ(two(5, 9, 9), ErrorCode::kMalformed);
  EXPECT_EQ(two(3, 7, 7), ErrorCode::kMalformed);
  EXPECT_EQ(two(0, 4, 4), ErrorCode::kMalformed);
  EXPECT_EQ(two(8, 4, 8), ErrorCode::kMalformed);
  // The first one must begin at 0.
  EXPECT_EQ(
      parse_error(safetensors_file("{" + tensor_json("a", "F32", "[1]", 4, 8) + "}", "12345678")),
      ErrorCode::kMalformed);
  std::string json = "{";
  for (int i = 0; i < 10; ++i) {
    json += (i > 0 ? "," : "") + tensor_json("t" + std::to_string(i), "F32", "[4]", 0, 16);
  }
  EXPECT_EQ(parse_error(safetensors_file(json + "}", std::string(16, 'x'))), ErrorCode::kMalformed);
}

TEST(Safetensors, RefusesSizesThatDoNotFitTheOffsets) {
  const auto one = [](std::string_view dtype, std::string_view shape, std::uint64_t bytes) {
    return parse_error(safetensors_file("{" + tensor_json("t", dtype, shape, 0, bytes) + "}",
                                        std::string(bytes, 'x')));
  };
  EXPECT_EQ(one("F32", "[2,2]", 16), kFine);
  EXPECT_EQ(one("F32", "[2,2]", 4), ErrorCode::kMalformed);
  EXPECT_EQ(one("I32", "[]", 4), kFine);
  EXPECT_EQ(one("I32", "[]", 0), ErrorCode::kMalformed);
  EXPECT_EQ(one("F4", "[1,2]", 1), kFine);
  EXPECT_EQ(one("F4", "[3]", 1), ErrorCode::kMalformed);
  EXPECT_EQ(one("F4", "[]", 1), ErrorCode::kMalformed);
  EXPECT_EQ(one("F6_E2M3", "[4]", 3), kFine);
  EXPECT_EQ(one("F6_E3M2", "[2]", 1), ErrorCode::kMalformed);
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(one(dtype_name(dtype), "[2,4]", dtype_bits(dtype)), kFine) << dtype_name(dtype);
  }
}

TEST(Safetensors, RefusesShapesThatOverflow) {
  const auto shape = [](std::string_view sizes) {
    return parse_error(safetensors_file("{" + tensor_json("t", "F32", sizes, 0, 0) + "}"));
  };
  EXPECT_EQ(shape("[2,18446744073709551614]"), ErrorCode::kOverflow);
  EXPECT_EQ(shape("[2,9223372036854775807]"), ErrorCode::kOverflow);  // of the bytes
  EXPECT_EQ(shape("[18446744073709551615,2,0]"), ErrorCode::kOverflow);
  EXPECT_EQ(shape("[4294967296,4294967296]"), ErrorCode::kOverflow);
  EXPECT_EQ(shape("[0,18446744073709551615]"), kFine);
  EXPECT_EQ(shape("[0,18446744073709551615,2]"), kFine);
  EXPECT_EQ(shape("[2,0]"), kFine);
  EXPECT_EQ(shape("[1,1,1,1,1,1,1,1,1,1,1,1,0]"), kFine);
  EXPECT_EQ(shape("[256,256,256,256,256,256,256,256]"), ErrorCode::kOverflow);
}

// What is added up or multiplied from numbers of the file, and does not fit.
TEST(Safetensors, RefusesSizesThatWrap) {
  const auto one = [](std::string_view dtype, std::string_view shape, std::uint64_t begin,
                      std::uint64_t end) {
    return parse_error(
        safetensors_file("{" + tensor_json("t", dtype, shape, begin, end) + "}", "1234"));
  };
  // Large, and no overflow: the file is just too short for it.
  constexpr std::uint64_t kMost = UINT64_MAX / 8;  // the bits must fit
  EXPECT_EQ(one("U8", "[2305843009213693951]", 0, kMost), ErrorCode::kTruncated);
  EXPECT_EQ(one("U8", "[2305843009213693952]", 0, kMost + 1), ErrorCode::kOverflow);
  // Products that are negative as signed numbers.
  EXPECT_EQ(one("U8", "[1518500249,1518500249]", 0, 4), ErrorCode::kMalformed);
  EXPECT_EQ(one("U8", "[9223372036854775808]", 0, 4), ErrorCode::kOverflow);
  EXPECT_EQ(one("U8", "[3037000500,3037000500]", 0, 4), ErrorCode::kOverflow);
  EXPECT_EQ(one("F64", "[2305843009213693952]", 0, 0), ErrorCode::kOverflow);
  // The end wraps to the right size, the begin is behind the end.
  EXPECT_EQ(one("U8", "[4]", UINT64_MAX - 3, 0), ErrorCode::kMalformed);
  EXPECT_EQ(one("U8", "[4]", 4, 0), ErrorCode::kMalformed);
  EXPECT_EQ(one("U8", "[4]", 100, 104), ErrorCode::kMalformed);
  // With what is in front of it, the data ends behind the largest offset there is.
  std::string json = "{";
  for (std::uint64_t i = 0; i < 8; ++i) {
    json += tensor_json(std::to_string(i), "U8", std::to_string(kMost).insert(0, "[") + "]",
                        i * kMost, (i + 1) * kMost) +
            ",";
  }
  json += tensor_json("8", "U8", "[7]", UINT64_MAX - 7, UINT64_MAX) + "}";
  EXPECT_EQ(parse_error(safetensors_file(json)), ErrorCode::kOverflow);
}

// Lengths of headers that are, as bytes, the signatures of pickle and zlib.
TEST(Safetensors, IsNotTakenForWhatItsLengthLooksLike) {
  for (const std::size_t length :
       {0x80U, 0x180U, 0x280U, 0x380U, 0x480U, 0x580U, 0x2078U, 0x9C78U, 0x8B1FU, 0x280280U}) {
    std::string good = "{" + tensor_json("t", "F32", "[1]", 0, 4) + "}";
    std::string bad = "{" + tensor_json("t", "F32", "[-1]", 0, 4) + "}";
    good.resize(length, ' ');
    bad.resize(length, ' ');
    EXPECT_EQ(parse_error(safetensors_file(good, "1234")), kFine) << length;
    EXPECT_EQ(parse_error(safetensors_file(bad, "1234")), ErrorCode::kMalformed) << length;
  }
}

// One fault hides another: the first in the order of the reference's checks is told.
TEST(Safetensors, ChecksInTheOrderOfTheReference) {
  EXPECT_EQ(parse_error(u64(kMaxHeaderBytes + 1)), ErrorCode::kLimit);
  EXPECT_EQ(parse_error(u64(100) + "\xFF"), ErrorCode::kTruncated);
  const auto text = [](const std::string& file) {
    const auto header = parse(as_bytes(file));
    return header ? "" : std::string(header.error().what);
  };
  EXPECT_THAT(text(safetensors_file("\xFF")), testing::HasSubstr("UTF-8"));
  EXPECT_THAT(text(safetensors_file("{\"\xFF")), testing::HasSubstr("UTF-8"));
  const auto code = [](std::string_view first, std::string_view second) {
    return parse_error(
        safetensors_file("{" + std::string(first) + "," + std::string(second) + "}", "12345678"));
  };
  const std::string good = tensor_json("a", "F32", "[1]", 0, 4);
  const std::string too_large = tensor_json("b", "F32", "[18446744073709551615]", 4, 8);
  const std::string hole = tensor_json("c", "F32", "[1]", 9, 13);
  // By position, whatever the order of the text: the shape of "b" before the hole in front of "c".
  EXPECT_EQ(code(good, too_large + "," + hole), ErrorCode::kOverflow);
  EXPECT_EQ(code(hole, too_large + "," + good), ErrorCode::kOverflow);
  // Of one tensor its place first, then the shape, then the size, then the end of the file.
  EXPECT_EQ(code(good, tensor_json("b", "F32", "[18446744073709551615]", 5, 9)),
            ErrorCode::kMalformed);
  EXPECT_THAT(text(safetensors_file("{" + tensor_json("t", "F4", "[3]", 0, 9) + "}", "12345678")),
              testing::HasSubstr("bytes"));
  EXPECT_EQ(code(good, tensor_json("b", "F32", "[3]", 4, 12)), ErrorCode::kMalformed);
  EXPECT_EQ(code(good, tensor_json("b", "F32", "[2]", 4, 12)), ErrorCode::kTruncated);
}

// Files that were made to make a reader work for ever, or to read outside.
TEST(Safetensors, RefusesAttacksThatAreKnown) {
  EXPECT_EQ(parse_error(u64(1000) + "{}"), ErrorCode::kTruncated);
  // Ten million tensors on the same bytes: the header alone is too large.
  EXPECT_EQ(parse_error(u64(600'000'000) + "{\"a\":"), ErrorCode::kLimit);
  // A hundred thousand that overlap, each with all of the data.
  std::string json = "{";
  for (int i = 0; i < 100'000; ++i) {
    json += (i > 0 ? "," : "") + tensor_json(std::to_string(i), "F32", "[200,200]", 0, 160'000);
  }
  EXPECT_EQ(parse_error(safetensors_file(json + "}", std::string(160'000, 'x'))),
            ErrorCode::kMalformed);
}

TEST(Safetensors, TakesAnyNumberOfEmptyTensorsAtOnePlace) {
  const std::string json = "{" + tensor_json("a", "F32", "[0]", 0, 0) + "," +
                           tensor_json("b", "F32", "[1]", 0, 4) + "," +
                           tensor_json("c", "F32", "[0,3]", 4, 4) + "," +
                           tensor_json("d", "F32", "[0]", 0, 0) + "}";
  EXPECT_EQ(parse_error(safetensors_file(json, "1234")), kFine);
}

// ---- reading: the JSON

constexpr std::string_view kEntry = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";

ErrorCode entry_error(std::string_view entry) {
  return json_error(R"({"t":)" + std::string(entry) + "}");
}
ErrorCode name_error(std::string_view quoted) {
  return json_error("{" + std::string(quoted) + ":" + std::string(kEntry) + "}");
}

TEST(SafetensorsJson, AcceptsWhiteSpaceAnywhere) {
  EXPECT_EQ(json_error("{ \"t\"\t:\r\n{ \"dtype\" : \"F32\" , \"shape\" : [ 1 ] ,\n"
                       "\"data_offsets\"\t:\t[ 0 , 4 ] } } \n"),
            kFine);
}

TEST(SafetensorsJson, AcceptsFieldsInAnyOrder) {
  EXPECT_EQ(entry_error(R"({"data_offsets":[0,4],"shape":[1],"dtype":"F32"})"), kFine);
}

TEST(SafetensorsJson, AcceptsAnyName) {
  for (const std::string_view name :
       {R"("")", R"("a\u0000b")", R"("../../etc/passwd")", R"("\ud83d\ude00")", R"("\/")",
        R"("\"\\\b\f\n\r\t")", "\"\xE2\x82\xAC\x7F\"", R"("\u20AC")"}) {
    EXPECT_EQ(name_error(name), kFine) << name;
  }
  const std::string file =
      safetensors_file(R"({"\ud83d\ude00\u00e9\u0000\/":)" + std::string(kEntry) + "}", "1234");
  const auto header = parse(as_bytes(file));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->tensors()[0].name, "\xF0\x9F\x98\x80\xC3\xA9\0/"s);
}

TEST(SafetensorsJson, RefusesBrokenStrings) {
  for (const std::string& name :
       {R"("\ud83d")"s, R"("\ude00")"s, R"("\ud83d\u0041")"s, R"("\ud83dx")"s, R"("\x41")"s,
        R"("\u12")"s, R"("\u12g4")"s, "\"\x1F\""s, "\"\n\""s, "\"\0\""s, "t"s, "'t'"s, "\"t"s,
        "\"\\"s, "\"\\u"s}) {
    EXPECT_EQ(name_error(name), ErrorCode::kMalformed) << name;
  }
  EXPECT_EQ(name_error("\"\xFF\""), ErrorCode::kMalformed);
  EXPECT_EQ(name_error("\"\xC0\x80\""), ErrorCode::kMalformed);      // overlong
  EXPECT_EQ(name_error("\"\xED\xA0\x80\""), ErrorCode::kMalformed);  // a surrogate
}

// What the reference accepts and strict rules refuse, each with a rule that begins "strict: ".
void expect_odd(std::string_view json, std::string_view data = "1234") {
  const std::string file = safetensors_file(json, data);
  EXPECT_EQ(parse_error(file, Rules::kReference), kFine) << json;
  const auto strict = parse(as_bytes(file), Rules::kStrict);
  ASSERT_FALSE(strict.has_value()) << json;
  EXPECT_EQ(strict.error().code, ErrorCode::kRefused) << json;
  EXPECT_TRUE(std::string_view(strict.error().what).starts_with("strict: ")) << json;
}
void expect_odd_entry(std::string_view entry) {
  expect_odd(R"({"t":)" + std::string(entry) + "}");
}

TEST(SafetensorsStrict, RefusesDuplicateNames) {
  // The survivor of the two tiles the file.
  expect_odd("{" + tensor_json("t", "F32", "[1]", 0, 4) + "," +
             tensor_json("t", "F32", "[1]", 0, 4) + "}");
  expect_odd("{" + tensor_json("t", "F32", "[0]", 4, 4) + "," +
             tensor_json("\\u0074", "F32", "[1]", 0, 4) + "}");
  // It does not: that is an error under every rule.
  const std::string file = safetensors_file(
      "{" + tensor_json("t", "F32", "[1]", 0, 4) + "," + tensor_json("t", "F32", "[0]", 4, 4) + "}",
      "1234");
  EXPECT_EQ(parse_error(file, Rules::kReference), ErrorCode::kMalformed);
}

TEST(SafetensorsReference, TakesTheLastOfANameThatOccursTwice) {
  std::string json = "{";
  for (int i = 0; i < 100; ++i) json += tensor_json("t", "U8", "[1]", 7, 8) + ",";
  json += tensor_json("u", "U8", "[2]", 4, 6) + "," + tensor_json("t", "F32", "[1]", 0, 4) + "}";
  const std::string file = safetensors_file(json, "123456");
  const auto header = parse(as_bytes(file), Rules::kReference);
  ASSERT_TRUE(header.has_value()) << header.error().what;
  ASSERT_EQ(header->tensors().size(), 2U);
  EXPECT_EQ(header->find("t")->dtype, DType::kF32);
  EXPECT_EQ(header->find("u")->begin, 4U);
  EXPECT_EQ(header->find("v"), nullptr);
}

TEST(SafetensorsStrict, RefusesEntriesThatFewReadersTake) {
  expect_odd_entry(R"(["F32",[1],[0,4]])");
  expect_odd_entry(R"({"dtype":{"F32":null},"shape":[1],"data_offsets":[0,4]})");
  for (const std::string value : {"1", "null", "true", "\"\\u0041\"", "-1.5e-7", "1e-999", "0e999",
                                  "[]", "{}", "[1,[2,{}],3]", R"({"a":{"a":[],"a":""},"b":-0})"}) {
    expect_odd_entry(R"({"dtype":"F32","x":)" + value + R"(,"shape":[1],"data_offsets":[0,4]})");
  }
}

TEST(SafetensorsReference, IgnoresOnlyValidJson) {
  const auto with = [](const std::string& value) {
    return parse_error(safetensors_file(R"({"t":{"dtype":"F32","x":)" + value +
                                            R"(,"shape":[1],"data_offsets":[0,4]}})",
                                        "1234"),
                       Rules::kReference);
  };
  for (const std::string& value : {"01"s,          "1."s,      ".5"s,
                                   "1e"s,          "+1"s,      "-"s,
                                   "1e999"s,       "-1e999"s,  "[1,]"s,
                                   "[,]"s,         "{\"a\"}"s, "{\"a\":}"s,
                                   "{a:1}"s,       "nul"s,     "NaN"s,
                                   "\"\\ud800\""s, "[}"s,      "{]"s,
                                   "[1 2]"s,       "'a'"s,     std::string(400, '9')}) {
    EXPECT_NE(with(value), kFine) << value;
  }
  // Containers inside each other, the header and the entry included.
  const auto nested = [&](std::size_t depth) {
    return with(std::string(depth, '[') + std::string(depth, ']'));
  };
  EXPECT_EQ(nested(125), kFine);
  EXPECT_EQ(nested(126), ErrorCode::kLimit);
  EXPECT_EQ(nested(1'000'000), ErrorCode::kLimit);
}

TEST(SafetensorsStrict, RefusesOddHeaders) {
  expect_odd(" {}", "");
  expect_odd("\n\t{}\r ", "");
  expect_odd(R"({"__metadata__":null})", "");
  expect_odd(R"({"\u005f_metadata__":{"a":""}})", "");
  expect_odd(R"({"__metadata__":{"a":"1","a":"2"}})", "");
}

TEST(SafetensorsReference, TellsNoMetadataFromNone) {
  const auto has_metadata = [](std::string_view json) {
    const std::string file = safetensors_file(json);
    const auto header = parse(as_bytes(file), Rules::kReference);
    EXPECT_TRUE(header.has_value()) << json;
    return header && header->has_metadata();
  };
  EXPECT_FALSE(has_metadata("{}"));
  EXPECT_FALSE(has_metadata(R"({"__metadata__":null})"));
  EXPECT_TRUE(has_metadata(R"({"__metadata__":{}})"));
  EXPECT_TRUE(has_metadata(R"({"__metadata__" : {"a":"b"} })"));
  EXPECT_TRUE(has_metadata(R"({"\u005f_metadata__":{"a":"b"}})"));
}

TEST(SafetensorsReference, TakesTheLastOfAMetadataKeyThatOccursTwice) {
  const std::string file = safetensors_file(R"({"__metadata__":{"a":"1","b":"2","\u0061":"3"}})");
  const auto header = parse(as_bytes(file), Rules::kReference);
  ASSERT_TRUE(header.has_value());
  EXPECT_THAT(header->metadata(), ElementsAre(Pair("a", "3"), Pair("b", "2")));
}

TEST(SafetensorsJson, RefusesOddEntries) {
  for (const std::string_view entry :
       {R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"dtype":"F32"})",
        R"({"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]})",
        R"({"dtype":"F32","shape":[1]})", R"({"dtype":"F32","data_offsets":[0,4]})",
        R"({"shape":[1],"data_offsets":[0,4]})", R"({})", R"(null)", R"("F32")",
        R"({"dtype":"F32","shape":[1],"data_offsets":[0]})",
        R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})",
        R"({"dtype":"F32","shape":[1],"data_offsets":[]})",
        R"({"dtype":"F32","shape":[1],"data_offsets":{"0":4}})",
        R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})",
        R"({"dtype":"F32","shape":[[1]],"data_offsets":[0,4]})",
        R"({"dtype":"F32","shape":null,"data_offsets":[0,4]})",
        R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],})",
        R"({"dtype":"F32","shape":[1,],"data_offsets":[0,4]})",
        R"({"dtype":"F32" "shape":[1],"data_offsets":[0,4]})",
        R"({"dtype":"F32","shape":[1],"data_offsets":[0 4]})"}) {
    EXPECT_EQ(entry_error(entry), ErrorCode::kMalformed) << entry;
    const std::string file = safetensors_file(R"({"t":)" + std::string(entry) + "}", "1234");
    EXPECT_EQ(parse_error(file, Rules::kReference), ErrorCode::kMalformed) << entry;
  }
  for (const std::string_view entry :
       {R"([])", R"(["F32",[1]])", R"(["F32",[1],[0,4],1])", R"([[1],"F32",[0,4]])",
        R"({"dtype":{},"shape":[1],"data_offsets":[0,4]})",
        R"({"dtype":{"F32":1},"shape":[1],"data_offsets":[0,4]})",
        R"({"dtype":{"F32":null,"F16":null},"shape":[1],"data_offsets":[0,4]})"}) {
    const std::string file = safetensors_file(R"({"t":)" + std::string(entry) + "}", "1234");
    EXPECT_EQ(parse_error(file, Rules::kReference), ErrorCode::kMalformed) << entry;
  }
}

TEST(SafetensorsJson, RefusesUnknownTypes) {
  for (const std::string_view dtype :
       {"f32", "C128", "INT4", "U4", "UE8M0", "F8", "F8_E4M3FN", "BOOLEAN", "", "F32 "}) {
    EXPECT_EQ(json_error("{" + tensor_json("t", dtype, "[1]", 0, 4) + "}"), ErrorCode::kUnsupported)
        << dtype;
  }
}

// In every place where the reference wants a number of 64 bits without a sign.
TEST(SafetensorsJson, RefusesNumbersThatAreNoSizes) {
  for (const std::string number :
       {"1.0", "1e0", "1E0", "-0", "-1", "+1", "01", "00", "0x1", "18446744073709551616", "\"1\"",
        "null", "true", "NaN", "", "1 1", ".", "[1]", "99999999999999999999999999"}) {
    const auto entry = [](const std::string& shape, const std::string& offsets) {
      return entry_error(R"({"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[)" + offsets +
                         "]}");
    };
    EXPECT_EQ(entry(number, "0,4"), number.empty() ? kFine : ErrorCode::kMalformed) << number;
    EXPECT_EQ(entry("1," + number, "0,4"), ErrorCode::kMalformed) << number;
    EXPECT_EQ(entry("1", number + ",4"), ErrorCode::kMalformed) << number;
    EXPECT_EQ(entry("1", "0," + number), ErrorCode::kMalformed) << number;
  }
}

TEST(SafetensorsJson, RefusesWhatIsNoObject) {
  for (const std::string& json : {""s,
                                  "[]"s,
                                  "null"s,
                                  "\"x\""s,
                                  "1"s,
                                  "{"s,
                                  "}"s,
                                  "{}}"s,
                                  "{}{}"s,
                                  "{}x"s,
                                  "{},"s,
                                  "{,}"s,
                                  "\xEF\xBB\xBF{}"s,
                                  "\xC2\xA0{}"s,
                                  "{}\f"s,
                                  "{}\0"s,
                                  "{}//"s,
                                  "{/**/}"s,
                                  "{\"t\"}"s,
                                  "{\"t\":}"s}) {
    EXPECT_EQ(parse_error(safetensors_file(json)), ErrorCode::kMalformed) << json;
  }
}

TEST(SafetensorsJson, ReadsMetadata) {
  const auto metadata = [](std::string_view json) {
    const std::string file =
        safetensors_file(R"({"t":)" + std::string(kEntry) + "," + std::string(json) + "}", "1234");
    const auto header = parse(as_bytes(file));
    EXPECT_TRUE(header.has_value()) << header.error().what;
    return header ? header->metadata() : Metadata{};
  };
  EXPECT_THAT(metadata(R"("__metadata__":{})"), IsEmpty());
  EXPECT_THAT(metadata(R"("__metadata__":{"b":"2","a":"1"})"),
              ElementsAre(Pair("a", "1"), Pair("b", "2")));
  EXPECT_THAT(metadata(R"("__metadata__":{"\u0061\n":"\/"})"), ElementsAre(Pair("a\n", "/")));
}

TEST(SafetensorsJson, RefusesOddMetadata) {
  for (const std::string_view json :
       {R"({"__metadata__":{"a":1}})", R"({"__metadata__":{"a":null}})", R"({"__metadata__":[]})",
        R"({"__metadata__":{"a":{}}})", R"({"__metadata__":"x"})",
        R"({"__metadata__":{},"__metadata__":{}})", R"({"__metadata__":{"a":"1",}})",
        R"({"__metadata__":{"a"}})"}) {
    EXPECT_EQ(parse_error(safetensors_file(json)), ErrorCode::kMalformed) << json;
    EXPECT_EQ(parse_error(safetensors_file(json), Rules::kReference), ErrorCode::kMalformed);
  }
}

TEST(Safetensors, SaysHowMuchIsMissing) {
  const std::string file =
      safetensors_file("{" + tensor_json("t", "F32", "[4]", 0, 16) + "}", std::string(16, 'x'));
  for (const std::size_t cut : {std::size_t{9}, file.size() - 17, file.size() - 1}) {
    const auto header = parse(as_bytes(std::string_view(file).substr(0, cut)));
    ASSERT_FALSE(header.has_value());
    EXPECT_EQ(header.error().code, ErrorCode::kTruncated);
    EXPECT_EQ(header.error().actual, cut);
    EXPECT_EQ(header.error().expected, cut < file.size() - 16 ? file.size() - 16 : file.size());
  }
}

TEST(Safetensors, SaysWhatTheFileIsInstead) {
  const auto text = [](const std::string& file) {
    const auto header = parse(as_bytes(file));
    return header ? "" : std::string(header.error().what);
  };
  using testing::HasSubstr;
  EXPECT_THAT(text("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("git-lfs"));
  EXPECT_THAT(text("<!DOCTYPE html><html>Not found"), HasSubstr("HTML"));
  EXPECT_THAT(text("PK\x03\x04 and so on"), HasSubstr("zip"));
  EXPECT_THAT(text("\x80\x04}q\0."s + "more bytes"), HasSubstr("pickle"));
  EXPECT_THAT(text("GGUF\3\0\0\0\0\0\0\0"s), HasSubstr("GGUF"));
  EXPECT_THAT(text("\x1f\x8b\x08 and so on"), HasSubstr("gzip"));
  EXPECT_THAT(text(std::string(1000, '\0')), HasSubstr("zero"));
}

TEST(Safetensors, FindsATensorByName) {
  std::string json = "{";
  std::uint64_t offset = 0;
  for (int i = 0; i < 1000; ++i, ++offset) {
    json += tensor_json("t" + std::to_string(i), "U8", "[1]", offset, offset + 1) + ",";
  }
  json.back() = '}';
  const std::string file = safetensors_file(json, std::string(1000, 'x'));
  const auto header = parse(as_bytes(file));
  ASSERT_TRUE(header.has_value());
  for (const TensorEntry& entry : header->tensors()) EXPECT_EQ(header->find(entry.name), &entry);
  EXPECT_EQ(header->find("t1000"), nullptr);
  EXPECT_EQ(header->find(""), nullptr);
}

TEST(Safetensors, ReadsTheFrontAlone) {
  const std::string file =
      safetensors_file("{" + tensor_json("t", "F32", "[1]", 0, 4) + "}", "1234");
  const auto front = as_bytes(file).first(file.size() - 4);
  EXPECT_EQ(*front_bytes(front.size() - 8), front.size());
  EXPECT_TRUE(parse_front(front, file.size(), Rules::kStrict).has_value());
  EXPECT_FALSE(parse_front(front, file.size() + 1, Rules::kStrict).has_value());
  EXPECT_FALSE(parse_front(front, file.size() - 1, Rules::kStrict).has_value());
  EXPECT_FALSE(parse_front(front.first(20), file.size(), Rules::kStrict).has_value());
}

TEST(SafetensorsJson, SaysWhereItIsWrong) {
  const std::string file = safetensors_file(R"({"t":{"dtype":"F32","shape":[-1]}})");
  const auto header = parse(as_bytes(file));
  ASSERT_FALSE(header.has_value());
  EXPECT_EQ(header.error().offset, file.find('-'));
}

TEST(SafetensorsJson, DoesNotRecurse) {
  for (const std::string_view open : {"[", "{\"a\":", "{\"a\":{\"dtype\":["}) {
    const std::string nested = test::repeat(open, 300'000);
    EXPECT_NE(parse_error(safetensors_file(nested)), kFine);
    for (const Rules rules : {Rules::kStrict, Rules::kReference}) {
      EXPECT_NE(parse_error(safetensors_file("{\"t\":" + nested), rules), kFine);
      EXPECT_NE(parse_error(safetensors_file("{\"t\":{\"x\":" + nested), rules), kFine);
    }
  }
}

TEST(SafetensorsJson, ReadsManyTensorsInLittleTime) {
  std::string json = "{";
  for (int i = 0; i < 20'000; ++i) {
    json += (i > 0 ? "," : "") + tensor_json("layer." + std::to_string(i), "F32", "[0]", 0, 0);
  }
  const std::string file = safetensors_file(json + "}");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(parse_error(file), kFine);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

std::uint64_t peak_memory_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

// The reference takes 15 to 17 times the header for these.
TEST(SafetensorsJson, TakesLittleMemoryForWhatTheHeaderHolds) {
  constexpr std::size_t kSize = std::size_t{20} << 20;
  std::string tensors = "{";
  for (std::uint32_t i = 0; tensors.size() < kSize; ++i) {
    tensors += (i > 0 ? "," : "") + tensor_json(std::to_string(i), "U8", "[0]", 0, 0);
  }
  tensors += "}";
  const std::string ignored = R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":[)" +
                              test::repeat("0,", kSize / 2) + "0]}}";
  for (const std::string& json : {tensors, ignored}) {
    const std::string file = safetensors_file(json);
    const std::uint64_t before = peak_memory_bytes();
    EXPECT_EQ(parse_error(file, Rules::kReference), kFine);
    EXPECT_LT(peak_memory_bytes() - before, 3 * kSize);
  }
}

TEST(Safetensors, RefusesEveryTruncatedFile) {
  const std::string file =
      safetensors_file(R"({"__metadata__":{"k":"v"},"t":)" + std::string(kEntry) + "}  ", "1234");
  ASSERT_EQ(parse_error(file), kFine);
  for (std::size_t length = 0; length < file.size(); ++length) {
    EXPECT_NE(parse_error(std::string(file.data(), length)), kFine) << length;
  }
}

// An entry as writers write it is read by a short cut; with a space in it, by the long way.
TEST(SafetensorsJson, ReadsTheSameByTheShortCut) {
  const std::string front = R"({"t":)";
  std::vector<std::string> texts;
  const std::string whole = front + std::string(kEntry) + "}";
  for (std::size_t at = front.size(); at <= whole.size(); ++at) {
    texts.push_back(whole.substr(0, at));
    for (const char c : {'0', '1', '9', '-', '.', 'e', ' ', '"',  '\\', ',',
                         ':', '[', ']', '{', '}', 'F', 'U', '\0', '\n', '\x7F'}) {
      texts.push_back(std::string(whole).insert(at, 1, c));
      if (at < whole.size()) texts.push_back(std::string(whole).replace(at, 1, 1, c));
    }
  }
  int accepted = 0;
  for (const std::string& text : texts) {
    for (const Rules rules : {Rules::kStrict, Rules::kReference}) {
      const std::string file = safetensors_file(text, "1234");
      const std::string spaced =
          safetensors_file(std::string(text).insert(front.size(), 1, ' '), "1234");
      const auto a = parse(as_bytes(file), rules);
      const auto b = parse(as_bytes(spaced), rules);
      ASSERT_EQ(a.has_value(), b.has_value()) << text;
      if (a) {
        ++accepted;
        EXPECT_THAT(a->tensors()[0].shape, testing::ElementsAreArray(b->tensors()[0].shape))
            << text;
      } else {
        EXPECT_EQ(a.error().code, b.error().code) << text;
        EXPECT_STREQ(a.error().what, b.error().what) << text;
      }
    }
  }
  EXPECT_GT(accepted, 50);
}

// Any byte of the header may change: never more than an error, and what is accepted fits.
TEST(Safetensors, StaysInsideAFileWithAnyByteChanged) {
  const std::string file =
      safetensors_file(R"({"__metadata__":{"k":"v"},"t":)" + std::string(kEntry) + R"(,"u":)" +
                           R"({"dtype":"U8","shape":[2,3],"data_offsets":[4,10]}})",
                       "1234567890");
  for (std::size_t at = 0; at < file.size() - 10; ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = file;
      changed[at] = static_cast<char>(value);
      const auto header = parse(as_bytes(changed));
      if (!header) continue;
      for (const TensorEntry& entry : header->tensors()) {
        ASSERT_LE(entry.begin, entry.end);
        ASSERT_LE(header->data_offset() + entry.end, changed.size());
      }
    }
  }
}

}  // namespace
}  // namespace tare::safetensors
