// Configurations of Keras: its own classes are safe, code and dangerous functions are dangerous.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/scanning.hpp"
#include "support/zip_builder.hpp"
#include "tare/scan.hpp"

namespace tare {
namespace {

using test::scanned;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A model of one layer.
std::string model_of(const std::string& layer) {
  return R"({"module": "keras", "class_name": "Sequential", "config": {"layers": [)" + layer +
         R"(]}, "registered_name": null})";
}

std::string object_of(const std::string& module, const std::string& name,
                      const std::string& config = "{}") {
  return R"({"module": ")" + module + R"(", "class_name": ")" + name + R"(", "config": )" + config +
         R"(, "registered_name": null})";
}

std::string rules_of(const std::string& layer) {
  std::string all;
  for (const std::string& id : test::rules_of(model_of(layer))) all += id;
  return all;
}

// Compiled by CPython 3.11: lambda x: __import__('os').system('id'); the front of it.
constexpr const char* kCode =
    "4wEAAAAAAAAAAAAAAAMAAAADAAAA8ywAAACXAHQBAABkAYQCAAAAAHoCb3N6BnN5c3RlbQ==";

TEST(Keras, OwnClassesAreSafe) {
  for (const std::string& layer :
       {object_of("keras.layers", "Dense",
                  R"({"activation": "relu", "kernel_initializer": )" +
                      object_of("keras.initializers", "GlorotUniform") + "}"),
        object_of("keras.src.models.functional", "Functional"),
        object_of("tensorflow.keras.layers", "LSTM"), object_of("tf_keras.layers", "Conv2D"),
        object_of("keras.optimizers.schedules", "CosineDecay"),
        object_of("keras.src.backend.torch.optimizers.torch_adam", "Adam"),
        object_of("builtins", "function", "\"relu\""),
        object_of("keras.layers", "StringLookup", R"({"vocabulary": ["a", "b"]})"),
        std::string(R"({"class_name": "Dense", "config": {}})"),
        std::string(R"({"class_name": "__keras_tensor__", "config": {"shape": [null, 4]}})"),
        std::string(R"({"class_name": "__tuple__", "items": [1, 2]})")}) {
    const auto report = scanned(model_of(layer));
    EXPECT_EQ(report.verdict, Verdict::kSafe) << layer;
    EXPECT_THAT(report.findings, IsEmpty()) << layer;
    EXPECT_THAT(report.formats, ElementsAre("keras-config"));
  }
}

TEST(Keras, CompiledPythonIsDangerous) {
  for (const std::string& layer :
       {object_of(
            "keras.layers", "Lambda",
            std::string(R"({"function": {"class_name": "__lambda__", "config": {"value": [")") +
                kCode + R"(", null, null]}}})"),
        object_of("keras.layers", "Lambda",
                  std::string(R"({"function": {"class_name": "__lambda__", "config": {"code": ")") +
                      kCode + R"("}}})"),
        std::string(R"({"class_name": "Lambda", "config": {"function": [")") + kCode +
            R"(", null, null], "function_type": "lambda"}})",
        std::string(
            R"({"class_name": "Lambda", "config": {"function": "relu", "output_shape": [")") +
            kCode + R"(", null, null]}})",
        object_of("keras.layers", "Dense",
                  R"({"activation": {"class_name": "__lambda__", "config": {}}})")}) {
    EXPECT_EQ(rules_of(layer), "TARE-KER-001") << layer;
  }
  const auto report =
      scanned(model_of(std::string(R"({"class_name": "Lambda", "config": {"function": [")") +
                       kCode + R"(", null, null]}})"));
  EXPECT_EQ(report.verdict, Verdict::kDangerous);
  EXPECT_EQ(report.findings.at(0).evidence, "marshal.loads(...)  # os, system");
}

