// HDF5: what no library writes. Files of h5py: tests/cli/test_hdf5.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "format/hdf5_file.hpp"
#include "support/hdf5_builder.hpp"
#include "support/pickle_bytes.hpp"
#include "support/scanning.hpp"
#include "tare/scan.hpp"

namespace tare {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

ModelContents contents_of(const std::string& file) {
  format::ReadContext context = format::context_of(as_bytes(file));
  auto contents = format::read_nested(as_bytes(file), context);
  EXPECT_TRUE(contents.has_value()) << contents.error().what;
  return contents ? std::move(*contents) : ModelContents{};
}

// A dataset "w" of two floats, with more messages.
std::string file_with(const std::vector<Hdf5Message>& more, const Hdf5Message* layout = nullptr,
                      const std::string& user_block = "") {
  Hdf5Builder file;
  const std::uint64_t data = file.put(memory_of(std::vector<float>{1, 2}));
  std::vector<Hdf5Message> messages{{0x01, hdf5_space({2})}, {0x03, hdf5_f32()}};
  messages.push_back(layout == nullptr ? hdf5_contiguous(data, 8) : *layout);
  messages.insert(messages.end(), more.begin(), more.end());
  const std::uint64_t dataset = file.object(messages);
  return file.build(file.object({hdf5_link("w", dataset)}), user_block);
}

std::string root_with(const std::vector<Hdf5Message>& messages) {
  Hdf5Builder file;
  return file.build(file.object(messages));
}

TEST(Hdf5, ATensorInPlace) {
  const std::string file = file_with({});
  const auto contents = contents_of(file);
  EXPECT_EQ(contents.format, "hdf5");
  ASSERT_EQ(contents.tensors.size(), 1U);
  EXPECT_EQ(contents.tensors[0].name, "w");
  EXPECT_EQ(contents.tensors[0].view.dtype, DType::kF32);
  EXPECT_EQ(contents.tensors[0].view.shape, Shape{2});
  EXPECT_EQ(as_text(contents.tensors[0].view.contiguous_bytes()),
            memory_of(std::vector<float>{1, 2}));
  const auto report = scanned(file);
  EXPECT_EQ(report.verdict, Verdict::kSafe);
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_EQ(report.tensor_bytes, 8U);
}

TEST(Hdf5, BehindAUserBlock) {
  const std::string zeros(512, '\0');
  EXPECT_EQ(scanned(file_with({}, nullptr, zeros)).verdict, Verdict::kSafe);
  EXPECT_EQ(contents_of(file_with({}, nullptr, zeros)).tensors.size(), 1U);
  std::string text(1024, '\0');
  text.replace(0, 5, "hello");
  EXPECT_THAT(rules_of(file_with({}, nullptr, text)), ElementsAre("TARE-GEN-001"));
  // A pickle in front of it is a pickle as well.
  std::string pickle = payload() + ".";
  pickle.resize(512, '\0');
  EXPECT_EQ(scanned(file_with({}, nullptr, pickle)).verdict, Verdict::kDangerous);
}

TEST(Hdf5, OtherFilesAreDangerous) {
  Hdf5Builder file;
  const std::uint64_t names = file.put(std::string("/etc/passwd\0\0\0\0\0", 16));
  const std::uint64_t heap = file.put("HEAP" + u32(0) + u64(16) + kNowhere + u64(names));
  const std::uint64_t dataset =
      file.object({{0x01, hdf5_space({2})},
                   {0x03, hdf5_f32()},
                   {0x07, u32(1) + u16(1) + u16(1) + u64(heap) + u64(0) + u64(0) + u64(8)},
                   {0x08, u8(3) + u8(1) + kNowhere + u64(8)}});
  const std::string external = file.build(file.object({hdf5_link("w", dataset)}));
  EXPECT_THAT(rules_of(external), ElementsAre("TARE-HDF-001"));
  const auto contents = contents_of(external);
  EXPECT_THAT(contents.tensors, IsEmpty());
  ASSERT_EQ(contents.problems.size(), 1U);
  EXPECT_EQ(contents.problems[0].error.code, ErrorCode::kRefused);

  const Hdf5Message virtual_layout{0x08, u8(4) + u8(3) + u64(0) + u32(0)};
  EXPECT_THAT(rules_of(file_with({}, &virtual_layout)), ElementsAre("TARE-HDF-001"));
  EXPECT_THAT(rules_of(root_with({hdf5_odd_link("x", 64, std::string("\0/etc/x\0/y\0", 11))})),
              ElementsAre("TARE-HDF-001"));
}

TEST(Hdf5, LinksAndPlugins) {
  EXPECT_THAT(rules_of(root_with({hdf5_odd_link("x", 1, "/y")})), ElementsAre("TARE-HDF-002"));
  EXPECT_THAT(rules_of(root_with({hdf5_odd_link("x", 70, "abc")})), ElementsAre("TARE-HDF-003"));
  const Hdf5Message plugin{0x0B, u8(2) + u8(1) + u16(32008) + u16(0) + u16(0) + u16(0)};
  EXPECT_THAT(rules_of(file_with({plugin})), ElementsAre("TARE-HDF-003"));
}

TEST(Hdf5, ConfigurationsAreJudged) {
  const std::string clean = R"({"class_name": "Sequential", "config": {}})";
  const auto report = scanned(root_with({hdf5_attribute("model_config", clean)}));
  EXPECT_EQ(report.verdict, Verdict::kSafe);
  EXPECT_THAT(report.formats, ElementsAre("keras-h5"));
  const std::string lambda = R"({"class_name": "Lambda", "config": {"function": ["4wEA", null]}})";
  const auto hostile = scanned(root_with({hdf5_attribute("model_config", lambda)}));
  EXPECT_EQ(hostile.verdict, Verdict::kDangerous);
  EXPECT_EQ(hostile.findings.at(0).entry, "@model_config");
  EXPECT_THAT(rules_of(root_with({hdf5_attribute("model_config", "nothing known")})),
              ElementsAre("TARE-GEN-001"));
}

TEST(Hdf5, PicklesInAttributesAndTexts) {
  EXPECT_EQ(scanned(root_with({hdf5_attribute("x", payload() + ".")})).verdict,
            Verdict::kDangerous);
  EXPECT_EQ(scanned(root_with({hdf5_attribute("x", "a text")})).verdict, Verdict::kSafe);
  Hdf5Builder file;
  const std::string pickle = payload() + ".";
  const std::uint64_t data = file.put(pickle);
  const std::uint64_t dataset = file.object({{0x01, hdf5_space({1})},
                                             {0x03, hdf5_text(pickle.size())},
                                             hdf5_contiguous(data, pickle.size())});
  EXPECT_EQ(scanned(file.build(file.object({hdf5_link("x", dataset)}))).verdict,
            Verdict::kDangerous);
}

TEST(Hdf5, CyclesEnd) {
  Hdf5Builder file;
  const std::uint64_t root = file.next();
  file.object({hdf5_link("again", root), hdf5_link("and again", root)});
  EXPECT_EQ(scanned(file.build(root)).verdict, Verdict::kSafe);

  // A header that goes on at itself.
  Hdf5Builder looped;
  const std::uint64_t place = looped.next();
  looped.object({{0x10, u64(place + 10) + u64(30)}});
  EXPECT_EQ(scanned(looped.build(place)).verdict, Verdict::kUnreadable);

  // A B-tree that is its own child.
  Hdf5Builder tree;
  const std::uint64_t heap = tree.put("HEAP" + u32(0) + u64(0) + kNowhere + u64(48));
  const std::uint64_t node = tree.next();
  tree.put("TREE" + u8(0) + u8(1) + u16(1) + kNowhere + kNowhere + u64(0) + u64(node) + u64(0));
  const std::string file_of_tree = tree.build(tree.object({{0x11, u64(node) + u64(heap)}}));
  EXPECT_EQ(scanned(file_of_tree).verdict, Verdict::kUnreadable);
}

// Many headers that share one large continuation, again and again.
TEST(Hdf5, SharedBlocksAreCharged) {
  Hdf5Builder file;
  const std::uint64_t shared = file.put("OCHK" + std::string(200'000, '\0') + u32(0));
  std::vector<Hdf5Message> links;
  for (int i = 0; i < 2000; ++i) {
    links.push_back(
        hdf5_link(std::to_string(i), file.object({{0x10, u64(shared) + u64(200'008)}})));
  }
  EXPECT_EQ(scanned(file.build(file.object(links))).verdict, Verdict::kUnreadable);
}

// A list of texts that are all the same large one.
TEST(Hdf5, SharedTextsAreCharged) {
  Hdf5Builder file;
  const std::string text(100'000, 'x');
  const std::uint64_t heap = file.put("GCOL" + u32(1) + u64(16 + 16 + text.size()) + u16(1) +
                                      u16(1) + u32(0) + u64(text.size()) + text);
  const std::string element = u32(text.size()) + u64(heap) + u32(1);
  const std::uint64_t data = file.put(repeat(element, 1000));
  const std::string type = u8(0x19) + u8(1) + u16(0) + u32(16) + hdf5_text(1);
  const auto file_of = [&](std::uint64_t count) {
    Hdf5Builder copy = file;
    const std::uint64_t dataset = copy.object(
        {{0x01, hdf5_space({count})}, {0x03, type}, hdf5_contiguous(data, count * element.size())});
    return copy.build(copy.object({hdf5_link("x", dataset)}));
  };
  EXPECT_EQ(scanned(file_of(2)).verdict, Verdict::kSafe);
  EXPECT_THAT(rules_of(file_of(1000)), ElementsAre("TARE-ZIP-003"));
}

TEST(Hdf5, ADatasetThatLiesAboutItsSize) {
  const Hdf5Message far = hdf5_contiguous(1 << 20, 8);
  EXPECT_THAT(rules_of(file_with({}, &far)), ElementsAre("TARE-ZIP-002"));
  Hdf5Builder file;
  const std::uint64_t dataset = file.object(
      {{0x01, hdf5_space({1ULL << 40, 1ULL << 40})}, {0x03, hdf5_f32()}, hdf5_contiguous(48, 8)});
  const std::string huge = file.build(file.object({hdf5_link("w", dataset)}));
  EXPECT_THAT(rules_of(huge), ElementsAre("TARE-ZIP-002"));
  EXPECT_EQ(contents_of(huge).problems.size(), 1U);
}

// CVE-2026-0897: a shape without elements behind it.
TEST(Hdf5, AHugeDatasetOfNothingIsBounded) {
  Hdf5Builder file;
  const std::uint64_t dataset = file.object({{0x01, hdf5_space({1ULL << 40})},
                                             {0x03, hdf5_f32()},
                                             {0x08, u8(3) + u8(1) + kNowhere + u64(0)}});
  const auto contents = contents_of(file.build(file.object({hdf5_link("w", dataset)})));
  ASSERT_EQ(contents.tensors.size(), 1U);
  EXPECT_FALSE(check_expansion(contents.tensors[0].view).has_value());
}

TEST(Hdf5, BytesBehindTheEnd) {
  EXPECT_THAT(rules_of(file_with({}) + "more bytes"), ElementsAre("TARE-GEN-001", "TARE-ZIP-004"));
}

TEST(Hdf5, CutOffAnywhereIsNeverSafe) {
  const std::string file = file_with({});
  for (std::size_t length = 8; length < file.size(); ++length) {
    EXPECT_EQ(scanned(file.substr(0, length)).verdict, Verdict::kUnreadable) << length;
  }
}

// Any byte may be anything: no crash, no hang, and what is read stays inside of the file.
TEST(Hdf5, AnyByteChanged) {
  const std::string file = file_with({hdf5_attribute("model_config", "{}")});
  for (std::size_t at = 8; at < file.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xFF}) {
      std::string changed = file;
      changed[at] = static_cast<char>(changed[at] ^ change);
      format::ReadContext context = format::context_of(as_bytes(changed));
      const auto contents = format::read_nested(as_bytes(changed), context);
      if (contents) {
        for (const auto& tensor : contents->tensors) {
          EXPECT_TRUE(check_view(tensor.view).has_value());
        }
      }
      EXPECT_TRUE(scan(as_bytes(changed)).has_value());
    }
  }
}

}  // namespace
}  // namespace tare
