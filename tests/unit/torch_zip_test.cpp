// Checkpoints of torch.save: written, read back, and read when they are wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "format/format.hpp"
#include "support/binary.hpp"
#include "support/pickle_bytes.hpp"
#include "support/temp_dir.hpp"
#include "support/tensors.hpp"
#include "support/torch_builder.hpp"
#include "tare/model.hpp"
#include "tare/torch_save.hpp"

namespace tare {
namespace {

using pickle::Op;
using safetensors::Overwrite;
using test::dict_pickle;
using test::OwnedTensor;
using test::small_storage;
using test::small_tensor;
using test::TempDir;
using test::TensorCall;
using test::torch_zip;
using test::view_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using torch::Layout;

Result<ModelContents> contents_of(const std::string& archive) {
  auto context = format::context_of(as_bytes(archive));
  return format::kZip.read_tensors(as_bytes(archive), context);
}

ErrorCode open_error(const std::string& archive) {
  const auto contents = contents_of(archive);
  return contents ? ErrorCode::kIo : contents.error().code;
}

// The problem of a checkpoint that has exactly one.
Problem problem_of(const std::string& archive) {
  const auto contents = contents_of(archive);
  EXPECT_TRUE(contents.has_value()) << contents.error().what;
  if (!contents || contents->problems.size() != 1) {
    ADD_FAILURE() << "not exactly one problem";
    return {};
  }
  return contents->problems.front();
}

// The bytes of a tensor in row-major order.
std::string packed(const TensorView& view) {
  std::vector<std::byte> out(view.byte_count());
  EXPECT_TRUE(gather(view, out).has_value());
  return std::string(as_text(out));
}

// ---- what torch.save writes

TEST(TorchSave, RoundTripsThroughOpenModel) {
  const TempDir dir;
  const std::vector<std::pair<DType, Shape>> kinds = {
      {DType::kF32, {2, 3}}, {DType::kF64, {3}},  {DType::kF16, {1, 2, 3, 4}}, {DType::kBF16, {5}},
      {DType::kI64, {}},     {DType::kI32, {0}},  {DType::kI16, {2, 0, 2}},    {DType::kI8, {7}},
      {DType::kU8, {9}},     {DType::kBool, {3}}, {DType::kC64, {2, 2}},
  };
  test::Random random(3);
  std::vector<OwnedTensor> tensors;
  for (const auto& [dtype, shape] : kinds) {
    const std::size_t bytes = *packed_bytes(dtype, *element_count(shape));
    tensors.push_back({"layer." + std::string(dtype_name(dtype)), dtype, shape,
                       test::random_bytes(random, bytes)});
  }
  for (const Layout layout : {Layout::kTorch1, Layout::kTorch2}) {
    const auto path = dir / "model.pt";
    const auto saved =
        torch::save_state_dict(path, test::to_save(tensors), layout, Overwrite::kYes);
    ASSERT_TRUE(saved.has_value()) << saved.error().what;
    EXPECT_EQ(*saved, std::filesystem::file_size(path));
    const auto model = open_model(path);
    ASSERT_TRUE(model.has_value()) << model.error().what;
    EXPECT_EQ(model->format(), "torch-zip");
    EXPECT_THAT(model->contents().problems, IsEmpty());
    ASSERT_EQ(model->tensors().size(), tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const NamedTensor& read = model->tensors()[i];
      EXPECT_EQ(read.name, tensors[i].name);
      EXPECT_EQ(read.view.dtype, tensors[i].dtype);
      EXPECT_EQ(read.view.shape, tensors[i].shape);
      EXPECT_EQ(packed(read.view), tensors[i].bytes);
      EXPECT_EQ(read.entry, "model/data/" + std::to_string(i));
    }
  }
}

TEST(TorchSave, WritesManyTensors) {
  const TempDir dir;
  const std::string data(4, 'x');
  std::vector<safetensors::TensorToSave> tensors;
  for (int i = 0; i < 2100; ++i) {  // more than two batches of a pickler
    tensors.push_back({"t" + std::to_string(i), view_of(DType::kF32, {1}, data)});
  }
  for (const std::size_t count : {0UL, 1UL, 1000UL, 1001UL, 2100UL}) {
    const std::vector<safetensors::TensorToSave> some(tensors.begin(),
                                                      tensors.begin() + static_cast<long>(count));
    ASSERT_TRUE(
        torch::save_state_dict(dir / "m.pt", some, Layout::kTorch1, Overwrite::kYes).has_value());
    const auto model = open_model(dir / "m.pt");
    ASSERT_TRUE(model.has_value()) << model.error().what;
    EXPECT_EQ(model->tensors().size(), count);
    EXPECT_THAT(model->contents().problems, IsEmpty());
  }
}

TEST(TorchSave, RefusesWhatTorchCannotHold) {
  const TempDir dir;
  const std::string data(16, 'x');
  const auto error = [&](const TensorView& view) {
    const auto saved =
        torch::save_state_dict(dir / "m.pt", {{"t", view}}, Layout::kTorch2, Overwrite::kNo);
    return saved ? ErrorCode::kIo : saved.error().code;
  };
  EXPECT_EQ(error(view_of(DType::kF6E2M3, {4}, data)), ErrorCode::kUnsupported);
  EXPECT_EQ(error(view_of(DType::kF4, {2, 1}, data)), ErrorCode::kUnsupported);
  EXPECT_EQ(error({DType::kU8, {17}, {1}, 0, as_bytes(data)}), ErrorCode::kMalformed);
  EXPECT_THAT(dir.names(), IsEmpty());
}

TEST(TorchSave, KeepsAnExistingFileUnlessTold) {
  const TempDir dir;
  dir.write("m.pt", "precious");
  const auto saved = torch::save_state_dict(dir / "m.pt", {}, Layout::kTorch2, Overwrite::kNo);
  ASSERT_FALSE(saved.has_value());
  EXPECT_EQ(saved.error().code, ErrorCode::kExists);
  EXPECT_EQ(dir.read("m.pt"), "precious");
}

TEST(TorchSave, WritesTheRecordsOfEachLayout) {
  const TempDir dir;
  const auto names = [&](Layout layout) {
    EXPECT_TRUE(torch::save_pickle(dir / "m.pt", as_bytes("\x80\x02N."),
                                   {{"10", as_bytes("x")}, {"9", as_bytes("y")}}, layout,
                                   Overwrite::kYes)
                    .has_value());
    const std::string file = dir.read("m.pt");
    const auto parts = format::parts_of(format::kZip, as_bytes(file));
    EXPECT_TRUE(parts.has_value());
    std::vector<std::string> paths;
    for (const auto& part : parts->parts) paths.push_back(part.path);
    return paths;
  };
  EXPECT_THAT(names(Layout::kTorch1),
              ElementsAre("m/data.pkl", "m/data/10", "m/data/9", "m/version"));
  EXPECT_THAT(names(Layout::kTorch2),
              ElementsAre("m/data.pkl", "m/.format_version", "m/.storage_alignment", "m/byteorder",
                          "m/data/10", "m/data/9", "m/version", "m/.data/serialization_id"));
}

// ---- views

TEST(TorchZip, ReadsViewsOfOneStorage) {
  const std::string archive =
      torch_zip(dict_pickle({{"whole", {"FloatStorage", "0", 6, 0, {2, 3}, {3, 1}}},
                             {"transposed", {"FloatStorage", "0", 6, 0, {3, 2}, {1, 3}}},
                             {"column", {"FloatStorage", "0", 6, 1, {2}, {3}}},
                             {"expanded", {"FloatStorage", "0", 6, 5, {2, 2}, {0, 0}}},
                             {"scalar", {"FloatStorage", "0", 6, 4, {}, {}}},
                             {"empty", {"FloatStorage", "0", 6, 0, {0, 3}, {3, 1}}}}),
                {{"0", test::memory_of<float>({1, 2, 3, 4, 5, 6})}})
          .build();
  const auto contents = contents_of(archive);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  ASSERT_THAT(contents->problems, IsEmpty());
  const auto floats = [&](std::size_t index) { return packed(contents->tensors[index].view); };
  EXPECT_EQ(floats(0), test::memory_of<float>({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(floats(1), test::memory_of<float>({1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(floats(2), test::memory_of<float>({2, 5}));
  EXPECT_EQ(floats(3), test::memory_of<float>({6, 6, 6, 6}));
  EXPECT_EQ(floats(4), test::memory_of<float>({5}));
  EXPECT_EQ(floats(5), "");
  EXPECT_EQ(contents->tensors[1].entry, "m/data/0");
}

TEST(TorchZip, TakesAStorageThatIsLargerThanClaimed) {
  const auto contents = contents_of(
      torch_zip(dict_pickle({{"w", small_tensor()}}), {{"0", small_storage() + "more"}}).build());
  ASSERT_TRUE(contents.has_value());
  EXPECT_THAT(contents->problems, IsEmpty());
  EXPECT_EQ(contents->tensors[0].view.storage.size(), 16U);
}

TEST(TorchZip, ListsImports) {
  const std::string archive = test::clean_torch_zip().build();
  const auto contents = contents_of(archive);
  ASSERT_TRUE(contents.has_value());
  EXPECT_THAT(contents->imports, ElementsAre("collections.OrderedDict", "torch.FloatStorage",
                                             "torch._utils._rebuild_tensor_v2"));
}

// An OrderedDict with the attribute that state_dict() sets, and a parameter.
TEST(TorchZip, ReadsAStateDict) {
  pickle::Writer out;
  out.proto(2).global("collections", "OrderedDict").op(Op::kEmptyTuple).op(Op::kReduce);
  out.op(Op::kMark).text("w");
  out.global("torch._utils", "_rebuild_parameter").op(Op::kMark);
  test::write_tensor(out, small_tensor());
  out.boolean(true).global("collections", "OrderedDict").op(Op::kEmptyTuple).op(Op::kReduce);
  out.op(Op::kTuple).op(Op::kReduce).op(Op::kSetItems);
  out.op(Op::kEmptyDict).text("_metadata").op(Op::kEmptyDict).op(Op::kSetItem).op(Op::kBuild);
  const std::string archive = torch_zip(test::take(out), {{"0", small_storage()}}).build();
  const auto contents = contents_of(archive);
  ASSERT_TRUE(contents.has_value());
  EXPECT_THAT(contents->problems, IsEmpty());
  ASSERT_EQ(contents->tensors.size(), 1U);
  EXPECT_EQ(packed(contents->tensors[0].view), small_storage());
}

TEST(TorchZip, TakesTheLastOfEqualKeys) {
  TensorCall first = small_tensor();
  TensorCall second = small_tensor();
  second.key = "1";
  const std::string archive = torch_zip(dict_pickle({{"w", first}, {"x", first}, {"w", second}}),
                                        {{"0", small_storage()}, {"1", std::string(16, '\0')}})
                                  .build();
  const auto contents = contents_of(archive);
  ASSERT_TRUE(contents.has_value());
  ASSERT_EQ(contents->tensors.size(), 2U);
  EXPECT_EQ(contents->tensors[0].name, "w");
  EXPECT_EQ(packed(contents->tensors[0].view), std::string(16, '\0'));
  EXPECT_EQ(contents->tensors[1].name, "x");
}

TEST(TorchZip, ReadsADeflatedPickle) {
  test::ZipEntry data;
  data.name = "m/data.pkl";
  data.content = dict_pickle({{"w", small_tensor()}});
  data.method = 8;
  const std::string archive = test::ZipBuilder().add(data).add("m/data/0", small_storage()).build();
  const auto contents = contents_of(archive);
  ASSERT_TRUE(contents.has_value()) << contents.error().what;
  EXPECT_EQ(contents->tensors.size(), 1U);
}

// ---- problems

TEST(TorchZip, RefusesStoragesShorterThanClaimed) {
  const std::string pickle = dict_pickle({{"w", small_tensor()}});
  for (const std::size_t size : {0UL, 1UL, 15UL}) {
    const auto problem = problem_of(torch_zip(pickle, {{"0", std::string(size, 'x')}}).build());
    EXPECT_EQ(problem.subject, "w");
    EXPECT_EQ(problem.error.code, ErrorCode::kMalformed);
    EXPECT_THAT(problem.error.what, HasSubstr("CVE-2026-24747"));
  }
}

TEST(TorchZip, RefusesTensorsThatReachPastTheirStorage) {
  for (const TensorCall& call : {TensorCall{"FloatStorage", "0", 4, 0, {5}, {1}},
                                 TensorCall{"FloatStorage", "0", 4, 1, {2, 2}, {2, 1}},
                                 TensorCall{"FloatStorage", "0", 4, 0, {2}, {4}},
                                 TensorCall{"FloatStorage", "0", 4, 4, {}, {}},
                                 TensorCall{"FloatStorage", "0", 3, 0, {4}, {1}},
                                 TensorCall{"FloatStorage", "0", 4, 0, {2, 2}, {2}}}) {
    EXPECT_EQ(problem_of(torch_zip(dict_pickle({{"w", call}}), {{"0", small_storage()}}).build())
                  .error.code,
              ErrorCode::kMalformed);
  }
  for (const TensorCall& call :
       {TensorCall{"FloatStorage", "0", 4, INT64_MAX, {2}, {INT64_MAX}},
        TensorCall{"FloatStorage", "0", INT64_MAX, 0, {1}, {1}},
        TensorCall{"FloatStorage", "0", 4, 0, {INT64_MAX, INT64_MAX}, {0, 0}}}) {
    EXPECT_EQ(problem_of(torch_zip(dict_pickle({{"w", call}}), {{"0", small_storage()}}).build())
                  .error.code,
              ErrorCode::kOverflow);
  }
}

TEST(TorchZip, RefusesSizesThatAreNone) {
  for (const TensorCall& call : {TensorCall{"FloatStorage", "0", 4, -1, {2}, {1}},
                                 TensorCall{"FloatStorage", "0", 4, 0, {-2}, {1}},
                                 TensorCall{"FloatStorage", "0", 4, 0, {2}, {-1}}}) {
    EXPECT_EQ(problem_of(torch_zip(dict_pickle({{"w", call}}), {{"0", small_storage()}}).build())
                  .error.code,
              ErrorCode::kMalformed);
  }
}

TEST(TorchZip, SaysThatARecordIsMissing) {
  const auto problem = problem_of(torch_zip(dict_pickle({{"w", small_tensor()}}), {}).build());
  EXPECT_EQ(problem.subject, "w");
  EXPECT_EQ(problem.error.code, ErrorCode::kNotFound);
}

TEST(TorchZip, ReadsACompressedRecord) {
  test::ZipEntry storage;
  storage.name = "m/data/0";
  storage.content = small_storage();
  storage.method = 8;
  const std::string archive =
      torch_zip(dict_pickle({{"w", small_tensor()}}), {}).add(storage).build();
  const auto contents = contents_of(archive);
  ASSERT_TRUE(contents.has_value());
  ASSERT_EQ(contents->tensors.size(), 1U);
  EXPECT_EQ(packed(contents->tensors[0].view), small_storage());
}

TEST(TorchZip, DoesNotReadQuantizedElementsOfADenseTensor) {
  for (const std::string_view name : {"QInt8Storage", "QUInt4x2Storage"}) {
    TensorCall call = small_tensor();
    call.storage_class = name;
    EXPECT_EQ(problem_of(torch_zip(dict_pickle({{"w", call}}), {{"0", small_storage()}}).build())
                  .error.code,
              ErrorCode::kUnsupported);
  }
}

// ---- archives that are refused as a whole

TEST(TorchZip, RefusesAnArchiveWithoutPickle) {
  EXPECT_EQ(open_error(test::ZipBuilder().add("m/version", "3\n").build()),
            ErrorCode::kWrongFormat);
}

TEST(TorchZip, RefusesByteOrdersThatItDoesNotRead) {
  const auto with_order = [](std::string order) {
    return test::clean_torch_zip().add(test::torch_record("m/byteorder", std::move(order))).build();
  };
  EXPECT_EQ(open_error(with_order("little")), ErrorCode::kIo);
  EXPECT_EQ(open_error(with_order("big")), ErrorCode::kIo);
  EXPECT_EQ(open_error(with_order("middle")), ErrorCode::kUnsupported);
}

TEST(TorchZip, RefusesTwoPickles) {
  EXPECT_EQ(
      open_error(
          test::clean_torch_zip().add(test::torch_record("m/data.pkl", "\x80\x02N.")).build()),
      ErrorCode::kRefused);
}

TEST(TorchZip, RefusesTwoRecordsOfOneStorage) {
  const auto problem = problem_of(
      test::clean_torch_zip().add(test::torch_record("m/data/0", std::string(16, 'x'))).build());
  EXPECT_EQ(problem.error.code, ErrorCode::kRefused);
}

// PyTorch compares without case and takes the later one.
TEST(TorchZip, RefusesNamesThatDifferInCaseOnly) {
  EXPECT_EQ(
      open_error(
          test::clean_torch_zip().add(test::torch_record("m/DATA.PKL", "\x80\x02N.")).build()),
      ErrorCode::kRefused);
  TensorCall call = small_tensor();
  call.key = "key";
  const auto problem =
      problem_of(torch_zip(dict_pickle({{"w", call}}),
                           {{"key", small_storage()}, {"KEY", std::string(16, 'x')}})
                     .build());
  EXPECT_EQ(problem.error.code, ErrorCode::kRefused);
}

TEST(TorchZip, RefusesABrokenPickle) {
  EXPECT_EQ(open_error(torch_zip("\x80\x02N", {}).build()), ErrorCode::kTruncated);
  EXPECT_EQ(open_error(torch_zip("\x80\x02\xFF", {}).build()), ErrorCode::kMalformed);
  EXPECT_EQ(open_error(torch_zip("", {}).build()), ErrorCode::kTruncated);
  // The offset is that in the file.
  test::ZipBuilder builder = torch_zip("\x80\x02\xFF", {});
  const std::string archive = builder.build();
  EXPECT_EQ(contents_of(archive).error().offset, builder.data_offset(0) + 2);
}

TEST(TorchZip, SurvivesAFileThatIsCutAnywhere) {
  const std::string archive = test::clean_torch_zip().build();
  for (std::size_t length = 0; length < archive.size(); ++length) {
    const std::string cut(archive.data(), length);
    EXPECT_FALSE(contents_of(cut).has_value()) << length;
  }
}

// Whatever changes, what is read lies inside of the file.
TEST(TorchZip, StaysInsideAFileWithAnyByteChanged) {
  const std::string archive = test::clean_torch_zip().build();
  for (std::size_t at = 0; at < archive.size(); ++at) {
    for (const char value : {'\x00', '\x01', '(', 'N', '\x7F', '\xFF'}) {
      std::string changed = archive;
      changed[at] = value;
      const auto contents = contents_of(changed);
      if (!contents) continue;
      for (const NamedTensor& tensor : contents->tensors) {
        ASSERT_TRUE(check_view(tensor.view).has_value());
        if (tensor.view.storage.empty()) continue;
        const auto begin = as_text(tensor.view.storage).data() - changed.data();
        ASSERT_GE(begin, 0);
        ASSERT_LE(static_cast<std::size_t>(begin) + tensor.view.storage.size(), changed.size());
      }
    }
  }
}

// What many entries share must not be inflated once for each.
TEST(TorchZip, SharesABudgetForInflating) {
  test::ZipEntry bomb;
  bomb.name = "m/0";
  bomb.content.resize(40'000'000);
  bomb.method = 8;
  bomb.raw = test::deflate(bomb.content);
  test::ZipBuilder builder;
  builder.add(bomb);
  for (int i = 1; i < 16; ++i) {
    test::ZipEntry again;
    again.name = "m/" + std::to_string(i);
    again.method = 8;
    again.raw = bomb.raw;
    again.central_size = bomb.content.size();
    again.no_local = true;
    again.central_offset = 0;
    builder.add(again);
  }
  const std::string archive = builder.build();
  const auto parts = format::parts_of(format::kZip, as_bytes(archive));
  ASSERT_TRUE(parts.has_value());
  std::size_t inflated = 0;
  for (const auto& bytes : parts->inflated) inflated += bytes.size();
  EXPECT_GT(inflated, 0U);
  EXPECT_LE(inflated, std::size_t{256} << 20);
  EXPECT_GE(std::ranges::count(parts->notes, format::NoteKind::kUnreadable, &format::Note::kind),
            10);
}

// Nor interpreted: the work is bounded by the size of the file, not by what its entries claim.
TEST(TorchZip, SharesABudgetForStoredEntries) {
  test::ZipEntry first = test::torch_record("m/0.pkl", test::repeat("N0", 10'000) + "N.");
  test::ZipBuilder builder;
  builder.add(first);
  for (int i = 1; i < 100; ++i) {
    test::ZipEntry again = first;
    again.name = "m/" + std::to_string(i) + ".pkl";
    again.no_local = true;
    again.central_offset = 0;
    builder.add(again);
  }
  const std::string archive = builder.build();
  const auto parts = format::parts_of(format::kZip, as_bytes(archive));
  ASSERT_TRUE(parts.has_value());
  std::size_t bytes = 0;
  for (const auto& part : parts->parts) bytes += part.bytes.size();
  EXPECT_LE(bytes, 4 * archive.size());
}

}  // namespace
}  // namespace tare
