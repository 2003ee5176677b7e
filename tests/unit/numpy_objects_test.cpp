// Numpy's calls in a pickle: arrays, scalars and element types, and what is refused.
#include "object/numpy_objects.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/pickle_values.hpp"

namespace tare::object {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

// ---- values of numpy

// numpy.dtype(name, False, True), with a state as numpy gives it.
std::string dtype(std::string_view name, std::string_view order = "<",
                  std::int64_t item_size = -1) {
  return called("numpy", "dtype", {str(name), boolean(false), boolean(true)}) +
         build(tuple({integer(3), str(order), kNone, kNone, kNone, integer(item_size), integer(-1),
                      integer(0)}));
}
std::string object_dtype() {
  return called("numpy", "dtype", {str("O8"), boolean(false), boolean(true)}) +
         build(tuple(
             {integer(3), str("|"), kNone, kNone, kNone, integer(-1), integer(-1), integer(63)}));
}

std::string reconstruct(std::string_view package = "numpy.core") {
  return called(std::string(package) + ".multiarray", "_reconstruct",
                {global("numpy", "ndarray"), sizes({0}), bytes("b")});
}
// The state of an array: version, shape, dtype, is_fortran, data.
std::string state(const std::string& shape, const std::string& type, const std::string& data,
                  bool fortran = false) {
  return tuple({integer(1), shape, type, boolean(fortran), data});
}
std::string array(const std::string& shape, const std::string& type, const std::string& data,
                  bool fortran = false) {
  return reconstruct() + build(state(shape, type, data, fortran));
}
std::string from_buffer(const std::string& buffer, const std::string& type,
                        const std::string& shape, std::string_view order) {
  return called("numpy.core.numeric", "_frombuffer", {buffer, type, shape, str(order)});
}

// ---- what is read of them

std::string numbers(const std::vector<std::uint64_t>& values) {
  std::string out;
  for (const std::uint64_t value : values) out += (out.empty() ? "" : ",") + std::to_string(value);
  return out;
}

std::string view_text(const TensorView& view) {
  return std::string(dtype_name(view.dtype)) + " [" + numbers(view.shape) + "] (" +
         numbers(view.strides) + ")" + (view.stored && view.stored->big_endian ? " big" : "");
}

std::string error_line(const Error& error) {
  return std::string(error_code_name(error.code)) + ": " + error.what;
}

// What the value at the end of a stream is: a view, or why it is none, or what it is instead.
std::string read_stream(const std::string& stream) {
  TestDocument document(stream);
  switch (document->meaning(document.root())) {
    case Meaning::kTensor:
      break;
    case Meaning::kObjects:
      return "objects";
    case Meaning::kFile:
      return "file";
    case Meaning::kPlain:
      return "plain";
  }
  const auto& tensor = document->tensor(document.root());
  if (!tensor) return error_line(tensor.error());
  if (const auto* dense = std::get_if<TorchTensor>(&*tensor)) return view_text(dense->view);
  std::string out = std::get<SpecialTensor>(*tensor).class_name;
  for (const NamedTensor& part : std::get<SpecialTensor>(*tensor).parts) {
    out += "; " + part.name + " " + view_text(part.view);
  }
  return out;
}
std::string read(const std::string& value) {
  return read_stream(stream(value));
}

// The bytes of an array.
std::string data_of(const std::string& value) {
  TestDocument document(stream(value));
  const auto& tensor = document->tensor(document.root());
  if (!tensor) return error_line(tensor.error());
  return std::string(as_text(std::get<TorchTensor>(*tensor).view.storage));
}

// The objects of an array: its shape, then the items.
std::vector<std::string> objects_of(const std::string& value) {
  TestDocument document(stream(value));
  if (document->meaning(document.root()) != Meaning::kObjects) return {"no objects"};
  const auto objects = document->objects(document.root());
  if (!objects) return {error_line(objects.error())};
  std::vector<std::string> lines = {"[" + numbers(objects->shape) + "]"};
  for (const Value item : objects->items) {
    lines.push_back(pickle::expression(document.graph(), item));
  }
  return lines;
}

const std::string kSix = "abcdef";

// ---- arrays

TEST(Arrays, HaveTheTypeOfTheirElements) {
  for (const auto& [name, order, expected, width] :
       std::vector<std::tuple<const char*, const char*, const char*, std::size_t>>{
           {"b1", "|", "BOOL", 1},
           {"i1", "|", "I8", 1},
           {"u1", "|", "U8", 1},
           {"i2", "<", "I16", 2},
           {"u2", "<", "U16", 2},
           {"i4", "<", "I32", 4},
           {"u4", "<", "U32", 4},
           {"i8", "<", "I64", 8},
           {"u8", "<", "U64", 8},
           {"f2", "<", "F16", 2},
           {"f4", "<", "F32", 4},
           {"f8", "<", "F64", 8},
           {"c8", "<", "C64", 8},
           {"c16", "<", "C128", 16}}) {
    const std::string data(3 * width, 'x');
    EXPECT_EQ(read(array(sizes({3}), dtype(name, order), bytes(data))),
              std::string(expected) + " [3] (1)");
    const bool swaps = width > 1;
    EXPECT_EQ(read(array(sizes({3}), dtype(name, ">"), bytes(data))),
              std::string(expected) + " [3] (1)" + (swaps ? " big" : ""));
  }
}

TEST(Arrays, AreOfEveryVersionOfNumpy) {
  const std::string inner = build(state(sizes({6}), dtype("u1", "|"), bytes(kSix)));
  EXPECT_EQ(read(reconstruct("numpy.core") + inner), "U8 [6] (1)");
  EXPECT_EQ(read(reconstruct("numpy._core") + inner), "U8 [6] (1)");
  EXPECT_EQ(read(reconstruct("evil.core") + inner), "plain");
  EXPECT_EQ(read(reconstruct("numpy.cores") + inner), "plain");
  // The state of version 0 does not begin with its version.
  EXPECT_EQ(read(reconstruct() +
                 build(tuple({sizes({6}), dtype("u1", "|"), boolean(false), bytes(kSix)}))),
            "U8 [6] (1)");
}

TEST(Arrays, HaveTheOrderThatTheySay) {
  EXPECT_EQ(read(array(sizes({2, 3}), dtype("u1", "|"), bytes(kSix))), "U8 [2,3] (3,1)");
  EXPECT_EQ(read(array(sizes({2, 3}), dtype("u1", "|"), bytes(kSix), true)), "U8 [2,3] (1,2)");
  EXPECT_EQ(read(array(sizes({1, 2, 3}), dtype("u1", "|"), bytes(kSix), true)),
            "U8 [1,2,3] (1,1,2)");
  EXPECT_EQ(read(array(tuple({}), dtype("u1", "|"), bytes("a"))), "U8 [] ()");
  EXPECT_EQ(read(array(sizes({0, 3}), dtype("u1", "|"), bytes(""))), "U8 [0,3] (3,1)");
  EXPECT_EQ(read(array(integer(6), dtype("u1", "|"), bytes(kSix))), "U8 [6] (1)");
}

TEST(Arrays, TakeTheirOrderFromTheStateOfTheType) {
  EXPECT_EQ(read(array(sizes({3}), dtype(">i2", "<"), bytes(kSix))), "I16 [3] (1)");
  EXPECT_EQ(read(array(sizes({3}), dtype("<i2", ">"), bytes(kSix))), "I16 [3] (1) big");
  EXPECT_EQ(read(array(sizes({3}), called("numpy", "dtype", {str(">i2")}), bytes(kSix))),
            "I16 [3] (1) big");
  EXPECT_EQ(read(array(sizes({3}), called("numpy", "dtype", {bytes("i2")}), bytes(kSix))),
            "I16 [3] (1)");
}

// Protocols 0 to 2 have no bytes.
TEST(Arrays, MayHaveTheirBytesAsText) {
  const auto encoded = [](std::string_view text, std::string_view encoding) {
    return called("_codecs", "encode", {str(text), str(encoding)});
  };
  const std::string type = dtype("u1", "|");
  EXPECT_EQ(data_of(array(sizes({3}), type, encoded("abc", "latin1"))), "abc");
  EXPECT_EQ(data_of(array(sizes({3}), type, encoded("a\xC3\xBF\xC2\x80", "latin-1"))), "a\xFF\x80");
  EXPECT_EQ(data_of(array(sizes({2}), type, encoded("ab", "iso8859-1"))), "ab");
  EXPECT_THAT(read(array(sizes({1}), type, encoded("\xC4\x80", "latin1"))),
              StartsWith("malformed: "));
  EXPECT_THAT(read(array(sizes({1}), type, encoded("a", "utf8"))), StartsWith("unsupported: "));
  EXPECT_THAT(read(array(sizes({1}), type, str("a"))), StartsWith("unsupported: "));
  // A str of Python 2.
  EXPECT_EQ(data_of(array(sizes({3}), type,
                          "U\x03"
                          "a\xFF"
                          "b")),
            "a\xFF"
            "b");
  EXPECT_EQ(read(array(sizes({0}), type, called("__builtin__", "bytes"))), "U8 [0] (1)");
}

TEST(Arrays, MayBeMadeOfBuffers) {
  const std::string type = dtype("u1", "|");
  const std::string shape = sizes({2, 3});
  EXPECT_EQ(read(from_buffer(bytes(kSix), type, shape, "C")), "U8 [2,3] (3,1)");
  EXPECT_EQ(read(from_buffer(bytes(kSix), type, shape, "F")), "U8 [2,3] (1,2)");
  const std::string writable = "\x96" + u64(6) + kSix;
  EXPECT_EQ(read_stream(stream(from_buffer(writable, type, shape, "C"), 5)), "U8 [2,3] (3,1)");
  EXPECT_EQ(read_stream(stream(from_buffer(writable + "\x98", type, shape, "C"), 5)),
            "U8 [2,3] (3,1)");
  EXPECT_EQ(read(from_buffer(called("builtins", "bytearray", {bytes(kSix)}), type, shape, "C")),
            "U8 [2,3] (3,1)");
  EXPECT_EQ(
      read(called("numpy._core.numeric", "_frombuffer", {bytes(kSix), type, shape, str("C")})),
      "U8 [2,3] (3,1)");
  // Out of the stream.
  EXPECT_THAT(read_stream(stream(from_buffer("\x97", type, shape, "C"), 5)),
              StartsWith("unsupported: "));
  EXPECT_THAT(read(called("numpy.core.numeric", "_frombuffer", {bytes(kSix), type, shape})),
              StartsWith("malformed: "));
}

TEST(Arrays, OfOtherPackagesHaveTheirTypes) {
  for (const auto& [name, expected] :
       std::vector<std::pair<const char*, const char*>>{{"bfloat16", "BF16 [2] (1)"},
                                                        {"float8_e4m3fn", "F8_E4M3 [2] (1)"},
                                                        {"float8_e5m2", "F8_E5M2 [2] (1)"},
                                                        {"float8_e8m0fnu", "F8_E8M0 [2] (1)"}}) {
    const std::string type = called("numpy", "dtype", {global("ml_dtypes", name)});
    EXPECT_EQ(read(array(sizes({2}), type, bytes("abcd"))), expected);
  }
  EXPECT_EQ(read(array(sizes({2}), called("numpy", "dtype", {global("ml_dtypes", "float1")}),
                       bytes("abcd"))),
            "plain");
}

// Numbers that no tensor has are refused; what is no number is no tensor.
TEST(Arrays, OfOtherElementsAreNoTensors) {
  EXPECT_THAT(read(array(sizes({1}), dtype("f16"), bytes(std::string(16, 'x')))),
              StartsWith("unsupported: is an array of longdouble"));
  EXPECT_THAT(read(array(sizes({1}), dtype("c32"), bytes(std::string(32, 'x')))),
              StartsWith("unsupported: is an array of complex numbers"));
  EXPECT_EQ(read(array(sizes({2}), dtype("S3", "|", 3), bytes(kSix))), "plain");
  EXPECT_EQ(read(array(sizes({1}), dtype("U1", "<", 4), bytes("abcd"))), "plain");
  EXPECT_EQ(read(array(sizes({1}), dtype("V4", "|", 4), bytes("abcd"))), "plain");
  EXPECT_EQ(read(array(sizes({1}), dtype("M8"), bytes("abcdefgh"))), "plain");
  // A structure, whatever its fields.
  const std::string fields = dict({{str("a"), tuple({dtype("i4"), integer(0)})}});
  const std::string structure =
      called("numpy", "dtype", {str("V4"), boolean(false), boolean(true)}) +
      build(tuple({integer(3), str("|"), kNone, tuple({str("a")}), fields, integer(4), integer(1),
                   integer(16)}));
  EXPECT_EQ(read(array(sizes({1}), structure, bytes("abcd"))), "plain");
}

TEST(Arrays, AreRefusedIfAFieldLies) {
  const std::string type = dtype("u1", "|");
  const auto with_state = [](const std::string& value) {
    return read(reconstruct() + build(value));
  };
  ASSERT_EQ(with_state(state(sizes({6}), type, bytes(kSix))), "U8 [6] (1)");
  for (const std::string& shape :
       {sizes({7}), sizes({-1}), sizes({2, 4}), sizes({INT64_MAX, INT64_MAX}),
        sizes({INT64_MAX, 2}), kNone, str("6"), list({integer(6)}), tuple({real(6)}),
        tuple({kNone})}) {
    EXPECT_THAT(with_state(state(shape, type, bytes(kSix))),
                testing::AnyOf(StartsWith("malformed: "), StartsWith("overflow: ")))
        << shape;
  }
  for (const std::string& wrong :
       {kNone, str("u1"), called("numpy", "dtype"), called("mod", "dtype", {str("u1")}),
        global("numpy", "uint8"), called("numpy", "dtype", {str("zz")}),
        called("numpy", "dtype", {integer(1)}), called("numpy", "dtype", {str("i3")})}) {
    EXPECT_THAT(with_state(state(sizes({6}), wrong, bytes(kSix))),
                testing::AnyOf(StartsWith("malformed: "), StartsWith("unsupported: ")))
        << wrong;
  }
  for (const std::string& wrong : {kNone, integer(6), list({}), tuple({}), bytes("")}) {
    EXPECT_THAT(with_state(state(sizes({6}), type, wrong)),
                testing::AnyOf(StartsWith("malformed: "), StartsWith("unsupported: ")))
        << wrong;
  }
  for (const std::string& wrong :
       {tuple({}), tuple({integer(1), sizes({6}), type, bytes(kSix)}), kNone, dict({}),
        tuple({kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone})}) {
    EXPECT_THAT(with_state(wrong), StartsWith("malformed: ")) << wrong;
  }
  EXPECT_THAT(read(reconstruct()), StartsWith("malformed: ")) << "without a state";
  EXPECT_EQ(with_state(state(sizes({5}), type, bytes(kSix))), "U8 [5] (1)") << "more than needed";
}

TEST(Arrays, HaveALimitedNumberOfAxes) {
  const std::vector<std::int64_t> ones(5000, 1);
  EXPECT_THAT(read(array(sizes(ones), dtype("u1", "|"), bytes("a"))), StartsWith("malformed: "));
}

// ---- arrays of objects

TEST(ObjectArrays, HaveAnItemForEachElement) {
  const std::string items = list({str("a"), integer(1), kNone, str("b"), integer(2), kNone});
  EXPECT_THAT(objects_of(array(sizes({2, 3}), object_dtype(), items)),
              ElementsAre("[2,3]", "'a'", "1", "None", "'b'", "2", "None"));
  // Row-major, whatever is_fortran says.
  EXPECT_THAT(objects_of(array(sizes({1, 2}), object_dtype(), list({str("a"), str("b")}), true)),
              ElementsAre("[1,2]", "'a'", "'b'"));
  EXPECT_THAT(objects_of(array(tuple({}), object_dtype(), list({dict({})}))),
              ElementsAre("[]", "{}"));
  EXPECT_THAT(objects_of(array(sizes({0}), object_dtype(), list({}))), ElementsAre("[0]"));
}

TEST(ObjectArrays, AreNoneIfTheyLie) {
  const std::string one = list({str("a")});
  EXPECT_THAT(objects_of(array(sizes({2}), object_dtype(), one)), ElementsAre("no objects"));
  EXPECT_THAT(objects_of(array(sizes({INT64_MAX, INT64_MAX}), object_dtype(), one)),
              ElementsAre("no objects"));
  EXPECT_THAT(objects_of(array(sizes({1}), object_dtype(), bytes("abcdefgh"))),
              ElementsAre("no objects"));
  EXPECT_THAT(objects_of(array(sizes({1}), dtype("u1", "|"), one)), ElementsAre("no objects"));
}

// ---- masked arrays

std::string masked(const std::string& data, const std::string& mask) {
  return called("numpy.ma.core", "_mareconstruct",
                {global("numpy.ma.core", "MaskedArray"), global("numpy", "ndarray"), sizes({0}),
                 bytes("b")}) +
         build(tuple({integer(1), sizes({2}), dtype("i2"), boolean(false), data, mask, kNone}));
}

TEST(MaskedArrays, HaveDataAndAMask) {
  EXPECT_EQ(read(masked(bytes("abcd"), bytes(std::string("\0\1", 2)))),
            "numpy.ma.MaskedArray; data I16 [2] (1); mask BOOL [2] (1)");
  EXPECT_THAT(read(masked(bytes("abcd"), bytes("\1"))), StartsWith("malformed: "));
  EXPECT_THAT(read(masked(bytes("abc"), bytes("\1\1"))), StartsWith("malformed: "));
  EXPECT_THAT(read(masked(bytes("abcd"), kNone)), StartsWith("unsupported: "));
}

// ---- scalars

std::string scalar(const std::string& type, const std::string& raw) {
  return called("numpy.core.multiarray", "scalar", {type, raw});
}

std::string number(std::string_view name, const std::string& raw, std::string_view order = "<") {
  TestDocument document(stream(scalar(dtype(name, order), bytes(raw))));
  const auto scalar = document->numpy().scalar(document.root());
  return scalar ? scalar->text : "";
}

TEST(Scalars, AreWrittenAsPythonDoes) {
  EXPECT_EQ(number("f8", memory_of<double>({0.5})), "0.5");
  EXPECT_EQ(number("f8", memory_of<double>({1})), "1.0");
  EXPECT_EQ(number("f8", memory_of<double>({1e16})), "1e+16");
  EXPECT_EQ(number("f8", memory_of<double>({1e300})), "1e+300");
  EXPECT_EQ(number("f8", memory_of<double>({0.0001})), "0.0001");
  EXPECT_EQ(number("f8", memory_of<double>({123456789.125})), "123456789.125");
  EXPECT_EQ(number("f8", memory_of<double>({-0.0})), "-0.0");
  EXPECT_EQ(number("f8", memory_of<double>({HUGE_VAL})), "inf");
  EXPECT_EQ(number("f8", memory_of<std::uint64_t>({0xFFF8000000000000})), "nan");
  EXPECT_EQ(number("f4", memory_of<float>({0.1F})), "0.1");
  EXPECT_EQ(number("f4", memory_of<float>({2})), "2.0");
  EXPECT_EQ(number("i8", memory_of<std::int64_t>({INT64_MIN})), "-9223372036854775808");
  EXPECT_EQ(number("u8", memory_of<std::uint64_t>({UINT64_MAX})), "18446744073709551615");
  EXPECT_EQ(number("i4", memory_of<std::int32_t>({-7})), "-7");
  EXPECT_EQ(number("u4", memory_of<std::uint32_t>({7})), "7");
  EXPECT_EQ(number("i2", memory_of<std::int16_t>({-7})), "-7");
  EXPECT_EQ(number("u2", memory_of<std::uint16_t>({7})), "7");
  EXPECT_EQ(number("i1", "\xFF", "|"), "-1");
  EXPECT_EQ(number("u1", "\xFF", "|"), "255");
  EXPECT_EQ(number("b1", "\x01", "|"), "True");
  EXPECT_EQ(number("b1", std::string(1, '\0'), "|"), "False");
  // The other byte order.
  EXPECT_EQ(number("i4", std::string("\0\0\1\0", 4), ">"), "256");
}

TEST(Scalars, AreNoneIfTheyLie) {
  EXPECT_EQ(number("f8", "abc"), "");
  EXPECT_EQ(number("f8", "abcdefghi"), "");
  EXPECT_EQ(number("f4", memory_of<double>({1})), "");
  EXPECT_EQ(number("c8", memory_of<double>({1})), "");
  EXPECT_EQ(number("zz", "a"), "");
  EXPECT_EQ(number("S1", "a", "|"), "");
}

TEST(Scalars, HaveAKind) {
  const auto kind = [](std::string_view name, const std::string& raw) {
    TestDocument document(stream(scalar(dtype(name), bytes(raw))));
    return document->numpy().scalar(document.root()).value().kind;
  };
  EXPECT_EQ(kind("i4", "abcd"), Kind::kInt);
  EXPECT_EQ(kind("u1", "a"), Kind::kInt);
  EXPECT_EQ(kind("f4", "abcd"), Kind::kFloat);
  EXPECT_EQ(kind("b1", "\1"), Kind::kBool);
}

std::string description(const std::string& value) {
  TestDocument document(stream(value));
  return document->numpy().describe(document.root());
}

TEST(Descriptions, SayWhatAnArrayIs) {
  EXPECT_EQ(description(array(sizes({2, 3}), dtype("f4"), bytes(""))), "array of <f4 [2, 3]");
  EXPECT_EQ(description(array(sizes({2}), dtype("S5", "|", 5), bytes(""))), "array of S5 [2]");
  EXPECT_EQ(description(array(sizes({2}), dtype("U5", "<", 20), bytes(""))), "array of <U5 [2]");
  EXPECT_EQ(description(array(sizes({2}), object_dtype(), list({}))), "array of object [2]");
  EXPECT_EQ(description(reconstruct()), "an array of numpy");
  EXPECT_EQ(description(scalar(dtype("f8"), bytes(memory_of<double>({0.5})))), "numpy 0.5");
  EXPECT_EQ(description(scalar(dtype("M8"), bytes("abcdefgh"))), "a scalar of numpy");
  EXPECT_EQ(description(called("mod", "f")), "");
  EXPECT_EQ(description(kNone), "");
}

}  // namespace
}  // namespace tare::object
