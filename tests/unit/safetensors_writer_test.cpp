#include "tare/safetensors_writer.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>

#include "io/sha256.hpp"
#include "io/unique_fd.hpp"
#include "support/binary.hpp"
#include "support/temp_dir.hpp"
#include "support/tensors.hpp"
#include "tare/model.hpp"

namespace tare::safetensors {
namespace {

using test::OwnedTensor;
using test::TempDir;
using test::u64;
using test::view_of;
using testing::ElementsAre;
using testing::IsEmpty;

bool is_readable(std::string_view file) {
  return parse(as_bytes(file)).has_value();
}

std::string sha256_of(std::string_view bytes) {
  Sha256 sha;
  sha.update(as_bytes(bytes));
  return sha.hex_digest();
}

// ---- the plan

std::string header_of(std::vector<TensorPlan> tensors, const Metadata& metadata = {},
                      EmptyMetadata empty = EmptyMetadata::kLeaveOut) {
  const auto plan = plan_file(std::move(tensors), metadata, empty);
  EXPECT_TRUE(plan.has_value()) << plan.error().what;
  return plan ? std::string(as_text(plan->header)) : "";
}

ErrorCode plan_error(std::vector<TensorPlan> tensors, const Metadata& metadata = {}) {
  const auto plan = plan_file(std::move(tensors), metadata);
  return plan ? ErrorCode::kIo : plan.error().code;
}

// The header as text, and how much of it is padding.
std::string with_padding(std::string_view json, std::size_t spaces) {
  return u64(json.size() + spaces) + std::string(json) + std::string(spaces, ' ');
}

TEST(SafetensorsWriter, WritesTheBytesOfTheReference) {
  EXPECT_EQ(header_of({{"attn.0", DType::kF32, {1, 2, 3}}}),
            with_padding(R"({"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}})", 0));
  EXPECT_EQ(
      header_of({{"attn0", DType::kF32, {1, 1, 2, 3}}}),
      with_padding(R"({"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}})", 7));
  EXPECT_EQ(header_of({{"attn.0", DType::kF4, {1, 2}}}),
            with_padding(R"({"attn.0":{"dtype":"F4","shape":[1,2],"data_offsets":[0,1]}})", 4));
  EXPECT_EQ(header_of({}), with_padding("{}", 6));
  EXPECT_EQ(header_of({{"", DType::kU64, {}}}),
            with_padding(R"({"":{"dtype":"U64","shape":[],"data_offsets":[0,8]}})", 4));
  EXPECT_EQ(header_of({}, {{"framework", "pt"}}).substr(0, 8), u64(40));
  EXPECT_EQ(header_of({}, {{"framework", "pt"}}).substr(8, 35),
            R"({"__metadata__":{"framework":"pt"}})");
}

TEST(SafetensorsWriter, PutsMetadataFirstAndSorted) {
  EXPECT_EQ(header_of({{"A", DType::kU8, {0}}}, {{"b", "2"}, {"a", "1"}}).substr(8),
            R"({"__metadata__":{"a":"1","b":"2"},)"
            R"("A":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"
            "  ");
}

TEST(SafetensorsWriter, WritesEmptyMetadataIfAsked) {
  EXPECT_EQ(header_of({}, {}, EmptyMetadata::kWrite), with_padding(R"({"__metadata__":{}})", 5));
  EXPECT_EQ(header_of({{"t", DType::kU8, {0}}}, {}, EmptyMetadata::kWrite).substr(8, 23),
            R"({"__metadata__":{},"t":)");
}

