// What the scanner says about source code in models: TorchScript, and Python.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scan/source_tokens.hpp"
#include "support/pickle_bytes.hpp"
#include "support/scanning.hpp"
#include "support/torch_builder.hpp"

namespace tare {
namespace {

using namespace std::string_literals;
using namespace test;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// An archive of TorchScript with this code.
std::string script(const std::string& code, const std::string& name = "m/code/__torch__.py") {
  return torch_zip(proto(2) + global("__torch__", "Net") + ")\x81}b.", {})
      .add(torch_record("m/constants.pkl", proto(2) + ")."))
      .add(torch_record(name, code))
      .build();
}

constexpr const char* kModule =
    "class Net(Module):\n"
    "  __parameters__ = [\"weight\", ]\n"
    "  __buffers__ = []\n"
    "  weight : Tensor\n"
    "  training : bool\n"
    "  __annotations__[\"0\"] = __torch__.torch.nn.modules.linear.Linear\n"
    "  def forward(self: __torch__.Net,\n"
    "    x: Tensor,\n"
    "    hx: Optional[Tensor]=None) -> Tensor:\n"
    "    _0 = __torch__.torch.nn.functional.softmax\n"
    "    _1 = getattr(self, \"0\")\n"
    "    weight = self.weight\n"
    "    if torch.__is__(hx, None):\n"
    "      y = torch.linear(x, weight, CONSTANTS.c0)  # torch.save(x)\n"
    "    else:\n"
    "      y = unchecked_cast(Tensor, hx)\n"
    "    if torch.ne(torch.dim(y), 2):\n"
    "      ops.prim.RaiseException(\"torch.save(\", \"builtins.ValueError\")\n"
    "    else:\n"
    "      pass\n"
    "    for i in range(3):\n"
    "      y = torch.add(y, int(i), alpha=1)\n"
    "    _2 = annotate(List[Tensor], [])\n"
    "    print(\"os.system('id')\")\n"
    "    return _0((_1).forward(y, ), 1, 5, None, )\n";

TEST(ScanScript, CodeThatOnlyComputesIsSafe) {
  const auto report = scanned(script(kModule));
  EXPECT_EQ(report.verdict, Verdict::kSafe);
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_THAT(report.formats, ElementsAre("torchscript"));
}

TEST(ScanScript, CodeThatReachesOutIsDangerous) {
  for (const std::string& line :
       {"torch.save(x, \"/tmp/x\")"s, "torch . save(x, \"f\")"s, "ops.aten.save(x, \"f\")"s,
        "_0 = torch.save"s, "torch.from_file(\"/etc/passwd\")"s, "ops.aten.from_file(\"f\", None)"s,
        "ops.prim.rpc_async(\"w\", f, ())"s, "ops.image.write_file(\"f\", x)"s,
        "self.__setstate__(x)"s, "(x).__setstate__(y)"s, "os.system(\"id\")"s, "eval(\"1\")"s,
        "exec(\"import os\")"s, "open(\"f\")"s, "subprocess.Popen(\"id\")"s,
        "torch.save (x,\n    \"f\")"s}) {
    const auto report = scanned(script("def f(x: Tensor):\n  " + line + "\n"));
    EXPECT_EQ(report.verdict, Verdict::kDangerous) << line;
    EXPECT_THAT(rules_of(report), Contains("TARE-JIT-002")) << line;
  }
}

// CVE-2025-32434: what runs when the object is made.
TEST(ScanScript, CodeThatRunsOnLoadIsDangerous) {
  const auto report =
      scanned(script("class Net(Module):\n  def __setstate__(self, state: int):\n"
                     "    return None\n"));
  EXPECT_EQ(report.verdict, Verdict::kDangerous);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].evidence, "def __setstate__(self, state: int):");
  EXPECT_THAT(report.findings[0].detail, HasSubstr("runs when the object is loaded"));
}

TEST(ScanScript, WhatIsNotKnownIsSuspicious) {
  for (const std::string& line :
       {"torch.frobnicate(x)"s, "ops.mylib.run(x)"s, "_0 = torch"s, "_0 = ops.aten"s,
        "torch.nn.relu(x)"s, "torch.set_(x, y)"s, "torch.manual_seed(1)"s, "unheard_of(x)"s,
        "_0 = __torch__.torch.classes.mylib.Thing"s, "import foo"s, "x = \"no end"s, "x = 1 \x01"s,
        "x = y\r  torch.add(x)"s, "\xC3\xA9 = 1"s}) {
    const auto report = scanned(script("def f(x: Tensor):\n  " + line + "\n"));
    EXPECT_EQ(report.verdict, Verdict::kSuspicious) << line;
    EXPECT_THAT(rules_of(report), ElementsAre("TARE-JIT-001")) << line;
  }
}

TEST(ScanScript, ClassesOfTheArchiveAreNamedByItsPicklesOnly) {
  const std::string pickle = proto(2) + global("__torch__.a.b", "Net") + ")\x81}b.";
  EXPECT_GE(verdict_of(pickle), Verdict::kSuspicious);
  EXPECT_GE(verdict_of(torch_zip(pickle, {}).build()), Verdict::kSuspicious);
  for (const std::string& odd :
       {global("__torch__.torch.classes.mylib", "Thing") + ")\x81}b.",
        global("__torch__x", "Net") + ")\x81}b.", global("__torch__", "Net") + "(K\x01t\x81}b.",
        global("__torch__", "Net") + ")R."}) {
    EXPECT_GE(verdict_of(torch_zip(proto(2) + odd, {})
                             .add(torch_record("m/constants.pkl", proto(2) + ")."))
                             .build()),
              Verdict::kSuspicious)
        << odd;
  }
}

