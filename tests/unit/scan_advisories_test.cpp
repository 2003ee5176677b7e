// Published advisories about scanners and loaders: what each of them is about comes out as
// dangerous. tests/house/advisories.py checks that every id of its list stands here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/pickle_bytes.hpp"
#include "support/scanning.hpp"
#include "support/tar_builder.hpp"
#include "support/torch_builder.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::Contains;

// ---- functions that do harm

struct GadgetAdvisory {
  const char* ids;
  std::vector<std::pair<const char*, const char*>> functions;  // module, name
};

const std::vector<GadgetAdvisory> kGadgets = {
    {"CVE-2025-1716 GHSA-655q-fx9r-782v", {{"pip", "main"}}},
    {"CVE-2025-46417", {{"ssl", "get_server_certificate"}}},
    {"CVE-2025-71351 CVE-2025-71355",
     {{"timeit", "timeit"}, {"numpy.testing._private.utils", "runstring"}}},
    {"CVE-2025-71353 GHSA-86cj-95qr-2p4f GHSA-4r9r-ch6f-vxmx GHSA-4whj-rm5r-c2v8 "
     "GHSA-f4x7-rfwp-v3xw GHSA-f745-w6jp-hpxx GHSA-jhph-76pp-mggw GHSA-h3qp-7fh3-f8h4 "
     "GHSA-vr7h-p6mm-wpmh GHSA-vv6j-3g6g-2pvj",
     {{"torch._dynamo.guards", "GuardBuilder.get"},
      {"torch.utils.bottleneck.__main__", "run_cprofile"},
      {"torch.utils.bottleneck.__main__", "run_autograd_prof"},
      {"torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression"},
      {"torch.utils.collect_env", "run"},
      {"torch.utils.collect_env", "run_and_read_all"},
      {"torch.utils.data.datapipes.utils.decoder", "basichandlers"},
      {"torch.jit.unsupported_tensor_ops", "execWrapper"},
      {"torch.utils._config_module", "ConfigModule.load_config"}}},
    {"CVE-2025-71340 GHSA-3gf5-cxq9-w223 CVE-2025-71357 GHSA-j343-8v2j-ff7w CVE-2025-71358 "
     "GHSA-6w4w-5w54-rjvr CVE-2025-71361 GHSA-8r4j-24qv-fmq9 CVE-2025-71378 "
     "GHSA-9w88-8rmg-7g2p GHSA-7cq8-mj8x-j263 GHSA-9xph-j2h6-g47v GHSA-3vg9-h568-4w9m "
     "GHSA-m869-42cg-3xwr GHSA-49gj-c84q-6qm9 GHSA-5qwp-399c-mjwf GHSA-g344-hcph-8vgg "
     "GHSA-x696-vm39-cp64 GHSA-6vqj-c2q5-j97w GHSA-f54q-57x4-jg88 GHSA-p9w7-82w4-7q8m "
     "GHSA-cj3c-v495-4xqh GHSA-fqq6-7vqf-w3fg GHSA-xp4f-hrf8-rxw7",
     {{"idlelib.pyshell", "ModifiedInterpreter.runcode"},
      {"idlelib.pyshell", "ModifiedInterpreter.runcommand"},
      {"idlelib.run", "Executive.runcode"},
      {"idlelib.autocomplete", "AutoComplete.get_entity"},
      {"idlelib.autocomplete", "AutoComplete.fetch_completions"},
      {"idlelib.calltip", "get_entity"},
      {"idlelib.calltip", "Calltip.fetch_tip"},
      {"idlelib.debugobj", "ObjectTreeItem.SetText"},
      {"cProfile", "run"},
      {"cProfile", "runctx"},
      {"trace", "Trace.run"},
      {"trace", "Trace.runctx"},
      {"profile", "Profile.run"},
      {"profile", "Profile.runctx"},
      {"lib2to3.pgen2.grammar", "Grammar.loads"},
      {"lib2to3.pgen2.pgen", "ParserGenerator.make_label"},
      {"code", "InteractiveInterpreter.runcode"},
      {"doctest", "debug_script"},
      {"ensurepip", "_run_pip"}}},
    {"CVE-2025-10157 GHSA-f7qq-56ww-84cr GHSA-q77w-mwjj-7mqx",
     {{"asyncio.unix_events", "_UnixSubprocessTransport._start"}}},
    {"CVE-2025-71320 GHSA-84r2-jw7c-4r5q GHSA-m273-6v24-x4m4 GHSA-4675-36f9-wf6r "
     "GHSA-vqmv-47xg-9wpr GHSA-r8g5-cgf2-4m4m GHSA-46h3-79wf-xr6c GHSA-955r-x9j8-7rhh",
     {{"pydoc", "locate"},
      {"operator", "methodcaller"},
      {"distutils.file_util", "write_file"},
      {"ctypes", "CDLL"},
      {"pty", "spawn"},
      {"numpy.f2py.crackfortran", "getlincoef"},
      {"_operator", "attrgetter"},
      {"_operator", "methodcaller"},
      {"builtins", "__import__"}}},
    {"GHSA-9726-w42j-3qjr", {{"_io", "FileIO"}, {"urllib.request", "urlopen"}}},
    {"GHSA-9m3x-qqw2-h32h GHSA-m7j5-r2p5-c39r",
     {{"cloudpickle.cloudpickle", "_make_function"},
      {"cloudpickle.cloudpickle", "_builtin_type"},
      {"types", "CodeType"},
      {"logging", "FileHandler"}}},
    {"CVE-2026-3490 GHSA-vvpj-8cmc-gx39", {{"pkgutil", "resolve_name"}}},
    {"CVE-2026-53873 GHSA-7wx9-6375-f5wh", {{"profile", "run"}}},
    {"CVE-2026-56315 GHSA-g38g-8gr9-h9xp GHSA-5hwf-rc88-82xm",
     {{"uuid", "_get_command_stdout"},
      {"_osx_support", "_read_output"},
      {"_aix_support", "_read_cmd_output"},
      {"_pyrepl.pager", "pipe_pager"},
      {"imaplib", "IMAP4_stream"},
      {"test.support.script_helper", "assert_python_ok"}}},
    {"CVE-2025-67748 GHSA-r7v6-mfhq-g3m2", {{"pty", "spawn"}}},
    {"CVE-2025-67747 GHSA-565g-hwwr-4pp3", {{"marshal", "loads"}, {"types", "FunctionType"}}},
    {"CVE-2026-22606 GHSA-wfq2-52f7-7qvj", {{"runpy", "run_path"}, {"runpy", "run_module"}}},
    {"CVE-2026-22607 GHSA-p523-jq9w-64x9", {{"cProfile", "run"}}},
    {"CVE-2026-22608 GHSA-5hvc-6wx8-mvv4", {{"ctypes", "CDLL"}, {"pydoc", "locate"}}},
    {"CVE-2026-22609 GHSA-q5qq-mvfm-j35x",
     {{"importlib", "import_module"},
      {"code", "interact"},
      {"multiprocessing.util", "spawnv_passfds"}}},
    {"CVE-2026-22612 GHSA-h4rm-mm56-xf63", {{"builtins", "eval"}, {"builtins", "exec"}}},
    {"GHSA-mhc9-48gj-9gp3",
     {{"smtplib", "SMTP"}, {"socketserver", "TCPServer"}, {"sqlite3", "connect"}}},
    {"GHSA-wccx-j62j-r448", {{"pickle", "loads"}, {"_pickle", "loads"}, {"_pickle", "load"}}},
    {"GHSA-5cxw-w2xg-2m8h", {{"platform", "popen"}}},
    {"GHSA-r48f-3986-4f9c",
     {{"linecache", "getlines"}, {"difflib", "unified_diff"}, {"gc", "get_objects"}}},
    {"CVE-2026-14534 GHSA-m6fh-58r7-x697",
     {{"_posixsubprocess", "fork_exec"}, {"site", "addpackage"}, {"atexit", "register"}}},
    {"GHSA-pc6j-px3p-rrj4", {{"unittest.mock", "patch"}, {"test.support", "run_in_subinterp"}}},
    {"CVE-2026-14535 GHSA-cffv-grgg-g429", {{"os", "system"}, {"collections", "_sys.modules"}}},
    {"GHSA-5j3x-jp52-966f", {{"pathlib", "os.system"}}},
    {"GHSA-6ggj-6f2q-f7mx", {{"_interpreters", "run_string"}}},
    {"GHSA-fphw-536r-4p88", {{"pickle", "_load"}, {"pickle", "_loads"}, {"pickle", "_Unpickler"}}},
    {"CVE-2022-45907", {{"torch.jit.annotations", "parse_type_line"}}},
    {"CVE-2024-5480 CVE-2024-48063",
     {{"torch.distributed.rpc", "rpc_sync"}, {"torch.distributed.rpc", "PythonUDF"}}},
};

