// Checkpoints of TensorFlow: the index, what is found wrong in it, and the files beside it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "archive/snappy.hpp"
#include "format/format.hpp"
#include "format/sstable.hpp"
#include "support/scanning.hpp"
#include "support/table_builder.hpp"
#include "support/temp_dir.hpp"
#include "support/tensors.hpp"

namespace tare {
namespace {

using namespace test;
using namespace std::string_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kFloat = 1;
constexpr std::uint64_t kShort = 5;
constexpr std::uint64_t kText = 7;

void write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(TensorBundle, ReadsTensorsOfTheFilesBesideTheIndex) {
  const TempDir folder;
  write(folder / "m.index", bundle_index({{"a", bundle_entry(kFloat, {2}, 4, 8)},
                                          {"b/c", bundle_entry(kShort, {2, 1}, 0, 4, 1)},
                                          {"s", bundle_entry(kText, {}, 12, 3)}},
                                         2));
  write(folder / "m.data-00000-of-00002", "....abcdefgh\1\1x");
  write(folder / "m.data-00001-of-00002", "wxyz");
  const auto model = open_model(folder / "m.index");
  ASSERT_TRUE(model.has_value()) << model.error().what;
  EXPECT_EQ(model->format(), "tensorflow-checkpoint");
  EXPECT_EQ(model->files().size(), 3U);
  EXPECT_THAT(model->contents().problems, IsEmpty());
  EXPECT_THAT(names_of(model->tensors()), ElementsAre("a", "b/c"));
  EXPECT_EQ(packed_elements(model->tensors()[0].view), "abcdefgh");
  EXPECT_THAT(model->tensors()[1].view.shape, ElementsAre(2, 1));
  EXPECT_EQ(packed_elements(model->tensors()[1].view), "wxyz");
  EXPECT_EQ(model->contents().metadata.at("s"), "[texts]");
}

TEST(TensorBundle, SaysWhichElementsAreMissing) {
  const TempDir folder;
  const auto index = bundle_index({{"a", bundle_entry(kFloat, {2}, 0, 8)},
                                   {"b", bundle_entry(kFloat, {1}, 0, 4, 1)},
                                   {"c", bundle_entry(kFloat, {1}, 0, 4, 2)}},
                                  3);
  write(folder / "m.index", index);
  write(folder / "m.data-00000-of-00003", "abcdefg");
  write(folder / "x", "abcdefgh");
  std::filesystem::create_symlink("x", folder / "m.data-00001-of-00003");
  const auto model = open_model(folder / "m.index");
  ASSERT_TRUE(model.has_value());
  const auto& problems = model->contents().problems;
  ASSERT_EQ(problems.size(), 3U);
  EXPECT_EQ(problems[0].error.code, ErrorCode::kTruncated);
  EXPECT_EQ(problems[1].error.code, ErrorCode::kRefused);
  EXPECT_EQ(problems[2].error.code, ErrorCode::kNotFound);
}

TEST(TensorBundle, SwapsBigEndianElements) {
  const TempDir folder;
  write(folder / "m.index", bundle_index({{"a", bundle_entry(kShort, {2}, 0, 4)}}, 1, 1));
  write(folder / "m.data-00000-of-00001", "abcd");
  const auto model = open_model(folder / "m.index");
  ASSERT_TRUE(model.has_value());
  EXPECT_EQ(packed_elements(model->tensors().at(0).view), "badc");
}

// Keys of slices as TensorFlow 2.21 writes them.
TEST(TensorBundle, PutsSlicesTogether) {
  const TempDir folder;
  const std::string upper = "\0part\0\1\1\2\x80\x82\x80\x83"s;
  const std::string lower = "\0part\0\1\1\2\x82\x82\x80\x83"s;
  const auto index =
      bundle_index({{upper, bundle_entry(kShort, {2, 3}, 0, 12)},
                    {lower, bundle_entry(kShort, {2, 3}, 12, 12)},
                    {"part", bundle_entry(kShort, {4, 3}, 0, 0) + bundle_slice({{0, 2}, {0, 3}}) +
                                 bundle_slice({{2, 2}, {0, 3}})}});
  EXPECT_THAT(rules_of(index), IsEmpty());
  write(folder / "m.index", index);
  write(folder / "m.data-00000-of-00001", "abcdefghijklmnopqrstuvwx");
  const auto model = open_model(folder / "m.index");
  ASSERT_TRUE(model.has_value());
  ASSERT_EQ(model->tensors().size(), 1U);
  EXPECT_EQ(packed_elements(model->tensors()[0].view), "abcdefghijklmnopqrstuvwx");
}

// Numbers that take two bytes, and a length that is all of an axis.
TEST(TensorBundle, FindsSlicesOfLargeTensors) {
  const std::string key = "\0p\0\1\1\2\xC1\x2C\x84\x80\x7F"s;
  const auto index = bundle_index(
      {{key, bundle_entry(kShort, {4, 2}, 0, 16)},
       {"p", bundle_entry(kShort, {304, 2}, 0, 0) + bundle_slice({{300, 4}, {0, -1}})}});
  // The slice is found; that it is not all of the tensor is what is wrong.
  const auto report = scanned(index);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_STREQ(report.findings[0].rule->id, "TARE-CKP-001");
  EXPECT_EQ(report.findings[0].entry, "p");
}

TEST(TensorBundle, ReportsAnIndexThatContradictsItself) {
  const std::string part = "\0p\0\1\1\1\x80\x82"s;
  const TableItems slice = {{part, bundle_entry(kShort, {2}, 0, 4)}};
  const auto with_slice = [&](const std::string& entry) {
    TableItems items = slice;
    items.emplace_back("p", entry);
    return bundle_index(items);
  };
  for (const std::string& index :
       {bundle_index({{"a", bundle_entry(kFloat, {3}, 0, 8)}}),
        bundle_index({{"a", bundle_entry(kFloat, {UINT64_MAX}, 0, 8)}}),
        bundle_index({{"a", bundle_entry(kFloat, {1ULL << 62, 8}, 0, 0)}}),
        bundle_index({{"a", bundle_entry(kFloat, {2}, 0, 8, 1)}}),
        bundle_index({{"a", bundle_entry(kFloat, {2}, UINT64_MAX - 3, 8)}}),
        bundle_index(
            {{"a", bundle_entry(kFloat, {2}, 0, 8)}, {"b", bundle_entry(kFloat, {1}, 4, 4)}}),
        bundle_index(slice), with_slice(bundle_entry(kShort, {2}, 0, 0) + bundle_slice({{0, 1}})),
        with_slice(bundle_entry(kFloat, {2}, 0, 0) + bundle_slice({{0, 2}})),
        with_slice(bundle_entry(kShort, {3}, 0, 0) + bundle_slice({{0, 2}}))}) {
    EXPECT_TRUE(is_not_safe(index));
    const auto report = scanned(index);
    EXPECT_TRUE(rules_of(report).contains("TARE-CKP-001") ||
                report.verdict == Verdict::kUnreadable);
  }
}

TEST(TensorBundle, VariantsAreSuspicious) {
  EXPECT_THAT(rules_of(bundle_index({{"v", bundle_entry(21, {}, 0, 4)}})),
              Contains("TARE-GEN-001"));
}

TEST(TensorBundle, AnyChangedByteOfABlockIsFound) {
  const std::string index = bundle_index({{"a", bundle_entry(kFloat, {2}, 0, 8)}});
  ASSERT_THAT(rules_of(index), IsEmpty());
  for (std::size_t at = 0; at < index.size() - 48; ++at) {
    std::string changed = index;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_TRUE(is_not_safe(changed)) << at;
  }
  for (std::size_t length = 0; length < index.size(); ++length) {
    EXPECT_TRUE(is_not_safe(index.substr(0, length))) << length;
  }
}

TEST(TensorBundle, FindsBytesThatBelongToNoBlock) {
  const TableItems items = {{"", bundle_header(1)}};
  EXPECT_THAT(rules_of(table_of({with_trailer(table_block(items))}, "cos\nsystem\n(S'id'\ntR.")),
              Contains("TARE-GEN-001"));
}

TEST(Sstable, RefusesWhatLevelDbWouldNotWrite) {
  const std::string a = table_block({{"a", "1"}});
  const std::string b = table_block({{"b", "2"}});
  const auto code_of = [](const std::string& file) {
    const auto table = format::read_table(as_bytes(file));
    return table ? std::nullopt : std::optional(table.error().code);
  };
  EXPECT_EQ(code_of(table_of({with_trailer(a), with_trailer(b)})), std::nullopt);
  EXPECT_EQ(code_of(table_of({with_trailer(b), with_trailer(a)})), ErrorCode::kMalformed);
  EXPECT_EQ(code_of(table_of({with_trailer(a), with_trailer(a)})), ErrorCode::kMalformed);
  EXPECT_EQ(code_of(table_of({with_trailer(a, 2)})), ErrorCode::kUnsupported);
  EXPECT_EQ(code_of(table_of({with_trailer(u32(1000))})), ErrorCode::kMalformed);
  EXPECT_EQ(code_of(table_of({with_trailer("\5\1\1x" + u32(0))})), ErrorCode::kMalformed);
  EXPECT_EQ(code_of("x"), ErrorCode::kWrongFormat);
  // A key of 100,000 bytes that 100,000 entries share.
  std::string wide = varint(0) + varint(100'000) + varint(0) + std::string(100'000, 'k');
  for (int i = 0; i < 100'000; ++i) wide += varint(100'000) + varint(0) + varint(0);
  EXPECT_EQ(code_of(table_of({with_trailer(wide + u32(0))})), ErrorCode::kLimit);
}

// Literals, and a copy that overlaps itself.
TEST(Sstable, ReadsBlocksPackedBySnappy) {
  const std::string block = table_block({{"k", std::string(40, 'a')}});
  ASSERT_EQ(block.size(), 52U);
  const std::string packed = varint(52) + u8((5 - 1) << 2) + block.substr(0, 5) +
                             u8((39 - 1) << 2 | 2) + u16(1) + u8((8 - 1) << 2) + block.substr(44);
  const std::string file = table_of({with_trailer(packed, 1)});
  const auto table = format::read_table(as_bytes(file));
  ASSERT_TRUE(table.has_value()) << table.error().what;
  ASSERT_EQ(table->entries.size(), 1U);
  EXPECT_EQ(as_text(table->entries[0].value), std::string(40, 'a'));
}

TEST(Snappy, RefusesWhatIsBroken) {
  const auto code_of = [](const std::string& bytes, std::uint64_t most = 100) {
    const auto out = decode_snappy(as_bytes(bytes), most);
    return out ? std::nullopt : std::optional(out.error().code);
  };
  EXPECT_EQ(code_of("\0"s), std::nullopt);
  EXPECT_EQ(code_of("\2\4ab"s), std::nullopt);
  EXPECT_EQ(code_of("\2\4a"s), ErrorCode::kTruncated);
  EXPECT_EQ(code_of("\3\4ab"s), ErrorCode::kMalformed);
  EXPECT_EQ(code_of("\1\4ab"s), ErrorCode::kMalformed);
  EXPECT_EQ(code_of("\6\4ab\1\3"s), ErrorCode::kMalformed);  // further back than the begin
  EXPECT_EQ(code_of("\6\4ab\1\0"s), ErrorCode::kMalformed);
  EXPECT_EQ(code_of("\6\4ab\1\2"s), std::nullopt);
  EXPECT_EQ(code_of("\xFF\xFF\xFF\xFF\x0F\1"s), ErrorCode::kLimit);
  EXPECT_EQ(code_of(""s), ErrorCode::kTruncated);
}

TEST(CheckpointState, PathsThatLeaveTheFolderAreFound) {
  const std::string state =
      "model_checkpoint_path: \"ckpt-1\"\nall_model_checkpoint_paths: \"ckpt-1\"\n";
  EXPECT_THAT(rules_of(state + "all_model_checkpoint_timestamps: 1784645.25\n"), IsEmpty());
  for (const std::string path : {"/tmp/x", "../x", "a/../../x", "C:x", "\\\\056\\\\056/x"}) {
    const std::string text = "model_checkpoint_path: \"" + path + "\"\n";
    EXPECT_THAT(rules_of(text), ElementsAre("TARE-CKP-002")) << path;
  }
  for (const std::string line :
       {"other: \"x\"", "model_checkpoint_path: x", "cos", "a: \"b\" \"c\""}) {
    EXPECT_THAT(rules_of(state + line), Contains("TARE-GEN-001")) << line;
  }
}

}  // namespace
}  // namespace tare
