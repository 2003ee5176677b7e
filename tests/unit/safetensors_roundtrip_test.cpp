// What is planned and written is what is read: every dtype in every rank, under odd names, by
// mapping and by reading.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "support/temp_dir.hpp"
#include "support/tensors.hpp"
#include "tare/safetensors_file.hpp"
#include "tare/safetensors_writer.hpp"

namespace tare::safetensors {
namespace {

using namespace std::string_literals;
using test::OwnedTensor;
using test::Random;
using test::TempDir;
using test::up_to;

constexpr std::size_t kMaxRank = 8;

const std::vector<std::string>& odd_texts() {
  static const std::vector<std::string> kTexts = {"",
                                                  "\0"s,
                                                  "a\0b"s,
                                                  "../../etc/passwd",
                                                  "/",
                                                  "\"",
                                                  "\\",
                                                  "\\u0041",
                                                  "\x01\x1F\b\f\n\r\t",
                                                  "\x7F",
                                                  "\xC2\x80",
                                                  "\xC3\xA9",
                                                  "\xE2\x80\xA8",
                                                  "\xEF\xBB\xBF",
                                                  "\xF0\x9F\x98\x80",
                                                  "__metadata",
                                                  "__metadata__ ",
                                                  "{\"dtype\":\"F32\"}",
                                                  "a.10",
                                                  "a.2",
                                                  std::string(5000, 'x')};
  return kTexts;
}

// Names that no other tensor has: odd ones first, then with a number behind.
std::string name_of(std::size_t number) {
  const auto& texts = odd_texts();
  const std::string& text = texts[number % texts.size()];
  return number < texts.size() ? text : text + std::to_string(number);
}

Shape random_shape(Random& random, DType dtype, std::size_t rank) {
  Shape shape;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    shape.push_back(up_to(random, 20) == 0 ? 0 : 1 + up_to(random, 2));
  }
  // Packed elements must fill bytes.
  if (dtype_bits(dtype) % 8 != 0) shape.back() *= 8;
  return shape;
}

// One of each dtype and rank, but for packed scalars, which fill no byte.
std::vector<OwnedTensor> one_of_each(Random& random) {
  std::vector<OwnedTensor> tensors;
  for (int type = 0; type < kDTypeCount; ++type) {
    const auto dtype = static_cast<DType>(type);
    for (std::size_t rank = dtype_bits(dtype) % 8 == 0 ? 0 : 1; rank <= kMaxRank; ++rank) {
      const Shape shape = random_shape(random, dtype, rank);
      const std::uint64_t bytes = *packed_bytes(dtype, *element_count(shape));
      tensors.push_back({"", dtype, shape, test::random_bytes(random, bytes)});
    }
  }
  std::ranges::shuffle(tensors, random);
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].name = name_of(i);
  return tensors;
}

Metadata random_metadata(Random& random) {
  Metadata metadata;
  for (const std::string& key : odd_texts()) {
    if (up_to(random, 1) == 0) continue;
    metadata[key] = odd_texts()[up_to(random, odd_texts().size() - 1)];
  }
  return metadata;
}

