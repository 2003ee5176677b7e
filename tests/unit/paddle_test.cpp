// PaddlePaddle: what is found in programs, and what is read of parameters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "support/protobuf_builder.hpp"
#include "support/scanning.hpp"

namespace tare {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kNone = UINT64_MAX;  // -1

std::string block(std::uint64_t index, std::uint64_t parent, const std::string& more) {
  return pb_bytes(1, pb_number(1, index) + pb_number(2, parent) + more);
}
std::string op(const std::string& type, const std::string& more = "") {
  return pb_bytes(4, pb_bytes(3, type) + more);
}
std::string program(const std::string& more) {
  return block(0, kNone, more) + pb_bytes(4, pb_number(1, 0));
}

TEST(Paddle, WholeProgramsAreSafe) {
  EXPECT_THAT(rules_of(program(op("feed") + op("matmul_v2") + op("fetch"))), IsEmpty());
  const std::string inner =
      pb_bytes(4, pb_bytes(1, "sub_block") + pb_number(2, 8) + pb_number(12, 1));
  EXPECT_THAT(rules_of(block(0, kNone, op("while", inner)) + block(1, 0, op("relu"))), IsEmpty());
}

TEST(Paddle, FindsOperatorsThatReach) {
  const auto found = ElementsAre("TARE-MDL-005");
  for (const char* type :
       {"py_func", "save", "load_combine", "read_file", "listen_and_serv", "tensorrt_engine"}) {
    EXPECT_THAT(rules_of(program(op(type))), found) << type;
  }
  EXPECT_THAT(rules_of(program(op("my_op"))), ElementsAre("TARE-MDL-003"));
  EXPECT_THAT(rules_of(program(op("send_v2"))), ElementsAre("TARE-MDL-003"));
}

TEST(Paddle, FindsBlocksThatAreNotThere) {
  const auto found = ElementsAre("TARE-MDL-001");
  const auto refers = [](const std::string& field) {
    return program(op("while", pb_bytes(4, pb_bytes(1, "b") + field)));
  };
  EXPECT_THAT(rules_of(refers(pb_number(12, 1))), found);
  EXPECT_THAT(rules_of(refers(pb_number(12, kNone))), found);
  EXPECT_THAT(rules_of(refers(pb_packed(14, {0, 7}))), found);
  EXPECT_THAT(rules_of(program("") + block(1, 1, "")), found);
  EXPECT_THAT(rules_of(program("") + block(7, 0, "")), found);
}

TEST(Paddle, FindsWhatParsersReadDifferently) {
  EXPECT_THAT(rules_of(program(op("relu", pb_bytes(3, "relu")))), ElementsAre("TARE-MDL-004"));
  EXPECT_THAT(rules_of(program(op("relu", pb_bytes(9, "x")))), ElementsAre("TARE-MDL-004"));
}

std::string tensor(std::uint64_t type, std::initializer_list<std::uint64_t> dims,
                   const std::string& data) {
  std::string description = pb_number(1, type);
  for (const std::uint64_t length : dims) description += pb_number(2, length);
  return u32(0) + u64(0) + u32(0) + u32(description.size()) + description + data;
}

TEST(PaddleParams, ListsTensors) {
  const std::string file = tensor(5, {2, 1}, "12345678") + tensor(20, {3}, "abc");
  EXPECT_THAT(rules_of(file), IsEmpty());
  auto context = format::context_of(as_bytes(file));
  const auto contents = format::kPaddleParams.read_tensors(as_bytes(file), context);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  ASSERT_EQ(contents->tensors.size(), 2U);
  EXPECT_EQ(contents->tensors[0].name, "tensor.0");
  EXPECT_EQ(contents->tensors[0].view.dtype, DType::kF32);
  EXPECT_THAT(contents->tensors[0].view.shape, ElementsAre(2, 1));
  EXPECT_EQ(as_text(contents->tensors[1].view.contiguous_bytes()), "abc");
}

TEST(PaddleParams, WhatDoesNotFitIsUnreadable) {
  const std::string good = tensor(5, {2}, "12345678");
  for (const std::string& file : {good + "x", good.substr(0, good.size() - 1),
                                  tensor(5, {kNone}, ""), tensor(5, {1ULL << 40, 1ULL << 40}, ""),
                                  good + tensor(99, {1}, "1"), good + u32(0) + u64(kNone)}) {
    EXPECT_TRUE(is_not_safe(file));
  }
}

}  // namespace
}  // namespace tare