// Called with a text, the result built, and dropped: what is called shows in each.
TEST(ScanAdvisories, FunctionsThatDoHarm) {
  for (const GadgetAdvisory& advisory : kGadgets) {
    for (const auto& [module, name] : advisory.functions) {
      const std::string function = stack_global(module, name);
      for (const std::string& stream :
           {function + text("x") + "\x85R.", function + text("x") + "\x85RN}b.",
            "(" + function + text("x") + "o0N.", function + "."}) {
        EXPECT_EQ(verdict_of(proto(4) + stream), Verdict::kDangerous)
            << advisory.ids << ": " << module << " " << name;
      }
    }
  }
}

// ---- ways to write a file

struct FileAdvisory {
  const char* ids;
  std::string file;
};

std::string hostile() {
  return payload() + ".";
}

ZipEntry data_entry() {
  return torch_record("m/data.pkl", hostile());
}

std::string with(void (*change)(ZipEntry&)) {
  ZipEntry entry = data_entry();
  change(entry);
  return ZipBuilder().add(entry).add(torch_record("m/version", "3\n")).build();
}

// The magic number of legacy files, computed by eval.
std::string legacy_with_computed_magic() {
  return proto(2) + global("builtins", "eval") + long_text("0x1950a86a20f9469cfc6c") + "\x85R." +
         proto(2) + "M\xE9\x03." + proto(2) + "}." + proto(2) + payload() + "." + proto(2) + "].";
}

