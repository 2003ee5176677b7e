#include "tare/convert.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "io/sha256.hpp"
#include "io/unique_fd.hpp"
#include "support/temp_dir.hpp"
#include "support/tensors.hpp"
#include "support/torch_builder.hpp"
#include "tare/torch_save.hpp"

namespace tare {
namespace {

using safetensors::Overwrite;
using test::dict_pickle;
using test::OwnedTensor;
using test::small_storage;
using test::small_tensor;
using test::TempDir;
using test::TensorCall;
using test::torch_zip;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

Model opened(const std::filesystem::path& path) {
  auto model = open_model(path);
  EXPECT_TRUE(model.has_value()) << model.error().what;
  return model ? std::move(*model) : Model(Input::from_bytes({}), "", {});
}

std::string packed(const TensorView& view) {
  std::vector<std::byte> out(view.byte_count());
  EXPECT_TRUE(gather(view, out).has_value());
  return std::string(as_text(out));
}

std::expected<ConvertSummary, Failure> convert_model(const Model& model,
                                                     const std::filesystem::path& output,
                                                     const ConvertOptions& options = {}) {
  const auto selection = select_tensors(model);
  if (!selection) return std::unexpected(Failure(selection.error()));
  return convert(*selection, output, options);
}

std::expected<void, Failure> verify_model(const Model& model, const std::filesystem::path& file) {
  const auto selection = select_tensors(model);
  if (!selection) return std::unexpected(Failure(selection.error()));
  return verify_converted(*selection, file);
}

// Every tensor of one model is in the other, byte for byte.
void expect_same_tensors(const Model& a, const Model& b) {
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (const NamedTensor& tensor : a.tensors()) {
    const auto found = std::ranges::find(b.tensors(), tensor.name, &NamedTensor::name);
    ASSERT_NE(found, b.tensors().end()) << tensor.name;
    EXPECT_EQ(found->view.dtype, tensor.view.dtype);
    EXPECT_EQ(found->view.shape, tensor.view.shape);
    EXPECT_EQ(packed(found->view), packed(tensor.view)) << tensor.name;
  }
}

// Overwrites one byte of a file in place.
void change_byte(const std::filesystem::path& path, std::uint64_t offset) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR));
  char byte = 0;
  ASSERT_EQ(::pread(fd.get(), &byte, 1, static_cast<off_t>(offset)), 1);
  byte = static_cast<char>(byte ^ 1);
  ASSERT_EQ(::pwrite(fd.get(), &byte, 1, static_cast<off_t>(offset)), 1);
}

TEST(Convert, KeepsEveryByteOfEveryTensor) {
  const TempDir dir;
  test::Random random(11);
  for (int round = 0; round < 20; ++round) {
    auto tensors = test::random_tensors(random, 12);
    ASSERT_TRUE(torch::save_state_dict(dir / "in.pt", test::to_save(tensors),
                                       torch::Layout::kTorch2, Overwrite::kYes)
                    .has_value());
    const Model source = opened(dir / "in.pt");
    ConvertOptions options;
    options.overwrite = Overwrite::kYes;
    const auto summary = convert_model(source, dir / "out.safetensors", options);
    ASSERT_TRUE(summary.has_value()) << summary.error().what;
    EXPECT_TRUE(summary->verified);
    EXPECT_EQ(summary->tensors, tensors.size());
    EXPECT_EQ(summary->overlapping, 0U);
    std::uint64_t bytes = 0;
    for (const OwnedTensor& tensor : tensors) bytes += tensor.bytes.size();
    EXPECT_EQ(summary->tensor_bytes, bytes);
    const Model result = opened(dir / "out.safetensors");
    EXPECT_THAT(result.contents().metadata, ElementsAre(Pair("format", "pt")));
    expect_same_tensors(source, result);
  }
}

TEST(Convert, DescribesItsOutput) {
  const TempDir dir;
  const Model source = opened(dir.write("in.pt", test::clean_torch_zip().build()));
  const auto summary = convert_model(source, dir / "out");
  ASSERT_TRUE(summary.has_value());
  const std::string file = dir.read("out");
  EXPECT_EQ(summary->file_bytes, file.size());
  Sha256 sha;
  sha.update(as_bytes(file));
  EXPECT_EQ(summary->files.at(0).sha256, sha.hex_digest());
}

