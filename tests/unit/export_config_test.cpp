#include "format/export_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/export_builder.hpp"

namespace tare::format {
namespace {

using test::export_list;
using test::small_payload;
using testing::ElementsAre;
using testing::IsEmpty;

Result<std::vector<Payload>> read(const std::string& text) {
  return read_payload_config(as_bytes(text));
}
Result<std::vector<Payload>> read_aoti(const std::string& text) {
  return read_aoti_config(as_bytes(text));
}

// The view of the only payload.
Result<PayloadView> view_with(auto change) {
  test::ExportPayload payload = small_payload();
  change(payload);
  const auto payloads = read(export_list({payload}));
  if (!payloads) return std::unexpected(payloads.error());
  return payloads->at(0).view.value();
}

TEST(PayloadConfig, SaysWhichRecordHoldsWhichTensor) {
  auto second = small_payload("layer.b");
  second.record = "weight_1";
  second.offset = "3";
  second.dtype = 5;
  const auto payloads = read(export_list({small_payload("layer.w"), second}));
  ASSERT_TRUE(payloads.has_value()) << payloads.error().what;
  ASSERT_EQ(payloads->size(), 2U);
  EXPECT_EQ(payloads->at(0).name, "layer.w");
  EXPECT_EQ(payloads->at(0).record, "weight_0");
  EXPECT_FALSE(payloads->at(0).is_pickled);
  const PayloadView& view = payloads->at(1).view->value();
  EXPECT_EQ(view.dtype, DType::kI64);
  EXPECT_THAT(view.shape, ElementsAre(2, 2));
  EXPECT_THAT(view.strides, ElementsAre(2, 1));
  EXPECT_EQ(view.offset, 3U);
}

TEST(PayloadConfig, MayBeEmpty) {
  EXPECT_THAT(*read(R"({"config": {}})"), IsEmpty());
  EXPECT_THAT(*read("{}"), IsEmpty());
}

TEST(PayloadConfig, HasObjectsWithoutAView) {
  auto payload = small_payload();
  payload.has_meta = false;
  payload.is_pickled = true;
  const auto payloads = read(export_list({payload}));
  ASSERT_TRUE(payloads.has_value());
  EXPECT_TRUE(payloads->at(0).is_pickled);
  EXPECT_FALSE(payloads->at(0).view.has_value());
}

TEST(PayloadConfig, KnowsEveryTypeThatIsReadHere) {
  const auto dtype_of = [](int number) {
    const auto view = view_with([&](auto& payload) { payload.dtype = number; });
    return view ? view->dtype : std::nullopt;
  };
  EXPECT_EQ(dtype_of(1), DType::kU8);
  EXPECT_EQ(dtype_of(6), DType::kF16);
  EXPECT_EQ(dtype_of(10), DType::kC64);
  EXPECT_EQ(dtype_of(13), DType::kBF16);
  EXPECT_EQ(dtype_of(29), DType::kF8E4M3);
  EXPECT_EQ(dtype_of(35), DType::kU64);
  for (const int unknown : {0, 14, 27, 36, 255}) {
    const auto view = view_with([&](auto& payload) { payload.dtype = unknown; });
    ASSERT_FALSE(view.has_value()) << unknown;
    EXPECT_EQ(view.error().code, ErrorCode::kUnsupported) << unknown;
  }
}

TEST(PayloadConfig, DoesNotReadOtherLayouts) {
  const auto view = view_with([](auto& payload) { payload.layout = 1; });
  ASSERT_FALSE(view.has_value());
  EXPECT_EQ(view.error().code, ErrorCode::kUnsupported);
}

TEST(PayloadConfig, RefusesSizesThatAreNoNumbers) {
  for (const std::string size : {"-1", "1.5", "18446744073709551616", "\"2\"", "null", "1e3"}) {
    const auto in_shape = view_with([&](auto& payload) { payload.sizes[0] = size; });
    const auto in_offset = view_with([&](auto& payload) { payload.offset = size; });
    ASSERT_FALSE(in_shape.has_value() || in_offset.has_value()) << size;
    EXPECT_EQ(in_shape.error().code, ErrorCode::kMalformed) << size;
    EXPECT_EQ(in_offset.error().code, ErrorCode::kMalformed) << size;
  }
  // A size that the program computes.
  const std::string list = export_list({small_payload()});
  std::string symbolic = list;
  symbolic.replace(symbolic.find("as_int"), 6, "as_expr");
  EXPECT_FALSE(read(symbolic).has_value());
}

TEST(PayloadConfig, RefusesANameTwice) {
  const auto payloads = read(export_list({small_payload(), small_payload()}));
  ASSERT_FALSE(payloads.has_value());
  EXPECT_EQ(payloads.error().code, ErrorCode::kRefused);
}

TEST(PayloadConfig, IsCutOffAtNoByte) {
  const std::string list = export_list({small_payload()});
  for (std::size_t length = 0; length < list.size(); ++length) {
    EXPECT_FALSE(read(list.substr(0, length)).has_value()) << length;
  }
  EXPECT_FALSE(read(list + "x").has_value());
  EXPECT_FALSE(read("\xFF" + list).has_value());
}

TEST(PayloadConfig, IsNotNestedDeeply) {
  std::string deep(100'000, '[');
  const auto payloads = read("{\"other\": " + deep);
  ASSERT_FALSE(payloads.has_value());
}

TEST(AotiConfig, SaysWhichRecordHoldsWhichTensor) {
  const auto payloads =
      read_aoti(R"({"w": ["weight_0", [2, 3], [3, 1], 6], "s": ["x", [], [], 0]})");
  ASSERT_TRUE(payloads.has_value()) << payloads.error().what;
  ASSERT_EQ(payloads->size(), 2U);
  EXPECT_TRUE(payloads->at(0).is_pickled);
  EXPECT_EQ(payloads->at(0).view->value().dtype, std::nullopt);
  EXPECT_THAT(payloads->at(0).view->value().shape, ElementsAre(2, 3));
  EXPECT_EQ(payloads->at(0).view->value().offset, 6U);
  EXPECT_THAT(payloads->at(1).view->value().shape, IsEmpty());
}

TEST(AotiConfig, RefusesAnythingElse) {
  for (const char* const text :
       {"[]", R"({"w": []})", R"({"w": ["r", [2], [1]]})", R"({"w": ["r", [2], [1], 0, 0]})",
        R"({"w": ["r", [-2], [1], 0]})", R"({"w": {"r": 1}})",
        R"({"w": ["r", [], [], 0], "w": ["r", [], [], 0]})"}) {
    EXPECT_FALSE(read_aoti(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace tare::format
