#include "format/torch_export.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/export_builder.hpp"
#include "support/scanning.hpp"
#include "support/temp_dir.hpp"
#include "support/tensors.hpp"
#include "tare/scan.hpp"
#include "tare/select.hpp"

namespace tare {
namespace {

using pickle::Op;
using test::elements_of;
using test::export_zip;
using test::ExportPayload;
using test::NamedRecord;
using test::names_of;
using test::program_records;
using test::scanned;
using test::small_payload;
using test::small_storage;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Result<Model> opened(const std::string& archive) {
  const test::TempDir dir;
  auto model = open_model(dir.write("m.pt2", archive));
  if (!model) return std::unexpected(model.error());
  return std::move(*model);
}

std::string program(const std::vector<ExportPayload>& weights, std::vector<NamedRecord> more,
                    const std::vector<ExportPayload>& constants = {}) {
  for (NamedRecord& record : program_records(weights, constants)) more.push_back(std::move(record));
  return export_zip(more);
}

// A file of torch.save.
std::string four_floats() {
  return test::saved_tensor({2, 2}, {1, 2, 3, 4});
}

// A pickle that calls os.system.
std::string evil() {
  pickle::Writer out;
  out.proto(2).global("os", "system").text("id").op(Op::kTuple1, Op::kReduce);
  return test::take(out);
}

TEST(TorchExport, IsTheStateDictOfItsProgram) {
  auto tied = small_payload("tied");
  auto part = small_payload("part");
  part.sizes = {"2"};
  part.strides = {"1"};
  part.offset = "2";
  const auto model = opened(
      program({small_payload("a.w"), tied, part}, {{"data/weights/weight_0", small_storage()}}));
  ASSERT_TRUE(model.has_value()) << model.error().what;
  EXPECT_EQ(model->format(), "torch-export");
  EXPECT_THAT(names_of(model->tensors()), ElementsAre("a.w", "tied", "part"));
  EXPECT_THAT(elements_of(model->tensors()[0].view), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(elements_of(model->tensors()[2].view), ElementsAre(3, 4));
  EXPECT_EQ(model->tensors()[0].entry, "m/data/weights/weight_0");
  EXPECT_THAT(model->contents().problems, IsEmpty());
}

TEST(TorchExport, HasConstantsThatAreNoPartOfTheModel) {
  auto constant = small_payload("c");
  constant.record = "tensor_0";
  const auto model = opened(program(
      {small_payload()},
      {{"data/weights/weight_0", small_storage()}, {"data/constants/tensor_0", small_storage()}},
      {constant}));
  ASSERT_TRUE(model.has_value());
  EXPECT_THAT(names_of(model->tensors()), ElementsAre("w", "constants.c"));
  const auto selected = select_tensors(*model);
  ASSERT_TRUE(selected.has_value()) << selected.error().what;
  EXPECT_THAT(names_of(selected->tensors), ElementsAre("w"));
}

TEST(TorchExport, HasSeveralProgramsByTheirNames) {
  std::vector<NamedRecord> records = {{"data/weights/weight_0", small_storage()}};
  for (const char* const name : {"two", "one"}) {
    for (NamedRecord& record : program_records({small_payload()}, {}, name)) {
      records.push_back(std::move(record));
    }
  }
  const auto model = opened(export_zip(records));
  ASSERT_TRUE(model.has_value()) << model.error().what;
  EXPECT_THAT(names_of(model->tensors()), ElementsAre("one.w", "two.w"));
}

TEST(TorchExport, ReadsTensorsThatAreFilesOfTheirOwn) {
  auto pickled = small_payload();
  pickled.is_pickled = true;
  const auto model = opened(program({pickled}, {{"data/weights/weight_0", four_floats()}}));
  ASSERT_TRUE(model.has_value()) << model.error().what;
  ASSERT_EQ(model->tensors().size(), 1U);
  EXPECT_EQ(model->tensors()[0].name, "w");
  EXPECT_THAT(elements_of(model->tensors()[0].view), ElementsAre(1, 2, 3, 4));
}

TEST(TorchExport, ReadsTheFileOfWeightsOfTheFirstReleases) {
  const std::string weights =
      test::torch_zip(test::dict_pickle({{"w", test::small_tensor()}}), {{"0", small_storage()}})
          .build();
  // PyTorch does not look at the list then.
  const auto model =
      opened(program({small_payload("other")}, {{"data/weights/model.pt", weights}}));
  ASSERT_TRUE(model.has_value()) << model.error().what;
  EXPECT_THAT(names_of(model->tensors()), ElementsAre("w"));
}

TEST(TorchExport, ReadsWeightsOfCompiledPrograms) {
  const auto model = opened(export_zip(
      {{"data/aotinductor/model/weights_config.json", R"({"w": ["weight_0", [2], [1], 2]})"},
       {"data/weights/weight_0", four_floats()}}));
  ASSERT_TRUE(model.has_value()) << model.error().what;
  ASSERT_EQ(model->tensors().size(), 1U);
  EXPECT_THAT(elements_of(model->tensors()[0].view), ElementsAre(3, 4));
}

TEST(TorchExport, NeedsTheListsOfAProgram) {
  const auto model = opened(export_zip({{"models/model.json", "{}"}}));
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, ErrorCode::kNotFound);
}

TEST(TorchExport, IsMalformedIfAListIs) {
  const auto model = opened(export_zip(
      {{"data/weights/model_weights_config.json", "{\"config\": {"}, {"models/model.json", "{}"}}));
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, ErrorCode::kMalformed);
}

// ---- broken tensors

// The error of the tensor "w"; "v", in the same record, must be fine.
ErrorCode problem_with(auto change, const std::string& record = "data/weights/weight_0") {
  auto broken = small_payload();
  change(broken);
  auto whole = small_payload("v");
  whole.record = "weight_1";
  const auto model = opened(program(
      {broken, whole}, {{record, small_storage()}, {"data/weights/weight_1", small_storage()}}));
  if (!model) return model.error().code;
  EXPECT_THAT(names_of(model->tensors()), ElementsAre("v"));
  if (model->contents().problems.size() != 1) return ErrorCode::kIo;
  EXPECT_EQ(model->contents().problems[0].subject, "w");
  return model->contents().problems[0].error.code;
}

TEST(BrokenExport, LacksARecord) {
  const auto keep = [](ExportPayload&) {};
  EXPECT_EQ(problem_with(keep, "data/weights/weight_9"), ErrorCode::kNotFound);
  EXPECT_EQ(problem_with(keep, "data/constants/weight_0"), ErrorCode::kNotFound);
}

TEST(BrokenExport, HasATypeThatIsNotReadHere) {
  EXPECT_EQ(problem_with([](auto& payload) { payload.dtype = 17; }), ErrorCode::kUnsupported);
  EXPECT_EQ(problem_with([](auto& payload) { payload.layout = 2; }), ErrorCode::kUnsupported);
}

TEST(BrokenExport, HasATypeThatNeedsMoreBytes) {
  EXPECT_EQ(problem_with([](auto& payload) { payload.dtype = 8; }), ErrorCode::kMalformed);
}

// PyTorch reads the record with the type of whichever comes first.
TEST(BrokenExport, HasTwoTypesForOneRecord) {
  auto second = small_payload("v");
  second.dtype = 4;
  const auto model =
      opened(program({small_payload(), second}, {{"data/weights/weight_0", small_storage()}}));
  ASSERT_TRUE(model.has_value());
  EXPECT_THAT(names_of(model->tensors()), ElementsAre("w"));
  ASSERT_EQ(model->contents().problems.size(), 1U);
  EXPECT_EQ(model->contents().problems[0].error.code, ErrorCode::kRefused);
}

TEST(BrokenExport, ReachesPastItsRecord) {
  EXPECT_EQ(problem_with([](auto& payload) { payload.offset = "1"; }), ErrorCode::kMalformed);
  EXPECT_EQ(problem_with([](auto& payload) { payload.sizes = {"2", "3"}; }), ErrorCode::kMalformed);
  EXPECT_EQ(problem_with([](auto& payload) { payload.strides = {"3", "1"}; }),
            ErrorCode::kMalformed);
}

TEST(BrokenExport, HasSizesThatWrap) {
  const std::string half = "9223372036854775808";
  const std::string most = "18446744073709551615";
  for (const auto& sizes : std::vector<std::vector<std::string>>{
           {half, "2"}, {most, most}, {"4294967296", "4294967296"}, {most, "1"}}) {
    const ErrorCode code = problem_with([&](auto& payload) { payload.sizes = sizes; });
    EXPECT_TRUE(code == ErrorCode::kOverflow || code == ErrorCode::kMalformed) << sizes[0];
  }
  for (const std::string& value : {half, most}) {
    const ErrorCode in_strides = problem_with([&](auto& p) { p.strides = {value, value}; });
    const ErrorCode in_offset = problem_with([&](auto& p) { p.offset = value; });
    EXPECT_TRUE(in_strides == ErrorCode::kOverflow || in_strides == ErrorCode::kMalformed);
    EXPECT_TRUE(in_offset == ErrorCode::kOverflow || in_offset == ErrorCode::kMalformed);
  }
}

TEST(BrokenExport, HasAsManyStridesAsSizes) {
  EXPECT_EQ(problem_with([](auto& payload) { payload.strides = {"1"}; }), ErrorCode::kMalformed);
}

TEST(BrokenExport, HasNeitherATensorNorAnObject) {
  EXPECT_EQ(problem_with([](auto& payload) { payload.has_meta = false; }), ErrorCode::kMalformed);
}

TEST(BrokenExport, NamesNoRecordElsewhere) {
  EXPECT_EQ(problem_with([](auto& payload) { payload.record = "../weights/weight_0"; }),
            ErrorCode::kNotFound);
}

TEST(BrokenExport, IsCutOffAtNoByte) {
  const std::string whole =
      program({small_payload()}, {{"data/weights/weight_0", small_storage()}});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto model = opened(whole.substr(0, length));
    EXPECT_FALSE(model.has_value()) << length;
  }
}