TEST(Convert, WritesViewsInRowMajorOrderAndCountsSharing) {
  const TempDir dir;
  const Model source = opened(
      dir.write("in.pt", torch_zip(dict_pickle({{"a", small_tensor()},
                                                {"b", {"FloatStorage", "0", 4, 0, {2, 2}, {1, 2}}},
                                                {"c", {"FloatStorage", "0", 4, 3, {3}, {0}}},
                                                {"d", {"FloatStorage", "1", 1, 0, {}, {}}}}),
                                   {{"0", small_storage()}, {"1", std::string(4, 'x')}})
                             .build()));
  const auto summary = convert_model(source, dir / "out");
  ASSERT_TRUE(summary.has_value()) << summary.error().what;
  EXPECT_TRUE(summary->verified);
  EXPECT_EQ(summary->overlapping, 3U);
  EXPECT_TRUE(dir.read("out").ends_with(test::memory_of<float>({1, 2, 3, 4, 1, 3, 2, 4, 4, 4, 4}) +
                                        "xxxx"));
}

// Bytes are compared, not numbers.
TEST(Convert, KeepsNaNs) {
  const TempDir dir;
  const std::string nans(16, '\xFF');
  const Model source = opened(
      dir.write("in.pt", torch_zip(dict_pickle({{"w", small_tensor()}}), {{"0", nans}}).build()));
  const auto summary = convert_model(source, dir / "out");
  ASSERT_TRUE(summary.has_value());
  EXPECT_TRUE(summary->verified);
  EXPECT_TRUE(dir.read("out").ends_with(nans));
}

TEST(Convert, WritesTheSameBytesAgain) {
  const TempDir dir;
  const Model source = opened(dir.write("in.pt", test::clean_torch_zip().build()));
  ASSERT_TRUE(convert_model(source, dir / "a").has_value());
  ASSERT_TRUE(convert_model(source, dir / "b").has_value());
  EXPECT_EQ(dir.read("a"), dir.read("b"));
}

TEST(Convert, ReportsProgress) {
  const TempDir dir;
  const Model source = opened(dir.write("in.pt", test::clean_torch_zip().build()));
  std::vector<std::uint64_t> progress;
  ConvertOptions options;
  options.progress = [&](std::uint64_t bytes) { progress.push_back(bytes); };
  ASSERT_TRUE(convert_model(source, dir / "out", options).has_value());
  EXPECT_THAT(progress, ElementsAre(16));
}

TEST(Convert, SkipsVerificationWhenTold) {
  const TempDir dir;
  const Model source = opened(dir.write("in.pt", test::clean_torch_zip().build()));
  ConvertOptions options;
  options.verify = false;
  const auto summary = convert_model(source, dir / "out", options);
  ASSERT_TRUE(summary.has_value());
  EXPECT_FALSE(summary->verified);
}

// ---- refusals

// Converting fails with this code and subject, and nothing stands where the output would be.
void expect_refused(const std::string& file, ErrorCode code, std::string_view subject) {
  const TempDir dir;
  const Model source = opened(dir.write("in.pt", file));
  const auto summary = convert_model(source, dir / "out");
  ASSERT_FALSE(summary.has_value());
  EXPECT_EQ(summary.error().code, code) << summary.error().what;
  EXPECT_EQ(summary.error().subject, subject);
  EXPECT_THAT(dir.names(), ElementsAre("in.pt"));
}

TEST(Convert, RefusesAnythingThatIsNoReadableTensor) {
  TensorCall missing = small_tensor();
  missing.key = "7";
  expect_refused(
      torch_zip(dict_pickle({{"w", small_tensor()}, {"x", missing}}), {{"0", small_storage()}})
          .build(),
      ErrorCode::kNotFound, "x");
  expect_refused(torch_zip(dict_pickle({{"w", small_tensor()}}), {{"0", "short"}}).build(),
                 ErrorCode::kMalformed, "w");
  expect_refused(torch_zip("\x80\x02}X\x05" + std::string(3, '\0') + "epochK\x03s.", {}).build(),
                 ErrorCode::kNotFound, "");
  expect_refused(torch_zip("\x80\x02].", {}).build(), ErrorCode::kNotFound, "");
}

// A tensor expanded from one element: more than any file, whatever its shape says.
TEST(Convert, RefusesAnExpandedTensorBeyondAllMemory) {
  TensorCall huge = small_tensor();
  huge.shape = {std::int64_t{1} << 58};
  huge.strides = {0};
  expect_refused(torch_zip(dict_pickle({{"w", huge}}), {{"0", small_storage()}}).build(),
                 ErrorCode::kLimit, "w");
}

TEST(Convert, RefusesNamesThatCannotBeRead) {
  const TempDir dir;
  // A lone surrogate is a legal key for Python, not for JSON.
  const Model source = opened(dir.write(
      "in.pt", torch_zip(dict_pickle({{"\xED\xA0\x80", small_tensor()}}), {{"0", small_storage()}})
                   .build()));
  ASSERT_EQ(source.tensors().size(), 1U);
  EXPECT_FALSE(convert_model(source, dir / "out").has_value());
  EXPECT_THAT(dir.names(), ElementsAre("in.pt"));
}

