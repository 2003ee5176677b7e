#include "tare/safetensors_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "support/safetensors_builder.hpp"
#include "support/temp_dir.hpp"

namespace tare::safetensors {
namespace {

using test::safetensors_file;
using test::TempDir;
using test::tensor_json;

std::string pattern(std::size_t size) {
  std::string data(size, '\0');
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<char>(i * 131 + i / 251);
  return data;
}

// Two tensors: "a" U8 [size], "b" I16 [4, 8].
class OpenFile : public testing::TestWithParam<Access> {
 protected:
  static constexpr std::uint64_t kSize = std::uint64_t{20} << 20;

  OpenFile() : data_(pattern(kSize + 64)), path_(folder_ / "model.safetensors") {
    const std::string json = "{" +
                             tensor_json("a", "U8", "[" + std::to_string(kSize) + "]", 0, kSize) +
                             "," + tensor_json("b", "I16", "[4,8]", kSize, kSize + 64) + "}";
    front_ = json.size() + 8;
    folder_.write("model.safetensors", safetensors_file(json, data_));
  }

  Result<File> open() const { return File::open(path_, {.access = GetParam()}); }
  static std::string text_of(std::span<const std::byte> bytes) {
    return std::string(as_text(bytes));
  }

  TempDir folder_;
  std::string data_;
  std::filesystem::path path_;
  std::uint64_t front_ = 0;
};

INSTANTIATE_TEST_SUITE_P(SafetensorsFile, OpenFile, testing::Values(Access::kMap, Access::kRead),
                         [](const auto& access) {
                           return access.param == Access::kMap ? "ByMapping" : "ByReading";
                         });

TEST_P(OpenFile, CopiesTensorsAndRanges) {
  const auto file = open();
  ASSERT_TRUE(file.has_value()) << file.error().what;
  const TensorEntry& b = *file->header().find("b");
  std::vector<std::byte> out(64);
  ASSERT_TRUE(file->read(b, out).has_value());
  EXPECT_EQ(text_of(out), data_.substr(kSize));
  ASSERT_TRUE(file->read_range(b, 10, std::span(out).first(7)).has_value());
  EXPECT_EQ(text_of(std::span(out).first(7)), data_.substr(kSize + 10, 7));
  EXPECT_TRUE(file->read_range(b, 64, {}).has_value());
}

TEST_P(OpenFile, RefusesWhatReachesOutsideATensor) {
  const auto file = open();
  ASSERT_TRUE(file.has_value());
  const TensorEntry& b = *file->header().find("b");
  std::vector<std::byte> out(65);
  EXPECT_FALSE(file->read(b, out).has_value());
  EXPECT_FALSE(file->read(b, std::span(out).first(63)).has_value());
  EXPECT_FALSE(file->read_range(b, 60, std::span(out).first(5)).has_value());
  EXPECT_FALSE(file->read_range(b, UINT64_MAX, std::span(out).first(5)).has_value());
  EXPECT_FALSE(file->read_range(b, 65, {}).has_value());
}

TEST_P(OpenFile, CopiesSlices) {
  const auto file = open();
  ASSERT_TRUE(file.has_value());
  const TensorEntry& a = *file->header().find("a");
  // Runs close together, far from each other, and backwards over more than a window.
  for (const std::string_view text :
       {"::2", "5:100", "::100000", "::-3", "-7:-1:2", "::-5000", "3"}) {
    const auto plan = SlicePlan::make(a.dtype, a.shape, *parse_index(text));
    ASSERT_TRUE(plan.has_value());
    std::vector<std::byte> out(plan->byte_count());
    ASSERT_TRUE(file->read_slice(a, *plan, out).has_value()) << text;
    std::string expected(out.size(), '\0');
    plan->copy(as_bytes(data_).first(kSize), std::as_writable_bytes(std::span(expected)));
    EXPECT_TRUE(text_of(out) == expected) << text;
    EXPECT_FALSE(file->read_slice(a, *plan, std::span(out).first(out.size() - 1)).has_value());
  }
}

TEST_P(OpenFile, CopiesManyAtOnce) {
  const auto file = open();
  ASSERT_TRUE(file.has_value());
  for (const bool past_cache : {false, true}) {
    for (const unsigned threads : {0U, 1U, 3U}) {
      std::vector<std::byte> a(kSize);
      std::vector<std::byte> b(64);
      const File::Request requests[] = {{file->header().find("a"), a},
                                        {file->header().find("b"), b}};
      const auto read = file->read_all(requests, {.threads = threads, .past_cache = past_cache});
      ASSERT_TRUE(read.has_value()) << read.error().what;
      EXPECT_TRUE(text_of(a) == data_.substr(0, kSize));
      EXPECT_EQ(text_of(b), data_.substr(kSize));
      const File::Request wrong[] = {{file->header().find("b"), a}};
      EXPECT_FALSE(file->read_all(wrong).has_value());
    }
  }
}

TEST_P(OpenFile, ManyThreadsMayReadAtOnce) {
  const auto file = open();
  ASSERT_TRUE(file.has_value());
  std::vector<std::thread> threads;
  std::vector<int> equal(4);
  for (int& is_equal : equal) {
    threads.emplace_back([&] {
      std::vector<std::byte> out(kSize);
      const auto read = file->read(*file->header().find("a"), out);
      is_equal = read && text_of(out) == data_.substr(0, kSize) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(equal, testing::Each(1));
}

TEST(SafetensorsFile, AFileThatShrinksIsAnErrorOfReading) {
  const TempDir folder;
  const auto path = folder.path() / "model.safetensors";
  const std::string json = "{" + tensor_json("a", "U8", "[100000]", 0, 100000) + "}";
  folder.write("model.safetensors", safetensors_file(json, pattern(100000)));
  const auto file = File::open(path, {.access = Access::kRead});
  ASSERT_TRUE(file.has_value());
  ASSERT_EQ(::truncate(path.c_str(), 50000), 0);
  const TensorEntry& a = *file->header().find("a");
  std::vector<std::byte> out(100000);
  EXPECT_EQ(file->read(a, out).error().code, ErrorCode::kTruncated);
  EXPECT_TRUE(file->read_range(a, 0, std::span(out).first(1000)).has_value());
  const auto plan = SlicePlan::make(a.dtype, a.shape, *parse_index("::2"));
  EXPECT_EQ(file->read_slice(a, *plan, std::span(out).first(50000)).error().code,
            ErrorCode::kTruncated);
  // What a slice does not ask for is not read, and need not be there.
  const auto there = SlicePlan::make(a.dtype, a.shape, *parse_index("100:40000:50"));
  EXPECT_TRUE(file->read_slice(a, *there, std::span(out).first(there->byte_count())).has_value());
  for (const bool past_cache : {false, true}) {
    const File::Request requests[] = {{&a, out}};
    EXPECT_EQ(file->read_all(requests, {.threads = 2, .past_cache = past_cache}).error().code,
              ErrorCode::kTruncated);
  }
}

TEST(SafetensorsFile, TheHeaderStaysAsItWasValidated) {
  const TempDir folder;
  const auto path = folder.path() / "model.safetensors";
  const std::string json = "{" + tensor_json("a", "U8", "[4]", 0, 4) + "}";
  folder.write("model.safetensors", safetensors_file(json, "1234"));
  const auto file = File::open(path);
  ASSERT_TRUE(file.has_value());
  std::fstream(path, std::ios::binary | std::ios::in | std::ios::out).seekp(8)
      << std::string(json.size(), 'x');
  EXPECT_EQ(file->header().json(), json);
  EXPECT_NE(file->header().find("a"), nullptr);
}

TEST(SafetensorsFile, SaysWhatIsWrong) {
  const TempDir folder;
  const auto error_of = [&](std::string_view content) {
    const auto path = folder.path() / "model.safetensors";
    folder.write("model.safetensors", content);
    const auto file = File::open(path);
    return file ? Error{} : file.error();
  };
  EXPECT_EQ(error_of("").code, ErrorCode::kEmpty);
  EXPECT_EQ(error_of("1234").code, ErrorCode::kTruncated);
  EXPECT_EQ(error_of("version https://git-lfs.github.com/spec/v1\n").code, ErrorCode::kWrongFormat);
  const std::string file =
      safetensors_file("{" + tensor_json("a", "U8", "[4]", 0, 4) + "}", "1234");
  const Error cut = error_of(file.substr(0, file.size() - 1));
  EXPECT_EQ(cut.code, ErrorCode::kTruncated);
  EXPECT_EQ(cut.expected, file.size());
  EXPECT_EQ(cut.actual, file.size() - 1);
  EXPECT_EQ(error_of(file.substr(0, 20)).code, ErrorCode::kTruncated);
  EXPECT_EQ(File::open(folder.path()).error().code, ErrorCode::kNotAFile);
  EXPECT_EQ(File::open(folder.path() / "none").error().code, ErrorCode::kNotFound);
}

TEST(ParseIndex, TakesWhatNumpyTakesAsText) {
  EXPECT_EQ(parse_index("")->size(), 0U);
  EXPECT_EQ(parse_index("[ ]")->size(), 0U);
  EXPECT_EQ(parse_index("[1:2:3, -4, ... ,:]")->size(), 4U);
  EXPECT_EQ(parse_index("1,")->size(), 1U);
  for (const std::string_view text :
       {"a", "[1", "1]", "1:2:3:4", "1.5", ",", "--1", "1 2", "....", "99999999999999999999"}) {
    EXPECT_FALSE(parse_index(text).has_value()) << text;
  }
}

// Runs are copied in ways that depend on their length, distance and alignment, and on how much it
// is together: around every edge, and into memory of any alignment.
TEST(SlicePlan, CopiesRunsOfEveryLength) {
  constexpr std::size_t kRows = 4200;
  constexpr std::size_t kColumns = 5000;
  const std::string data = pattern(kRows * kColumns);
  constexpr std::size_t kWidths[] = {1,  2,  3,  4,  8,   15,  16,   17,
                                     32, 63, 64, 65, 128, 200, 2000, 2048};
  for (const std::size_t width : kWidths) {
    for (const std::int64_t step : {1, -1, 3}) {
      const Index index[] = {Slice{{}, {}, step}, Slice{7, 7 + static_cast<std::int64_t>(width)}};
      const auto plan = SlicePlan::make(DType::kU8, Shape{kRows, kColumns}, index);
      ASSERT_TRUE(plan.has_value());
      std::string expected;
      for (std::size_t i = 0; i < plan->shape()[0]; ++i) {
        const std::size_t row = step < 0 ? kRows - 1 - i : i * static_cast<std::size_t>(step);
        expected.append(data, row * kColumns + 7, width);
      }
      for (const std::size_t misaligned : {0U, 1U}) {
        std::vector<std::byte> out(misaligned + expected.size() + 1, std::byte{0x55});
        plan->copy(as_bytes(data), std::span(out).subspan(misaligned, expected.size()));
        EXPECT_TRUE(as_text(out).substr(misaligned, expected.size()) == expected)
            << width << " " << step;
        EXPECT_EQ(out.back(), std::byte{0x55});
      }
    }
  }
}

TEST(SlicePlan, CopiesRunsThatAreLong) {
  constexpr std::size_t kColumns = 300'000;
  const std::string data = pattern(3 * kColumns);
  for (const std::size_t width : {65'535U, 65'536U, 65'537U, 299'999U}) {
    const Index index[] = {Slice{}, Slice{0, static_cast<std::int64_t>(width)}};
    const auto plan = SlicePlan::make(DType::kU8, Shape{3, kColumns}, index);
    ASSERT_TRUE(plan.has_value());
    std::string expected;
    for (std::size_t row = 0; row < 3; ++row) expected.append(data, row * kColumns, width);
    std::vector<std::byte> out(expected.size());
    plan->copy(as_bytes(data), out);
    EXPECT_TRUE(as_text(out) == expected) << width;
  }
}

TEST(SlicePlan, RefusesWhatDoesNotFit) {
  const auto code = [](DType dtype, const Shape& shape, std::string_view text) {
    const auto plan = SlicePlan::make(dtype, shape, *parse_index(text));
    return plan ? ErrorCode::kIo : plan.error().code;
  };
  EXPECT_EQ(code(DType::kU8, {3}, "1,1"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(DType::kU8, {3}, "3"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(DType::kU8, {3}, "-4"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(DType::kU8, {3}, "::0"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(DType::kU8, {3, 3}, "...,..."), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(DType::kF64, {UINT64_MAX / 8, 2}, ":"), ErrorCode::kOverflow);
  EXPECT_EQ(code(DType::kU8, {UINT64_MAX}, ":"), ErrorCode::kOverflow);
}

TEST(SlicePlan, CutsPackedElementsAtBytesOnly) {
  const auto bytes = [](DType dtype, const Shape& shape, std::string_view text) {
    const auto plan = SlicePlan::make(dtype, shape, *parse_index(text));
    return plan ? static_cast<int>(plan->byte_count()) : -1;
  };
  EXPECT_EQ(bytes(DType::kF4, {8}, "2:6"), 2);
  EXPECT_EQ(bytes(DType::kF4, {8}, "1:5"), -1);
  EXPECT_EQ(bytes(DType::kF4, {8}, "::2"), -1);
  EXPECT_EQ(bytes(DType::kF4, {4, 2}, "::-1"), 4);
  EXPECT_EQ(bytes(DType::kF4, {4, 2}, ":, 0"), -1);
  EXPECT_EQ(bytes(DType::kF6E2M3, {8}, "4:"), 3);
  EXPECT_EQ(bytes(DType::kF6E2M3, {8}, "2:"), -1);
  EXPECT_EQ(bytes(DType::kF4, {8}, "3:3"), 0);
}

}  // namespace
}  // namespace tare::safetensors
