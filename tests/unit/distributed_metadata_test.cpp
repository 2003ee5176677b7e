#include "format/distributed_metadata.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/distributed_builder.hpp"
#include "support/pickle_bytes.hpp"

namespace tare::format {
namespace {

using test::DistributedBuilder;
using test::Sizes;
using testing::ElementsAre;
using testing::HasSubstr;

auto read(const DistributedBuilder& builder) {
  return read_distributed_metadata(as_bytes(builder.metadata()));
}

void expect_refused(const DistributedBuilder& builder, ErrorCode code, std::string_view subject) {
  const auto metadata = read(builder);
  ASSERT_FALSE(metadata.has_value());
  EXPECT_EQ(metadata.error().code, code) << metadata.error().what;
  EXPECT_EQ(metadata.error().subject, subject);
}

// The error of the only entry.
Error entry_error(const DistributedBuilder& builder) {
  const auto metadata = read(builder);
  if (!metadata || metadata->entries.size() != 1 || metadata->entries[0].content) return {};
  return metadata->entries[0].content.error();
}

DistributedBuilder small() {
  DistributedBuilder builder;
  builder.tensor("model.w", {2, 3}).path = {"model", "w"};
  builder.chunk("__1_0.distcp", {1, 0}, {1, 3}, {4, 5, 6});
  builder.chunk("__0_0.distcp", {0, 0}, {1, 3}, {1, 2, 3});
  builder.object("epoch", "__0_0.distcp", test::saved_integer(3));
  return builder;
}

TEST(DistributedMetadata, SaysWhatIsStoredWhere) {
  const auto builder = small();
  const std::string text = builder.metadata();
  ASSERT_TRUE(is_distributed_metadata(as_bytes(text)));
  const auto metadata = read_distributed_metadata(as_bytes(text));
  ASSERT_TRUE(metadata.has_value()) << metadata.error().what;

  ASSERT_EQ(metadata->files.size(), 2U);
  EXPECT_EQ(metadata->files[0].name, "__0_0.distcp");
  EXPECT_EQ(metadata->files[1].name, "__1_0.distcp");
  ASSERT_EQ(metadata->files[0].ranges.size(), 2U);
  EXPECT_EQ(metadata->files[0].ranges[0].offset, 0U);
  EXPECT_EQ(metadata->files[0].ranges[1].offset, metadata->files[0].ranges[0].length);

  ASSERT_EQ(metadata->entries.size(), 2U);
  const StoredEntry& tensor = metadata->entries[0];
  EXPECT_EQ(tensor.name, "model.w");
  EXPECT_THAT(tensor.path, ElementsAre("model", "w"));
  ASSERT_TRUE(tensor.content.has_value()) << tensor.content.error().what;
  const auto& stored = std::get<StoredTensor>(*tensor.content);
  EXPECT_EQ(stored.dtype, DType::kF32);
  EXPECT_THAT(stored.shape, ElementsAre(2, 3));
  ASSERT_EQ(stored.chunks.size(), 2U);
  EXPECT_THAT(stored.chunks[0].start, ElementsAre(1, 0));
  EXPECT_THAT(stored.chunks[0].shape, ElementsAre(1, 3));
  EXPECT_EQ(stored.chunks[0].part.file, 1U);
  EXPECT_EQ(stored.chunks[1].part.file, 0U);

  const StoredEntry& object = metadata->entries[1];
  EXPECT_THAT(object.path, ElementsAre("epoch"));
  EXPECT_EQ(std::get<StoredPart>(*object.content).range, metadata->files[0].ranges[1]);
  EXPECT_TRUE(metadata->imports.contains(builder.module + ".Metadata"));
}

TEST(DistributedMetadata, IsReadWhereItsClassesWereBefore) {
  auto builder = small();
  builder.module = "torch.distributed._shard.checkpoint.metadata";
  EXPECT_TRUE(is_distributed_metadata(as_bytes(builder.metadata())));
  EXPECT_TRUE(read(builder).has_value());
  builder.module = "other.metadata";
  EXPECT_FALSE(is_distributed_metadata(as_bytes(builder.metadata())));
  expect_refused(builder, ErrorCode::kWrongFormat, "");
}

TEST(DistributedMetadata, IsNoOtherPickle) {
  for (const std::string& other :
       {std::string("\x80\x02N."), test::payload() + ".", test::saved_integer(1), std::string()}) {
    EXPECT_FALSE(is_distributed_metadata(as_bytes(other)));
    EXPECT_FALSE(read_distributed_metadata(as_bytes(other)).has_value());
  }
}

TEST(DistributedMetadata, IsCutOffAtNoByte) {
  const std::string text = small().metadata();
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(read_distributed_metadata(as_bytes(text).first(length)).has_value()) << length;
  }
}

TEST(DistributedMetadata, TakesAPathOnlyIfItMakesTheName) {
  const auto path_of = [](const std::string& name, const std::vector<std::string>& path) {
    DistributedBuilder builder;
    builder.whole(name, "f", {1}, {1}).path = path;
    return read(builder)->entries.at(0).path;
  };
  EXPECT_THAT(path_of("a.b.c", {"a.b", "c"}), ElementsAre("a.b", "c"));
  EXPECT_THAT(path_of("", {""}), ElementsAre(""));
  EXPECT_THAT(path_of(".", {"", ""}), ElementsAre("", ""));
  EXPECT_THAT(path_of("a.b", {"a", "c"}), ElementsAre("a.b"));
  EXPECT_THAT(path_of("a.b", {"a"}), ElementsAre("a.b"));
  EXPECT_THAT(path_of("a.b", {"a", "b", ""}), ElementsAre("a.b"));
  EXPECT_THAT(path_of("ab", {"a", "b"}), ElementsAre("ab"));
  EXPECT_THAT(path_of("a", {}), ElementsAre("a"));
}

TEST(DistributedMetadata, RefusesNamesOutsideItsFolder) {
  for (const std::string name : {"../a", "/etc/passwd", "a/b", "..", ".", "", "a\\b"}) {
    auto builder = small();
    builder.entries[0].parts[0].file = name;
    expect_refused(builder, ErrorCode::kRefused, name);
  }
}

TEST(DistributedMetadata, RefusesTooManyFiles) {
  DistributedBuilder builder;
  builder.tensor("w", {20'000});
  for (std::int64_t i = 0; i < 16'384; ++i) {
    builder.entries[0].parts.push_back({{i}, {1}, std::to_string(i), 0, 1});
  }
  EXPECT_TRUE(read(builder).has_value());
  builder.entries[0].parts.push_back({{16'384}, {1}, "one more", 0, 1});
  expect_refused(builder, ErrorCode::kLimit, "one more");
}

TEST(DistributedMetadata, RefusesTwoPartsAtOnePlace) {
  auto builder = small();
  builder.entries[0].parts[1].start = {1, 0};
  expect_refused(builder, ErrorCode::kRefused, "model.w");
}

TEST(DistributedMetadata, KeepsTheRestIfATensorIsBroken) {
  DistributedBuilder builder;
  builder.whole("w", "f", {2}, {1, 2});
  const auto error_with = [&](auto change) {
    DistributedBuilder broken = builder;
    change(broken.entries[0]);
    return entry_error(broken);
  };
  using Entry = test::DistributedEntry;
  EXPECT_EQ(error_with([](Entry& e) { e.parts[0].is_stored = false; }).code, ErrorCode::kNotFound);
  EXPECT_EQ(error_with([](Entry& e) { e.shape = Sizes{-1}; }).code, ErrorCode::kMalformed);
  EXPECT_EQ(error_with([](Entry& e) { e.shape = Sizes{2, 1}; }).code, ErrorCode::kMalformed);
  EXPECT_EQ(error_with([](Entry& e) { e.parts[0].shape = {2, 1}; }).code, ErrorCode::kMalformed);
  EXPECT_EQ(error_with([](Entry& e) { e.dtype = "qint8"; }).code, ErrorCode::kUnsupported);
  EXPECT_EQ(error_with([](Entry& e) { e.dtype = "nn"; }).code, ErrorCode::kUnsupported);
  EXPECT_EQ(error_with([](Entry& e) { e.shape = Sizes(65, 1); }).code, ErrorCode::kMalformed);
  // Of an object there is a part without a place.
  EXPECT_EQ(error_with([](Entry& e) { e.parts[0].is_stored = false, e.shape.reset(); }).code,
            ErrorCode::kNotFound);
}

TEST(DistributedMetadata, CountsPairsOfFourBitElements) {
  DistributedBuilder builder;
  builder.whole("w", "f", {3, 2}, {}).dtype = "float4_e2m1fn_x2";
  const auto metadata = read(builder);
  const auto& stored = std::get<StoredTensor>(*metadata->entries.at(0).content);
  EXPECT_EQ(stored.dtype, DType::kF4);
  EXPECT_THAT(stored.shape, ElementsAre(3, 4));
  EXPECT_THAT(stored.chunks.at(0).shape, ElementsAre(3, 4));
}

// A dict of a hundred thousand attributes that stands in a hundred thousand places.
TEST(DistributedMetadata, IsReadInTimeThoughObjectsAreShared) {
  using pickle::Op;
  pickle::Writer out;
  const std::string module = "torch.distributed.checkpoint.metadata";
  out.proto(2).global(module, "Metadata").op(Op::kEmptyTuple, Op::kNewObj);
  out.op(Op::kEmptyDict, Op::kMark).text("storage_data").op(Op::kEmptyDict);
  out.text("state_dict_metadata").op(Op::kEmptyDict, Op::kMark);
  std::uint32_t shared = 0;
  for (int i = 0; i < 100'000; ++i) {
    out.text(std::to_string(i));
    if (i > 0) {
      out.get(shared);
      continue;
    }
    out.global(module, "TensorStorageMetadata").op(Op::kEmptyTuple, Op::kNewObj);
    shared = out.put();
    out.op(Op::kEmptyDict, Op::kMark);
    for (int key = 0; key < 100'000; ++key) out.integer(key).op(Op::kNone);
    out.op(Op::kSetItems, Op::kBuild);
  }
  out.op(Op::kSetItems, Op::kSetItems, Op::kBuild);
  const auto metadata = read_distributed_metadata(as_bytes(test::take(out)));
  ASSERT_FALSE(metadata.has_value());
  EXPECT_EQ(metadata.error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace tare::format