TEST(SafetensorsWriter, OrdersByTypeAndThenByTheBytesOfTheName) {
  std::vector<TensorPlan> tensors;
  for (const std::string_view name : {"a.2", "a.10", "a\"", "Z", "", "\xC3\xA9", "\x7F"}) {
    tensors.push_back({std::string(name), DType::kU8, {1}});
  }
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    tensors.push_back({"d" + std::string(dtype_name(dtype)), dtype, {8}});
  }
  const auto plan = plan_file(tensors, {});
  ASSERT_TRUE(plan.has_value());
  std::vector<std::string> names;
  std::uint64_t position = 0;
  for (const PlacedTensor& placed : plan->order) {
    names.push_back(placed.tensor.name);
    EXPECT_EQ(tensors[placed.index].name, placed.tensor.name);
    EXPECT_EQ(placed.begin, position);
    position = placed.end;
  }
  EXPECT_EQ(plan->file_bytes, plan->header.size() + position);
  EXPECT_THAT(names,
              ElementsAre("dU64", "dI64", "dF64", "dC64", "dF32", "dU32", "dI32", "dBF16", "dF16",
                          "dU16", "dI16", "dF8_E5M2FNUZ", "dF8_E4M3FNUZ", "dF8_E8M0", "dF8_E4M3",
                          "dF8_E5M2", "dI8", "", "Z", "a\"", "a.10", "a.2", "dU8", "\x7F",
                          "\xC3\xA9", "dF6_E3M2", "dF6_E2M3", "dF4", "dBOOL"));
}

TEST(SafetensorsWriter, EscapesAsTheReferenceDoes) {
  const std::string name = "\"\\/\b\f\n\r\t\x01\x1F\x7F\xC2\x80\xE2\x80\xA8\xF0\x9F\x98\x80";
  const std::string escaped =
      "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\xC2\x80\xE2\x80\xA8\xF0\x9F\x98\x80\"";
  const std::string header = header_of({{name, DType::kU8, {0}}}, {{name, name}});
  const std::string expected = "{\"__metadata__\":{" + escaped + ":" + escaped + "}," + escaped;
  EXPECT_EQ(header.substr(8, expected.size()), expected);
  const auto parsed = parse(as_bytes(header));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->tensors()[0].name, name);
}

