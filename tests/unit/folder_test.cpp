#include "format/folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/distributed_metadata.hpp"
#include "support/distributed_builder.hpp"
#include "support/safetensors_builder.hpp"

namespace tare::format {
namespace {

using test::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;

std::string one_tensor(std::string_view name) {
  return test::safetensors_file("{" + test::tensor_json(name, "U8", "[1]", 0, 1) + "}", "x");
}

std::string index_of(const std::string& file, const std::string& tensor) {
  return R"({"weight_map":{")" + tensor + R"(":")" + file + "\"}}";
}

TEST(OpenFolder, TakesTheOnlyFileWithTensors) {
  const TempDir dir;
  dir.write("model.bin", one_tensor("w"));
  dir.write("config.json", "{\"a\": 1}");
  dir.write("readme.md", "# A model\n");
  dir.write("empty", "");
  dir.write("state.pkl", "\x80\x02}.");
  dir.write(".hidden", one_tensor("h"));
  std::filesystem::create_directory(dir / "sub");
  std::filesystem::copy_file(dir / "model.bin", dir / "sub/model.bin");
  const auto model = open_model(dir.path());
  ASSERT_TRUE(model.has_value()) << model.error().subject << model.error().what;
  EXPECT_EQ(model->tensors().at(0).name, "w");
  EXPECT_EQ(model->files().at(0).input.origin()->path, dir / "model.bin");
}

TEST(OpenFolder, TakesTheOnlyIndex) {
  const TempDir dir;
  dir.write("a.bin", one_tensor("w"));
  dir.write("b.bin", one_tensor("v"));
  dir.write("model.index.json", index_of("a.bin", "w"));
  const auto model = open_model(dir.path());
  ASSERT_TRUE(model.has_value()) << model.error().what;
  EXPECT_EQ(model->files().size(), 2U);
  dir.write("other.index.json", index_of("b.bin", "v"));
  EXPECT_EQ(open_model(dir.path()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(open_model(dir.path()).error().subject, "model.index.json, other.index.json");
}

TEST(OpenFolder, NamesTheIndexThatIsBroken) {
  const TempDir dir;
  dir.write("model.index.json", R"({"weight_map":)");
  EXPECT_EQ(open_model(dir.path()).error().subject, "model.index.json");
  dir.write("model.index.json", index_of("gone", "w"));
  EXPECT_EQ(open_model(dir.path()).error().subject, "gone");
}

TEST(OpenFolder, ListsSeveralModels) {
  const TempDir dir;
  dir.write("b.bin", one_tensor("w"));
  dir.write("a.bin", one_tensor("v"));
  EXPECT_EQ(open_model(dir.path()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(open_model(dir.path()).error().subject, "a.bin, b.bin");
  for (int i = 0; i < 20; ++i) dir.write("c" + std::to_string(i), one_tensor("u"));
  EXPECT_THAT(open_model(dir.path()).error().subject, HasSubstr("c14, c15, ..."));
}

// A model that is broken is one all the same: another one is not taken in its place.
TEST(OpenFolder, CountsBrokenModels) {
  const TempDir dir;
  const std::string whole = one_tensor("w");
  dir.write("broken.bin", test::clean_torch_zip().build().substr(0, 100));
  const auto alone = open_model(dir.path());
  ASSERT_FALSE(alone.has_value());
  EXPECT_EQ(alone.error().subject, "broken.bin");
  dir.write("whole.bin", whole);
  EXPECT_EQ(open_model(dir.path()).error().subject, "broken.bin, whole.bin");
}

TEST(OpenFolder, HoldsNoModel) {
  const TempDir dir;
  EXPECT_EQ(open_model(dir.path()).error().code, ErrorCode::kNotAFile);
  dir.write("readme", "hello");
  EXPECT_EQ(open_model(dir.path()).error().code, ErrorCode::kNotAFile);
  EXPECT_EQ(open_model(dir / "sub").error().code, ErrorCode::kNotFound);
}

TEST(OpenFolder, TakesNoFileOfACheckpointForTheWhole) {
  const TempDir dir;
  test::DistributedBuilder builder;
  builder.whole("w", "__0_0.distcp", {1}, {1});
  builder.write(dir);
  std::filesystem::rename(dir / ".metadata", dir / "__0.metadata");
  const auto model = open_model(dir.path());
  ASSERT_TRUE(model.has_value()) << model.error().what;
  EXPECT_EQ(model->tensors().at(0).name, "w");
  std::filesystem::copy_file(dir / "__0.metadata", dir / "__1.metadata");
  EXPECT_EQ(open_model(dir.path()).error().subject, "__0.metadata, __1.metadata");
  std::filesystem::remove(dir / "__0.metadata");
  std::filesystem::remove(dir / "__1.metadata");
  EXPECT_EQ(open_model(dir.path()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(open_model(dir.path()).error().subject, ".metadata");
}

TEST(OpenFolder, RefusesMetadataAboveItsLimit) {
  const TempDir dir;
  std::filesystem::resize_file(dir.write(".metadata", "\x80"), kMaxMetadataBytes + 1);
  EXPECT_EQ(open_model(dir.path()).error().code, ErrorCode::kLimit);
}

// ---- several files

TEST(OpenModels, JoinsFilesWithoutAnIndex) {
  const TempDir dir;
  const std::vector<std::filesystem::path> paths = {
      dir.write("a", one_tensor("w")), dir.write("b", test::clean_torch_zip().build())};
  std::filesystem::rename(dir / "a", dir / "a.safetensors");
  const std::vector<std::filesystem::path> renamed = {dir / "a.safetensors", paths[1]};
  const auto twice = open_models(renamed);
  ASSERT_FALSE(twice.has_value());  // both have "w"
  EXPECT_EQ(twice.error().code, ErrorCode::kMismatch);
  EXPECT_EQ(twice.error().subject, "w (" + renamed[0].string() + ", " + renamed[1].string() + ")");

  dir.write("a.safetensors", one_tensor("v"));
  const auto model = open_models(renamed);
  ASSERT_TRUE(model.has_value()) << model.error().what;
  ASSERT_EQ(model->tensors().size(), 2U);
  EXPECT_EQ(model->tensors()[0].name, "v");
  EXPECT_EQ(model->tensors()[0].entry, renamed[0].string());
  EXPECT_EQ(model->tensors()[1].name, "w");
  EXPECT_EQ(model->format(), "mixed");
  ASSERT_EQ(model->files().size(), 2U);
  EXPECT_FALSE(model->files()[0].is_index);
  EXPECT_EQ(model->files()[1].name, renamed[1].string());
}

TEST(OpenModels, OpensOneFileAsItIs) {
  const TempDir dir;
  dir.write("a", one_tensor("w"));
  const std::vector<std::filesystem::path> index = {dir.write("i.index.json", index_of("a", "w"))};
  EXPECT_EQ(open_models(index)->files().size(), 2U);
  EXPECT_EQ(open_models({}).error().code, ErrorCode::kInvalidArgument);
}

TEST(OpenModels, NamesTheFileThatFails) {
  const TempDir dir;
  const std::vector<std::filesystem::path> paths = {dir.write("a", one_tensor("w")),
                                                    dir.write("b", index_of("a", "w"))};
  EXPECT_EQ(open_models(paths).error().code, ErrorCode::kWrongFormat);
  EXPECT_EQ(open_models(paths).error().subject, paths[1].string());
}

}  // namespace
}  // namespace tare::format