// The bytes of a file, without a disk.
std::string file_of(const std::vector<OwnedTensor>& tensors, const Metadata& metadata) {
  std::vector<TensorPlan> plans;
  for (const OwnedTensor& tensor : tensors) {
    plans.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  const auto plan = plan_file(std::move(plans), metadata);
  EXPECT_TRUE(plan.has_value()) << plan.error().what;
  if (!plan) return "";
  std::string file(as_text(plan->header));
  for (const PlacedTensor& placed : plan->order) file += tensors[placed.index].bytes;
  EXPECT_EQ(file.size(), plan->file_bytes);
  return file;
}

// Any slice with edges between bytes.
Result<SlicePlan> random_slice(Random& random, const TensorEntry& entry) {
  std::vector<Index> index;
  for (const std::uint64_t size : entry.shape) {
    const auto bound = [&] {
      return static_cast<std::int64_t>(up_to(random, 2 * size + 2)) -
             static_cast<std::int64_t>(size) - 1;
    };
    const auto step = static_cast<std::int64_t>(up_to(random, 5)) - 3;
    index.emplace_back(Slice{bound(), bound(), step == 0 ? 1 : step});
  }
  return SlicePlan::make(entry.dtype, entry.shape, index);
}

class RoundTrip : public testing::TestWithParam<Access> {
 protected:
  // The whole, a range and a slice, as they were written.
  static void expect_bytes(Random& random, const File& file, const TensorEntry& entry,
                           const std::string& bytes) {
    std::vector<std::byte> out(bytes.size());
    ASSERT_TRUE(file.read(entry, out).has_value());
    EXPECT_EQ(as_text(out), bytes);
    if (GetParam() == Access::kMap) {
      EXPECT_EQ(as_text(file.bytes(entry)), bytes);
    }

    const std::uint64_t first = up_to(random, bytes.size());
    const std::uint64_t size = up_to(random, bytes.size() - first);
    ASSERT_TRUE(file.read_range(entry, first, std::span(out).first(size)).has_value());
    EXPECT_EQ(as_text(out).substr(0, size), bytes.substr(first, size));

    const auto slice = random_slice(random, entry);
    if (!slice) {
      EXPECT_NE(dtype_bits(entry.dtype) % 8, 0U);
      return;
    }
    std::string expected(slice->byte_count(), '\0');
    slice->copy(as_bytes(bytes), std::as_writable_bytes(std::span(expected)));
    out.resize(expected.size());
    ASSERT_TRUE(file.read_slice(entry, *slice, out).has_value());
    EXPECT_EQ(as_text(out), expected);
  }

  static void expect_all_at_once(const File& file, const std::vector<OwnedTensor>& tensors) {
    std::vector<std::vector<std::byte>> places;
    std::vector<File::Request> requests;
    for (const OwnedTensor& tensor : tensors) places.emplace_back(tensor.bytes.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      requests.push_back({file.header().find(tensors[i].name), places[i]});
    }
    ASSERT_TRUE(file.read_all(requests, {.threads = 3}).has_value());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      EXPECT_EQ(as_text(places[i]), tensors[i].bytes);
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Safetensors, RoundTrip, testing::Values(Access::kMap, Access::kRead),
                         [](const auto& access) {
                           return access.param == Access::kMap ? "ByMapping" : "ByReading";
                         });

TEST_P(RoundTrip, KeepsEveryDTypeRankAndName) {
  const TempDir dir;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const auto tensors = one_of_each(random);
    ASSERT_EQ(tensors.size(), kDTypeCount * (kMaxRank + 1) - 3);
    const Metadata metadata = random_metadata(random);
    const auto path = dir.write("model", file_of(tensors, metadata));
    const auto file = File::open(path, {.access = GetParam()});
    ASSERT_TRUE(file.has_value()) << file.error().what;
    const Header& header = file->header();
    EXPECT_EQ(header.metadata(), metadata);
    EXPECT_EQ(header.data_offset() % 8, 0U);
    ASSERT_EQ(header.tensors().size(), tensors.size());
    for (const OwnedTensor& tensor : tensors) {
      const TensorEntry* const entry = header.find(tensor.name);
      ASSERT_NE(entry, nullptr) << testing::PrintToString(tensor.name);
      EXPECT_EQ(entry->name, tensor.name);
      EXPECT_EQ(entry->dtype, tensor.dtype);
      EXPECT_THAT(entry->shape, testing::ElementsAreArray(tensor.shape));
      expect_bytes(random, *file, *entry, tensor.bytes);
    }
    expect_all_at_once(*file, tensors);
  }
}

// Whole bytes of the type, so that nothing in the data section is out of line (as the reference).
TEST_P(RoundTrip, AlignsEveryTensorToItsType) {
  const TempDir dir;
  Random random(1);
  const auto file =
      File::open(dir.write("model", file_of(one_of_each(random), {})), {.access = GetParam()});
  ASSERT_TRUE(file.has_value());
  for (const TensorEntry& entry : file->header().tensors()) {
    const std::uint64_t place = file->header().data_offset() + entry.begin;
    const unsigned bytes = std::max(dtype_bits(entry.dtype) / 8, 1U);
    EXPECT_EQ(place % bytes, 0U) << dtype_name(entry.dtype);
  }
}

TEST(SafetensorsRoundTrip, WorksInSeveralThreadsAtOnce) {
  const TempDir dir;
  Random random(2);
  const auto tensors = one_of_each(random);
  const std::string expected = file_of(tensors, {{"k", "v"}});
  std::vector<int> equal(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < equal.size(); ++i) {
    threads.emplace_back([&, i] {
      const std::string name = std::to_string(i);
      const bool saved = save(dir / name, test::to_save(tensors), {{"k", "v"}}).has_value();
      const bool opened = File::open(dir / name).has_value();
      equal[i] = saved && opened && dir.read(name) == expected ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(equal, testing::Each(1));
}

}  // namespace
}  // namespace tare::safetensors