TEST(ScanScript, AConstantThatIsAPayload) {
  EXPECT_EQ(verdict_of(torch_zip(proto(2) + "N.", {})
                           .add(torch_record("m/constants.pkl", proto(2) + payload() + "."))
                           .build()),
            Verdict::kDangerous);
}

// Bytecode for mobile devices names its operators in a pickle.
TEST(ScanScript, OperatorsOfBytecode) {
  const auto bytecode = [](const std::string& name) {
    return torch_zip(proto(2) + "N.", {})
        .add(torch_record("m/constants.pkl", proto(2) + ")."))
        .add(torch_record("m/bytecode.pkl", proto(2) + long_text(name) + "."))
        .build();
  };
  EXPECT_EQ(verdict_of(bytecode("aten::add")), Verdict::kSafe);
  EXPECT_EQ(verdict_of(bytecode("prim::RaiseException")), Verdict::kSafe);
  EXPECT_EQ(verdict_of(bytecode("aten::save")), Verdict::kSuspicious);
  EXPECT_EQ(verdict_of(bytecode("mylib::run")), Verdict::kSuspicious);
  EXPECT_EQ(verdict_of(bytecode("__torch__.Net.__setstate__")), Verdict::kDangerous);
}

// An archive of torch.package, whose sources are imported when it is loaded.
std::string package(const std::string& source, const std::string& name = "m/net.py") {
  return torch_zip(proto(3) + "N.", {})
      .add(torch_record("m/.data/extern_modules", "torch\n"))
      .add(torch_record(name, source))
      .build();
}

TEST(ScanPython, CodeThatReachesOutIsDangerous) {
  for (const std::string& source : {"import os\nos.system('id')\n"s,
                                    "import os as o\no.popen('id')\n"s,
                                    "from os import system as s\ns('id')\n"s,
                                    "from os import (\n  path,\n  system,\n)\nsystem(1)\n"s,
                                    "from subprocess import *\ncall('id')\n"s,
                                    "import subprocess\nx = subprocess.run\n"s,
                                    "import os; os . system('id')\n"s,
                                    "if 1: import os\nos.execv('/bin/sh', [])\n"s,
                                    "exec('import o' + 's')\n"s,
                                    "eval(x)\n"s,
                                    "__import__('os').system('id')\n"s,
                                    "import importlib\nimportlib.import_module('os')\n"s,
                                    "import os\ngetattr(os, 'sys' + 'tem')\n"s,
                                    "import pickle\npickle.loads(b'')\n"s,
                                    "import ctypes\nctypes.CDLL('x')\n"s,
                                    "import urllib.request\nurllib.request.urlopen('http://x')\n"s,
                                    "import socket\nsocket.socket()\n"s,
                                    "open('/etc/passwd')\n"s,
                                    "import shutil\nshutil.rmtree('/')\n"s,
                                    "f'{__import__(\"os\").getpid()}'\n"s,
                                    "f'{eval(x)}'\n"s,
                                    "().__class__.__base__.__subclasses__()\n"s,
                                    "# x\rexec('1')\n"s,
                                    "import torch\ntorch.hub.load('a', 'b')\n"s,
                                    "import sys\nsys.modules['x'] = 1\n"s,
                                    "import os\n@os.system\ndef f(): pass\n"s}) {
    for (const std::string name : {"m/net.py", "m/a/b.PY", "m/code/net.py"}) {
      const auto report = scanned(package(source, name));
      EXPECT_EQ(report.verdict, Verdict::kDangerous) << source << name;
    }
  }
}

TEST(ScanPython, AnyOtherCodeIsSuspicious) {
  for (const std::string& source :
       {"x = 1\n"s, "# os.system('id')\n"s, "x = 'import os; os.system(1)'\n"s, ""s + "\n",
        "\"\"\"\nimport os\nos.system('id')\n\"\"\"\n"s, "import os\nos.path.join('a', 'b')\n"s,
        "self.system('id')\n"s, "def eval(x): pass\n"s, "model.eval()\n"s}) {
    const auto report = scanned(package(source));
    EXPECT_EQ(report.verdict, Verdict::kSuspicious) << source;
    EXPECT_THAT(rules_of(report), ElementsAre("TARE-SRC-002")) << source;
  }
}

TEST(ScanPython, APickleUnderANameOfPython) {
  EXPECT_EQ(verdict_of(package(payload() + ".")), Verdict::kDangerous);
  EXPECT_EQ(verdict_of(script(payload() + ".")), Verdict::kDangerous);
}

TEST(SourceTokens, StringsAndCommentsAreNoCode) {
  const auto names = [](std::string_view source) {
    std::vector<std::string> paths;
    for (const Reference& name : references_in(tokenize(source).tokens).names) {
      paths.push_back(name.path + (name.called ? "()" : ""));
    }
    return paths;
  };
  EXPECT_THAT(names("a.b(c) # d\n"), ElementsAre("a.b()", "c"));
  EXPECT_THAT(names("'a' \"b\" r'c' b\"d\" '''e\n'f' ''' g"), ElementsAre("g"));
  EXPECT_THAT(names("'a\\'b' c"), ElementsAre("c"));
  EXPECT_THAT(names("f'{a.b()}' c"), ElementsAre("a.b()", "c"));
  EXPECT_THAT(names("(a).b(1)"), ElementsAre("a", "b()"));
  EXPECT_THAT(names("a \\\n (1.5e3)"), ElementsAre("a()"));
}

}  // namespace
}  // namespace tare