TEST(SafetensorsWriter, RefusesWhatCouldNotBeReadBack) {
  const auto named = [](std::string name) { return TensorPlan{std::move(name), DType::kU8, {1}}; };
  EXPECT_EQ(plan_error({named("a"), named("a")}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(plan_error({named("a"), named("b"), {"a", DType::kF32, {}}}),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(plan_error({named("__metadata__")}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(plan_error({named("\xFF")}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(plan_error({named("\xED\xA0\x80")}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(plan_error({}, {{"k", "\xFF"}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(plan_error({}, {{"\xC0\x80", "v"}}), ErrorCode::kInvalidArgument);
}

TEST(SafetensorsWriter, RefusesShapesThatReadersRefuse) {
  EXPECT_EQ(plan_error({{"t", DType::kF4, {3}}}), ErrorCode::kMalformed);
  EXPECT_EQ(plan_error({{"t", DType::kU8, {UINT64_MAX, 2, 0}}}), ErrorCode::kOverflow);
  EXPECT_EQ(plan_error({{"t", DType::kU16, {UINT64_MAX / 2 + 1}}}), ErrorCode::kOverflow);
  // Together too large for 64 bits, and for a file.
  EXPECT_EQ(plan_error({{"a", DType::kU8, {UINT64_MAX}}, {"b", DType::kU8, {1}}}),
            ErrorCode::kOverflow);
  EXPECT_EQ(plan_error({{"a", DType::kU8, {INT64_MAX}}}), ErrorCode::kOverflow);
}

TEST(SafetensorsWriter, RefusesAHeaderAboveTheLimit) {
  EXPECT_EQ(plan_error({}, {{"k", std::string(kMaxHeaderBytes, 'x')}}), ErrorCode::kLimit);
  // Each of these characters is six in JSON.
  EXPECT_EQ(plan_error({}, {{"k", std::string(kMaxHeaderBytes / 6, '\x01')}}), ErrorCode::kLimit);
  // 25 bytes around the value: the largest header there may be, and one byte more.
  EXPECT_EQ(header_of({}, {{"k", std::string(kMaxHeaderBytes - 25, 'x')}}).size(),
            kMaxHeaderBytes + 8);
  EXPECT_EQ(plan_error({}, {{"k", std::string(kMaxHeaderBytes - 24, 'x')}}), ErrorCode::kLimit);
}

TEST(SafetensorsWriter, CreatesNothingForAPlanThatItRefuses) {
  const TempDir dir;
  dir.write("out", "old");
  const auto refused = [&](std::vector<TensorPlan> tensors, const Metadata& metadata) {
    return !Writer::create(dir / "out", std::move(tensors), metadata,
                           {.overwrite = Overwrite::kYes})
                .has_value();
  };
  EXPECT_TRUE(refused({{"a", DType::kU8, {1}}, {"a", DType::kU8, {1}}}, {}));
  EXPECT_TRUE(refused({}, {{"k", std::string(kMaxHeaderBytes, 'x')}}));
  EXPECT_EQ(dir.read("out"), "old");
  EXPECT_THAT(dir.names(), ElementsAre("out"));
}

// ---- save()

TEST(SafetensorsWriter, SavesAFile) {
  const TempDir dir;
  const std::string a = test::memory_of<float>({1, 2, 3, 4, 5, 6});
  const std::string b = "xyz";
  std::vector<std::uint64_t> progress;
  const auto saved = save(
      dir / "out", {{"b", view_of(DType::kU8, {3}, b)}, {"a", view_of(DType::kF32, {2, 3}, a)}},
      {{"format", "pt"}},
      {.file_sha256 = true, .progress = [&](std::uint64_t bytes) { progress.push_back(bytes); }});
  ASSERT_TRUE(saved.has_value()) << saved.error().what;
  const std::string file = dir.read("out");
  EXPECT_EQ(saved->file_bytes, file.size());
  EXPECT_TRUE(file.ends_with(a + b));
  EXPECT_THAT(progress, ElementsAre(24, 27));
  EXPECT_EQ(saved->sha256, sha256_of(file));
  EXPECT_TRUE(is_readable(file));
  EXPECT_THAT(dir.names(), ElementsAre("out"));
}

TEST(SafetensorsWriter, SavesStridedTensorsInRowMajorOrder) {
  const TempDir dir;
  const std::string data = test::memory_of<float>({1, 2, 3, 4, 5, 6});
  const TensorView transposed{DType::kF32, {3, 2}, {1, 3}, 0, as_bytes(data)};
  const TensorView column{DType::kF32, {2}, {3}, 1, as_bytes(data)};
  ASSERT_TRUE(save(dir / "out", {{"a", transposed}, {"b", column}}, {}).has_value());
  EXPECT_TRUE(dir.read("out").ends_with(test::memory_of<float>({1, 4, 2, 5, 3, 6, 2, 5})));
}

TEST(SafetensorsWriter, KeepsAnExistingFileUnlessTold) {
  const TempDir dir;
  dir.write("out", "precious");
  const auto refused = save(dir / "out", {}, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kExists);
  EXPECT_EQ(dir.read("out"), "precious");
  EXPECT_TRUE(save(dir / "out", {}, {}, {.overwrite = Overwrite::kYes}).has_value());
  EXPECT_TRUE(is_readable(dir.read("out")));
}

TEST(SafetensorsWriter, LeavesNothingBehindWhenItFails) {
  const TempDir dir;
  const std::string data(8, 'x');
  const TensorView strided{DType::kF4, {8}, {2}, 0, as_bytes(data)};
  EXPECT_FALSE(save(dir / "out", {{"t", strided}}, {}).has_value());
  EXPECT_FALSE(save(dir / "out", {{"t", strided}, {"t", strided}}, {}).has_value());
  const TensorView too_large = view_of(DType::kU8, {9}, data);
  EXPECT_EQ(save(dir / "out", {{"t", too_large}}, {}).error().code, ErrorCode::kMalformed);
  EXPECT_THAT(dir.names(), IsEmpty());
}

// The tensors are views of the file that is replaced.
TEST(SafetensorsWriter, SavesOverTheFileThatItReads) {
  const TempDir dir;
  const std::string data = test::repeat("data", 5000);
  ASSERT_TRUE(save(dir / "f", {{"t", view_of(DType::kU8, {20'000}, data)}}, {}).has_value());
  const auto model = open_model(dir / "f");
  ASSERT_TRUE(model.has_value());
  ASSERT_TRUE(
      save(dir / "f", {{"new", model->tensors()[0].view}}, {}, {.overwrite = Overwrite::kYes})
          .has_value());
  EXPECT_TRUE(dir.read("f").ends_with(data));
  const auto again = open_model(dir / "f");
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->tensors()[0].name, "new");
}

TEST(SafetensorsWriter, SavesTheSameBytesAgain) {
  const TempDir dir;
  test::Random random(7);
  const auto tensors = test::random_tensors(random, 20);
  auto views = test::to_save(tensors);
  ASSERT_TRUE(save(dir / "a", views, {{"x", "1"}, {"y", "2"}}).has_value());
  std::ranges::reverse(views);
  ASSERT_TRUE(save(dir / "b", views, {{"y", "2"}, {"x", "1"}}).has_value());
  EXPECT_EQ(dir.read("a"), dir.read("b"));
}

TEST(SafetensorsWriter, RoundTripsRandomModels) {
  const TempDir dir;
  test::Random random(42);
  for (int round = 0; round < 100; ++round) {
    const auto tensors = test::random_tensors(random, 8);
    const Metadata metadata = {{"round", std::to_string(round)}};
    ASSERT_TRUE(save(dir / "out", test::to_save(tensors), metadata, {.overwrite = Overwrite::kYes})
                    .has_value());
    const auto model = open_model(dir / "out");
    ASSERT_TRUE(model.has_value()) << model.error().what;
    EXPECT_EQ(model->format(), "safetensors");
    EXPECT_EQ(model->contents().metadata, metadata);
    ASSERT_EQ(model->tensors().size(), tensors.size());
    for (const NamedTensor& read : model->tensors()) {
      const auto written = std::ranges::find(tensors, read.name, &OwnedTensor::name);
      ASSERT_NE(written, tensors.end());
      EXPECT_EQ(read.view.dtype, written->dtype);
      EXPECT_EQ(read.view.shape, written->shape);
      ASSERT_TRUE(check_view(read.view).has_value());
      EXPECT_EQ(as_text(read.view.contiguous_bytes()), written->bytes);
    }
  }
}

// ---- Writer

// Tensors of the sizes that matter: none, small, and beyond every buffer.
struct Sample {
  std::string small = "123456";
  std::string large = test::repeat("0123456789abcdef", 200'001);

  std::vector<TensorPlan> plans() const {
    return {{"empty", DType::kU16, {0, 3}},
            {"small", DType::kU8, {2, 3}},
            {"large", DType::kF32, {large.size() / 4}}};
  }
  std::vector<TensorToSave> views() const {
    std::vector<TensorToSave> views;
    for (const TensorPlan& plan : plans()) {
      views.push_back({plan.name, view_of(plan.dtype, plan.shape, bytes_of(plan.name))});
    }
    return views;
  }
  std::string_view bytes_of(std::string_view name) const {
    if (name == "small") return small;
    if (name == "large") return large;
    return {};
  }
};

// Runs `give` for every tensor and finishes; the error of the first step that failed.
template <typename Give>
Result<WriteSummary> write_file(const std::filesystem::path& path, std::vector<TensorPlan> plans,
                                const WriteOptions& options, const Give& give) {
  auto writer = Writer::create(path, std::move(plans), {}, options);
  if (!writer) return std::unexpected(writer.error());
  for (const PlacedTensor& placed : writer->order()) {
    if (auto begun = writer->begin(placed.tensor.name); !begun) {
      return std::unexpected(begun.error());
    }
    if (auto given = give(*writer, placed); !given) return std::unexpected(given.error());
  }
  return writer->finish();
}

TEST(SafetensorsWriter, StreamsWhatSaveWrites) {
  const TempDir dir;
  const Sample sample;
  ASSERT_TRUE(save(dir / "saved", sample.views(), {}).has_value());
  for (const std::size_t piece : {std::size_t{1000}, std::size_t{1} << 20, sample.large.size()}) {
    const auto written =
        write_file(dir / "out", sample.plans(), {.overwrite = Overwrite::kYes},
                   [&](Writer& writer, const PlacedTensor& placed) -> Result<void> {
                     std::string_view left = sample.bytes_of(placed.tensor.name);
                     while (!left.empty()) {
                       const auto next = left.substr(0, piece);
                       if (auto w = writer.write(as_bytes(next)); !w) return w;
                       left.remove_prefix(next.size());
                     }
                     return {};
                   });
    ASSERT_TRUE(written.has_value()) << written.error().what;
    EXPECT_TRUE(dir.read("out") == dir.read("saved")) << piece;
    EXPECT_EQ(written->file_bytes, dir.read("out").size());
    EXPECT_EQ(written->sha256, "");
    EXPECT_THAT(written->tensor_sha256, IsEmpty());
  }
}

TEST(SafetensorsWriter, WritesFromAFunction) {
  const TempDir dir;
  const Sample sample;
  ASSERT_TRUE(save(dir / "saved", sample.views(), {}).has_value());
  const auto written =
      write_file(dir / "out", sample.plans(), {}, [&](Writer& writer, const PlacedTensor& placed) {
        const std::string_view bytes = sample.bytes_of(placed.tensor.name);
        // The first byte by hand: the source is asked for what is left.
        const auto first = bytes.substr(0, 1);
        EXPECT_TRUE(writer.write(as_bytes(first)).has_value());
        return writer.write_from(
            [&](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
              EXPECT_LE(out.size(), std::size_t{1} << 20);
              std::memcpy(out.data(), bytes.data() + first.size() + offset, out.size());
              return {};
            });
      });
  ASSERT_TRUE(written.has_value()) << written.error().what;
  EXPECT_TRUE(dir.read("out") == dir.read("saved"));
}

TEST(SafetensorsWriter, WritesFromRangesOfAFile) {
  const TempDir dir;
  const Sample sample;
  ASSERT_TRUE(save(dir / "saved", sample.views(), {}).has_value());
  const UniqueFd source(
      ::open(dir.write("source", "xx" + sample.large + "yyy" + sample.small).c_str(), O_RDONLY));
  ASSERT_EQ(::lseek(source.get(), 5, SEEK_SET), 5);
  for (const bool hashed : {false, true}) {
    const WriteOptions options{.overwrite = Overwrite::kYes, .file_sha256 = hashed};
    const auto written = write_file(
        dir / "out", sample.plans(), options, [&](Writer& writer, const PlacedTensor& placed) {
          const std::uint64_t offset =
              placed.tensor.name == "small" ? 2 + sample.large.size() + 3 : 2;
          return writer.write_range(source.get(), offset, placed.end - placed.begin);
        });
    ASSERT_TRUE(written.has_value()) << written.error().what;
    EXPECT_TRUE(dir.read("out") == dir.read("saved"));
    EXPECT_EQ(written->sha256, hashed ? sha256_of(dir.read("out")) : "");
  }
  EXPECT_EQ(::lseek(source.get(), 0, SEEK_CUR), 5);
}

// The kernel does not copy between file systems: tare reads and writes.
TEST(SafetensorsWriter, WritesFromAnotherFileSystem) {
  const UniqueFd source(::memfd_create("source", MFD_CLOEXEC));
  ASSERT_EQ(::write(source.get(), "0123456789", 10), 10);
  const TempDir dir;
  const auto written = write_file(dir / "out", {{"t", DType::kU8, {6}}}, {},
                                  [&](Writer& writer, const PlacedTensor&) -> Result<void> {
                                    if (auto w = writer.write_range(source.get(), 1, 3); !w) {
                                      return w;
                                    }
                                    return writer.write_range(source.get(), 6, 3);
                                  });
  ASSERT_TRUE(written.has_value()) << written.error().what;
  EXPECT_TRUE(dir.read("out").ends_with("123678"));
}

TEST(SafetensorsWriter, ComputesDigestsWhileItWrites) {
  const TempDir dir;
  const Sample sample;
  const WriteOptions options{.file_sha256 = true, .tensor_sha256 = true};
  const auto saved = save(dir / "out", sample.views(), {}, options);
  ASSERT_TRUE(saved.has_value());
  EXPECT_EQ(saved->sha256, sha256_of(dir.read("out")));
  EXPECT_THAT(saved->tensor_sha256,
              ElementsAre(sha256_of(sample.large), sha256_of(""), sha256_of(sample.small)));
}

TEST(SafetensorsWriter, RefusesWrongSizes) {
  const TempDir dir;
  const auto error = [&](std::size_t first, std::size_t second) {
    const std::string bytes(10, 'x');
    const auto written = write_file(dir / "out", {{"a", DType::kU8, {4}}, {"b", DType::kU8, {4}}},
                                    {}, [&](Writer& writer, const PlacedTensor& placed) {
                                      const auto count = placed.tensor.name == "a" ? first : second;
                                      return writer.write(as_bytes(bytes).first(count));
                                    });
    EXPECT_EQ(written.has_value(), std::filesystem::exists(dir / "out"));
    std::filesystem::remove(dir / "out");
    EXPECT_THAT(dir.names(), IsEmpty());
    return written ? ErrorCode::kIo : written.error().code;
  };
  EXPECT_EQ(error(4, 4), ErrorCode::kIo);
  EXPECT_EQ(error(3, 5), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error(5, 3), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error(4, 5), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error(4, 3), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error(4, 0), ErrorCode::kInvalidArgument);
}

TEST(SafetensorsWriter, RefusesAnotherOrder) {
  const TempDir dir;
  const std::vector<TensorPlan> plans = {{"a", DType::kU8, {0}}, {"b", DType::kU8, {0}}};
  const auto error = [&](const std::vector<std::string>& names) {
    auto writer = Writer::create(dir / "out", plans, {}, {.overwrite = Overwrite::kYes});
    EXPECT_TRUE(writer.has_value());
    for (const std::string& name : names) std::ignore = writer->begin(name);
    const auto finished = writer->finish();
    return finished ? ErrorCode::kIo : finished.error().code;
  };
  EXPECT_EQ(error({"b", "a"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error({"a", "a", "b"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error({"a", "b", "c"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error({"a"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error({}), ErrorCode::kInvalidArgument);
  EXPECT_THAT(dir.names(), IsEmpty());
  EXPECT_EQ(error({"a", "b"}), ErrorCode::kIo);
}

// What failed once is not made good by what comes after it.
TEST(SafetensorsWriter, GivesTheFirstErrorForEver) {
  const TempDir dir;
  auto writer = Writer::create(dir / "out", {{"a", DType::kU8, {4}}}, {});
  ASSERT_TRUE(writer.has_value());
  ASSERT_TRUE(writer->begin("a").has_value());
  const auto failed = writer->write_from([](std::uint64_t, std::span<std::byte>) -> Result<void> {
    return fail(ErrorCode::kMismatch, "the source failed");
  });
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(writer->write(as_bytes("1234")).error().code, ErrorCode::kMismatch);
  EXPECT_EQ(writer->finish().error().code, ErrorCode::kMismatch);
  EXPECT_FALSE(std::filesystem::exists(dir / "out"));
}

// Some of the bytes may be missing then.
TEST(SafetensorsWriter, IsGivenUpWhenACallThrows) {
  const TempDir dir;
  auto writer = Writer::create(dir / "out", {{"a", DType::kU8, {4}}}, {});
  ASSERT_TRUE(writer.has_value());
  ASSERT_TRUE(writer->begin("a").has_value());
  const auto throws = [](std::uint64_t, std::span<std::byte>) -> Result<void> {
    throw std::bad_alloc();
  };
  EXPECT_THROW(std::ignore = writer->write_from(throws), std::bad_alloc);
  EXPECT_FALSE(writer->write(as_bytes("1234")).has_value());
  EXPECT_FALSE(writer->finish().has_value());
  EXPECT_FALSE(std::filesystem::exists(dir / "out"));
}

TEST(SafetensorsWriter, IsFinishedOnce) {
  const TempDir dir;
  auto writer = Writer::create(dir / "out", {}, {});
  ASSERT_TRUE(writer.has_value());
  ASSERT_TRUE(writer->finish().has_value());
  EXPECT_EQ(writer->finish().error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(writer->begin("a").error().code, ErrorCode::kInvalidArgument);
}

TEST(SafetensorsWriter, RefusesASourceThatIsTooShort) {
  const TempDir dir;
  const UniqueFd source(::open(dir.write("source", "12345678").c_str(), O_RDONLY));
  const auto error = [&](std::uint64_t offset, bool hashed, int fd) {
    const auto written = write_file(
        dir / "out", {{"a", DType::kU8, {4}}}, {.file_sha256 = hashed},
        [&](Writer& writer, const PlacedTensor&) { return writer.write_range(fd, offset, 4); });
    EXPECT_THAT(dir.names(), ElementsAre("source"));
    return written ? ErrorCode::kRefused : written.error().code;
  };
  for (const bool hashed : {false, true}) {
    EXPECT_EQ(error(5, hashed, source.get()), ErrorCode::kTruncated);
    EXPECT_EQ(error(8, hashed, source.get()), ErrorCode::kTruncated);
    EXPECT_EQ(error(UINT64_MAX, hashed, source.get()), ErrorCode::kInvalidArgument);
    EXPECT_EQ(error(0, hashed, -1), ErrorCode::kIo);
  }
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status{};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

TEST(SafetensorsWriter, TakesPermissionsFromTheUmaskOrTheOldFile) {
  const TempDir dir;
  const mode_t old_mask = ::umask(027);
  const bool saved = save(dir / "new", {}, {}).has_value();
  ::umask(old_mask);
  ASSERT_TRUE(saved);
  EXPECT_EQ(mode_of(dir / "new"), mode_t{0640});
  ASSERT_EQ(::chmod((dir / "new").c_str(), 0604), 0);
  ASSERT_TRUE(save(dir / "new", {}, {}, {.overwrite = Overwrite::kYes}).has_value());
  EXPECT_EQ(mode_of(dir / "new"), mode_t{0604});
}

// Large files take another way to the disk; every source must come through it, and the end, which
// fills no block.
TEST(SafetensorsWriter, WritesLargeFiles) {
  const TempDir dir;
  test::Random random(1);
  std::string bytes(std::size_t{70} << 20, '\0');
  for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  bytes += "tail!";
  const std::string name = dir.write("source", bytes);
  const UniqueFd source(::open(name.c_str(), O_RDONLY));
  const std::string header = header_of({{"t", DType::kU8, {bytes.size()}}});
  for (const bool hashed : {false, true}) {
    for (const bool ranged : {false, true}) {
      const WriteOptions options{.overwrite = Overwrite::kYes, .file_sha256 = hashed};
      const auto written =
          write_file(dir / "out", {{"t", DType::kU8, {bytes.size()}}}, options,
                     [&](Writer& writer, const PlacedTensor&) {
                       return ranged ? writer.write_range(source.get(), 0, bytes.size())
                                     : writer.write(as_bytes(bytes));
                     });
      ASSERT_TRUE(written.has_value()) << written.error().what;
      EXPECT_TRUE(dir.read("out") == header + bytes) << hashed << ranged;
      EXPECT_EQ(written->sha256, hashed ? sha256_of(header + bytes) : "");
    }
  }
}

}  // namespace
}  // namespace tare::safetensors
