// Serialized objects of R: numbers, and code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "support/rdata_builder.hpp"
#include "support/scanning.hpp"
#include "support/tensors.hpp"

namespace tare {
namespace {

using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

const std::string kUnbound = r_number(252);
const std::string kGlobal = r_number(253);

Result<ModelContents> read(const std::string& file) {
  auto context = format::context_of(as_bytes(file));
  return format::kRdata.read_tensors(as_bytes(file), context);
}

std::string matrix(const std::vector<std::uint64_t>& dim) {
  return r_doubles({1, 2, 3, 4, 5, 6}, kWithAttributes) + r_pairs({{"dim", r_integers(dim)}});
}

TEST(Rdata, ListsNumbersByTheirNames) {
  const std::string file = r_file(r_list({{"w", matrix({2, 3})},
                                          {"", r_integers({7, 8})},
                                          {"in", r_list({{"x", r_doubles({0.5})}})},
                                          {"t", r_texts({"a", "b"})}}));
  EXPECT_THAT(rules_of(file), IsEmpty());
  const auto contents = read(file);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  EXPECT_THAT(names_of(contents->tensors), ElementsAre("w", "2", "in.x"));
  EXPECT_THAT(contents->tensors[0].view.shape, ElementsAre(2, 3));
  // Row by row, what stands there column by column.
  EXPECT_EQ(packed_elements(contents->tensors[0].view), memory_of<double>({1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(packed_elements(contents->tensors[1].view), memory_of<std::int32_t>({7, 8}));
}

TEST(Rdata, ReadsEnvironmentsSlotsAndSavedNames) {
  const std::string environment =
      r_number(4) + r_number(0) + kGlobal + r_pairs({{"v", r_doubles({1})}}) + r_nil + r_nil;
  const std::string object =
      r_number(25 | kWithAttributes) + r_pairs({{"x", r_doubles({2})}, {"class", r_texts({"P"})}});
  const std::string file = "RDX2\n" + r_file(r_pairs({{"e", environment}, {"o", object}}));
  EXPECT_THAT(rules_of(file), IsEmpty());
  EXPECT_THAT(names_of(read(file)->tensors), ElementsAre("e.v", "o.x"));
}

// As saveRDS(x, ascii = TRUE) writes it.
TEST(Rdata, ReadsTheFormOfTexts) {
  const std::string file =
      "A\n2\n262658\n131840\n531\n2\n14\n4\n1.5\nNA\n-Inf\n1e+"
      "30\n16\n1\n262153\n5\nq\\n\\001\\\\y\n1026\n"
      "1\n262153\n5\nnames\n16\n2\n262153\n1\na\n262153\n1\nb\n254\n";
  const auto contents = read(file);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  ASSERT_THAT(names_of(contents->tensors), ElementsAre("a"));
  const auto bytes = packed_elements(contents->tensors[0].view);
  ASSERT_EQ(bytes.size(), 32U);
  EXPECT_EQ(bytes.substr(0, 8), memory_of<double>({1.5}));
  EXPECT_EQ(bytes.substr(8, 8), u64(0x7FF00000000007A2));
  EXPECT_EQ(bytes.substr(24), memory_of<double>({1e30}));
  EXPECT_THAT(rules_of(file), IsEmpty());
}

TEST(Rdata, CodeIsSuspicious) {
  for (const std::string& object :
       {r_call("sum", r_symbol("x")), r_number(20) + r_number(1) + r_symbol("x"),
        r_number(3 | 1 << 10) + kGlobal + r_nil + r_call("sum", r_symbol("x")),
        r_number(8) + r_number(3) + "sum", r_number(22) + r_nil + r_nil, r_number(23),
        r_promise(r_doubles({1}), r_symbol("x")),
        r_number(247) + r_number(0) + r_number(1) + r_chars("hook")}) {
    EXPECT_THAT(rules_of(r_file(r_list({{"a", object}}))), ElementsAre("TARE-RDS-003"));
  }
  // In an attribute as well.
  EXPECT_THAT(rules_of(r_file(r_doubles({1}, kWithAttributes) +
                              r_pairs({{"terms", r_call("~", r_symbol("x"))}}))),
              ElementsAre("TARE-RDS-003"));
}

TEST(Rdata, CodeThatReachesOutsideIsDangerous) {
  for (const std::string& object :
       {r_call("system", r_texts({"id"})), r_call("do.call", r_texts({"system"})),
        r_number(3 | 1 << 10) + kGlobal + r_nil + r_call("f", r_call("download.file", r_nil)),
        r_number(8) + r_number(6) + "system",
        // base::system, where the second symbol stands there by its number.
        r_list({{"a", r_symbol("system")}, {"b", r_call("::", r_number(255 | 1 << 8))}})}) {
    EXPECT_EQ(verdict_of(r_file(object)), Verdict::kDangerous);
    EXPECT_THAT(rules_of(r_file(object)), Contains("TARE-RDS-002"));
  }
}

// CVE-2024-27322.
TEST(Rdata, PromisesWithoutTheirValueAreDangerous) {
  const std::string promise = r_promise(kUnbound, r_call("f", r_nil));
  const std::string with_environment =
      r_number(5 | 1 << 10) + kGlobal + r_doubles({1}) + r_symbol("x");
  for (const std::string& object :
       {promise, with_environment, r_list({{"a", promise}}),
        r_doubles({1}, kWithAttributes) + r_pairs({{"names", promise}}),
        r_number(4) + r_number(0) + kGlobal + r_pairs({{"v", promise}}) + r_nil + r_nil}) {
    EXPECT_THAT(rules_of(r_file(object)), Contains("TARE-RDS-001"));
  }
  EXPECT_THAT(rules_of("RDX2\n" + r_file(r_pairs({{"x", promise}}))), Contains("TARE-RDS-001"));
}

std::string bytecode(std::string_view constants, std::uint64_t count) {
  return r_number(21) + r_number(1) + r_integers({12, 1}) + r_number(count) +
         std::string(constants);
}

TEST(Rdata, ReadsBytecode) {
  const std::string call =
      r_number(6) + r_nil + r_number(1) + r_symbol("system") + r_number(254) + r_nil;
  for (const auto& [constants, count] :
       {std::pair(r_number(14) + r_doubles({1}), 1),
        {r_number(21) + r_integers({12}) + r_number(0), 1},
        {r_number(244) + r_number(0) + r_number(2) + r_nil + r_number(243) + r_number(0) +
             r_number(243) + r_number(0),
         1}}) {
    const auto rules = rules_of(r_file(bytecode(constants, static_cast<std::uint64_t>(count))));
    EXPECT_THAT(rules, ElementsAre("TARE-RDS-003"));
  }
  EXPECT_THAT(rules_of(r_file(bytecode(call, 1))), Contains("TARE-RDS-002"));
}

std::string other_form(std::string_view name, std::string_view package, std::string_view state) {
  return r_number(238) + r_number(2) + r_symbol(name) + r_number(2) + r_symbol(package) +
         r_number(2) + r_integers({13}) + r_nil + std::string(state) + r_nil;
}

TEST(Rdata, VectorsInOtherForms) {
  const auto sequence = r_file(other_form("compact_intseq", "base", r_doubles({3, 1, 1})));
  EXPECT_THAT(rules_of(sequence), IsEmpty());
  EXPECT_EQ(read(sequence)->problems.size(), 1U);
  const auto wrapped = r_file(r_list(
      {{"a", other_form("wrap_real", "base",
                        r_number(19) + r_number(2) + r_doubles({1, 2}) + r_integers({0, 0}))}}));
  EXPECT_THAT(rules_of(wrapped), IsEmpty());
  EXPECT_THAT(names_of(read(wrapped)->tensors), ElementsAre("a"));
  EXPECT_THAT(rules_of(r_file(other_form("mmap_real", "base", r_texts({"/etc/passwd"})))),
              Contains("TARE-RDS-002"));
  EXPECT_THAT(rules_of(r_file(other_form("x", "my_package", r_nil))), ElementsAre("TARE-RDS-004"));
}

TEST(Rdata, PackagesThatAreLoaded) {
  const auto in = [](std::string_view name) {
    return r_file(r_number(249) + r_number(0) + r_number(2) + r_chars(name) + r_chars("1.0"));
  };
  EXPECT_THAT(rules_of(in("stats")), IsEmpty());
  EXPECT_THAT(rules_of(in("my_package")), ElementsAre("TARE-RDS-004"));
}

TEST(Rdata, RefusesWhatIsBroken) {
  for (const std::string& object :
       {r_number(99), r_number(255 | 5 << 8),
        r_number(14) + r_number(0xFFFFFFFF) + r_number(0x7FFFFFFF) + r_number(0),
        r_number(14) + r_number(0xFFFFFFFE), r_number(19) + r_number(1000), r_number(1) + r_nil,
        r_number(238) + r_nil, r_number(16) + r_number(1) + r_nil}) {
    EXPECT_EQ(verdict_of(r_file(object)), Verdict::kUnreadable);
    EXPECT_FALSE(read(r_file(object)).has_value());
  }
  const auto contents = read(r_file(matrix({2, 2})));
  ASSERT_TRUE(contents.has_value());
  EXPECT_EQ(contents->problems.size(), 1U);
  EXPECT_EQ(verdict_of(r_file(r_nil) + "cos\nsystem\n(S'id'\ntR."), Verdict::kDangerous);
}

TEST(Rdata, NoPrefixIsSafe) {
  const std::string file = r_file(r_list({{"w", matrix({2, 3})}, {"t", r_texts({"a"})}}));
  for (std::size_t length = 0; length < file.size(); ++length) {
    EXPECT_TRUE(is_not_safe(file.substr(0, length))) << length;
  }
}

TEST(Rdata, IsBounded) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += r_number(19) + r_number(1);
  EXPECT_TRUE(read(r_file(deep + r_nil)).has_value());
  std::string calls;
  for (int i = 0; i < 100'000; ++i) calls += r_number(6) + r_number(6) + r_nil;
  EXPECT_TRUE(is_not_safe(r_file(calls)));
}

}  // namespace
}  // namespace tare
