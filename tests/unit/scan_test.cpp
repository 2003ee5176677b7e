// What the scanner says about whole files: the verdict, the rule and the evidence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <tuple>

#include "scan/policy.hpp"
#include "support/pickle_bytes.hpp"
#include "support/safetensors_builder.hpp"
#include "support/scanning.hpp"
#include "support/temp_dir.hpp"
#include "support/tensors.hpp"
#include "support/torch_builder.hpp"
#include "tare/scan.hpp"
#include "tare/torch_save.hpp"

namespace tare {

namespace {

using namespace std::string_literals;
using namespace test;
using pickle::Op;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// What a pickler writes for `module.name(*arguments)`.
std::string call(std::string_view module, std::string_view name, std::string_view argument) {
  return proto(2) + global(module, name) + std::string(argument) + "R.";
}

// ---- what is safe

TEST(ScanSafe, CheckpointsOfBothLayouts) {
  const TempDir dir;
  test::Random random(5);
  auto tensors = random_tensors(random, 30);
  std::erase_if(tensors, [](const OwnedTensor& tensor) {
    return tensor.dtype != DType::kF32 && tensor.dtype != DType::kI64;
  });
  tensors.push_back({"w", DType::kF32, {4}, small_storage()});
  for (const auto layout : {torch::Layout::kTorch1, torch::Layout::kTorch2}) {
    ASSERT_TRUE(
        torch::save_state_dict(dir / "m.pt", to_save(tensors), layout, safetensors::Overwrite::kYes)
            .has_value());
    const auto report = scanned(dir.read("m.pt"));
    EXPECT_EQ(report.verdict, Verdict::kSafe);
    EXPECT_THAT(report.findings, IsEmpty());
    EXPECT_THAT(report.formats, ElementsAre("torch-zip"));
    EXPECT_GT(report.parts, 2U);
    EXPECT_GT(report.tensor_bytes, 0U);
  }
}

// An OrderedDict with `_metadata`, and parameters in it.
std::string state_dict(const std::string& state) {
  pickle::Writer out;
  out.proto(2).global("collections", "OrderedDict").op(Op::kEmptyTuple).op(Op::kReduce);
  out.op(Op::kMark).text("w");
  out.global("torch._utils", "_rebuild_parameter").op(Op::kMark);
  write_tensor(out, small_tensor());
  out.boolean(true).global("collections", "OrderedDict").op(Op::kEmptyTuple).op(Op::kReduce);
  out.op(Op::kTuple).op(Op::kReduce).op(Op::kSetItems).raw(as_bytes(state));
  return torch_zip(take(out), {{"0", small_storage()}}).build();
}

TEST(ScanSafe, AStateDict) {
  EXPECT_EQ(verdict_of(state_dict("")), Verdict::kSafe);
  EXPECT_EQ(verdict_of(state_dict("}" + long_text("_metadata") + "}sb")), Verdict::kSafe);
}

TEST(ScanSafe, PlainValues) {
  for (const std::string& stream :
       {proto(2) + "N.",
        proto(4) + "}(" + text("lr") + "F0.1\n" + text("steps") + "](" + small(1) + "eu.",
        proto(2) + global("collections", "OrderedDict") + ")R(" + long_text("a") + "Nu.",
        proto(2) + global("torch", "float32") + ".",
        proto(2) + global("torch", "Size") + "(" + small(2) + small(3) + "t\x85R."}) {
    EXPECT_EQ(verdict_of(stream), Verdict::kSafe) << stream;
    EXPECT_EQ(verdict_of(torch_file(stream)), Verdict::kSafe) << stream;
  }
}

TEST(ScanSafe, Safetensors) {
  const auto report =
      scanned(safetensors_file("{" + tensor_json("t", "F32", "[1]", 0, 4) + "}", "1234"));
  EXPECT_EQ(report.verdict, Verdict::kSafe);
  EXPECT_EQ(report.tensor_bytes, 4U);
  EXPECT_THAT(report.formats, ElementsAre("safetensors"));
}

// ---- what runs code

TEST(ScanDangerous, ASystemCall) {
  const auto report = scanned(torch_file(proto(2) + payload() + "."));
  EXPECT_EQ(report.verdict, Verdict::kDangerous);
  ASSERT_EQ(report.findings.size(), 1U);
  const Finding& finding = report.findings[0];
  EXPECT_STREQ(finding.rule->id, "TARE-PKL-001");
  EXPECT_EQ(finding.entry, "m/data.pkl");
  EXPECT_EQ(finding.offset, 20U);
  EXPECT_EQ(finding.opcode, "REDUCE");
  EXPECT_EQ(finding.evidence, "os.system('id')");
  EXPECT_THAT(finding.detail, HasSubstr("starts programs"));
}

TEST(ScanDangerous, AnImportAlone) {
  const auto report = scanned("cos\nsystem\n.");
  EXPECT_EQ(report.verdict, Verdict::kDangerous);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_STREQ(report.findings[0].rule->id, "TARE-PKL-002");
  EXPECT_EQ(report.findings[0].evidence, "from os import system");
}

TEST(ScanDangerous, EveryWayToCall) {
  for (const std::string& stream :
       {payload() + ".", proto(4) + stack_global("os", "system") + text("id") + "\x85R.",
        "(S'id'\nios\nsystem\n."s, "(cos\nsystem\nS'id'\no."s, "(cos\nsystem\nS'id'\no0N."s,
        proto(2) + "cos\nsystem\nS'id'\n\x85\x81.", proto(4) + "cos\nsystem\nS'id'\n\x85}\x92.",
        proto(2) + global("copyreg", "add_extension") + "(Vos\nVsystem\nI5\ntR0\x82" + u8(5) +
            "Vid\n\x85R."}) {
    EXPECT_EQ(verdict_of(stream), Verdict::kDangerous) << stream;
    EXPECT_EQ(verdict_of(torch_file(stream)), Verdict::kDangerous) << stream;
  }
}

TEST(ScanDangerous, KnownGadgets) {
  const std::pair<const char*, const char*> gadgets[] = {
      {"builtins", "eval"},
      {"builtins", "exec"},
      {"builtins", "__import__"},
      {"builtins", "getattr"},
      {"subprocess", "Popen"},
      {"posix", "system"},
      {"nt", "system"},
      {"runpy", "run_path"},
      {"pickle", "loads"},
      {"_pickle", "loads"},
      {"marshal", "loads"},
      {"types", "FunctionType"},
      {"socket", "create_connection"},
      {"ctypes", "CDLL"},
      {"importlib", "import_module"},
      {"operator", "attrgetter"},
      {"_operator", "methodcaller"},
      {"functools", "partial"},
      {"pty", "spawn"},
      {"pkgutil", "resolve_name"},
      {"pydoc", "locate"},
      {"pip", "main"},
      {"asyncio.unix_events", "_UnixSubprocessTransport._start"},
      {"timeit", "timeit"},
      {"torch", "load"},
      {"torch.storage", "_load_from_bytes"},
      {"torch.hub", "load"},
      {"numpy.testing._private.utils", "runstring"},
      {"_io", "FileIO"},
      {"io", "open"},
      {"shutil", "rmtree"},
      {"webbrowser", "open"},
      {"logging", "FileHandler"},
      {"sys", "exit"},
      {"multiprocessing.util", "spawnv_passfds"},
      {"smtplib", "SMTP"},
      {"ssl", "get_server_certificate"},
      {"dill", "loads"},
      {"yaml", "unsafe_load"},
      {"code", "InteractiveInterpreter"},
      {"uuid", "_get_command_stdout"},
      {"builtins", "map"},
      {"builtins", "filter"},
  };
  for (const auto& [module, name] : gadgets) {
    EXPECT_EQ(verdict_of(proto(4) + stack_global(module, name) + "."), Verdict::kDangerous)
        << module << '.' << name;
    EXPECT_EQ(verdict_of(call(module, name, ")")), Verdict::kDangerous) << module << '.' << name;
  }
}

TEST(ScanDangerous, NamesOfPython2) {
  for (const auto& [module, name] :
       std::vector<std::pair<const char*, const char*>>{{"__builtin__", "eval"},
                                                        {"commands", "getoutput"},
                                                        {"cPickle", "loads"},
                                                        {"urllib2", "urlopen"},
                                                        {"thread", "start_new_thread"},
                                                        {"cStringIO", "FileIO"},
                                                        {"multiprocessing.forking", "Popen"},
                                                        {"__builtin__", "reduce"}}) {
    EXPECT_EQ(verdict_of(global(module, name) + "."), Verdict::kDangerous) << module;
    // Old loaders read them at any protocol.
    EXPECT_GE(verdict_of(proto(4) + global(module, name) + "."), Verdict::kSuspicious) << module;
  }
}

TEST(ScanDangerous, DottedNames) {
  for (const auto& [module, name] : std::vector<std::pair<const char*, const char*>>{
           {"pathlib", "os.system"},
           {"random", "_os.system"},
           {"collections", "_sys.modules"},
           {"torch", "os.system"},
           {"builtins", "exec.__call__"},
           {"collections", "OrderedDict.__init__.__globals__"}}) {
    EXPECT_EQ(verdict_of(proto(4) + stack_global(module, name) + "."), Verdict::kDangerous)
        << module;
  }
}

TEST(ScanDangerous, ComputedCallables) {
  // getattr(os, 'system')('id')
  const auto report = scanned(proto(2) + global("builtins", "getattr") + global("m", "n") +
                              long_text("system") + "\x86R" + long_text("id") + "\x85R.");
  EXPECT_EQ(report.verdict, Verdict::kDangerous);
  EXPECT_THAT(rules_of(report), Contains("TARE-PKL-004"));
}

TEST(ScanDangerous, ASecondStream) {
  const auto report = scanned(proto(2) + "N." + payload() + ".");
  EXPECT_EQ(report.verdict, Verdict::kDangerous);
  EXPECT_THAT(rules_of(report), ElementsAre("TARE-PKL-001", "TARE-PKL-009"));
  EXPECT_EQ(report.findings.back().offset, 4U + 18U);  // of the part, not of the stream
  EXPECT_EQ(verdict_of("N.N.N.N.N.N.N." + payload() + "."), Verdict::kDangerous);
  EXPECT_EQ(verdict_of(repeat("I0x10\n.", 6) + payload() + "."), Verdict::kDangerous);
}

// Its names stand where the memo of the first stream has others.
TEST(ScanDangerous, ASecondStreamWithTheMemoOfTheFirst) {
  EXPECT_EQ(verdict_of(proto(4) + text("collections") + "\x94" + text("OrderedDict") + "\x94\x93." +
                       proto(4) + text("os") + "\x94" + text("system") + "\x94" + binget(0) +
                       binget(1) + "\x93" + text("id") + "\x85R."),
            Verdict::kDangerous);
}

// What a loader runs that reads from a file object, and one that reads from memory does not.
TEST(ScanDangerous, APayloadInTheOtherReading) {
  EXPECT_EQ(verdict_of(proto(4) + two_readings("0N.")), Verdict::kDangerous);
  EXPECT_EQ(verdict_of(proto(4) + two_readings("\xFF")), Verdict::kDangerous);
  EXPECT_EQ(verdict_of(torch_file(two_readings("0N."))), Verdict::kDangerous);
}

TEST(ScanDangerous, APayloadInTheOtherReadingOfAStreamThatBreaks) {
  EXPECT_EQ(verdict_of(two_readings("\xFF")), Verdict::kDangerous);
}

TEST(ScanDangerous, APayloadBehindWhichTheStreamBreaks) {
  for (const std::string& behind : {""s, "\xFF\xFF"s, "X"s + u32(1000), "\x85.0"s}) {
    const auto report = scanned(payload() + "0" + behind);
    EXPECT_EQ(report.verdict, Verdict::kDangerous) << behind;
    EXPECT_THAT(rules_of(report), ElementsAre("TARE-PKL-001", "TARE-PKL-007"));
  }
}

TEST(ScanDangerous, AnyEntryOfAnArchive) {
  for (const std::string name :
       {"m/other.pkl", "m/DATA.PKL", "m/readme.txt", "m/data/7", "m/version", "m/byteorder",
        "elsewhere/data.pkl", "m/x/.hidden", "data.pkl", "m/code/x.bin"}) {
    const auto report = scanned(clean_torch_zip().add(torch_record(name, payload() + ".")).build());
    EXPECT_EQ(report.verdict, Verdict::kDangerous) << name;
    EXPECT_TRUE(std::ranges::any_of(report.findings, [&](const Finding& finding) {
      return finding.entry == name && finding.evidence == "os.system('id')";
    })) << name;
  }
}

TEST(ScanDangerous, DeflatedEntries) {
  ZipEntry entry;
  entry.name = "m/evil.pkl";
  entry.content = payload() + ".";
  entry.method = 8;
  EXPECT_EQ(verdict_of(clean_torch_zip().add(entry).build()), Verdict::kDangerous);
}

TEST(ScanDangerous, BothOfTwoEqualEntries) {
  ZipBuilder first = torch_zip(payload() + ".", {});
  first.add(torch_record("m/data.pkl", "\x80\x02N."));
  EXPECT_EQ(verdict_of(first.build()), Verdict::kDangerous);
  ZipBuilder last = torch_zip("\x80\x02N.", {});
  last.add(torch_record("m/data.pkl", payload() + "."));
  EXPECT_EQ(verdict_of(last.build()), Verdict::kDangerous);
}

// A pickle loader reads from the front, a zip reader from the end.
TEST(ScanDangerous, APickleWithAnArchiveBehindIt) {
  for (const bool uncounted : {false, true}) {
    ZipBuilder harmless = clean_torch_zip();
    harmless.prefix = payload() + ".";
    harmless.prefix_uncounted = uncounted;
    const auto report = scanned(harmless.build());
    EXPECT_EQ(report.verdict, Verdict::kDangerous);
    EXPECT_THAT(report.formats, ElementsAre("torch-zip", "pickle"));
    ZipBuilder hostile = torch_zip(payload() + ".", {});
    hostile.prefix = "\x80\x02N.";
    hostile.prefix_uncounted = uncounted;
    EXPECT_EQ(verdict_of(hostile.build()), Verdict::kDangerous);
  }
}

TEST(ScanDangerous, TorchScriptThatWritesFiles) {
  for (const std::string& code :
       {"def f(self):\n  torch.save(x, \"/tmp/x\")\n"s, "ops.aten.save(x)\n"s,
        "def __setstate__(self, s):\n  pass\n"s, "torch.from_file(\"/etc/passwd\")\n"s}) {
    const auto report =
        scanned(clean_torch_zip().add(torch_record("m/code/__torch__.py", code)).build());
    EXPECT_EQ(report.verdict, Verdict::kDangerous) << code;
    EXPECT_THAT(rules_of(report), Contains("TARE-JIT-002"));
  }
}

TEST(ScanDangerous, StoragesShorterThanClaimed) {  // CVE-2026-24747
  const auto report =
      scanned(torch_zip(dict_pickle({{"w", small_tensor()}}), {{"0", "short"}}).build());
  EXPECT_EQ(report.verdict, Verdict::kDangerous);
  EXPECT_THAT(rules_of(report), ElementsAre("TARE-TEN-001"));
}

TEST(ScanDangerous, TensorsThatReachPastTheirStorage) {
  TensorCall large = small_tensor();
  large.strides = {1000, 1};
  EXPECT_EQ(verdict_of(torch_zip(dict_pickle({{"w", large}}), {{"0", small_storage()}}).build()),
            Verdict::kDangerous);
  TensorCall wraps = small_tensor();
  wraps.strides = {INT64_MAX, INT64_MAX};
  EXPECT_EQ(verdict_of(torch_zip(dict_pickle({{"w", wraps}}), {{"0", small_storage()}}).build()),
            Verdict::kDangerous);
}

// The tensor of a checkpoint that is no flat dict, with whatever is around it.
std::string around_tensor(const std::string& before, const std::string& behind,
                          const TensorCall& call = small_tensor(),
                          const std::string& storage = "short") {
  pickle::Writer out;
  out.proto(2).raw(as_bytes(before));
  write_tensor(out, call);
  out.raw(as_bytes(behind));
  return torch_zip(std::string(as_text(out.view())), {{"0", storage}}).build();
}

// Wherever a tensor stands in the pickle, the loader makes it.
TEST(ScanDangerous, ShortStoragesAnywhere) {
  EXPECT_EQ(verdict_of(around_tensor("]", "a.", small_tensor(), small_storage())), Verdict::kSafe);
  EXPECT_EQ(verdict_of(around_tensor("", ".")), Verdict::kDangerous);  // the tensor alone
  EXPECT_EQ(verdict_of(around_tensor("]", "a.")), Verdict::kDangerous);
  EXPECT_EQ(verdict_of(around_tensor("}" + long_text("model") + "}" + long_text("w"), "ss.")),
            Verdict::kDangerous);
  EXPECT_EQ(verdict_of(around_tensor("N", "0.")), Verdict::kDangerous);  // made and dropped
  TensorCall wild = small_tensor();
  wild.strides = {1000, 1};
  EXPECT_EQ(verdict_of(around_tensor("]", "a.", wild, small_storage())), Verdict::kDangerous);
  // The storage is read even if no tensor is made of it.
  pickle::Writer storage;
  storage.proto(2);
  write_storage(storage, small_tensor());
  EXPECT_EQ(verdict_of(torch_zip(take(storage), {{"0", "short"}}).build()), Verdict::kDangerous);
}

// What tare does not load may still be loaded by others.
TEST(ScanDangerous, ShortStoragesOfArchivesThatAreNotRead) {
  const std::string pickle = dict_pickle({{"w", small_tensor()}});
  for (const auto& [name, content] :
       {std::pair("m/byteorder", "big"), std::pair("m/constants.pkl", "\x80\x02N.")}) {
    ZipBuilder builder = torch_zip(pickle, {{"0", small_storage()}});
    EXPECT_EQ(verdict_of(builder.add(torch_record(name, content)).build()), Verdict::kSafe) << name;
    ZipBuilder hostile = torch_zip(pickle, {{"0", "short"}});
    EXPECT_EQ(verdict_of(hostile.add(torch_record(name, content)).build()), Verdict::kDangerous)
        << name;
  }
  // PyTorch finds a record in any case.
  ZipBuilder upper;
  upper.add(torch_record("m/DATA.PKL", pickle)).add(torch_record("m/data/0", "short"));
  EXPECT_EQ(verdict_of(upper.build()), Verdict::kDangerous);
}

// Nor does it matter where a loader looks for the storage, or which of several it takes.
TEST(ScanDangerous, ShortStoragesOfAnyPickle) {
  const std::string pickle = dict_pickle({{"w", small_tensor()}});
  const auto zip_of = [&](const std::vector<std::pair<std::string, std::string>>& records) {
    ZipBuilder zip;
    for (const auto& [name, content] : records) zip.add(torch_record(name, content));
    return zip.build();
  };
  const std::string whole = small_storage();
  // Without a folder, behind another folder, behind other bytes.
  EXPECT_EQ(verdict_of(zip_of({{"data.pkl", pickle}, {"data/0", whole}})), Verdict::kSafe);
  EXPECT_EQ(verdict_of(zip_of({{"data.pkl", pickle}, {"data/0", "short"}})), Verdict::kDangerous);
  EXPECT_EQ(verdict_of(zip_of({{"a/b", "3"}, {"m/data.pkl", pickle}, {"m/data/0", "short"}})),
            Verdict::kDangerous);
  EXPECT_EQ(verdict_of("MZ" + zip_of({{"m/data.pkl", pickle}, {"m/data/0", "short"}})),
            Verdict::kDangerous);
  // The constants of TorchScript have storages of their own under the same keys.
  EXPECT_THAT(rules_of(zip_of({{"m/data.pkl", pickle},
                               {"m/data/0", whole},
                               {"m/constants.pkl", std::string(proto(2)) + "N."},
                               {"m/constants/0", "short"}})),
              Not(Contains("TARE-TEN-001")));
  EXPECT_EQ(verdict_of(zip_of({{"m/data.pkl", std::string(proto(2)) + "N."},
                               {"m/data/0", whole},
                               {"m/constants.pkl", pickle},
                               {"m/constants/0", "short"}})),
            Verdict::kDangerous);
  // Of a package, with a decoy where the pickle itself stands.
  EXPECT_EQ(verdict_of(zip_of({{"m/.data/python_version", "3"},
                               {"m/net/w.pkl", pickle},
                               {"m/net/w/0", whole},
                               {"m/.data/0.storage", "short"}})),
            Verdict::kDangerous);
}

// A tensor of which nobody can say whether it fits is not safe.
TEST(ScanSuspicious, TensorsThatCannotBeChecked) {
  const auto gone = scanned(torch_zip(dict_pickle({{"w", small_tensor()}}), {}).build());
  EXPECT_EQ(gone.verdict, Verdict::kSuspicious);
  EXPECT_THAT(rules_of(gone), ElementsAre("TARE-TEN-002"));
  // What torch.jit.save writes of the inputs of a trace, and of nothing else.
  for (const auto& [name, rule] :
       {std::pair("traced_inputs", "TARE-TEN-002"), std::pair("other_inputs", "TARE-TEN-001")}) {
    ZipBuilder traced = clean_torch_zip();
    const std::string folder = "m/"s + name;
    traced.add(torch_record(folder + ".pkl", dict_pickle({{"x", small_tensor()}})));
    EXPECT_THAT(rules_of(traced.add(torch_record(folder + "/0", "")).build()), Contains(rule));
  }
  // A pickle that was taken out of its archive.
  EXPECT_THAT(rules_of(dict_pickle({{"w", small_tensor()}})), ElementsAre("TARE-TEN-002"));
}

// However many, and whatever the length of the names: all are counted, few are listed.
TEST(ScanBounds, TensorsThatCannotBeCheckedAreListedToALimit) {
  std::vector<NamedCall> tensors(6000, {"w", small_tensor()});
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].second.key = std::to_string(i);
  ZipBuilder zip;
  zip.add(torch_record(std::string(60'000, 'm') + "/data.pkl", dict_pickle(tensors)));
  const auto report = scanned(zip.build());
  EXPECT_EQ(report.verdict, Verdict::kUnreadable);
  EXPECT_THAT(rules_of(report), ElementsAre("TARE-GEN-003", "TARE-TEN-002"));
  // A storage and a tensor each.
  const auto left_out = std::ranges::find(report.findings, "TARE-GEN-003"s,
                                          [](const Finding& found) { return found.rule->id; });
  EXPECT_EQ(left_out->detail, "8000 findings are not listed");
}

// A tensor in a plain pickle, of a storage that stands in its bytes as a checkpoint.
TEST(ScanDangerous, TensorsOfPlainPicklesThatReachPastTheirStorage) {
  pickle::Writer storage;
  storage.proto(2);
  write_storage(storage, small_tensor());
  const std::string file = torch_zip(take(storage), {{"0", small_storage()}}).build();
  const auto pickle_with = [&](std::int64_t stride) {
    pickle::Writer out;
    out.proto(4).global("torch._utils", "_rebuild_tensor_v2").op(Op::kMark);
    out.global("torch.storage", "_load_from_bytes").op(Op::kMark).binbytes(as_bytes(file));
    out.op(Op::kTuple).op(Op::kReduce).integer(0);
    write_sizes(out, {2, 2});
    write_sizes(out, {stride, 1});
    out.boolean(false).global("collections", "OrderedDict").op(Op::kEmptyTuple).op(Op::kReduce);
    out.op(Op::kTuple).op(Op::kReduce);
    return take(out);
  };
  EXPECT_THAT(rules_of(pickle_with(2)), Not(Contains("TARE-TEN-001")));
  EXPECT_THAT(rules_of(pickle_with(1000)), Contains("TARE-TEN-001"));
}

TEST(ScanDangerous, ShortStoragesOfTypesThatAreNotRead) {
  for (const std::string name : {"ComplexDoubleStorage", "QInt32Storage"}) {
    TensorCall call = small_tensor();
    call.storage_class = name;
    EXPECT_EQ(verdict_of(torch_zip(dict_pickle({{"w", call}}), {{"0", "1234"}}).build()),
              Verdict::kDangerous)
        << name;
  }
}

// ---- what is suspicious

TEST(ScanSuspicious, UnknownClasses) {
  const auto report = scanned(proto(2) + global("mymodule", "Thing") + ")\x81}b.");
  EXPECT_EQ(report.verdict, Verdict::kSuspicious);
  EXPECT_THAT(rules_of(report), ElementsAre("TARE-PKL-004", "TARE-PKL-005"));
  EXPECT_THAT(rules_of(global("mymodule", "Thing") + "."), ElementsAre("TARE-PKL-003"));
}

// Nothing outside of the allow-list is safe, known gadget or not.
TEST(ScanSuspicious, EverythingThatIsNotAllowed) {
  for (const auto& [module, name] :
       std::vector<std::pair<const char*, const char*>>{{"numpy.core.multiarray", "_reconstruct"},
                                                        {"collections", "ordereddict"},
                                                        {"Collections", "OrderedDict"},
                                                        {"torch", "nn"},
                                                        {"torch.nn", "Linear"},
                                                        {"torch", "FloatStorage2"},
                                                        {"torch", "float"},
                                                        {"torch._utils", "_rebuild"},
                                                        {"transformers", "X"},
                                                        {"omegaconf", "DictConfig"},
                                                        {"sklearn.svm", "SVC"},
                                                        {"builtins", "print"},
                                                        {"copyreg", "_reconstructor"},
                                                        {"", "x"},
                                                        {"a b", "c d"},
                                                        {"\xC3\xB6s", "system"},
                                                        {"ntpath", "join"},
                                                        {"this", "s"},
                                                        {"antigravity", "geohash"},
                                                        {"torch._utils ", "_rebuild_tensor_v2"},
                                                        {"os\xE2\x80\x8B", "system"},
                                                        {"torch.storage", "_load"},
                                                        {"torch.cuda", "init"}}) {
    EXPECT_GE(verdict_of(proto(4) + stack_global(module, name) + "."), Verdict::kSuspicious)
        << module << '.' << name;
    EXPECT_GE(verdict_of(proto(4) + stack_global(module, name) + ")R."), Verdict::kSuspicious)
        << module << '.' << name;
    EXPECT_FALSE(scan_policy::NamePolicy().allows_name(module, name)) << module << '.' << name;
  }
}

// The list of gadgets makes things dangerous; what is safe does not depend on it.
TEST(ScanSuspicious, GadgetsAreNotOnTheAllowList) {
  struct Gadget {
    const char* module;
    const char* name;
  };
  const Gadget gadgets[] = {
#define TARE_GADGET(module, name, category) {module, name},
#include "scan/gadgets.def"
#undef TARE_GADGET
  };
  for (const auto& [module, name] : gadgets) {
    EXPECT_FALSE(scan_policy::NamePolicy().allows_name(module, name)) << module << '.' << name;
    EXPECT_FALSE(scan_policy::NamePolicy().allows_name(module, "anything")) << module;
  }
  for (const auto& [module, name] :
       std::vector<std::pair<const char*, const char*>>{{"collections", "OrderedDict"},
                                                        {"torch", "Size"},
                                                        {"torch", "FloatStorage"},
                                                        {"torch._utils", "_rebuild_tensor_v2"},
                                                        {"torch", "float32"}}) {
    EXPECT_TRUE(scan_policy::NamePolicy().allows_name(module, name)) << name;
    EXPECT_FALSE(scan_policy::find_gadget(module, name).has_value()) << name;
  }
}

TEST(ScanSuspicious, AllowedCallsWithOtherArguments) {
  for (const std::string& stream :
       {call("collections", "OrderedDict", small(1) + "\x85"), call("torch", "Size", ")"),
        call("torch", "Size", "(Vx\nt\x85"), call("torch", "device", small(1) + "\x85"),
        call("torch._utils", "_rebuild_tensor_v2", ")"),
        call("torch._utils", "_rebuild_parameter", "NNN\x87"),
        call("collections", "OrderedDict", "]")}) {
    EXPECT_GE(verdict_of(stream), Verdict::kSuspicious) << stream;
  }
  // Only REDUCE calls them in what torch writes.
  EXPECT_EQ(verdict_of("(icollections\nOrderedDict\n."), Verdict::kSuspicious);
}

TEST(ScanSuspicious, HooksAndOtherArgumentsOfTensors) {
  const auto with = [](const std::string& requires_grad, const std::string& hooks) {
    pickle::Writer out;
    out.proto(2).global("torch._utils", "_rebuild_tensor_v2").op(Op::kMark);
    write_storage(out, small_tensor());
    out.integer(0);
    write_sizes(out, {4});
    write_sizes(out, {1});
    out.raw(as_bytes(requires_grad + hooks)).op(Op::kTuple).op(Op::kReduce);
    return torch_zip(take(out), {{"0", small_storage()}}).build();
  };
  const std::string dict = global("collections", "OrderedDict") + ")R";
  EXPECT_EQ(verdict_of(with("\x89", dict)), Verdict::kSafe);
  EXPECT_GE(verdict_of(with("N", dict)), Verdict::kSuspicious);
  EXPECT_GE(verdict_of(with("\x89", "}")), Verdict::kSuspicious);
  EXPECT_GE(verdict_of(with("\x89", global("m", "Hooks") + ")R")), Verdict::kSuspicious);
  EXPECT_GE(verdict_of(with("\x89", dict + global("m", "x"))), Verdict::kSuspicious);
}

TEST(ScanSuspicious, StateOtherThanMetadata) {
  for (const std::string& state :
       {"}" + long_text("__class__") + "Nsb",
        "}(" + long_text("_metadata") + "}" + long_text("x") + "Nub",
        "N}" + long_text("_metadata") +
            "}s\x86"
            "b",
        "}" + long_text("__setstate__") + "Nsb", long_text("_metadata") + "b"}) {
    const auto report = scanned(state_dict(state));
    EXPECT_EQ(report.verdict, Verdict::kSuspicious) << state;
    EXPECT_THAT(rules_of(report), Contains("TARE-PKL-005")) << state;
  }
}

TEST(ScanSuspicious, StateOfWhatWasImported) {
  EXPECT_THAT(
      rules_of(proto(2) + global("collections", "OrderedDict") + "}" + long_text("x") + "Nsb."),
      Contains("TARE-PKL-005"));
  EXPECT_THAT(rules_of(proto(2) + global("torch", "FloatStorage") + "}b."),
              Contains("TARE-PKL-005"));
}

// The state is judged as it is at the end: a key that is added behind BUILD counts as well.
TEST(ScanSuspicious, StateThatChangesLater) {
  EXPECT_GE(verdict_of(proto(2) + global("collections", "OrderedDict") + ")R}" + binput(9) + "b0" +
                       binget(9) + long_text("x") + "Ns."),
            Verdict::kSuspicious);
}

TEST(ScanSuspicious, ItemsOfTensors) {  // CVE-2026-24747
  pickle::Writer out;
  out.proto(2);
  write_tensor(out, small_tensor());
  out.integer(0).integer(1).op(Op::kSetItem);
  const auto report = scanned(torch_zip(take(out), {{"0", small_storage()}}).build());
  EXPECT_EQ(report.verdict, Verdict::kSuspicious);
  EXPECT_THAT(rules_of(report), ElementsAre("TARE-PKL-006"));
}

TEST(ScanSuspicious, ItemsOfOtherKinds) {
  for (const std::string& stream : {"]" + small(0) + "Ns.", global("torch", "Size") + "Na.",
                                    "Pid\nNNs."s, global("collections", "OrderedDict") + ")R]Ns."s,
                                    "\x96" + u64(1) + "a" + small(1) + "a."}) {
    EXPECT_GE(verdict_of(proto(2) + stream), Verdict::kSuspicious) << stream;
  }
}

TEST(ScanSuspicious, OddStreams) {
  for (const std::string& odd :
       {"I0x10\n."s, "I1\0z\n."s, proto(4) + frame(100) + "N.", "N0" + proto(2) + "N.",
        "Nq" + u8(0) + "q" + u8(0) + ".", "Nr" + u32(70000) + "."}) {
    const auto report = scanned(proto(2) + odd);
    EXPECT_EQ(report.verdict, Verdict::kSuspicious) << odd;
    EXPECT_THAT(rules_of(report), Contains("TARE-PKL-008")) << odd;
  }
}

TEST(ScanSuspicious, BrokenStreams) {
  for (const std::string& broken : {""s, "N"s, "X"s, "\xFF"s, "."s, "h\x07."s}) {
    const auto report = scanned(proto(2) + broken);
    EXPECT_EQ(report.verdict, Verdict::kSuspicious) << broken;
    EXPECT_THAT(rules_of(report), ElementsAre("TARE-PKL-007")) << broken;
  }
}

TEST(ScanSuspicious, BytesBehindAPickle) {
  for (const std::string& behind : {"x"s, "\0"s, "\n"s, std::string(5000, '\0'), "N."s}) {
    const auto report = scanned(proto(2) + "N." + behind);
    EXPECT_EQ(report.verdict, Verdict::kSuspicious);
    EXPECT_THAT(rules_of(report), ElementsAre("TARE-PKL-009"));
    EXPECT_EQ(report.findings[0].offset, 4U);
  }
}

TEST(ScanSuspicious, WhatDependsOnTheLoader) {
  EXPECT_THAT(rules_of(proto(2) + "Pid\n."), ElementsAre("TARE-PKL-010"));
  EXPECT_THAT(rules_of(proto(2) + "(Vstorage\nNNNNtQ."), ElementsAre("TARE-PKL-010"));
  EXPECT_THAT(rules_of(proto(2) + "\x82" + u8(7) + "."), Contains("TARE-PKL-011"));
  EXPECT_THAT(rules_of(proto(5) + "\x97."), Contains("TARE-PKL-011"));
}

TEST(ScanSuspicious, UnknownParts) {
  for (const auto& [name, content] :
       std::vector<std::pair<const char*, std::string>>{{"m/readme.txt", "some text"},
                                                        {"m/data/9", "not referred to"},
                                                        {"m/version", "three"},
                                                        {"m/byteorder", "big endian"},
                                                        {"m/x", ""},
                                                        {"m/.format_version", "1\n"}}) {
    const auto report = scanned(clean_torch_zip().add(torch_record(name, content)).build());
    EXPECT_EQ(report.verdict, Verdict::kSuspicious) << name;
    EXPECT_THAT(rules_of(report), Contains("TARE-GEN-001")) << name;
  }
}

// A pickle of protocol 2 names a set by its Python 2 name.
TEST(ScanSuspicious, ASetIsNotDangerous) {
  EXPECT_EQ(verdict_of(call("__builtin__", "set", "]\x85")), Verdict::kSafe);
}

// ---- archives that readers see differently

TEST(ScanArchive, EveryAnomalyCounts) {
  const auto with = [](const auto& change) {
    ZipEntry entry = torch_record("m/data/0", small_storage());
    ZipBuilder builder;
    builder.zip64_end = true;
    builder.add(torch_record("m/data.pkl", dict_pickle({{"w", small_tensor()}})));
    change(entry, builder);
    return builder.add(entry).add(torch_record("m/version", "3\n")).build();
  };
  ASSERT_EQ(verdict_of(with([](ZipEntry&, ZipBuilder&) {})), Verdict::kSafe);
  const std::vector<std::function<void(ZipEntry&, ZipBuilder&)>> changes = {
      [](ZipEntry& e, ZipBuilder&) { e.local_name = "m/data/1"; },
      [](ZipEntry& e, ZipBuilder&) { e.local_method = 8; },
      [](ZipEntry& e, ZipBuilder&) { e.local_flags = 9; },
      [](ZipEntry& e, ZipBuilder&) { e.flags = 1; },
      [](ZipEntry& e, ZipBuilder&) { e.flags = 0x20; },
      [](ZipEntry& e, ZipBuilder&) { e.flags = 0x40; },
      [](ZipEntry& e, ZipBuilder&) { e.local_size = 7; },
      [](ZipEntry& e, ZipBuilder&) { e.central_method = 99; },
      [](ZipEntry& e, ZipBuilder&) { e.method = 8; },
      [](ZipEntry& e, ZipBuilder&) { e.central_size = 1'000'000; },
      [](ZipEntry& e, ZipBuilder&) { e.central_size = 8; },
      [](ZipEntry& e, ZipBuilder&) { e.central_offset = 3; },
      [](ZipEntry& e, ZipBuilder&) { e.central_offset = 0; },
      [](ZipEntry& e, ZipBuilder&) { e.before = "x"; },
      [](ZipEntry& e, ZipBuilder&) { e.descriptor_bytes = std::string(16, 'x'); },
      [](ZipEntry&, ZipBuilder& b) { b.prefix = "x"; },
      [](ZipEntry&, ZipBuilder& b) { b.suffix = "x"; },
      [](ZipEntry&, ZipBuilder& b) { b.before_directory = "x"; },
      [](ZipEntry&, ZipBuilder& b) { b.after_directory = "x"; },
      [](ZipEntry&, ZipBuilder& b) { b.count = 1; },
      [](ZipEntry&, ZipBuilder& b) { b.end_count = 1; },
      [](ZipEntry&, ZipBuilder& b) { b.add("m/data.pkl", "\x80\x02N."); },
      [](ZipEntry&, ZipBuilder& b) { b.add("m/DATA.pkl", "\x80\x02N."); },
      [](ZipEntry&, ZipBuilder& b) { b.add("m/\n.pkl", "\x80\x02N."); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    EXPECT_GE(verdict_of(with(changes[i])), Verdict::kSuspicious) << "change " << i;
  }
}

TEST(ScanArchive, WrongChecksums) {
  ZipEntry entry = torch_record("m/data.pkl", "\x80\x02N.");
  entry.central_crc = 1;
  entry.descriptor_bytes = "PK\x07\x08" + u32(1) + u32(4) + u32(4);
  const auto report = scanned(ZipBuilder().add(entry).build());
  EXPECT_EQ(report.verdict, Verdict::kSuspicious);
  EXPECT_THAT(rules_of(report), ElementsAre("TARE-ZIP-002"));
}

// Flags and checksums make some readers give up; the content is judged all the same.
TEST(ScanArchive, DamageDoesNotHideAPayload) {
  for (int change = 0; change < 6; ++change) {
    ZipEntry entry = torch_record("m/data.pkl", payload() + ".");
    switch (change) {
      case 0:
        entry.flags = 0x01;
        break;
      case 1:
        entry.flags = 0x20;
        break;
      case 2:
        entry.flags = 0x40;
        break;
      case 3:
        entry.central_crc = 7;
        break;
      case 4:
        entry.local_name = "m/other.txt";
        break;
      default:
        entry.central_method = 99;
        break;
    }
    EXPECT_EQ(verdict_of(ZipBuilder().add(entry).build()), Verdict::kDangerous) << change;
  }
}

TEST(ScanArchive, EntriesThatCannotBeRead) {
  ZipEntry damaged;
  damaged.name = "m/x.pkl";
  damaged.content = std::string(100, 'x');
  damaged.method = 8;
  damaged.raw = std::string(20, '\xFF');
  const auto report = scanned(clean_torch_zip().add(damaged).build());
  EXPECT_EQ(report.verdict, Verdict::kUnreadable);
  EXPECT_THAT(rules_of(report), Contains("TARE-ZIP-003"));
}

// A directory has no content; one that has some is read by nobody, or by somebody else.
TEST(ScanArchive, DirectoriesHoldNothing) {
  ZipEntry directory;
  directory.name = "m/data.pkl/";
  directory.raw = deflate(payload() + ".");
  directory.method = 8;
  EXPECT_GE(verdict_of(clean_torch_zip().add(directory).build()), Verdict::kSuspicious);
}

TEST(ScanArchive, ArchivesThatCannotBeRead) {
  EXPECT_EQ(verdict_of(clean_torch_zip().build().substr(0, 100)), Verdict::kUnreadable);
  EXPECT_EQ(verdict_of(ZipBuilder().build()), Verdict::kUnreadable);
}

TEST(ScanSafetensors, FilesThatCannotBeRead) {
  const std::string json = "{" + tensor_json("t", "F32", "[1]", 0, 4) + "}";
  for (const std::string& file :
       {safetensors_file(json, "123"), safetensors_file(json, "12345"),
        safetensors_file("{\"t\":1}"), safetensors_file(json, "1234").substr(0, 20)}) {
    const auto report = scanned(file);
    EXPECT_EQ(report.verdict, Verdict::kUnreadable);
    EXPECT_THAT(rules_of(report), ElementsAre("TARE-GEN-002"));
  }
}

TEST(ScanSafetensors, OddNames) {
  for (const std::string name :
       {"", "a\\u0000b", "../x", "a/../b", "/etc/passwd", "..", "a\\\\b", "\\u001b[2J", "a\\n"}) {
    const auto report =
        scanned(safetensors_file("{" + tensor_json(name, "F32", "[1]", 0, 4) + "}", "1234"));
    EXPECT_EQ(report.verdict, Verdict::kSuspicious) << name;
    EXPECT_THAT(rules_of(report), ElementsAre("TARE-TEN-003")) << name;
  }
}

TEST(ScanSafetensors, WithAnotherFileInIt) {
  const std::string pickle = proto(4) + stack_global("os", "system") + text("id") + "\x85R.";
  const std::string json = "{" + tensor_json("t", "F32", "[1]", 0, 4) + "}";
  // Whoever looks for an archive from the end finds one.
  const std::string zip = torch_file(pickle);
  const std::string all =
      "{" + tensor_json("t", "U8", "[" + std::to_string(zip.size()) + "]", 0, zip.size()) + "}";
  EXPECT_TRUE(runs(scanned(safetensors_file(all, zip)), "os.system('id')"));
  EXPECT_TRUE(runs(scanned(safetensors_file(json, "1234") + pickle), "os.system('id')"));
  EXPECT_TRUE(runs(scanned(pickle + safetensors_file(json, "1234")), "os.system('id')"));
}

// ---- in general

TEST(Scan, SaysWhatItDoesNotKnow) {
  const auto report = scan(as_bytes("hello world"));
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, ErrorCode::kWrongFormat);
  EXPECT_EQ(error_text(report.error()),
            "no format that tare knows; it begins with 68 65 6c 6c 6f 20 77 6f 'hello wo'");
  EXPECT_EQ(error_text(scan(as_bytes("\x01\x02")).error()),
            "no format that tare knows; it begins with 01 02 '..'");
  EXPECT_FALSE(scan({}).has_value());
}

// A hostile file is not safe, wherever it is cut off.
TEST(Scan, NoPrefixOfAHostileFileIsSafe) {
  const std::string add = proto(2) + global("copyreg", "add_extension") + long_text("os") +
                          long_text("system") + small(240) + "\x87R0\x82" + u8(240);
  for (const std::string& file :
       {payload() + ".", proto(4) + stack_global("os", "system") + text("id") + "\x85R.",
        "(S'id'\nios\nsystem\n."s, add + long_text("id") + "\x85R.",
        torch_zip(proto(2) + payload() + ".", {{"0", small_storage()}}).build(),
        torch_zip(dict_pickle({{"w", small_tensor()}}), {{"0", "short"}}).build()}) {
    EXPECT_EQ(verdict_of(file), Verdict::kDangerous);
    for (std::size_t length = 0; length < file.size(); ++length) {
      const auto report = scan(as_bytes(std::string_view(file).substr(0, length)));
      if (!report) continue;  // no format at all: not safe either
      ASSERT_NE(report->verdict, Verdict::kSafe) << length;
    }
  }
}

TEST(Scan, ReportsInTheOrderOfEntriesAndOffsets) {
  const auto report = scanned(torch_zip("\x80\x02" + payload() + payload() + ".", {})
                                  .add(torch_record("m/a.pkl", payload() + "."))
                                  .build());
  ASSERT_GE(report.findings.size(), 3U);
  EXPECT_TRUE(std::ranges::is_sorted(report.findings, [](const Finding& a, const Finding& b) {
    return std::tie(a.entry, a.offset) < std::tie(b.entry, b.offset);
  }));
  EXPECT_EQ(report.findings.front().entry, "m/a.pkl");
}

// The bytes at file_offset in the file are those of the finding's opcode.
TEST(Scan, SaysWhereInTheFile) {
  const std::string pickle = proto(2) + payload() + ".";
  const std::string plain = "\x80\x02N." + pickle;
  for (const std::string& file : {pickle, torch_file(pickle), plain}) {
    const auto report = scanned(file);
    const auto found = std::ranges::find(report.findings, "REDUCE", &Finding::opcode);
    ASSERT_NE(found, report.findings.end());
    ASSERT_LT(found->file_offset, file.size());
    EXPECT_EQ(file[found->file_offset], 'R');
    ASSERT_LT(found->context_before, found->context.size());
    EXPECT_EQ(found->context[found->context_before], std::byte{'R'});
    EXPECT_EQ(std::string_view(file).substr(found->file_offset - found->context_before,
                                            found->context.size()),
              as_text(found->context));
  }
}

TEST(Scan, SaysTheSameAgain) {
  const std::string file = torch_zip(payload() + payload() + ".x", {{"0", "y"}}).build();
  const auto first = scanned(file);
  const auto second = scanned(file);
  ASSERT_EQ(first.findings.size(), second.findings.size());
  for (std::size_t i = 0; i < first.findings.size(); ++i) {
    EXPECT_EQ(first.findings[i].rule, second.findings[i].rule);
    EXPECT_EQ(first.findings[i].detail, second.findings[i].detail);
    EXPECT_EQ(first.findings[i].offset, second.findings[i].offset);
  }
}

TEST(Scan, EvidenceIsPrintable) {
  const auto report = scanned(proto(2) + "c\x1B[2Jm\nn\x07\n(V\\u0000\\u202e\n" + "tR.");
  ASSERT_FALSE(report.findings.empty());
  for (const Finding& finding : report.findings) {
    for (const char c : finding.evidence + finding.detail) {
      ASSERT_TRUE(c >= 0x20 && c < 0x7F) << static_cast<int>(c);
    }
  }
}

// A file can make a finding of every byte or two: that many are not listed, and that is said.
TEST(Scan, LimitsItsFindings) {
  for (const std::string& flood :
       {repeat(proto(2), 20'000) + "N.", repeat("N.", 20'000), repeat("cm\nn\n0", 20'000) + "N."}) {
    const auto report = scanned(flood);
    EXPECT_LE(report.findings.size(), 10'000U);
    EXPECT_GE(report.verdict, Verdict::kUnreadable);
    EXPECT_THAT(rules_of(report), Contains("TARE-GEN-003"));
  }
}

TEST(Scan, DoesNotLoseADangerousFindingAmongOthers) {
  const auto report = scanned(repeat(proto(2), 20'000) + payload() + ".");
  EXPECT_EQ(report.verdict, Verdict::kDangerous);
  EXPECT_TRUE(std::ranges::any_of(report.findings, [](const Finding& finding) {
    return finding.evidence == "os.system('id')";
  }));
}

TEST(Rules, AreUniqueSortedAndComplete) {
  std::set<std::string> ids;
  std::string last;
  for (const Rule& rule : rules()) {
    EXPECT_TRUE(ids.insert(rule.id).second) << rule.id;
    const std::string id = rule.id;
    EXPECT_THAT(id, testing::MatchesRegex("TARE-[A-Z][A-Z]+-[0-9][0-9][0-9]"));
    if (last.substr(0, 8) == id.substr(0, 8)) {
      EXPECT_LT(last, id);
    }
    last = id;
    EXPECT_NE(rule.severity, Verdict::kSafe) << id;
    for (const std::string text : {rule.title, rule.why, rule.what_to_do}) {
      EXPECT_FALSE(text.empty()) << id;
      EXPECT_THAT(text, Not(testing::EndsWith("."))) << id;
    }
  }
  EXPECT_GE(ids.size(), 20U);
}

// The rules of one prefix stand together.
TEST(Rules, AreGroupedByPrefix) {
  std::set<std::string> finished;
  std::string current;
  for (const Rule& rule : rules()) {
    const std::string prefix = std::string(rule.id).substr(0, 8);
    if (prefix == current) continue;
    EXPECT_TRUE(finished.insert(prefix).second) << prefix;
    current = prefix;
  }
}

TEST(Verdicts, HaveNamesInOrder) {
  EXPECT_STREQ(verdict_name(Verdict::kSafe), "safe");
  EXPECT_STREQ(verdict_name(Verdict::kSuspicious), "suspicious");
  EXPECT_STREQ(verdict_name(Verdict::kUnreadable), "unreadable");
  EXPECT_STREQ(verdict_name(Verdict::kDangerous), "dangerous");
  EXPECT_LT(Verdict::kSuspicious, Verdict::kDangerous);
}

}  // namespace
}  // namespace tare