std::string storage_zip(const std::string& pickle, const std::string& storage) {
  return torch_zip(pickle, {{"0", storage}}).build();
}

std::string tensor_item() {
  pickle::Writer out;
  out.proto(2);
  write_tensor(out, small_tensor());
  out.integer(0).integer(1).op(pickle::Op::kSetItem);
  return storage_zip(take(out), small_storage());
}

std::string script_that_saves() {
  return torch_zip(proto(2) + global("__torch__", "Evil") + ")\x81K\x01" + "b.", {})
      .add(torch_record("m/constants.pkl", proto(2) + ")."))
      .add(torch_record("m/code/__torch__.py",
                        "class Evil(Module):\n  def __setstate__(self, x: int) -> NoneType:\n"
                        "    _0 = torch.save(torch.ones([1]), \"/tmp/x\")\n    return None\n"))
      .build();
}

std::string tar_with_link() {
  return TarMember{"storages", "", '1', "/etc/passwd"}.build() +
         TarMember{"tensors", proto(2) + "K\x00."s}.build() +
         TarMember{"pickle", proto(2) + "N."}.build() + tar_end();
}

std::string quantized_past_its_storage() {
  TensorCall call = small_tensor();
  call.strides = {1000, 1};
  return storage_zip(dict_pickle({{"w", call}}), small_storage());
}

TEST(ScanAdvisories, WaysToWriteAFile) {
  const std::string system = text("id") + "\x85R.";
  const std::vector<FileAdvisory> advisories = {
      {"CVE-2025-1889 GHSA-769v-p64c-89pr",
       clean_torch_zip().add(torch_record("m/config.p", hostile())).build()},
      {"CVE-2025-1944 GHSA-7q5r-7gvp-wc82", with([](ZipEntry& e) { e.local_name = "m/datap.kl"; })},
      {"CVE-2025-1945 GHSA-w8jq-xcqf-f792", with([](ZipEntry& e) { e.flags = 0x01; })},
      {"CVE-2025-1945 GHSA-w8jq-xcqf-f792", with([](ZipEntry& e) { e.flags = 0x20; })},
      {"CVE-2025-1945 GHSA-w8jq-xcqf-f792", with([](ZipEntry& e) { e.flags = 0x40; })},
      {"CVE-2025-10155 GHSA-jgw4-cr84-mqxg", hostile()},
      {"CVE-2025-10156 GHSA-mjqp-26hc-grxg", with([](ZipEntry& e) { e.central_crc = 0; })},
      {"CVE-2025-71325 GHSA-9gvj-pp9x-gcfr", "S'os'\nS'system'\n\x93S'ls'\n\x85R."},
      {"GHSA-mxhj-88fx-4pcv",
       proto(4) + "(" + stack_global("smtplib", "SMTP") + text("127.0.0.1") + "o0N."},
      {"GHSA-97f8-7cmv-76j2", legacy_with_computed_magic()},
      {"CVE-2026-14535 GHSA-cffv-grgg-g429",
       proto(4) + stack_global("os", "system") + "0" + stack_global("os", "system") + system},
      {"CVE-2025-32434 GHSA-53q9-r3pm-6pq6", script_that_saves()},
      {"CVE-2025-32434 GHSA-53q9-r3pm-6pq6", tar_with_link()},
      {"CVE-2026-24747 GHSA-63cw-57p8-fm3p",
       storage_zip(dict_pickle({{"w", small_tensor()}}), "short")},
      {"GHSA-jg6j-8w4h-2pg2", quantized_past_its_storage()},
      {"GHSA-84cc-wfj8-w393", proto(2) + "]r\xFF\xFF\xFF\x0F" + "0" + hostile()},
      {"GHSA-fphw-536r-4p88", two_readings("0N.")},
  };
  for (const FileAdvisory& advisory : advisories) {
    EXPECT_EQ(verdict_of(advisory.file), Verdict::kDangerous) << advisory.ids;
  }
}

// CVE-2026-24747 GHSA-63cw-57p8-fm3p: it corrupts memory, and honest files do not have it.
TEST(ScanAdvisories, ItemsOfTensors) {
  const auto report = scanned(tensor_item());
  EXPECT_GE(report.verdict, Verdict::kSuspicious);
  EXPECT_THAT(rules_of(report), Contains("TARE-PKL-006"));
}

// GHSA-84cc-wfj8-w393: lengths of gigabytes in a few bytes.
TEST(ScanAdvisories, LengthsWithoutBytes) {
  for (const std::string& length :
       {"\x8d" + u64(UINT64_C(1) << 40), "\x8e" + u64(UINT64_C(1) << 60), "\x8b" + u32(0x7FFFFFFF),
        "\x96" + u64(UINT64_MAX), "B" + u32(0xFFFFFFFF)}) {
    EXPECT_TRUE(is_not_safe(proto(4) + length + "x.")) << length;
    EXPECT_EQ(verdict_of(proto(4) + payload() + "0" + length + "x."), Verdict::kDangerous);
  }
}

}  // namespace
}  // namespace tare
