#include "format/torch_distributed.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/distributed_builder.hpp"
#include "support/tensors.hpp"
#include "tare/scan.hpp"
#include "tare/select.hpp"

namespace tare {
namespace {

using test::DistributedBuilder;
using test::elements_of;
using test::names_of;
using test::Sizes;
using test::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> paths_of(const std::vector<Dropped>& dropped) {
  std::vector<std::string> paths;
  for (const Dropped& leaf : dropped) paths.push_back(leaf.path + ": " + leaf.what);
  return paths;
}

DistributedBuilder training() {
  DistributedBuilder builder;
  builder.whole("model.w", "__0_0.distcp", {2}, {1, 2}).path = {"model", "w"};
  builder.whole("opt.state.0.m", "__0_0.distcp", {1}, {3}).path = {"opt", "state", "0", "m"};
  builder.object("opt.param_groups.0.lr", "__0_0.distcp", test::saved_integer(1)).path = {
      "opt", "param_groups", "0", "lr"};
  builder.object("epoch", "__1_0.distcp", test::saved_integer(3)).path = {"epoch"};
  return builder;
}

TEST(TorchDistributed, IsOneModelByItsFolderAndByItsMetadata) {
  const TempDir dir;
  const auto metadata = training().write(dir);
  for (const auto& path : {dir.path(), metadata}) {
    const auto model = open_model(path);
    ASSERT_TRUE(model.has_value()) << model.error().what;
    EXPECT_EQ(model->format(), "torch-distributed");
    EXPECT_THAT(names_of(model->tensors()), ElementsAre("model.w", "opt.state.0.m"));
    EXPECT_THAT(elements_of(model->tensors()[0].view), ElementsAre(1, 2));
    EXPECT_EQ(model->tensors()[0].entry, "__0_0.distcp");
    EXPECT_THAT(model->contents().problems, IsEmpty());
    ASSERT_EQ(model->files().size(), 3U);
    EXPECT_TRUE(model->files()[0].is_index);
    EXPECT_EQ(model->files()[2].name, "__1_0.distcp");
    EXPECT_EQ(model->files()[1].parts.size(), 3U);
  }
}

TEST(TorchDistributed, IsSelectedFromLikeNestedDicts) {
  const TempDir dir;
  training().write(dir);
  const auto model = open_model(dir.path());
  const auto selected = select_tensors(*model);
  ASSERT_TRUE(selected.has_value());
  EXPECT_EQ(selected->key, "model");
  EXPECT_THAT(names_of(selected->tensors), ElementsAre("w"));
  EXPECT_THAT(paths_of(selected->dropped), ElementsAre(HasSubstr("opt: dict"), "epoch: int 3"));
  const auto state = select_tensors(*model, {.key = "opt.state", .keep_scalars = true});
  EXPECT_THAT(names_of(state->tensors), ElementsAre("0.m"));
  EXPECT_EQ(state->scalars.at("opt.param_groups.0.lr"), "1");
}

TEST(TorchDistributed, PutsTensorsTogetherFromAGrid) {
  DistributedBuilder builder;
  builder.tensor("g", {3, 4});
  builder.chunk("b", {2, 0}, {1, 3}, {8, 9, 10});
  builder.chunk("a", {0, 3}, {2, 1}, {3, 7});
  builder.chunk("a", {0, 0}, {2, 3}, {0, 1, 2, 4, 5, 6});
  builder.chunk("b", {2, 3}, {1, 1}, {11});
  builder.chunk("b", {3, 0}, {0, 4}, {});
  const TempDir dir;
  builder.write(dir);
  const auto model = open_model(dir.path());
  ASSERT_THAT(model->contents().problems, IsEmpty());
  EXPECT_THAT(elements_of(model->tensors().at(0).view),
              ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
}

TEST(TorchDistributed, HasScalarsAndEmptyTensors) {
  DistributedBuilder builder;
  builder.whole("scalar", "a", {}, {7});
  builder.whole("empty", "a", {0, 3}, {});
  builder.tensor("nothing", {0});
  const TempDir dir;
  builder.write(dir);
  const auto model = open_model(dir.path());
  ASSERT_THAT(model->contents().problems, IsEmpty());
  ASSERT_EQ(model->tensors().size(), 3U);
  EXPECT_THAT(elements_of(model->tensors()[0].view), ElementsAre(7));
  EXPECT_EQ(model->tensors()[1].view.byte_count(), 0U);
}

TEST(TorchDistributed, CountsTensorsInsideOfObjects) {
  DistributedBuilder builder;
  const std::string inner = test::torch_zip(test::dict_pickle({{"t", test::small_tensor()}}),
                                            {{"0", test::small_storage()}})
                                .build();
  builder.object("extra", "a", inner);
  const TempDir dir;
  builder.write(dir);
  const auto model = open_model(dir.path());
  ASSERT_EQ(model->tensors().size(), 1U);
  EXPECT_EQ(model->tensors()[0].name, "extra.t");
  EXPECT_THAT(elements_of(model->tensors()[0].view), ElementsAre(1, 2, 3, 4));
}

TEST(TorchDistributed, HasFlatNamesIfPathsContradictEachOther) {
  DistributedBuilder builder;
  builder.whole("a", "f", {1}, {1}).path = {"a"};
  builder.whole("a.b", "f", {1}, {2}).path = {"a", "b"};
  builder.whole("c.d", "f", {1}, {3}).path = {"c", "d"};
  const TempDir dir;
  builder.write(dir);
  const auto model = open_model(dir.path());
  EXPECT_THAT(names_of(model->tensors()), ElementsAre("a", "a.b", "c.d"));
}

// ---- broken ones

// The problem with the tensor "w"; "v" must be fine.
Error problem_of(const DistributedBuilder& builder) {
  const TempDir dir;
  builder.write(dir);
  const auto model = open_model(dir.path());
  if (!model) return model.error();
  EXPECT_THAT(names_of(model->tensors()), ElementsAre("v"));
  if (model->contents().problems.size() != 1) return {};
  EXPECT_EQ(model->contents().problems[0].subject, "w");
  return model->contents().problems[0].error;
}

class BrokenTensor : public testing::Test {
 protected:
  BrokenTensor() {
    builder_.whole("v", "a", {1}, {9});
    builder_.tensor("w", {4, 1});
    builder_.chunk("a", {0, 0}, {2, 1}, {1, 2});
    builder_.chunk("a", {2, 0}, {2, 1}, {3, 4});
  }
  std::vector<test::DistributedPart>& parts() { return builder_.entries[1].parts; }

  DistributedBuilder builder_;
};

TEST_F(BrokenTensor, HasAPartThatReachesPastTheFile) {
  parts()[1].length += 1;
  EXPECT_EQ(problem_of(builder_).code, ErrorCode::kTruncated);
  parts()[1].length = INT64_MAX;
  EXPECT_EQ(problem_of(builder_).code, ErrorCode::kTruncated);
  parts()[1].offset = INT64_MAX;
  EXPECT_EQ(problem_of(builder_).code, ErrorCode::kTruncated);
}

TEST_F(BrokenTensor, HasPartsThatOverlap) {
  builder_.entries[1].shape = Sizes{3, 1};
  parts()[1].start = {1, 0};
  EXPECT_EQ(problem_of(builder_).code, ErrorCode::kMalformed);
}

TEST_F(BrokenTensor, HasAPartOutsideOfIt) {
  parts()[1].start = {3, 0};
  EXPECT_EQ(problem_of(builder_).code, ErrorCode::kMalformed);
}

TEST_F(BrokenTensor, LacksAPart) {
  parts().pop_back();
  EXPECT_EQ(problem_of(builder_).code, ErrorCode::kMalformed);
  parts().clear();
  EXPECT_EQ(problem_of(builder_).code, ErrorCode::kMalformed);
}

TEST_F(BrokenTensor, HasAPartOfAnotherShapeOrType) {
  parts()[1].shape = {1, 2};
  EXPECT_EQ(problem_of(builder_).code, ErrorCode::kMismatch);
  parts()[1].shape = {2, 1};
  builder_.entries[1].dtype = "int32";
  EXPECT_EQ(problem_of(builder_).code, ErrorCode::kMismatch);
}

TEST_F(BrokenTensor, HasAPartThatIsNoTensor) {
  auto part = builder_.part("a", test::saved_integer(1));
  part.start = {2, 0};
  part.shape = {2, 1};
  parts()[1] = part;
  EXPECT_EQ(problem_of(builder_).code, ErrorCode::kUnsupported);
  part.length = 4;  // no file at all
  parts()[1] = part;
  EXPECT_EQ(problem_of(builder_).code, ErrorCode::kTruncated);
}

TEST(TorchDistributed, NamesTheFileThatIsMissing) {
  auto builder = training();
  builder.files.erase("__1_0.distcp");
  const TempDir dir;
  builder.write(dir);
  const auto model = open_model(dir.path());
  ASSERT_FALSE(model.has_value());
  EXPECT_EQ(model.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(model.error().subject, "__1_0.distcp");
}

TEST(TorchDistributed, SaysWhatIsNoMetadata) {
  const TempDir dir;
  dir.write(".metadata", "\x80\x02N.");
  EXPECT_EQ(open_model(dir.path()).error().code, ErrorCode::kWrongFormat);
  EXPECT_EQ(open_model(dir.path()).error().subject, ".metadata");
  EXPECT_TRUE(open_model(dir / ".metadata").has_value());  // a pickle of None
}

TEST(TorchDistributed, ReadsAnotherPickleThatBeginsLikeMetadata) {
  pickle::Writer out;
  out.proto(2).text("torch.distributed.Metadata");
  const TempDir dir;
  const auto model = open_model(dir.write("x.pkl", test::take(out)));
  ASSERT_TRUE(model.has_value());
  EXPECT_EQ(model->format(), "pickle");
}

TEST(TorchDistributed, SaysThatItsFilesAreSafetensors) {
  DistributedBuilder builder;
  builder.whole("w", "a", {1}, {1});
  builder.files["a"] = test::u64(2) + "{}";
  const TempDir dir;
  builder.write(dir);
  EXPECT_EQ(open_model(dir.path()).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(open_model(dir.path()).error().subject, "a");
}

TEST(TorchDistributed, IsCutOffAtNoByte) {
  DistributedBuilder builder;
  builder.whole("w", "a", {2}, {1, 2});
  const std::string file = builder.files["a"];
  for (std::size_t length = 1; length < file.size(); ++length) {
    builder.files["a"] = file.substr(0, length);
    const TempDir dir;
    builder.write(dir);
    const auto model = open_model(dir.path());
    ASSERT_TRUE(model.has_value()) << length;
    EXPECT_THAT(model->tensors(), IsEmpty()) << length;
    EXPECT_EQ(model->contents().problems.size(), 1U) << length;
  }
}

// Many parts that are the same large pickle.
TEST(TorchDistributed, BoundsWhatPartsShare) {
  pickle::Writer out;
  out.proto(2).op(pickle::Op::kEmptyList, pickle::Op::kMark);
  for (int i = 0; i < 100'000; ++i) out.integer(i);
  out.op(pickle::Op::kAppends);
  DistributedBuilder builder;
  const auto shared = builder.part("a", test::torch_zip(test::take(out), {}).build());
  for (int i = 0; i < 2000; ++i) {
    builder.entries.push_back({std::to_string(i), std::nullopt, std::nullopt, "", {shared}});
  }
  const TempDir dir;
  builder.write(dir);
  const auto model = open_model(dir.path());
  ASSERT_TRUE(model.has_value());
  ASSERT_EQ(model->contents().problems.size(), 1997U);
  EXPECT_EQ(model->contents().problems[0].error.code, ErrorCode::kLimit);
}

// ---- scans

Verdict verdict_of(const std::vector<FileReport>& reports, std::string_view name) {
  for (const FileReport& file : reports) {
    if (file.path.filename() == name && file.report) return file.report->verdict;
  }
  return Verdict::kUnreadable;
}

std::vector<std::string> details_of(const FileReport& file) {
  std::vector<std::string> details;
  for (const Finding& finding : file.report->findings) {
    details.push_back(finding.entry + ": " + finding.detail);
  }
  return details;
}

TEST(ScanDistributed, FindsNothingInAnHonestOne) {
  const TempDir dir;
  training().write(dir);
  const auto reports = scan_path(dir.path());
  ASSERT_EQ(reports.size(), 3U);
  for (const FileReport& file : reports) {
    ASSERT_TRUE(file.report.has_value());
    EXPECT_EQ(file.report->verdict, Verdict::kSafe) << details_of(file).at(0);
  }
  EXPECT_EQ(reports[1].path, dir / "__0_0.distcp");
  EXPECT_THAT(reports[1].report->formats, ElementsAre("torch-distributed"));
}

TEST(ScanDistributed, JudgesEveryPart) {
  auto builder = training();
  pickle::Writer evil;
  evil.proto(2).global("os", "system").text("id").op(pickle::Op::kTuple1, pickle::Op::kReduce);
  builder.object("evil", "__0_0.distcp", test::torch_zip(test::take(evil), {}).build());
  builder.object("last", "__0_0.distcp", test::saved_integer(1));
  const TempDir dir;
  builder.write(dir);
  EXPECT_EQ(verdict_of(scan_path(dir.path()), "__0_0.distcp"), Verdict::kDangerous);
  const auto model = open_model(dir.path());
  EXPECT_EQ(scan_file(model->files()[1])->verdict, Verdict::kDangerous);
  EXPECT_EQ(scan_file(model->files()[2])->verdict, Verdict::kSafe);
}

TEST(ScanDistributed, JudgesTheMetadata) {
  const TempDir dir;
  training().write(dir);
  dir.write(".metadata",
            "\x80\x02"
            "cos\nsystem\nX\x02\0\0\0id\x85R.");
  const auto reports = scan_path(dir.path());
  EXPECT_EQ(verdict_of(reports, ".metadata"), Verdict::kDangerous);
  // Where the parts are is not known then.
  EXPECT_NE(verdict_of(reports, "__0_0.distcp"), Verdict::kSafe);
}

TEST(ScanDistributed, DoesNotUnderstandWhatIsInNoPart) {
  const auto verdict_with = [](auto change) {
    auto builder = training();
    change(builder);
    const TempDir dir;
    builder.write(dir);
    return verdict_of(scan_path(dir.path()), "__0_0.distcp");
  };
  EXPECT_EQ(verdict_with([](DistributedBuilder&) {}), Verdict::kSafe);
  EXPECT_EQ(verdict_with([](DistributedBuilder& b) { b.files["__0_0.distcp"] += "x"; }),
            Verdict::kSuspicious);
  EXPECT_EQ(verdict_with([](DistributedBuilder& b) { b.entries.erase(b.entries.begin()); }),
            Verdict::kSuspicious);
  EXPECT_EQ(verdict_with([](DistributedBuilder& b) { b.entries.erase(b.entries.begin() + 1); }),
            Verdict::kSuspicious);
  // A part that begins or ends elsewhere is another file.
  EXPECT_NE(verdict_with([](DistributedBuilder& b) { b.entries[1].parts[0].offset -= 1; }),
            Verdict::kSafe);
  EXPECT_NE(verdict_with([](DistributedBuilder& b) { b.entries[1].parts[0].length -= 1; }),
            Verdict::kSafe);
  EXPECT_NE(verdict_with([](DistributedBuilder& b) { b.entries[2].parts[0].length += 1; }),
            Verdict::kSafe);
}

TEST(ScanDistributed, TellsOfFilesThatAreMissingAndOfFolders) {
  auto builder = training();
  builder.files.erase("__1_0.distcp");
  const TempDir dir;
  builder.write(dir);
  std::filesystem::create_directory(dir / "sub");
  dir.write("readme", "hello");
  const auto reports = scan_path(dir.path());
  ASSERT_EQ(reports.size(), 5U);
  EXPECT_EQ(reports[2].path, dir / "__1_0.distcp");
  EXPECT_EQ(reports[2].report.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(reports[3].report.error().code, ErrorCode::kWrongFormat);
  EXPECT_EQ(reports[4].report.error().code, ErrorCode::kNotAFile);
}

TEST(ScanDistributed, BoundsWhatPartsShare) {
  const std::string bytes(1000, 'x');
  std::vector<FileRange> parts;
  for (std::uint64_t i = 0; i < 500; ++i) parts.push_back({i, 1000 - i});
  ModelFile file{"", Input::from_bytes({}), false, parts};
  const ByteSpan view = as_bytes(bytes);
  file.input = Input::from_bytes({view.begin(), view.end()});
  const auto report = scan_file(file);
  EXPECT_EQ(report->verdict, Verdict::kUnreadable);
}

// Two archives, each of them safe; as a whole, a reader that takes offsets as they are finds the
// directory of a third one in the elements of the first.
TEST(ScanDistributed, JudgesTheFileAsAWhole) {
  pickle::Writer evil;
  evil.proto(2).global("os", "system").text("id").op(pickle::Op::kTuple1, pickle::Op::kReduce);
  const auto archive_of = [](const std::string& pickle, const std::string& elements) {
    auto zip = test::torch_zip(pickle, {{"0", elements}});
    zip.zip64_end = false;
    return zip;
  };
  test::TensorCall call;
  const std::string elements(1 << 16, '\0');
  call.numel = 1 << 14;
  call.shape = {1 << 14};
  call.strides = {1};
  const auto tensor = [&] {
    pickle::Writer out;
    out.proto(2);
    test::write_tensor(out, call);
    return test::take(out);
  };
  auto last = archive_of(tensor(), elements);
  const std::string second = last.build();
  auto hidden = archive_of(test::take(evil), std::string(16, '\0'));
  hidden.build();
  hidden.prefix = std::string(last.directory_start() - hidden.directory_start(), '\0');
  const std::string hidden_bytes = hidden.build().substr(hidden.prefix.size());
  ASSERT_EQ(hidden.directory_start(), last.directory_start());
  call.numel = 1 << 15;
  call.shape = {1 << 15};
  std::string content(1 << 17, '\0');
  auto front = archive_of(tensor(), content);
  front.build();
  content.replace(hidden.prefix.size() - front.data_offset(1), hidden_bytes.size(), hidden_bytes);
  const std::string first = archive_of(tensor(), content).build();

  const std::string bytes = first + second;
  const auto file_with = [&](std::string name, std::vector<FileRange> parts) {
    const ByteSpan view = as_bytes(bytes);
    return ModelFile{std::move(name), Input::from_bytes({view.begin(), view.end()}), false,
                     std::move(parts)};
  };
  EXPECT_EQ(scan(as_bytes(first))->verdict, Verdict::kSafe);
  EXPECT_EQ(scan(as_bytes(second))->verdict, Verdict::kSafe);
  const std::vector<FileRange> parts = {{0, first.size()}, {first.size(), second.size()}};
  EXPECT_EQ(scan_file(file_with("__0_0.distcp", parts))->verdict, Verdict::kDangerous);
  EXPECT_EQ(scan_file(file_with("model.pt", parts))->verdict, Verdict::kDangerous);
}

// Only what is called so may be several archives.
TEST(ScanDistributed, JudgesAFileOfAnotherNameAsWhatItIs) {
  const std::string one = test::saved_integer(1);
  const std::string bytes = one + one;
  const ByteSpan view = as_bytes(bytes);
  const std::vector<FileRange> parts = {{0, one.size()}, {one.size(), one.size()}};
  for (const auto& [name, verdict] :
       {std::pair("__0_0.distcp", Verdict::kSafe), std::pair("model.pt", Verdict::kSuspicious)}) {
    const ModelFile file{name, Input::from_bytes({view.begin(), view.end()}), false, parts};
    EXPECT_EQ(scan_file(file)->verdict, verdict) << name;
  }
}

TEST(ScanDistributed, IsOnlyOfFoldersWithMetadata) {
  const TempDir dir;
  const auto reports = scan_path(dir.path());
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].report.error().code, ErrorCode::kNotAFile);
  const auto file = scan_path(dir.write("x", "\x80\x02N."));
  ASSERT_EQ(file.size(), 1U);
  EXPECT_EQ(file[0].report->verdict, Verdict::kSafe);
}

}  // namespace
}  // namespace tare
