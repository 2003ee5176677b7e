// What a file is, found out from its bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "support/pickle_bytes.hpp"
#include "support/safetensors_builder.hpp"
#include "support/temp_dir.hpp"
#include "support/torch_builder.hpp"
#include "tare/model.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using test::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string described(std::string_view bytes) {
  return std::string(describe_content(as_bytes(bytes)));
}

std::vector<std::string_view> detected(std::string_view bytes) {
  std::vector<std::string_view> names;
  for (const format::Format* format : format::detect(as_bytes(bytes))) {
    names.push_back(format->name);
  }
  return names;
}

TEST(DescribeContent, KnowsWhatPeopleDownloadInstead) {
  EXPECT_THAT(described("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
              HasSubstr("git-lfs"));
  for (const std::string_view page :
       {"<!DOCTYPE html><html>", "<!doctype html>", "<html lang=x>", "<HTML>"}) {
    EXPECT_THAT(described(page), HasSubstr("HTML")) << page;
  }
}

TEST(DescribeContent, KnowsFormatsThatItDoesNotRead) {
  EXPECT_THAT(described("GGUF" + test::u32(3) + test::u64(0)), HasSubstr("GGUF"));
  EXPECT_THAT(described("\x1F\x8B\x08\0\0"s), HasSubstr("gzip"));
  EXPECT_THAT(described("\x89HDF\r\n\x1A\n"), HasSubstr("HDF5"));
  EXPECT_THAT(described("\x93NUMPY\x01\0"s), HasSubstr("NumPy"));
  EXPECT_THAT(described("BZh91AY"), HasSubstr("bzip2"));
  EXPECT_THAT(described("\xFD"
                        "7zXZ\0\0"s),
              HasSubstr("xz"));
  EXPECT_THAT(described("7z\xBC\xAF\x27\x1C"), HasSubstr("7z"));
  EXPECT_THAT(described("\x28\xB5\x2F\xFD"), HasSubstr("zstd"));
  EXPECT_THAT(described("\x7F"
                        "ELF\x02"),
              HasSubstr("ELF"));
  std::string tar(1024, '\0');
  tar.replace(0, 4, "file").replace(257, 5, "ustar");
  EXPECT_THAT(described(tar), HasSubstr("tar"));
}

TEST(DescribeContent, KnowsWhatItReads) {
  EXPECT_THAT(described(test::clean_torch_zip().build()), HasSubstr("zip"));
  EXPECT_THAT(described(test::safetensors_file("{}")), HasSubstr("safetensors"));
  EXPECT_THAT(described("\x80\x02N."), HasSubstr("pickle"));
  EXPECT_THAT(described(test::payload() + "."), HasSubstr("pickle"));
}

TEST(DescribeContent, KnowsNothing) {
  EXPECT_EQ(described(""), "an empty file");
  EXPECT_THAT(described(std::string(100'000, '\0')), HasSubstr("zero bytes"));
  EXPECT_EQ(described("hello"), "no format that tare knows");
  EXPECT_EQ(described("."), "no format that tare knows");
}

TEST(DescribeContent, IsNeverEmpty) {
  for (unsigned a = 0; a < 256; ++a) {
    EXPECT_FALSE(described(test::u8(a)).empty());
    EXPECT_FALSE(described(test::u8(a) + "K").empty());
  }
}

TEST(Detect, FindsOneFormatInAnOrdinaryFile) {
  EXPECT_THAT(detected(test::clean_torch_zip().build()), ElementsAre("zip"));
  EXPECT_THAT(detected(test::safetensors_file(
                  "{" + test::tensor_json("t", "F32", "[1]", 0, 4) + "}", "1234")),
              ElementsAre("safetensors"));
  EXPECT_THAT(detected("\x80\x04N."), ElementsAre("pickle"));
  EXPECT_THAT(detected("hello world\n"), IsEmpty());
}

// A name in a zip may be as long as a newline is: the header is no line of a pickle.
TEST(Detect, DoesNotTakeAnArchiveForAPickle) {
  for (std::size_t length = 1; length < 64; ++length) {
    const std::string archive = test::ZipBuilder().add(std::string(length, 'n'), "x").build();
    EXPECT_THAT(detected(archive), ElementsAre("zip")) << length;
  }
}

TEST(Detect, FindsEveryFormatOfAPolyglot) {
  test::ZipBuilder counted;
  counted.prefix = test::payload() + ".";
  EXPECT_THAT(detected(counted.add("a", "x").build()), ElementsAre("zip", "pickle"));
  test::ZipBuilder appended;
  appended.prefix = test::payload() + ".";
  appended.prefix_uncounted = true;
  EXPECT_THAT(detected(appended.add("a", "x").build()), ElementsAre("zip", "pickle"));
  test::ZipBuilder model;
  model.prefix = test::safetensors_file("{}");
  EXPECT_THAT(detected(model.add("a", "x").build()), ElementsAre("zip", "safetensors"));
}

// Header lengths that look like PROTO, and like zlib, which other scanners stumbled over.
TEST(Detect, TakesTheLengthOfAHeaderForNothingElse) {
  const auto file = [](std::string json, std::size_t length) {
    json.resize(length, ' ');
    return test::safetensors_file(json);
  };
  for (const std::size_t length : {0x80U, 0x280U, 0x580U, 0x2078U, 0x9C78U, 0x280280U}) {
    EXPECT_THAT(detected(file("{}", length)), ElementsAre("safetensors")) << length;
  }
  // This one imports: PROTO, GLOBAL, and two lines.
  EXPECT_THAT(detected(file("{\n}\n", 0x630280)), ElementsAre("safetensors", "pickle"));
}

TEST(Detect, TakesTextForTextAndNotForAPickle) {
  for (const std::string_view text :
       {"class Model:\n    pass\n", "count,value\n1,2\n", "import os\nos.system('id')\n",
        "# comment\n", "I am text\n", "Some text\nand more\n", "Please\nread\nme\n",
        "version: 3\nname: x\n"}) {
    EXPECT_THAT(detected(text), IsEmpty()) << text;
  }
}

TEST(Detect, TakesBrokenPicklesThatImportForPickles) {
  EXPECT_THAT(detected("cos\nsystem\n"), ElementsAre("pickle"));
  EXPECT_THAT(detected("I0x10\n0cos\nsystem\n\xFF"), ElementsAre("pickle"));
  EXPECT_THAT(detected("(S'id'\nios\nsystem\n"), ElementsAre("pickle"));
  EXPECT_THAT(detected("\x80\x04"), ElementsAre("pickle"));
  EXPECT_THAT(detected("\x8c\x02os\x8c\x06system\x93"), ElementsAre("pickle"));
}

TEST(Detect, SaysWhyACutFileIsUnreadable) {
  const std::string file =
      test::safetensors_file("{" + test::tensor_json("t", "F32", "[1]", 0, 4) + "}", "1234");
  EXPECT_THAT(detected(file.substr(0, 20)), ElementsAre("safetensors"));
  const std::string archive = test::clean_torch_zip().build();
  EXPECT_THAT(detected(archive.substr(0, 200)), ElementsAre("zip"));
}

TEST(OpenModel, SaysWhatAFileIsInstead) {
  const TempDir dir;
  const auto model = open_model(dir.write("model.pt", "version https://git-lfs.github.com\n"));
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, ErrorCode::kWrongFormat);
  EXPECT_THAT(model.error().what, HasSubstr("git-lfs"));
  EXPECT_EQ(open_model(dir / "missing").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(open_model(dir.write("empty", "")).error().code, ErrorCode::kEmpty);
  EXPECT_EQ(open_model(dir.path()).error().code, ErrorCode::kNotAFile);
}

}  // namespace
}  // namespace tare
