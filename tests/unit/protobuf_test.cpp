#include "io/protobuf.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/protobuf_builder.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

Error error_of(std::string_view bytes) {
  ProtobufReader reader(as_bytes(bytes));
  while (reader.next()) {
  }
  EXPECT_TRUE(reader.failed());
  return reader.error();
}

TEST(Protobuf, ReadsEveryWireType) {
  const std::string message = pb_number(1, 300) + pb_tag(2, 1) + u64(7) + pb_bytes(3, "text") +
                              pb_tag(4, 5) + u32(9) + pb_number(536870911, UINT64_MAX);
  ProtobufReader reader(as_bytes(message), 100);
  auto field = reader.next();
  EXPECT_EQ(field->value, 300U);
  EXPECT_EQ(field->offset, 100U);
  field = reader.next();
  EXPECT_EQ(field->value, 7U);
  EXPECT_EQ(field->type, WireType::kFixed64);
  field = reader.next();
  EXPECT_EQ(field->text(), "text");
  EXPECT_EQ(field->content, 100U + message.find("text"));
  field = reader.next();
  EXPECT_EQ(field->value, 9U);
  field = reader.next();
  EXPECT_EQ(field->number, 536870911U);
  EXPECT_EQ(field->value, UINT64_MAX);
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.failed());
}

TEST(Protobuf, SkipsGroups) {
  const std::string group = pb_tag(5, 3) + pb_number(1, 1) + pb_tag(6, 3) + pb_bytes(2, "x") +
                            pb_tag(6, 4) + pb_tag(5, 4);
  const std::string message = group + pb_number(2, 8);
  ProtobufReader reader(as_bytes(message));
  EXPECT_EQ(reader.next()->type, WireType::kGroup);
  EXPECT_EQ(reader.next()->value, 8U);
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(error_of(repeat(pb_tag(5, 3), 200)).code, ErrorCode::kLimit);
  EXPECT_EQ(error_of(pb_tag(5, 3) + pb_tag(6, 4)).code, ErrorCode::kMalformed);
  EXPECT_EQ(error_of(pb_tag(5, 4)).code, ErrorCode::kMalformed);
}

TEST(Protobuf, RefusesWhatIsNoMessage) {
  EXPECT_EQ(error_of("\0"s).code, ErrorCode::kMalformed);
  EXPECT_EQ(error_of(pb_tag(1, 6)).code, ErrorCode::kMalformed);
  EXPECT_EQ(error_of(pb_tag(1, 7)).code, ErrorCode::kMalformed);
  EXPECT_EQ(error_of(varint(1ULL << 35)).code, ErrorCode::kMalformed);
  EXPECT_EQ(error_of(pb_tag(1, 0) + std::string(10, '\xFF')).code, ErrorCode::kMalformed);
  EXPECT_EQ(error_of(pb_tag(1, 2) + varint(UINT64_MAX) + "x").code, ErrorCode::kTruncated);
  const std::string whole = pb_bytes(1, "abc") + pb_tag(2, 1) + u64(7) + pb_number(3, 300);
  for (std::size_t length = 1; length < whole.size(); ++length) {
    ProtobufReader reader(as_bytes(std::string_view(whole).substr(0, length)));
    while (reader.next()) {
    }
    const bool at_a_border = length == 5 || length == 14;
    EXPECT_NE(reader.failed(), at_a_border) << length;
  }
}

TEST(Protobuf, ReadsPackedNumbers) {
  std::vector<std::uint64_t> values;
  const auto take = [&](std::uint64_t value) { values.push_back(value); };
  EXPECT_TRUE(each_varint(as_bytes(varint(1) + varint(300)), take));
  EXPECT_THAT(values, ElementsAre(1, 300));
  EXPECT_FALSE(each_varint(as_bytes("\x80"), take));
  EXPECT_FALSE(each_varint(as_bytes(std::string(11, '\x80')), take));
}

struct Log {
  std::vector<std::string> lines{};
  void begin(unsigned kind, const WireField& field) {
    lines.push_back("begin " + std::to_string(kind) + "@" + std::to_string(field.offset));
  }
  void field(unsigned kind, const WireField& field) {
    lines.push_back(std::to_string(kind) + "." + std::to_string(field.number) + "@" +
                    std::to_string(field.offset));
  }
  void end(unsigned kind) { lines.push_back("end " + std::to_string(kind)); }
};

TEST(Protobuf, WalksMessagesInMessages) {
  constexpr std::array kFields = {MessageField{0, 1, 1}, MessageField{1, 2, 0}};
  const std::string inner = pb_bytes(2, pb_number(3, 3));
  const std::string message = pb_bytes(1, inner) + pb_number(1, 5);
  Log log;
  ASSERT_TRUE(walk_messages(as_bytes(message), 0, kFields, log).has_value());
  EXPECT_THAT(log.lines,
              ElementsAre("begin 1@0", "begin 0@2", "0.3@4", "end 0", "end 1", "0.1@6", "end 0"));
}

TEST(Protobuf, StopsAtADepth) {
  constexpr std::array kFields = {MessageField{0, 1, 0}};
  std::string message;
  for (int i = 0; i < 99; ++i) message = pb_bytes(1, message);
  Log log;
  EXPECT_TRUE(walk_messages(as_bytes(message), 0, kFields, log).has_value());
  message = pb_bytes(1, message);
  const auto walked = walk_messages(as_bytes(message), 0, kFields, log);
  ASSERT_FALSE(walked.has_value());
  EXPECT_EQ(walked.error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace tare
