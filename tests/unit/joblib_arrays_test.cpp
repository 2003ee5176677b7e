// The arrays of joblib between the opcodes of a pickle: what is read of them, and what breaks.
#include "object/joblib_arrays.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "support/pickle_values.hpp"

namespace tare::object {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kFloats = memory_of<float>({1, 2, 3, 4, 5, 6});

std::string dtype(std::string_view name) {
  return called("numpy", "dtype", {str(name), boolean(false), boolean(true)});
}

// The object that stands for an array, without what follows it.
struct Wrapper {
  std::string shape = sizes({2, 3});
  std::string type = dtype("<f4");
  std::string order = str("C");
  std::string alignment = integer(16);  // empty: the attribute is missing
  std::string_view module = "joblib.numpy_pickle";

  std::string build() const {
    std::vector<std::pair<std::string, std::string>> state = {
        {str("subclass"), global("numpy", "ndarray")},
        {str("shape"), shape},
        {str("order"), order},
        {str("dtype"), type},
        {str("allow_mmap"), boolean(true)}};
    if (!alignment.empty()) state.emplace_back(str("numpy_array_alignment_bytes"), alignment);
    return made(module, "NumpyArrayWrapper") + test::build(dict(state));
  }
};

// What joblib puts in front of data that begins at `offset`: a byte that counts those behind it.
std::string padding(std::size_t offset) {
  const std::size_t count = 16 - (offset + 1) % 16;
  return u8(count) + std::string(count, '\xFF');
}

// A stream of one array, at any alignment.
std::string one_array(const Wrapper& wrapper = {}, const std::string& data = kFloats) {
  const std::string front = proto(2) + wrapper.build();
  const bool pads = !wrapper.alignment.empty() && wrapper.alignment != kNone;
  return front + (pads ? padding(front.size()) : "") + data + ".";
}

Result<ModelContents> contents_of(std::string_view file) {
  auto context = format::context_of(as_bytes(file));
  return format::kPickle.read_tensors(as_bytes(file), context);
}

std::string view_text(const TensorView& view) {
  std::string out = std::string(dtype_name(view.dtype));
  for (std::size_t axis = 0; axis < view.shape.size(); ++axis) {
    out += " " + std::to_string(view.shape[axis]) + "/" + std::to_string(view.strides[axis]);
  }
  return out + ": " + std::string(as_text(view.storage));
}

// A line for each tensor and each problem of a file, or why it cannot be read.
std::vector<std::string> read(std::string_view file) {
  const auto contents = contents_of(file);
  if (!contents) return {std::string("error: ") + contents.error().what};
  std::vector<std::string> lines;
  for (const NamedTensor& tensor : contents->tensors) {
    lines.push_back(tensor.name + " " + view_text(tensor.view));
  }
  for (const Problem& problem : contents->problems) {
    lines.push_back("problem " + problem.subject + ": " + problem.error.what);
  }
  return lines;
}

TEST(Joblib, ReadsAnArrayBehindItsWrapper) {
  const std::string file = one_array();
  EXPECT_THAT(read(file), ElementsAre("tensor F32 2/3 3/1: " + kFloats));
  EXPECT_EQ(contents_of(file)->format, "joblib");
  EXPECT_THAT(read(one_array({.order = str("F")})), ElementsAre("tensor F32 2/1 3/2: " + kFloats));
  EXPECT_THAT(read(one_array({.module = "sklearn.externals.joblib.numpy_pickle"})),
              ElementsAre("tensor F32 2/3 3/1: " + kFloats));
}

// joblib before 1.2, and into what cannot be sought in.
TEST(Joblib, PadsOnlyIfTheWrapperSaysSo) {
  EXPECT_THAT(read(one_array({.alignment = ""})), ElementsAre("tensor F32 2/3 3/1: " + kFloats));
  EXPECT_THAT(read(one_array({.alignment = kNone})), ElementsAre("tensor F32 2/3 3/1: " + kFloats));
  // However much it is: none, all that a byte can say.
  for (const unsigned count : {0U, 1U, 16U, 255U}) {
    const std::string file =
        proto(2) + Wrapper{}.build() + u8(count) + std::string(count, '\xFF') + kFloats + ".";
    EXPECT_THAT(read(file), ElementsAre("tensor F32 2/3 3/1: " + kFloats)) << count;
  }
}

TEST(Joblib, ReadsSeveralArrays) {
  std::string file = proto(2) + "}" + str("a") + Wrapper{}.build();
  file += padding(file.size()) + kFloats + "s";
  file += str("n") + integer(3) + "s";
  file += str("b") + Wrapper{.shape = sizes({2}), .type = dtype("<i2")}.build();
  file += padding(file.size()) + "wxyz" + "s.";
  EXPECT_THAT(read(file), ElementsAre("a F32 2/3 3/1: " + kFloats, "b I16 2/1: wxyz"));
}

// The bytes may be anything: opcodes, STOP, a payload.
TEST(Joblib, TakesNoOpcodesFromTheElements) {
  const std::string data = std::string("cos\nsystem\nS'id'\n\x85R.").append(2, '.');
  const Wrapper wrapper{.shape = sizes({static_cast<std::int64_t>(data.size())}),
                        .type = dtype("u1")};
  EXPECT_THAT(read(one_array(wrapper, data)),
              ElementsAre("tensor U8 " + std::to_string(data.size()) + "/1: " + data));
}

TEST(Joblib, ReadsArraysWithoutElements) {
  EXPECT_THAT(read(one_array({.shape = sizes({0, 3})}, "")), ElementsAre("tensor F32 0/3 3/1: "));
  EXPECT_THAT(read(one_array({.shape = tuple({})}, "abcd")), ElementsAre("tensor F32: abcd"));
}

// Elements that no tensor has are passed over all the same.
TEST(Joblib, PassesOverOtherElements) {
  std::string file = proto(2) + "](" + Wrapper{.shape = sizes({2}), .type = dtype("S3")}.build();
  file += padding(file.size()) + "abcdef";
  file += Wrapper{}.build();
  file += padding(file.size()) + kFloats + "e.";
  EXPECT_THAT(read(file), ElementsAre("1 F32 2/3 3/1: " + kFloats));
}

// ---- arrays of objects

std::string object_dtype() {
  return called("numpy", "dtype", {str("O8"), boolean(false), boolean(true)}) +
         build(tuple(
             {integer(3), str("|"), kNone, kNone, kNone, integer(-1), integer(-1), integer(63)}));
}

std::string object_array(const std::string& items, std::int64_t count) {
  return stream(called("numpy.core.multiarray", "_reconstruct",
                       {global("numpy", "ndarray"), sizes({0}), bytes("b")}) +
                build(tuple({integer(1), sizes({count}), object_dtype(), boolean(false), items})));
}

TEST(Joblib, ReadsArraysOfObjectsAsPickles) {
  const std::string inner_array =
      called("numpy.core.multiarray", "_reconstruct",
             {global("numpy", "ndarray"), sizes({0}), bytes("b")}) +
      build(tuple({integer(1), sizes({2}), dtype("u1"), boolean(false), bytes("xy")}));
  std::string file =
      proto(2) + "}" + str("o") + Wrapper{.shape = sizes({2}), .type = object_dtype()}.build() +
      object_array(list({str("text"), inner_array}), 2) + "s" + str("b") + Wrapper{}.build();
  file += padding(file.size()) + kFloats + "s.";
  EXPECT_THAT(read(file), ElementsAre("o.1 U8 2/1: xy", "b F32 2/3 3/1: " + kFloats));
  JoblibArrays arrays(as_bytes(file));
  const auto run = pickle::run(as_bytes(file), {.inline_data = &arrays});
  EXPECT_EQ(run.end, pickle::End::kStop);
  ASSERT_EQ(arrays.nested().size(), 1U);
  EXPECT_EQ(file.substr(arrays.nested()[0].offset, arrays.nested()[0].length),
            object_array(list({str("text"), inner_array}), 2));
  EXPECT_EQ(arrays.first_offset(), arrays.nested()[0].offset);
}

TEST(Joblib, BreaksWhereANestedPickleBreaks) {
  const std::string wrapper = Wrapper{.shape = sizes({1}), .type = object_dtype()}.build();
  EXPECT_THAT(read(proto(2) + wrapper + "\x80\x02]"), ElementsAre(testing::StartsWith("error: ")));
}

// ---- lies

TEST(Joblib, RefusesWrappersThatLie) {
  for (const Wrapper& wrapper :
       {Wrapper{.shape = sizes({2, 4})}, Wrapper{.shape = sizes({-1})},
        Wrapper{.shape = sizes({INT64_MAX, INT64_MAX})}, Wrapper{.shape = sizes({INT64_MAX})},
        Wrapper{.shape = kNone}, Wrapper{.shape = list({integer(6)})},
        Wrapper{.shape = tuple({str("6")})}, Wrapper{.type = kNone}, Wrapper{.type = str("<f4")},
        Wrapper{.type = dtype("zz")}, Wrapper{.type = dtype("<f8")}}) {
    EXPECT_THAT(read(one_array(wrapper)), ElementsAre(testing::StartsWith("error: ")));
  }
  // Attributes that are missing.
  EXPECT_THAT(read(stream(made("joblib.numpy_pickle", "NumpyArrayWrapper") + build("}"))),
              ElementsAre("error: an array of joblib with unexpected attributes"));
  EXPECT_THAT(read(stream(made("joblib.numpy_pickle", "NumpyArrayWrapper"))), IsEmpty());
}

TEST(Joblib, TakesOtherClassesOfTheNameForObjects) {
  EXPECT_THAT(read(stream(made("mod", "NumpyArrayWrapper") + build("}"))), IsEmpty());
}

// joblib before 0.10.
TEST(Joblib, SaysThatAnArrayIsInAnotherFile) {
  for (const char* name : {"NDArrayWrapper", "ZNDArrayWrapper"}) {
    EXPECT_THAT(
        read(
            stream(made("joblib.numpy_pickle", name) + build(dict({{str("filename"), str("x")}})))),
        ElementsAre("problem tensor: is an array that joblib before 0.10 wrote into another file"));
  }
}

TEST(Joblib, SurvivesAFileThatIsCutAnywhere) {
  const std::string file = one_array();
  for (std::size_t size = 0; size < file.size(); ++size) {
    // A copy of its own, so that a sanitizer sees who reads on.
    const std::vector<char> cut(file.begin(), file.begin() + static_cast<long>(size));
    const auto contents = contents_of({cut.data(), cut.size()});
    EXPECT_TRUE(!contents || contents->tensors.empty()) << size;
  }
}

TEST(Joblib, StaysInsideAFileWithAnyByteChanged) {
  const std::string file = one_array();
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (const unsigned flip : {0x01U, 0x80U, 0xFFU}) {
      std::string changed = file;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ flip);
      const auto contents = contents_of(changed);
      if (!contents) continue;
      for (const NamedTensor& tensor : contents->tensors) {
        EXPECT_TRUE(check_view(tensor.view).has_value()) << at;
        if (tensor.view.storage.empty()) continue;
        EXPECT_GE(tensor.view.storage.data(), as_bytes(changed).data());
        EXPECT_LE(tensor.view.storage.data() + tensor.view.storage.size(),
                  as_bytes(changed).data() + changed.size());
      }
    }
  }
}

// A state that is given again is looked at again; the sum is bounded all the same.
TEST(Joblib, DoesNotLookAtOneObjectTooOften) {
  std::string file = proto(2) + Wrapper{.shape = sizes({0}), .alignment = ""}.build() + binput(1);
  for (int i = 0; i < 200'000; ++i) file += "}b";
  file += ".";
  EXPECT_THAT(read(file), ElementsAre("error: an array of joblib with unexpected attributes"));
}

}  // namespace
}  // namespace tare::object
