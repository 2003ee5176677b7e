// Parameters of MXNet: what is read of them, and what is found wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "support/binary.hpp"
#include "support/scanning.hpp"
#include "support/tensors.hpp"

namespace tare {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kVersion1 = 0xF993FAC8;
constexpr std::uint64_t kVersion2 = 0xF993FAC9;
constexpr std::uint64_t kVersion3 = 0xF993FACA;

std::string shape_of(const std::vector<std::uint64_t>& shape) {
  std::string out = u32(shape.size());
  for (const std::uint64_t size : shape) out += u64(size);
  return out;
}

std::string array(std::uint64_t type, const std::vector<std::uint64_t>& shape,
                  std::string_view data, std::uint64_t version = kVersion2) {
  return u32(version) + (version == kVersion1 ? "" : u32(0)) + shape_of(shape) + u32(1) + u32(0) +
         u32(type) + std::string(data);
}

std::string file_of(const std::vector<std::string>& arrays, const std::vector<std::string>& names) {
  std::string out = u64(0x112) + u64(0) + u64(arrays.size());
  for (const std::string& item : arrays) out += item;
  out += u64(names.size());
  for (const std::string& name : names) out += u64(name.size()) + name;
  return out;
}

Result<ModelContents> read(const std::string& file) {
  auto context = format::context_of(as_bytes(file));
  return format::kMxnet.read_tensors(as_bytes(file), context);
}

TEST(Mxnet, ListsArraysOfEveryVersion) {
  const std::string old = u32(2) + u32(1) + u32(2) + u32(1) + u32(0) + u32(5) + "xy";
  const std::string file = file_of({array(0, {2, 1}, "aaaabbbb"), array(3, {3}, "abc", kVersion1),
                                    array(6, {}, "12345678", kVersion3), old},
                                   {"arg:w", "arg:b", "aux:n", "old"});
  EXPECT_THAT(rules_of(file), IsEmpty());
  const auto contents = read(file);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  EXPECT_THAT(names_of(contents->tensors), ElementsAre("arg:w", "arg:b", "aux:n", "old"));
  EXPECT_THAT(contents->tensors[0].view.shape, ElementsAre(2, 1));
  EXPECT_EQ(packed_elements(contents->tensors[0].view), "aaaabbbb");
  EXPECT_THAT(contents->tensors[2].view.shape, IsEmpty());
  EXPECT_EQ(packed_elements(contents->tensors[3].view), "xy");
}

TEST(Mxnet, ListsArraysWithoutNamesByPosition) {
  const auto contents = read(file_of({array(3, {1}, "a"), array(3, {1}, "b")}, {}));
  ASSERT_TRUE(contents.has_value());
  EXPECT_THAT(names_of(contents->tensors), ElementsAre("0", "1"));
}

TEST(Mxnet, ReadsOverSparseArraysAndEmptyOnes) {
  const std::string rows = u32(kVersion2) + u32(1) + shape_of({1, 2}) + shape_of({4, 2}) + u32(1) +
                           u32(0) + u32(3) + u32(6) + shape_of({1}) + "ab" + u64(3);
  const std::string csr = u32(kVersion2) + u32(2) + shape_of({1}) + shape_of({2, 2}) + u32(1) +
                          u32(0) + u32(3) + u32(6) + shape_of({3}) + u32(6) + shape_of({1}) + "a" +
                          std::string(32, '\0');
  const std::string none = u32(kVersion2) + u32(0) + u32(0);
  const auto contents =
      read(file_of({rows, csr, none, array(3, {1}, "x")}, {"rows", "csr", "none", "w"}));
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  EXPECT_THAT(names_of(contents->tensors), ElementsAre("w"));
  EXPECT_EQ(contents->problems.size(), 3U);
}

TEST(Mxnet, RefusesWhatIsBroken) {
  for (const std::string& file :
       {file_of({array(0, {3}, "aaaabbbb")}, {}), file_of({array(99, {1}, "a")}, {}),
        file_of({array(0, {1ULL << 62, 8}, "")}, {}), file_of({array(0, {UINT64_MAX}, "")}, {}),
        file_of({u32(kVersion2) + u32(7)}, {}), file_of({u32(1000)}, {}),
        file_of({array(3, {1}, "a")}, {"a", "b"}), u64(0x112) + u64(0) + u64(UINT64_MAX)}) {
    EXPECT_EQ(verdict_of(file), Verdict::kUnreadable);
    EXPECT_FALSE(read(file).has_value());
  }
}

TEST(Mxnet, ReportsNamesThatAreThereTwiceAndBytesBehind) {
  const std::string one = array(3, {1}, "a");
  EXPECT_THAT(rules_of(file_of({one, one}, {"a", "a"})), ElementsAre("TARE-CKP-001"));
  EXPECT_THAT(rules_of(file_of({one}, {"a"}) + "x"), ElementsAre("TARE-GEN-001"));
  EXPECT_EQ(verdict_of(file_of({one}, {"a"}) + "cos\nsystem\n(S'id'\ntR."), Verdict::kDangerous);
}

TEST(Mxnet, NoPrefixIsSafe) {
  const std::string file = file_of({array(0, {2, 1}, "aaaabbbb")}, {"w"});
  for (std::size_t length = 0; length < file.size(); ++length) {
    EXPECT_TRUE(is_not_safe(file.substr(0, length))) << length;
  }
}

}  // namespace
}  // namespace tare
