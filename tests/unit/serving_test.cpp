// TorchServe archives (docs/formats/mar.md), and images of containers (docs/formats/oci.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/sha256.hpp"
#include "support/packed.hpp"
#include "support/pickle_bytes.hpp"
#include "support/safetensors_builder.hpp"
#include "support/scanning.hpp"
#include "support/tar_builder.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

std::string mar(const std::string& model) {
  return ZipBuilder()
      .add("MAR-INF/MANIFEST.json", R"({"runtime": "python", "model": {"modelName": "m", )" +
                                        model + R"(}, "archiverVersion": "0.9.0"})")
      .build();
}

TEST(Mar, KnowsTheHandlersOfTheServer) {
  EXPECT_THAT(rules_of(mar(R"("handler": "image_classifier", "serializedFile": "m.pt")")),
              IsEmpty());
}

TEST(Mar, SaysWhichCodeRuns) {
  EXPECT_THAT(rules_of(mar(R"("handler": "handler.py")")), ElementsAre("TARE-MAR-001"));
  EXPECT_THAT(rules_of(mar(R"("handler": "handler:run")")), ElementsAre("TARE-MAR-001"));
  EXPECT_THAT(rules_of(mar(R"("handler": "text_classifier", "modelFile": "model.py")")),
              ElementsAre("TARE-MAR-001"));
  EXPECT_THAT(rules_of(mar(R"("requirementsFile": "requirements.txt")")),
              ElementsAre("TARE-MAR-002"));
}

TEST(Mar, FindsPathsOutOfTheArchive) {
  for (const char* path : {"../x.pt", "/etc/x.pt", "a/../../x", "C:\\\\x", "http://x/y"}) {
    EXPECT_THAT(rules_of(mar(R"("serializedFile": ")"s + path + '"')), ElementsAre("TARE-MAR-003"))
        << path;
  }
  EXPECT_THAT(rules_of(mar(R"("serializedFile": "a..b/c.pt")")), IsEmpty());
}

TEST(Mar, JudgesTheHandlerItself) {
  ZipBuilder builder;
  builder.add("MAR-INF/MANIFEST.json", R"({"model": {"handler": "h.py"}})");
  builder.add("h.py", "import subprocess\nsubprocess.run(['id'])\n");
  EXPECT_THAT(rules_of(builder.build()),
              ElementsAre("TARE-MAR-001", "TARE-SRC-001", "TARE-SRC-002"));
}

TEST(Mar, SaysThatAManifestCannotBeRead) {
  EXPECT_THAT(rules_of(ZipBuilder().add("MAR-INF/MANIFEST.json", "{").build()),
              ElementsAre("TARE-GEN-001"));
  EXPECT_THAT(rules_of(mar(R"("handler": "image_classifier", "handler": "image_classifier")")),
              ElementsAre("TARE-ZIP-001"));
  // JSON that is something else as well.
  EXPECT_THAT(rules_of(ZipBuilder()
                           .add("MAR-INF/MANIFEST.json",
                                R"({"model_type": "x", "model": {"handler": "h.py"}})")
                           .build()),
              ElementsAre("TARE-MAR-001"));
}

// ---- images

std::string sha256_of(const std::string& content) {
  Sha256 sha256;
  sha256.update(as_bytes(content));
  return sha256.hex_digest();
}

std::string layer(const std::string& name, const std::string& content) {
  return TarMember{name, content}.build() + tar_end();
}

std::string model() {
  return safetensors_file("{" + tensor_json("w", "F32", "[2]", 0, 8) + "}", repeat("x", 8));
}

// A layout of these blobs in a tar, as `skopeo copy oci-archive:` writes it.
std::string layout(const std::vector<std::string>& blobs) {
  std::string tar = TarMember{"oci-layout", R"({"imageLayoutVersion": "1.0.0"})"}.build();
  tar += TarMember{"index.json", R"({"schemaVersion": 2, "manifests": [{"digest": "x"}]})"}.build();
  for (const std::string& blob : blobs) {
    tar += TarMember{"blobs/sha256/" + sha256_of(blob), blob}.build();
  }
  return tar + tar_end();
}

TEST(Image, IsSafeIfItHoldsWeightsAlone) {
  const std::string config =
      R"({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers"}})";
  const std::string manifest = R"({"schemaVersion": 2, "config": {}, "layers": [{"size": 1}]})";
  EXPECT_THAT(rules_of(layout({config, manifest, model(), layer("models/m.safetensors", model()),
                               gzip_member(layer("m.safetensors", model()))})),
              IsEmpty());
}

TEST(Image, JudgesLayersAndNamesTheirFiles) {
  const std::string plain = layer("app/evil.pkl", payload() + ".");
  for (const std::string& blob : {plain, gzip_member(plain), packed(Codec::kZstd, plain)}) {
    if (blob.empty()) continue;
    const ScanReport report = scanned(layout({blob}));
    EXPECT_TRUE(runs(report, "os.system('id')"));
    ASSERT_FALSE(report.findings.empty());
    EXPECT_THAT(report.findings[0].entry, testing::EndsWith("!app/evil.pkl"));
  }
}

TEST(Image, SaysThatABlobIsNotWhatItsNameSays) {
  const std::string name = "blobs/sha256/" + sha256_of("other");
  EXPECT_THAT(rules_of(layer(name, model())), ElementsAre("TARE-OCI-001"));
  EXPECT_THAT(rules_of(layer("blobs/sha256/" + sha256_of(model()), model())), IsEmpty());
  // As files of a folder, of ollama too.
  for (const std::string& folder : {"/x/blobs/sha256/"s, "/y/blobs/sha256-"s}) {
    ScanOptions options;
    options.path = folder + sha256_of("other");
    const auto report = scan(as_bytes(model()), options);
    ASSERT_TRUE(report.has_value());
    EXPECT_THAT(rules_of(*report), ElementsAre("TARE-OCI-001"));
    options.path = folder + sha256_of(model());
    EXPECT_THAT(rules_of(*scan(as_bytes(model()), options)), IsEmpty());
  }
}

TEST(Image, SaysWhatItStarts) {
  const std::string front = R"({"architecture": "amd64", "os": "linux", "rootfs": {}, "config": {)";
  const ScanReport report = scanned(front + R"("Entrypoint": ["/bin/sh", "-c", "id"]}})");
  EXPECT_THAT(rules_of(report), ElementsAre("TARE-OCI-002"));
  EXPECT_EQ(report.findings[0].evidence, "/bin/sh -c id");
  EXPECT_THAT(rules_of(front + R"("Cmd": "id"}})"), ElementsAre("TARE-OCI-002"));
  EXPECT_THAT(rules_of(front + R"("Entrypoint": null, "Cmd": []}})"), IsEmpty());
}

TEST(Image, ReadsWhatDockerSaves) {
  const std::string list =
      R"([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["a/layer.tar"]}])";
  std::string tar = TarMember{"manifest.json", list}.build();
  tar += TarMember{"a/layer.tar", layer("m.pkl", payload() + ".")}.build() + tar_end();
  const ScanReport report = scanned(tar);
  EXPECT_TRUE(runs(report, "os.system('id')"));
  EXPECT_THAT(rules_of(report), Not(Contains("TARE-GEN-001")));
}

}  // namespace
}  // namespace tare
