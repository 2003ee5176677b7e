// Configurations that Hydra instantiates, and the archives of NeMo (docs/formats/hydra.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/pickle_bytes.hpp"
#include "support/scanning.hpp"
#include "support/tar_builder.hpp"
#include "support/zip_builder.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

// A .nemo of this configuration and nothing else.
std::string nemo(const std::string& config, const std::string& name = "./model_config.yaml") {
  return TarMember{name, config}.build() + tar_end();
}

TEST(Hydra, KnowsWhatModelsOfNemoAreMadeOf) {
  EXPECT_THAT(
      rules_of(nemo("sample_rate: 16000\n"
                    "preprocessor:\n"
                    "  _target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor\n"
                    "  normalize: per_feature\n"
                    "encoder:\n"
                    "  _target_: nemo.collections.asr.modules.ConformerEncoder\n"
                    "  feat_in: ${model.preprocessor.features}\n"
                    "optim:\n"
                    "  _target_: torch.optim.AdamW\n"
                    "  betas: [0.9, 0.98]\n")),
      IsEmpty());
}

TEST(Hydra, FindsDangerousFunctions) {
  for (const std::string& config :
       {"encoder:\n  _target_: os.system\n  command: id\n"s,
        "a:\n- b:\n  - {_args_: [id], _target_: subprocess.Popen}\n"s,
        "a: {\"_target_\": \"builtins.exec\"}\n"s, "a:\n  \"\\x5ftarget_\": posix.system\n"s,
        "a:\n  _target_:\n    os.system\n"s, "a:\n  _target_: |-\n    os.system\n"s,
        "a:\n  _target_: 'runpy._run_code'\n  _partial_: true\n"s, "target: os.popen\n"s,
        "a:\n  _target_: os.path.os.system\n"s, "a:\n  _target_: random._os.system\n"s}) {
    const ScanReport report = scanned(nemo(config));
    EXPECT_EQ(report.verdict, Verdict::kDangerous) << config;
    EXPECT_THAT(rules_of(report), Contains("TARE-HYD-001")) << config;
  }
}

TEST(Hydra, SaysWhatIsNotKnown) {
  for (const std::string& config :
       {"a:\n  _target_: mylib.build\n"s, "a: &x torch.nn.Linear\nb:\n  _target_: *x\n"s,
        "a:\n  _target_: ${b}\n"s, "a:\n  _target_: torch.nn.Linears\n"s,
        "a:\n  _target_: nemo.collections.asr.modules\n"s, "a:\n  _target_: torch.nn.\n"s,
        "target: ldm.models.Diffusion\n"s}) {
    EXPECT_THAT(rules_of(nemo(config)), ElementsAre("TARE-HYD-002")) << config;
  }
  EXPECT_THAT(rules_of(nemo("target: audio\n")), IsEmpty());
}

TEST(Hydra, FindsResolvers) {
  for (const std::string& value :
       {"${oc.env:HOME}"s, "x${oc.decode:y}"s, "${ now:%Y}"s, "${oc.${x}:y}"s, "'${my:1}'"s}) {
    EXPECT_THAT(rules_of(nemo("a: " + value + "\n")), ElementsAre("TARE-HYD-003")) << value;
  }
  for (const std::string& value : {"${a.b}"s, "${.c}"s, "x${a.b}/${c}"s, "$5 {}"s}) {
    EXPECT_THAT(rules_of(nemo("a: " + value + "\n")), IsEmpty()) << value;
  }
}

TEST(Hydra, SaysWhereItDoesNotRead) {
  const ScanReport report = scanned(nemo("a: b\n? c\n: d\n"));
  EXPECT_THAT(rules_of(report), ElementsAre("TARE-HYD-004"));
  EXPECT_EQ(report.findings[0].offset, 5U);
}

TEST(Hydra, JudgesWhatBearsTheNameOfAConfiguration) {
  EXPECT_TRUE(runs(scanned(nemo(payload() + ".")), "os.system('id')"));
  EXPECT_TRUE(runs(scanned(ZipBuilder().add("model_config.yaml", payload() + ".").build()),
                   "os.system('id')"));
}

TEST(Hydra, RecognisesConfigurationsOutsideOfArchives) {
  EXPECT_THAT(rules_of("model:\n  _target_: os.system\n"), ElementsAre("TARE-HYD-001"));
  // Other texts are none of its business.
  EXPECT_FALSE(scan(as_bytes("a: b\n")).has_value());
  EXPECT_FALSE(scan(as_bytes("class A:\n  _target_: str = field('x')\n")).has_value());
}

}  // namespace
}  // namespace tare
