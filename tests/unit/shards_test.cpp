#include "format/shards.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/safetensors_builder.hpp"
#include "support/temp_dir.hpp"

namespace tare::format {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

auto read(std::string_view text) {
  return read_shard_index(as_bytes(text));
}

void expect_error(std::string_view text, ErrorCode code, std::string_view subject = "") {
  const auto index = read(text);
  ASSERT_FALSE(index.has_value()) << text;
  EXPECT_EQ(index.error().code, code) << text;
  EXPECT_EQ(index.error().subject, subject) << text;
}

TEST(ShardIndex, SortsShardsAndTensors) {
  const std::string text =
      R"({"x":[1,{}],"weight_map":{"c":"2","a":"10","b\n":"2"},"metadata":{"n":7,"t":"x","l":[]}})";
  const auto index = read(text);
  ASSERT_TRUE(index.has_value()) << index.error().what;
  EXPECT_THAT(index->shards, ElementsAre("10", "2"));
  ASSERT_EQ(index->entries.size(), 3U);
  EXPECT_EQ(index->find("a")->shard, 0U);
  EXPECT_EQ(index->find("b\n")->shard, 1U);
  EXPECT_EQ(index->find("c")->shard, 1U);
  EXPECT_EQ(index->find("d"), nullptr);
  EXPECT_EQ(index->find(""), nullptr);
  EXPECT_THAT(index->metadata, ElementsAre(Pair("l", "[]"), Pair("n", "7"), Pair("t", "x")));
}

TEST(ShardIndex, RefusesNamesOutsideItsFolder) {
  for (const std::string_view name : {"../a", "/a", "a/", "a/b", "..", ".", "", "a\\\\b"}) {
    const std::string text = R"({"weight_map":{"t":")" + std::string(name) + "\"}}";
    const auto index = read(text);
    ASSERT_FALSE(index.has_value()) << name;
    EXPECT_EQ(index.error().code, ErrorCode::kRefused) << name;
  }
  expect_error(R"({"weight_map":{"t":"a\u0000"}})", ErrorCode::kRefused, "a\0"s);
  EXPECT_TRUE(read(R"({"weight_map":{"t":"..a"}})").has_value());
}

TEST(ShardIndex, RefusesWhatReadersTakeDifferently) {
  expect_error(R"({"weight_map":{"t":"1","s":"1","t":"2"}})", ErrorCode::kRefused, "t");
  expect_error(R"({"weight_map":{"t":"1","\u0074":"1"}})", ErrorCode::kRefused, "t");
  expect_error(R"({"weight_map":{},"weight_map":{}})", ErrorCode::kRefused, "weight_map");
  expect_error(R"({"weight_map":{},"metadata":{},"metadata":{}})", ErrorCode::kRefused, "metadata");
}

TEST(ShardIndex, RefusesTooManyShards) {
  std::string text = R"({"weight_map":{)";
  for (std::size_t i = 0; i < kMaxShards; ++i) {
    const std::string number = std::to_string(i);
    text += '"' + number + "\":\"" + number + "\",";
  }
  EXPECT_TRUE(read(text + R"("x":"0"}})").has_value());
  expect_error(text + R"("x":"one more"}})", ErrorCode::kLimit, "one more");
}

TEST(ShardIndex, IsCutOffAtNoByte) {
  const std::string text = R"( {"metadata":{"total_size":1},"weight_map":{"a":"b"}} )";
  const std::size_t whole = text.rfind('}') + 1;
  for (std::size_t length = 0; length < whole; ++length) {
    EXPECT_FALSE(read(text.substr(0, length)).has_value()) << length;
  }
  EXPECT_TRUE(read(text).has_value());
  EXPECT_FALSE(read("\xFF" + text).has_value());
}

TEST(ShardIndex, IsKnownByItsWeightMap) {
  const auto known = [](std::string_view text) { return is_shard_index(as_bytes(text)); };
  EXPECT_TRUE(known(R"({"weight_map":{}})"));
  EXPECT_TRUE(known(R"({"a":{"b":[1,2]},"weight_map":)"));
  for (const std::string_view text : {"", "{", "{}", R"({"weight_map")", R"(["weight_map"])",
                                      R"({"a":{"weight_map":{}}})", R"({"a":,"weight_map":{}})"}) {
    EXPECT_EQ(known(text), text == R"({"weight_map")") << text;
  }
}

TEST(OpenModel, MakesOneModelOfShards) {
  const test::TempDir dir;
  const auto entry = [](std::string_view name) {
    return "{" + test::tensor_json(name, "U8", "[1]", 0, 1) + "}";
  };
  dir.write("2", test::safetensors_file(entry("a"), "x"));
  dir.write("1", test::safetensors_file(entry("b"), "y"));
  const auto model = open_model(dir.write("index", R"({"weight_map":{"a":"2","b":"1"}})"));
  ASSERT_TRUE(model.has_value()) << model.error().what;
  ASSERT_EQ(model->tensors().size(), 2U);
  EXPECT_EQ(model->tensors()[0].name, "b");
  EXPECT_EQ(model->tensors()[0].entry, "1");
  EXPECT_EQ(as_text(model->tensors()[0].view.contiguous_bytes()), "y");
  EXPECT_EQ(as_text(model->tensors()[1].view.contiguous_bytes()), "x");
  EXPECT_THAT(model->contents().problems, IsEmpty());
  ASSERT_EQ(model->files().size(), 3U);
  EXPECT_TRUE(model->files()[0].is_index);
  EXPECT_EQ(model->files()[2].name, "2");
  EXPECT_EQ(model->tensor_bytes(), 2U);
}

TEST(OpenModel, NamesTheShardThatFails) {
  const test::TempDir dir;
  const auto path = dir.write("index", R"({"weight_map":{"a":"shard"}})");
  EXPECT_EQ(open_model(path).error().subject, "shard");
  EXPECT_EQ(open_model(path).error().code, ErrorCode::kNotFound);
  std::filesystem::copy_file(path, dir / "shard");
  EXPECT_EQ(open_model(path).error().code, ErrorCode::kWrongFormat);
}

}  // namespace
}  // namespace tare::format
