// OpenVINO IR: what is read of it, and what is found in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/scanning.hpp"
#include "support/temp_dir.hpp"

namespace tare {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

// A constant and a result, to be changed.
struct Model {
  std::string version = "11";
  std::string type = "f32";
  std::string shape = "2, 3";
  std::string offset = "8";
  std::string size = "24";
  std::string layer = R"(<layer id="1" name="r" type="Result" version="opset1"/>)";
  std::string edge = R"(<edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>)";
  std::string more;

  std::string build() const {
    return "<?xml version=\"1.0\"?><net name=\"n\" version=\"" + version +
           R"("><layers><layer id="0" name="w" type="Const" version="opset1">)" +
           R"(<data element_type=")" + type + "\" shape=\"" + shape + "\" offset=\"" + offset +
           "\" size=\"" + size +
           R"("/><output><port id="0" precision="FP32"><dim>2</dim></port></output></layer>)" +
           layer + "</layers><edges>" + edge + "</edges>" + more +
           "<rt_info><anything value=\"1\"/></rt_info></net>";
  }
};

template <typename Change>
std::set<std::string> rules_with(const Change& change) {
  Model model;
  change(model);
  return rules_of(model.build());
}

TEST(Openvino, WholeModelsAreSafe) {
  EXPECT_THAT(rules_of(Model().build()), IsEmpty());
  EXPECT_THAT(rules_with([](Model& m) {
                m.type = "u4";
                m.size = "3";
              }),
              IsEmpty());
}

TEST(Openvino, FindsWhatPointsToNothing) {
  const auto found = ElementsAre("TARE-MDL-001");
  EXPECT_THAT(rules_with([](Model& m) { m.size = "25"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.offset = "18446744073709551615"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.offset = "-1"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.shape = "4294967296, 4294967296"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.shape = "2,,3"; }), found);
  EXPECT_THAT(rules_with([](Model& m) { m.type = "f31"; }), found);
  EXPECT_THAT(rules_with([](Model& m) {
                m.size = R"(99"/><data element_type="f32" shape="2,3" offset="0" size="24)";
              }),
              found);
  EXPECT_THAT(rules_with([](Model& m) { m.edge = R"(<edge from-layer="0" to-layer="7"/>)"; }),
              found);
  // Layers of a body are no layers of the net.
  EXPECT_THAT(rules_with([](Model& m) {
                m.layer = R"(<layer id="2" name="l" type="Loop" version="opset5"><body><layers>)"
                          R"(<layer id="1" name="r" type="Result" version="opset1"/></layers>)"
                          R"(</body></layer>)";
              }),
              found);
}

TEST(Openvino, FindsLayersOfLibraries) {
  const auto found = ElementsAre("TARE-MDL-003");
  const auto with = [](const char* type, const char* opset) {
    return rules_with([=](Model& m) {
      m.layer += std::string(R"(<layer id="2" name="l" type=")") + type + R"(" version=")" + opset +
                 "\"/>";
    });
  };
  EXPECT_THAT(with("MyLayer", "opset1"), found);
  EXPECT_THAT(with("Add", "extension"), found);
  EXPECT_THAT(with("Add", "opset99"), found);
  EXPECT_THAT(with("Add", ""), found);
  EXPECT_THAT(with("Add", "opset1"), IsEmpty());
}

TEST(Openvino, FindsWhatIsNotItsOwn) {
  EXPECT_THAT(rules_with([](Model& m) { m.more = "<script/>"; }), ElementsAre("TARE-MDL-004"));
  EXPECT_THAT(rules_with([](Model& m) { m.layer += m.layer; }), ElementsAre("TARE-MDL-004"));
  EXPECT_THAT(rules_with([](Model& m) { m.version = "7"; }), ElementsAre("TARE-FMT-001"));
  EXPECT_THAT(rules_of("<!DOCTYPE net SYSTEM 'x'>" + Model().build().substr(21)),
              ElementsAre("TARE-XML-001"));
}

TEST(Openvino, ListsConstantsOfTheFileBesideIt) {
  const TempDir folder;
  const auto path = folder.path() / "m.xml";
  folder.write("m.xml", Model().build());
  folder.write("m.bin", std::string(8, '-') + std::string(24, 'w'));
  const auto model = open_model(path);
  ASSERT_TRUE(model.has_value());
  ASSERT_EQ(model->tensors().size(), 1U);
  EXPECT_EQ(model->tensors()[0].name, "w");
  EXPECT_THAT(model->tensors()[0].view.shape, ElementsAre(2, 3));
  EXPECT_EQ(as_text(model->tensors()[0].view.contiguous_bytes()), std::string(24, 'w'));
  folder.write("m.bin", std::string(31, '-'));
  const auto cut = open_model(path);
  ASSERT_TRUE(cut.has_value());
  EXPECT_TRUE(cut->tensors().empty());
  ASSERT_EQ(cut->contents().problems.size(), 1U);
  EXPECT_EQ(cut->contents().problems[0].error.code, ErrorCode::kTruncated);
}

TEST(Openvino, FollowsNoLinks) {
  const TempDir folder;
  folder.write("m.xml", Model().build());
  folder.write("other", std::string(32, '-'));
  std::filesystem::create_symlink("other", folder.path() / "m.bin");
  const auto model = open_model(folder.path() / "m.xml");
  ASSERT_TRUE(model.has_value());
  ASSERT_EQ(model->contents().problems.size(), 1U);
  EXPECT_EQ(model->contents().problems[0].error.code, ErrorCode::kRefused);
}

}  // namespace
}  // namespace tare