TEST(Convert, KeepsAnExistingFileUnlessTold) {
  const TempDir dir;
  dir.write("out", "precious");
  const Model source = opened(dir.write("in.pt", test::clean_torch_zip().build()));
  const auto refused = convert_model(source, dir / "out");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kExists);
  EXPECT_EQ(dir.read("out"), "precious");
  ConvertOptions options;
  options.overwrite = Overwrite::kYes;
  EXPECT_TRUE(convert_model(source, dir / "out", options).has_value());
  EXPECT_THAT(dir.names(), ElementsAre("in.pt", "out"));
}

TEST(Convert, FailsInAMissingDirectory) {
  const TempDir dir;
  const Model source = opened(dir.write("in.pt", test::clean_torch_zip().build()));
  const auto summary = convert_model(source, dir / "no/such/out");
  ASSERT_FALSE(summary.has_value());
  EXPECT_EQ(summary.error().code, ErrorCode::kNotFound);
}

// ---- verification

TEST(Verify, AcceptsWhatWasConverted) {
  const TempDir dir;
  const Model source = opened(dir.write("in.pt", test::clean_torch_zip().build()));
  ASSERT_TRUE(convert_model(source, dir / "out").has_value());
  EXPECT_TRUE(verify_model(source, dir / "out").has_value());
}

TEST(Verify, FindsEveryFlippedByte) {
  const TempDir dir;
  const Model source = opened(dir.write("in.pt", test::clean_torch_zip().build()));
  ASSERT_TRUE(convert_model(source, dir / "out").has_value());
  const auto size = std::filesystem::file_size(dir / "out");
  for (std::uint64_t offset = size - 16; offset < size; ++offset) {
    change_byte(dir / "out", offset);
    const auto verified = verify_model(source, dir / "out");
    ASSERT_FALSE(verified.has_value()) << offset;
    EXPECT_EQ(verified.error().code, ErrorCode::kMismatch);
    EXPECT_EQ(verified.error().subject, "w");
    change_byte(dir / "out", offset);
  }
  EXPECT_TRUE(verify_model(source, dir / "out").has_value());
}

TEST(Verify, FindsOtherTensors) {
  const TempDir dir;
  const Model source = opened(dir.write("in.pt", test::clean_torch_zip().build()));
  const std::string data = small_storage();
  const auto error = [&](const std::vector<safetensors::TensorToSave>& tensors) {
    EXPECT_TRUE(
        safetensors::save(dir / "out", tensors, {}, {.overwrite = Overwrite::kYes}).has_value());
    const auto verified = verify_model(source, dir / "out");
    return verified ? ErrorCode::kIo : verified.error().code;
  };
  using test::view_of;
  EXPECT_EQ(error({{"w", view_of(DType::kF32, {2, 2}, data)}}), ErrorCode::kIo);
  EXPECT_EQ(error({}), ErrorCode::kMismatch);
  EXPECT_EQ(error({{"v", view_of(DType::kF32, {2, 2}, data)}}), ErrorCode::kMismatch);
  EXPECT_EQ(error({{"w", view_of(DType::kI32, {2, 2}, data)}}), ErrorCode::kMismatch);
  EXPECT_EQ(error({{"w", view_of(DType::kF32, {4}, data)}}), ErrorCode::kMismatch);
  EXPECT_EQ(
      error({{"w", view_of(DType::kF32, {2, 2}, data)}, {"x", view_of(DType::kF32, {0}, "")}}),
      ErrorCode::kMismatch);
}

TEST(Verify, FailsOnWhatIsNoFile) {
  const TempDir dir;
  const Model source = opened(dir.write("in.pt", test::clean_torch_zip().build()));
  EXPECT_EQ(verify_model(source, dir / "missing").error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(verify_model(source, dir.write("bad", "bad")).has_value());
}

// The source changes while it is converted: what was written is not what is there now.
TEST(Verify, LeavesNoOutputThatFailedIt) {
  for (const bool replaces : {false, true}) {
    const TempDir dir;
    test::ZipBuilder builder = test::clean_torch_zip();
    const Model source = opened(dir.write("in.pt", builder.build()));
    if (replaces) dir.write("out", "precious");
    ConvertOptions options;
    options.overwrite = Overwrite::kYes;
    options.progress = [&](std::uint64_t) { change_byte(dir / "in.pt", builder.data_offset(1)); };
    const auto summary = convert_model(source, dir / "out", options);
    ASSERT_FALSE(summary.has_value());
    EXPECT_EQ(summary.error().code, ErrorCode::kMismatch);
    EXPECT_EQ(dir.read("out"), replaces ? "precious" : "");
    EXPECT_EQ(dir.names().size(), replaces ? 2U : 1U);
  }
}

}  // namespace
}  // namespace tare
