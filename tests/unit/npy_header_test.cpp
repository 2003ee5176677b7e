#include "format/npy_header.hpp"

#include <gtest/gtest.h>

#include "support/binary.hpp"

namespace tare::format {
namespace {

using test::repeat;

constexpr std::string_view kPlain = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

std::string npy(std::string_view header, int major = 1, int minor = 0) {
  const std::string length = major == 1 ? test::u16(header.size()) : test::u32(header.size());
  return "\x93NUMPY" + test::u8(static_cast<unsigned>(major)) +
         test::u8(static_cast<unsigned>(minor)) + length + std::string(header);
}

Result<NpyHeader> parsed(std::string_view header, int major = 1) {
  const std::string file = npy(header, major);
  return parse_npy_header(as_bytes(file));
}

// A header with this type, or this shape.
Result<NpyHeader> with_type(std::string_view descr) {
  return parsed("{'descr': " + std::string(descr) + ", 'fortran_order': False, 'shape': (2,), }\n");
}
Result<NpyHeader> with_shape(std::string_view shape, int major = 1) {
  return parsed("{'descr': '<f4', 'fortran_order': False, 'shape': " + std::string(shape) + "}",
                major);
}

ErrorCode error(const Result<NpyHeader>& header) {
  EXPECT_FALSE(header.has_value());
  return header ? ErrorCode::kIo : header.error().code;
}

TEST(NpyHeader, ReadsEveryVersion) {
  for (const int major : {1, 2, 3}) {
    const std::string file = npy(std::string(kPlain) + "     \n", major) + "data";
    EXPECT_TRUE(is_npy(as_bytes(file)));
    const auto header = parse_npy_header(as_bytes(file));
    ASSERT_TRUE(header.has_value()) << header.error().what;
    EXPECT_EQ(header->dtype.kind, 'f');
    EXPECT_EQ(header->dtype.item_size, 4U);
    EXPECT_FALSE(header->fortran_order);
    EXPECT_EQ(header->shape, (Shape{2, 3}));
    EXPECT_EQ(header->data_offset, file.size() - 4);
    EXPECT_EQ(header->data_bytes, 24U);
    EXPECT_FALSE(header->repeated_key);
  }
}

TEST(NpyHeader, ReadsShapes) {
  EXPECT_EQ(with_shape("()")->shape, Shape{});
  EXPECT_EQ(with_shape("()")->data_bytes, 4U);
  EXPECT_EQ(with_shape("(0,)")->data_bytes, 0U);
  EXPECT_EQ(with_shape("(3L, 4L)")->shape, (Shape{3, 4}));
  EXPECT_EQ(with_shape("(3L, 4L)", 2)->shape, (Shape{3, 4}));
  EXPECT_EQ(error(with_shape("(3L, 4L)", 3)), ErrorCode::kMalformed);
  EXPECT_EQ(with_shape("(True,)")->shape, Shape{1});
  EXPECT_EQ(with_shape("(" + repeat("1,", 64) + ")")->shape.size(), 64U);
  for (const char* shape :
       {"3", "(3)", "[3]", "(-1,)", "(3.0,)", "('3',)", "((3,),)", "(None,)", "None"}) {
    EXPECT_EQ(error(with_shape(shape)), ErrorCode::kMalformed) << shape;
  }
  EXPECT_EQ(error(with_shape("(" + repeat("1,", 65) + ")")), ErrorCode::kMalformed);
}

TEST(NpyHeader, CountsBytesWithoutOverflow) {
  EXPECT_EQ(with_shape("(4611686018427387903,)")->data_bytes, UINT64_MAX - 3);
  EXPECT_EQ(error(with_shape("(4611686018427387904,)")), ErrorCode::kOverflow);
  EXPECT_EQ(error(with_shape("(4294967296, 4294967296)")), ErrorCode::kOverflow);
  EXPECT_EQ(with_shape("(4294967296, 4294967296, 0)")->data_bytes, 0U);
  EXPECT_EQ(error(with_shape("(99999999999999999999,)")), ErrorCode::kOverflow);
}

TEST(NpyHeader, ReadsFortranOrder) {
  const auto header = parsed("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }");
  EXPECT_TRUE(header->fortran_order);
  for (const char* order : {"1", "None", "'True'", "true"}) {
    const auto other =
        parsed("{'descr': '<f4', 'fortran_order': " + std::string(order) + ", 'shape': (2, 3), }");
    EXPECT_EQ(error(other), ErrorCode::kMalformed);
  }
}

TEST(NpyHeader, ReadsScalarTypes) {
  EXPECT_EQ(with_type("'>i2'")->dtype.order, NumpyDType::Order::kBig);
  EXPECT_EQ(with_type("'<M8[ns]'")->dtype.unit, "ns");
  EXPECT_EQ(with_type("'<U3'")->data_bytes, 24U);
  EXPECT_TRUE(with_type("'|O'")->dtype.has_objects);
  EXPECT_EQ(with_type("'|O'")->data_bytes, 0U);
  for (const char* descr : {"'x'", "''", "b'<f4'", "3", "None", "{}", "()", "('<f4',)", "True"}) {
    EXPECT_EQ(error(with_type(descr)), ErrorCode::kMalformed) << descr;
  }
  EXPECT_EQ(error(with_type("'f4,i4'")), ErrorCode::kUnsupported);
}

TEST(NpyHeader, ReadsStructuredTypes) {
  const auto header = with_type(
      "[('a', '<f4'), (('title', 'b'), '>i2', (2, 3)), ('', '|V3'), ('c', [('d', '|O'), ('e', "
      "'?')])]");
  ASSERT_TRUE(header.has_value()) << header.error().what;
  const NumpyDType& type = header->dtype;
  EXPECT_EQ(type.item_size, 4U + 12 + 3 + 9);
  ASSERT_EQ(type.fields.size(), 3U);
  EXPECT_EQ(type.fields[0].name, "a");
  EXPECT_EQ(type.fields[1].name, "b");
  EXPECT_EQ(type.fields[1].title, "title");
  EXPECT_EQ(type.fields[1].offset, 4U);
  EXPECT_EQ(type.fields[1].type.shape, (Shape{2, 3}));
  EXPECT_EQ(type.fields[2].offset, 19U);
  EXPECT_EQ(type.fields[2].type.fields[1].name, "e");
  EXPECT_EQ(type.fields[2].type.fields[1].offset, 8U);
  EXPECT_TRUE(type.has_objects);
  EXPECT_EQ(with_type("[]")->data_bytes, 0U);
  EXPECT_EQ(with_type("('<f4', (3,))")->dtype.item_size, 12U);
  EXPECT_EQ(with_type("[('a', '<f4', 3)]")->dtype.item_size, 12U);
  EXPECT_EQ(with_type("[['a', '<f4']]")->dtype.fields[0].name, "a");
  EXPECT_EQ(with_type("[('\xE9', '<f4')]")->dtype.fields[0].name, "\xC3\xA9");
}

TEST(NpyHeader, RefusesBrokenStructuredTypes) {
  for (const char* descr :
       {"['<f4']", "[('a',)]", "[('a', '<f4', (2,), 3)]", "[(1, '<f4')]", "[('a', 'x')]",
        "[('a', '<f4'), ('a', '<f4')]", "[(('t', 'a', 'x'), '<f4')]", "[((1, 'a'), '<f4')]",
        "[(('a', 'a'), '<f4')]", "[('a', '<f4', None)]", "[('a', '<f4', (-1,))]",
        "[('a', '<f4', (True,))]", "[('a', 'S', 3)]", "('<f4', '<i4')", "('<f4', [('a', '<f4')])",
        "[{'a': 1, 'b': 2}]", "['ab']"}) {
    EXPECT_EQ(error(with_type(descr)), ErrorCode::kMalformed) << descr;
  }
  EXPECT_EQ(error(with_type("[('a', '<f4', 1000000000)]")), ErrorCode::kOverflow);
  EXPECT_EQ(error(with_type("[('a', 'V2147483647'), ('b', 'V1')]")), ErrorCode::kOverflow);
}

TEST(NpyHeader, WantsTheThreeKeys) {
  EXPECT_EQ(error(parsed("{'descr': '<f4', 'fortran_order': False}")), ErrorCode::kMalformed);
  EXPECT_EQ(error(parsed("{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}")),
            ErrorCode::kMalformed);
  EXPECT_EQ(error(parsed("{'descr': '<f4', 'fortran_order': False, 'shape': (), 3: 1}")),
            ErrorCode::kMalformed);
  EXPECT_EQ(error(parsed("{}")), ErrorCode::kMalformed);
  EXPECT_EQ(error(parsed("[]")), ErrorCode::kMalformed);
  EXPECT_EQ(error(parsed("")), ErrorCode::kMalformed);
}

TEST(NpyHeader, TakesTheLastOfEqualKeysAndSaysSo) {
  const auto header =
      parsed("{'descr': '|O', 'descr': '<f8', 'fortran_order': False, 'shape': (), }");
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->dtype.item_size, 8U);
  EXPECT_EQ(header->dtype.kind, 'f');
  EXPECT_TRUE(header->repeated_key);
}

TEST(NpyHeader, RefusesCalls) {
  for (const char* descr :
       {"exec('x')", "__import__('os')", "[x for x in ()]", "'<f' + '4'", "f'<f4'"}) {
    EXPECT_EQ(error(with_type(descr)), ErrorCode::kMalformed) << descr;
  }
}

TEST(NpyHeader, RefusesWhatIsNoNpy) {
  EXPECT_EQ(error(parse_npy_header({})), ErrorCode::kWrongFormat);
  EXPECT_EQ(error(parse_npy_header(as_bytes("\x93NUMPX\x01"))), ErrorCode::kWrongFormat);
  for (const auto& [major, minor] : {std::pair(0, 1), {1, 1}, {4, 0}, {255, 255}}) {
    const std::string file = npy(kPlain, major, minor);
    EXPECT_EQ(error(parse_npy_header(as_bytes(file))), ErrorCode::kUnsupported);
  }
}

TEST(NpyHeader, KnowsACutFile) {
  for (const int major : {1, 2, 3}) {
    const std::string file = npy(kPlain, major);
    for (std::size_t length = 6; length < file.size(); ++length) {
      // A string of its own, so that sanitizers see a read behind its end.
      const std::string cut(file, 0, length);
      EXPECT_EQ(error(parse_npy_header(as_bytes(cut))), ErrorCode::kTruncated) << length;
    }
  }
}

TEST(NpyHeader, KeepsToItsLimits) {
  const std::string padded = std::string(kPlain) + std::string(1 << 20, ' ');
  EXPECT_EQ(error(parsed(padded, 2)), ErrorCode::kLimit);
  EXPECT_TRUE(parsed(padded.substr(0, 1 << 20), 2).has_value());
  EXPECT_EQ(error(with_type(repeat("[", 1000))), ErrorCode::kLimit);
  // A length that is not there takes no memory.
  EXPECT_EQ(error(parse_npy_header(
                as_bytes("\x93NUMPY\x02" + std::string(1, '\0') + test::u32(0xFFFFFFFF)))),
            ErrorCode::kLimit);
}

TEST(NpyHeader, TellsWhereAnErrorIs) {
  const auto shape = with_shape("(3, x)");
  const std::string file = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, x)}");
  EXPECT_EQ(shape.error().offset, file.find("x)"));
  const auto type = with_type("[('a', '<f4'), ('b', 'zz')]");
  EXPECT_EQ(type.error().offset, npy("{'descr': [('a', '<f4'), ('b', 'zz')]").find("'zz'"));
}

}  // namespace
}  // namespace tare::format
