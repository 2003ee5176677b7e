// Arrays of zarr 2: chunks beside their metadata.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/binary.hpp"
#include "support/scanning.hpp"
#include "support/temp_dir.hpp"
#include "support/tensors.hpp"
#include "tare/model.hpp"

namespace tare {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

std::string metadata(std::string_view shape, std::string_view chunks,
                     std::string_view dtype = "<i2", std::string_view compressor = "null",
                     std::string_view filters = "null") {
  return R"({"zarr_format": 2, "shape": )" + std::string(shape) + R"(, "chunks": )" +
         std::string(chunks) + R"(, "dtype": ")" + std::string(dtype) + R"(", "order": "C", )" +
         R"("fill_value": null, "compressor": )" + std::string(compressor) + R"(, "filters": )" +
         std::string(filters) + "}";
}

// A folder `w` with an array.
class Zarr : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(folder_ / "w"); }
  void write(std::string_view name, const std::string& bytes) {
    std::ofstream(folder_ / "w" / name, std::ios::binary) << bytes;
  }
  std::expected<Model, Failure> open() { return open_model(folder_ / "w" / ".zarray"); }

  TempDir folder_;
};

std::string numbers(const std::vector<std::uint64_t>& values) {
  std::string out;
  for (const std::uint64_t value : values) out += u16(value);
  return out;
}

TEST_F(Zarr, PutsChunksTogether) {
  write(".zarray", metadata("[2, 3]", "[2, 2]"));
  write("0.0", numbers({1, 2, 4, 5}));
  write("0.1", numbers({3, 99, 6, 99}));
  const auto model = open();
  ASSERT_TRUE(model.has_value()) << model.error().what;
  ASSERT_THAT(names_of(model->tensors()), ElementsAre("w"));
  EXPECT_THAT(model->tensors()[0].view.shape, ElementsAre(2, 3));
  EXPECT_EQ(packed_elements(model->tensors()[0].view), numbers({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(model->files().size(), 3U);
}

TEST_F(Zarr, ReadsScalarsAndSwapsElements) {
  write(".zarray", metadata("[]", "[]", ">i2"));
  write("0", "ab");
  const auto model = open();
  ASSERT_TRUE(model.has_value());
  ASSERT_EQ(model->tensors().size(), 1U);
  EXPECT_EQ(packed_elements(model->tensors()[0].view), "ba");
}

// zlib.compress(bytes(range(4)))
TEST_F(Zarr, DecompressesChunks) {
  write(".zarray", metadata("[2]", "[2]", "<i2", R"({"id": "zlib", "level": 1})"));
  write("0", std::string("\x78\x9c\x63\x60\x64\x62\x06\x00\x00\x0e\x00\x07", 12));
  const auto model = open();
  ASSERT_TRUE(model.has_value());
  ASSERT_EQ(model->tensors().size(), 1U) << model->contents().problems[0].error.what;
  EXPECT_EQ(packed_elements(model->tensors()[0].view), numbers({0x0100, 0x0302}));
}

TEST_F(Zarr, ChunksThatAreMissingOrOfAnotherSizeAreProblems) {
  write(".zarray", metadata("[4]", "[2]"));
  write("0", numbers({1, 2}));
  for (const std::string& second : {numbers({1}), numbers({1, 2, 3})}) {
    const auto model = open();
    ASSERT_TRUE(model.has_value());
    EXPECT_THAT(model->tensors(), IsEmpty());
    EXPECT_EQ(model->contents().problems.size(), 1U);
    write("1", second);
  }
  EXPECT_EQ(open()->contents().problems.at(0).error.code, ErrorCode::kMalformed);
}

TEST_F(Zarr, RefusesWhatItDoesNotRead) {
  for (const std::string& text :
       {metadata("[2]", "[0]"), metadata("[2]", "[1, 1]"), metadata("[2, 2]", "[2, 2]", "|O"),
        metadata("[2]", "[2]", "<i2", R"({"id": "blosc"})"), metadata("[-1]", "[2]"),
        metadata("[2]", "[2]", "<i2", "null", R"([{"id": "delta"}])"),
        std::string(R"({"zarr_format": 3, "shape": [1]})")}) {
    write(".zarray", text);
    EXPECT_FALSE(open().has_value()) << text;
  }
  for (const std::string& text :
       {metadata("[1000000000]", "[1]"), metadata("[18446744073709551615, 8]", "[1, 8]"),
        metadata("[2]", "[18446744073709551615]")}) {
    write(".zarray", text);
    const auto model = open();
    EXPECT_TRUE(!model || model->contents().problems.size() == 1) << text;
  }
}

TEST(ZarrScan, CodecsThatRunCodeAreFound) {
  EXPECT_THAT(rules_of(metadata("[2]", "[2]", "<i2", R"({"id": "zstd"})")), IsEmpty());
  EXPECT_THAT(rules_of(metadata("[2]", "[2]", "|O", "null", R"([{"id": "pickle"}])")),
              ElementsAre("TARE-GEN-001"));
  EXPECT_THAT(rules_of(R"({"zarr_format": 3, "codecs": [{"name": "numcodecs.pickle"}]})"),
              ElementsAre("TARE-GEN-001"));
}

}  // namespace
}  // namespace tare