// A list that names one large file again and again.
TEST(BrokenExport, ReadsAFileOnlySoOften) {
  auto pickled = small_payload();
  pickled.is_pickled = true;
  pickled.has_meta = false;
  pickle::Writer out;
  out.proto(2).op(Op::kEmptyList, Op::kMark);
  for (int i = 0; i < 100'000; ++i) out.integer(i);
  out.op(Op::kAppends);
  std::vector<ExportPayload> weights;
  for (int i = 0; i < 1000; ++i) {
    pickled.name = std::to_string(i);
    weights.push_back(pickled);
  }
  const auto model = opened(
      program(weights, {{"data/weights/weight_0", test::torch_zip(test::take(out), {}).build()}}));
  ASSERT_TRUE(model.has_value());
  ASSERT_GT(model->contents().problems.size(), 990U);
  EXPECT_EQ(model->contents().problems.back().error.code, ErrorCode::kLimit);
}

// ---- scans

std::vector<std::string> findings_of(const ScanReport& report) {
  std::vector<std::string> findings;
  for (const Finding& finding : report.findings) {
    findings.push_back(std::string(finding.rule->id) + " " + finding.entry);
  }
  return findings;
}

TEST(ScanExport, UnderstandsAllButTheProgram) {
  const auto report =
      scanned(program({small_payload()}, {{"data/weights/weight_0", small_storage()}}));
  EXPECT_THAT(findings_of(report), ElementsAre("TARE-GEN-001 m/models/model.json"));
  EXPECT_EQ(report.tensor_bytes, small_storage().size());
}

TEST(ScanExport, JudgesObjects) {
  for (const char* const record : {"opaque_obj_0", "custom_obj_0", "tensor_0"}) {
    auto object = small_payload("o");
    object.record = record;
    object.is_pickled = true;
    object.has_meta = false;
    const auto report =
        scanned(program({}, {{"data/constants/" + std::string(record), evil()}}, {object}));
    EXPECT_EQ(report.verdict, Verdict::kDangerous) << record;
  }
}

TEST(ScanExport, JudgesPickledWeightsAndExampleInputs) {
  const std::string file = test::torch_zip(evil(), {}).build();
  auto pickled = small_payload();
  pickled.is_pickled = true;
  EXPECT_EQ(scanned(program({pickled}, {{"data/weights/weight_0", file}})).verdict,
            Verdict::kDangerous);
  EXPECT_EQ(scanned(program({}, {{"data/sample_inputs/model.pt", file}})).verdict,
            Verdict::kDangerous);
}

// Such a record is loaded as an object whatever the list says of it.
TEST(ScanExport, TakesNoObjectForElements) {
  auto raw = small_payload("o");
  raw.record = "opaque_obj_0";
  EXPECT_EQ(scanned(program({}, {{"data/constants/opaque_obj_0", evil()}}, {raw})).verdict,
            Verdict::kDangerous);
}

TEST(ScanExport, FlagsNativeCode) {
  const std::string elf =
      "\x7F"
      "ELF\2";
  const std::string folder = "data/aotinductor/model/";
  for (const char* const name :
       {"model.wrapper.so", "model.wrapper.cpp", "k.cubin", "model.wrapper_compile_flags.json"}) {
    const auto report = scanned(export_zip({{folder + name, elf}}));
    EXPECT_EQ(report.verdict, Verdict::kDangerous) << name;
    ASSERT_THAT(findings_of(report), ElementsAre("TARE-AOT-001 m/" + folder + name));
    EXPECT_EQ(report.findings[0].rule->trust, Trust::kOdd);
  }
  // A list of weights that is none.
  EXPECT_EQ(scanned(export_zip({{folder + "weights_config.json", elf}})).verdict,
            Verdict::kDangerous);
}

TEST(ScanExport, FlagsNativeCodeWhateverTheArchiveIs) {
  const std::string name = "aotinductor/model/a.wrapper.so";
  // A storage of a checkpoint, by its key.
  auto call = test::small_tensor();
  call.key = name;
  auto checkpoint = test::torch_zip(test::dict_pickle({{"w", call}}), {{name, small_storage()}});
  EXPECT_THAT(findings_of(scanned(checkpoint.build())), ElementsAre("TARE-AOT-001 m/data/" + name));
  test::ZipBuilder other;
  other.add("x/data\\AOTInductor\\m\\a.so", "code");
  EXPECT_EQ(scanned(other.build()).verdict, Verdict::kDangerous);
}

TEST(ScanExport, ListsOfCompiledProgramsAreNoCode) {
  const auto report = scanned(export_zip(
      {{"data/aotinductor/model/weights_config.json", R"({"w": ["weight_0", [2], [1], 2]})"},
       {"data/weights/weight_0", four_floats()}}));
  EXPECT_EQ(report.verdict, Verdict::kSafe) << findings_of(report).at(0);
}

}  // namespace
}  // namespace tare
