// Formats that are known by their signature: said to be, and never safe.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/binary.hpp"
#include "support/zip_builder.hpp"
#include "tare/model.hpp"
#include "tare/scan.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using test::repeat;
using test::u32;
using test::u64;
using test::u8;
using testing::HasSubstr;

struct Known {
  std::string bytes;
  const char* name;
  bool is_native = false;
};

std::vector<Known> known() {
  return {
      {"ptrt" + std::string(20, '\1'), "TensorRT", true},
      {"ftrt" + std::string(20, '\1'), "TensorRT", true},
      {u32(24) + "PTMF" + std::string(16, '\1'), "TorchScript flatbuffer"},
      {u32(24) + "ET12" + std::string(16, '\1'), "ExecuTorch"},
      {"RKNN" + std::string(20, '\1'), "RKNN", true},
      {"\x01HEF" + std::string(20, '\1'), "Hailo", true},
      {"B\0C\0N\0\0\0"s + std::string(20, '\1'), "CNTK"},
      {R"({"oblivious_trees": []})", "CatBoost"},
      {"7767517\n3 3\n", "ncnn"},
      {"\xAC\xED\0\5sr"s, "Java"},
      {R"({"base_code": {}, "program": {}})", "PaddlePaddle program"},
  };
}

TEST(Recognised, IsSaidAndSuspicious) {
  for (const auto& [bytes, name, is_native] : known()) {
    const auto report = scan(as_bytes(bytes));
    ASSERT_TRUE(report.has_value()) << name;
    EXPECT_EQ(report->verdict, is_native ? Verdict::kDangerous : Verdict::kSuspicious) << name;
    ASSERT_FALSE(report->findings.empty()) << name;
    EXPECT_STREQ(report->findings[0].rule->id, is_native ? "TARE-MDL-006" : "TARE-FMT-001") << name;
    EXPECT_THAT(report->findings[0].detail, HasSubstr(name));
    if (!is_native) {
      EXPECT_THAT(report->findings[0].detail, HasSubstr("recognised, not analysed"));
    }
    EXPECT_THAT(describe_content(as_bytes(bytes)), HasSubstr(name));
  }
}

TEST(Recognised, InsideOfArchives) {
  test::ZipBuilder archive;
  archive.add("m/engine.plan", "ptrt" + std::string(20, '\1'));
  const auto report = scan(as_bytes(archive.build()));
  ASSERT_TRUE(report.has_value());
  ASSERT_EQ(report->findings.size(), 1U);
  EXPECT_EQ(report->findings[0].entry, "m/engine.plan");
  EXPECT_STREQ(report->findings[0].rule->id, "TARE-MDL-006");
}

TEST(Recognised, WhatIsAlmostOneIsNone) {
  for (const std::string& bytes :
       {"ptr"s, "PTMF"s, "RKN"s, "B\0C\0N"s, "\x08\x05"s, "\x08\x05\x12\x03\x0A\x01x"s,
        "\x08\x05\x12\x03\x0A\x01x\x1A\x01x"s, "\x81\xA1w\x01"s,
        "\x81\xA1w\xC7\x04\x01\x93\x90\xA0"s, "\x81\xA1w\xC7\x04\x01\x93\x90\xA0\xA0\x01"s,
        "<net/>"s, "<html><PMML/></html>"s, R"({"learner": {}})"s, "trees\nversion=1"s,
        "\xDF\xFF\xFF\xFF\xFF\x01"s, std::string(40, '\0')}) {
    EXPECT_FALSE(scan(as_bytes(bytes)).has_value()) << bytes;
  }
}

}  // namespace
}  // namespace tare
