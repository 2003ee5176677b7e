// CoreML: what is found in models and packages, and what is read of their weights.
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

std::string model(std::uint32_t type, const std::string& content) {
  return pb_number(1, 4) + pb_bytes(2, pb_bytes(1, "x")) + pb_bytes(type, content);
}
std::string network(const std::string& layer) {
  return model(500, pb_bytes(1, pb_bytes(1, "layer") + layer));
}
// An operation of an ML program.
std::string operation(const std::string& content) {
  const std::string block = pb_bytes(3, content);
  const std::string function = pb_bytes(3, pb_bytes(1, "CoreML5") + pb_bytes(2, block));
  return model(502, pb_number(1, 1) + pb_bytes(2, pb_bytes(1, "main") + pb_bytes(2, function)));
}
std::string weights_in(const std::string& path) {
  const std::string value = pb_bytes(5, pb_bytes(1, path) + pb_number(2, 64));
  return operation(pb_bytes(1, "const") + pb_bytes(5, pb_bytes(1, "val") + pb_bytes(2, value)));
}

TEST(Coreml, WholeModelsAreSafe) {
  EXPECT_THAT(rules_of(model(300, pb_bytes(1, "weights"))), IsEmpty());
  EXPECT_THAT(rules_of(network(pb_bytes(140, ""))), IsEmpty());
  EXPECT_THAT(rules_of(operation(pb_bytes(1, "conv"))), IsEmpty());
  EXPECT_THAT(rules_of(weights_in("@model_path/weights/weight.bin")), IsEmpty());
  EXPECT_THAT(rules_of(model(202, pb_bytes(1, network(pb_bytes(140, ""))) + pb_bytes(2, "a"))),
              IsEmpty());
}

TEST(Coreml, FindsClassesOfTheApp) {
  const auto found = ElementsAre("TARE-MDL-003");
  const std::string custom = pb_bytes(10, "MyClass");
  EXPECT_THAT(rules_of(network(pb_bytes(500, custom))), found);
  EXPECT_THAT(rules_of(model(555, custom)), found);
  EXPECT_THAT(rules_of(model(202, pb_bytes(1, model(555, custom)))), found);
  // In the body of a loop.
  const std::string inner = pb_bytes(1, pb_bytes(500, custom));
  EXPECT_THAT(rules_of(network(pb_bytes(615, pb_bytes(4, inner)))), found);
  EXPECT_THAT(rules_of(network(pb_bytes(605, pb_bytes(2, inner)))), found);
}

TEST(Coreml, FindsFilesOutsideOfItsFolder) {
  const auto found = ElementsAre("TARE-MDL-002");
  EXPECT_THAT(rules_of(weights_in("@model_path/../../x")), found);
  EXPECT_THAT(rules_of(weights_in("/etc/passwd")), found);
  const auto linked = [](const std::string& name) {
    return model(556, pb_bytes(1, pb_bytes(1, pb_bytes(1, name))));
  };
  EXPECT_THAT(rules_of(linked("../other.mlmodelc")), found);
  EXPECT_THAT(rules_of(linked("other.mlmodelc")), ElementsAre("TARE-MDL-004"));
}

TEST(Coreml, SaysWhatItDoesNotKnow) {
  const auto found = ElementsAre("TARE-MDL-004");
  EXPECT_THAT(rules_of(network(pb_bytes(1999, ""))), found);
  EXPECT_THAT(rules_of(model(2999, "")), found);
  EXPECT_THAT(rules_of(model(3000, pb_bytes(2, "x"))), found);
  EXPECT_THAT(rules_of(operation(pb_bytes(1, "my_op"))), found);
}

std::string manifest(const std::string& path, const std::string& more = "") {
  return R"({"fileFormatVersion":"1.0.0","itemInfoEntries":{"a":{"name":"m","path":")" + path +
         R"("}},"rootModelIdentifier":"a")" + more + "}";
}

TEST(CoremlManifest, FindsItemsOutsideOfThePackage) {
  EXPECT_THAT(rules_of(manifest("com.apple.CoreML/model.mlmodel")), IsEmpty());
  EXPECT_THAT(rules_of(manifest("../../model.mlmodel")), ElementsAre("TARE-MDL-002"));
  EXPECT_THAT(rules_of(manifest("/etc/passwd")), ElementsAre("TARE-MDL-002"));
  EXPECT_THAT(rules_of(manifest("m", R"(,"hook":1)")), ElementsAre("TARE-MDL-004"));
  EXPECT_THAT(rules_of(R"({"itemInfoEntries":[],"rootModelIdentifier":"a"})"),
              ElementsAre("TARE-MDL-004"));
}

// Two blobs: three F32, and one U8.
std::string weights(std::uint64_t size = 12, std::uint32_t type = 2) {
  const std::string zeros(32, '\0');
  const std::string first = u32(0xDEADBEEF) + u32(type) + u64(size) + u64(128) + u64(0) + zeros;
  const std::string second = u32(0xDEADBEEF) + u32(3) + u64(1) + u64(256) + u64(0) + zeros;
  return u32(2) + u32(2) + std::string(56, '\0') + first + std::string(12, 'w') +
         std::string(52, '\0') + second + "x";
}

TEST(CoremlWeights, ListsBlobs) {
  EXPECT_THAT(rules_of(weights()), IsEmpty());
  auto context = format::context_of(as_bytes(weights()));
  const std::string file = weights();
  const auto contents = format::kCoremlWeights.read_tensors(as_bytes(file), context);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  ASSERT_EQ(contents->tensors.size(), 2U);
  EXPECT_EQ(contents->tensors[0].name, "blob.64");
  EXPECT_THAT(contents->tensors[0].view.shape, ElementsAre(3));
  EXPECT_EQ(contents->tensors[1].view.dtype, DType::kU8);
}

TEST(CoremlWeights, WhatDoesNotFitIsUnreadable) {
  for (const std::string& file :
       {weights(UINT64_MAX), weights(12, 99), weights(1000), weights(65), weights(11),
        weights() + "more", weights().substr(0, 200), weights().substr(0, 140)}) {
    EXPECT_EQ(verdict_of(file), Verdict::kUnreadable);
  }
}

}  // namespace
}  // namespace tare