TEST(Keras, DangerousFunctions) {
  for (const std::string& layer :
       {object_of("subprocess", "function", "\"run\""), object_of("subprocess", "Popen"),
        object_of("os", "function", "\"system\""), object_of("builtins", "function", "\"eval\""),
        object_of("keras.utils", "function", "\"get_file\""),
        object_of("keras.models", "function", "\"load_model\""),
        object_of("keras.config", "function", "\"enable_unsafe_deserialization\""),
        object_of("keras.layers", "Lambda",
                  R"({"function": )" + object_of("keras.utils", "function", "\"get_file\"") + "}"),
        object_of("", "Lambda", R"({"function": "get_file"})")}) {
    EXPECT_EQ(rules_of(layer), "TARE-KER-002") << layer;
  }
}

TEST(Keras, WhatIsNotKnownIsSuspicious) {
  for (
      const std::string& layer :
      {object_of("my_package.layers", "MyDense"), object_of("my_package", "Dense"),
       object_of("keras.layers", "Adam"), object_of("keras.layersX", "Dense"),
       object_of("kerasx.layers", "Dense"), object_of("keras.layers", "JaxLayer"),
       object_of("builtins", "function", "\"my_function\""), object_of("", "function", "[]"),
       object_of("keras.layers", "Lambda"),
       object_of("keras.layers", "Lambda", R"({"function": {}})"),
       object_of("keras.layers", "Lambda", R"({"function": "mine"})"),
       std::string(R"({"class_name": "MyLayer", "config": {}})"),
       std::string(R"({"class_name": 7, "config": {}})"),
       std::string(
           R"({"class_name": "Dense", "module": "keras.layers", "registered_name": "P>Dense"})")}) {
    EXPECT_EQ(rules_of(layer), "TARE-KER-003") << layer;
  }
}

TEST(Keras, PicklesAndFiles) {
  EXPECT_EQ(rules_of(object_of("keras.layers", "TorchModuleWrapper", R"({"module": "UEsDBA=="})")),
            "TARE-KER-004");
  EXPECT_EQ(rules_of(object_of("keras.layers", "TFSMLayer", R"({"filepath": "/x"})")),
            "TARE-KER-005");
  for (const char* path : {"/etc/passwd", "http://127.0.0.1/x", "../../x", "gs://a/b", "C:\\\\x"}) {
    EXPECT_EQ(rules_of(object_of("keras.layers", "StringLookup",
                                 std::string(R"({"vocabulary": ")") + path + "\"}")),
              "TARE-KER-005")
        << path;
  }
  EXPECT_EQ(rules_of(object_of("keras.layers", "StringLookup", R"({"vocabulary": "v.txt"})")),
            "TARE-KER-006");
}

TEST(Keras, ATwiceWrittenKeyIsHostile) {
  EXPECT_THAT(
      rules_of(
          R"({"class_name": "Dense", "class_name": "Lambda", "config": {"function": "relu"}})"),
      HasSubstr("TARE-ZIP-001"));
  EXPECT_EQ(scanned(R"({"class_name": "Dense", )").verdict, Verdict::kUnreadable);
}

TEST(Keras, AnArchive) {
  test::ZipBuilder archive;
  archive.add("metadata.json",
              R"({"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"})");
  archive.add("config.json", model_of(object_of("keras.layers", "Dense")));
  archive.add("model.weights.npz", "");
  const auto report = scanned(archive.build());
  EXPECT_THAT(report.formats, ElementsAre("keras"));
  EXPECT_EQ(report.verdict, Verdict::kSuspicious);  // the empty entry
  archive.add("other.json", model_of(object_of("os", "system")));
  const auto hostile = scanned(archive.build());
  EXPECT_EQ(hostile.verdict, Verdict::kDangerous);
}

TEST(Keras, CutOffAnywhereIsNeverSafe) {
  const std::string text = model_of(object_of("keras.layers", "Dense"));
  for (std::size_t length = 0; length < text.size(); ++length) {
    const auto report = scan(as_bytes(text.substr(0, length)));
    if (report) {
      EXPECT_EQ(report->verdict, Verdict::kUnreadable) << length;
    }
  }
}

}  // namespace
}  // namespace tare
